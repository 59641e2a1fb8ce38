"""How gateway is built from its settings; the one to real venues is an edge, and no component."""

from services.gateway.rules import Gateway
from services.gateway.settings import GatewayMode, GatewaySettings
from tape.blueprint import Blueprint
from venues.instruments import LISTING


def _build(settings: GatewaySettings) -> Gateway | None:
    return Gateway(settings, LISTING) if settings.mode is GatewayMode.SIMULATED else None


BLUEPRINT = Blueprint("gateway", GatewaySettings, _build)
