"""How gateway is built from its settings."""

from services.gateway.rules import Gateway
from tape.blueprint import Blueprint
from venues.instruments import BINANCE_SPOT
from venues.simulated import SimulationSettings


def _build(settings: SimulationSettings) -> Gateway:
    return Gateway(settings, BINANCE_SPOT)


BLUEPRINT = Blueprint("gateway", SimulationSettings, _build)
