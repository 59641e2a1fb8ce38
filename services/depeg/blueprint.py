"""How the depeg guard is built from its settings."""

from services.depeg.rules import Depeg
from services.depeg.settings import DepegSettings
from tape.blueprint import Blueprint
from venues.instruments import LISTING


def _build(settings: DepegSettings) -> Depeg:
    return Depeg(settings, LISTING)


BLUEPRINT = Blueprint("depeg", DepegSettings, _build)
