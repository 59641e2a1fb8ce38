"""How trend is built from its settings."""

from services.trend.rules import Trend
from services.trend.settings import TrendSettings
from tape.blueprint import Blueprint
from venues.instruments import BINANCE_SPOT


def _build(settings: TrendSettings) -> Trend:
    return Trend(settings, BINANCE_SPOT)


BLUEPRINT = Blueprint("trend", TrendSettings, _build)
