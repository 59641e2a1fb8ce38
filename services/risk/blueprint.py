"""How risk is built from its settings."""

from services.risk.metrics import observe
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from tape.blueprint import Blueprint
from venues.instruments import LISTING


def _build(settings: RiskSettings) -> Risk:
    return Risk(settings, LISTING)


BLUEPRINT = Blueprint("risk", RiskSettings, _build, observe)
