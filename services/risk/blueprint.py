"""How risk is built from its settings."""

from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from tape.blueprint import Blueprint
from venues.instruments import BINANCE_SPOT


def _build(settings: RiskSettings) -> Risk:
    return Risk(settings, BINANCE_SPOT)


BLUEPRINT = Blueprint("risk", RiskSettings, _build)
