"""How the clock of a recorded market is built; the wall clock is an edge, and no component."""

from services.clock.rules import MarketClock
from services.clock.settings import ClockSettings, ClockSource
from tape.blueprint import Blueprint


def _build(settings: ClockSettings) -> MarketClock | None:
    return MarketClock() if settings.source is ClockSource.MARKET else None


BLUEPRINT = Blueprint("clock", ClockSettings, _build)
