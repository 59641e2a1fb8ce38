"""How router is built from its settings."""

from services.router.metrics import observe
from services.router.rules import Router
from services.router.settings import RouterSettings
from tape.blueprint import Blueprint
from venues.instruments import LISTING


def _build(settings: RouterSettings) -> Router:
    return Router(settings, LISTING)


BLUEPRINT = Blueprint("router", RouterSettings, _build, observe)
