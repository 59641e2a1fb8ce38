"""How trend is built from its settings."""

from services.trend.rules import Trend
from services.trend.settings import TrendSettings
from tape.blueprint import Blueprint
from venues.instruments import LISTING


def _build(settings: TrendSettings) -> Trend:
    return Trend(settings, LISTING)


BLUEPRINT = Blueprint("trend", TrendSettings, _build)
