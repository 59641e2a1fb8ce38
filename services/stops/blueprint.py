"""How stops is built from its settings."""

from services.stops.rules import Stops
from services.stops.settings import StopsSettings
from tape.blueprint import Blueprint
from venues.instruments import LISTING


def _build(settings: StopsSettings) -> Stops:
    return Stops(settings, LISTING)


BLUEPRINT = Blueprint("stops", StopsSettings, _build)
