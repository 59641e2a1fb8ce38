"""A strategy of a test's own, traded by the real gateway, risk, router and books."""

from collections.abc import Callable, Iterable

from pydantic import BaseModel

from contracts.event import Event
from contracts.recorded import Recorded
from services.backtest.run import Run
from services.backtest.settings import BacktestSettings
from services.backtest.wiring import Nature, Wiring, blueprints, wire
from tape.blueprint import Blueprint
from tape.strategy import Strategy
from tests.backtested import USUAL, Heard
from tests.builders import LISTING
from venues.instruments import Listing

NAME = "own"
TRADING = ("gateway", "clock", NAME, "risk", "router", "portfolio")
"""All that it takes, in the order of a backtest."""


class NoSettings(BaseModel):
    pass


def with_own(
    build: Callable[[], Strategy], *changes: str, asked: BacktestSettings | None = None, listing: Listing = LISTING
) -> Wiring:
    """Wire a run in which only this strategy trades."""
    asked = (asked or BacktestSettings()).model_copy(update={"strategies": ("trend",), "changes": changes})
    usual = wire(asked, USUAL, listing, Nature())
    own = Blueprint(NAME, NoSettings, lambda _settings: build())
    settings = {name: usual.settings.get(name, NoSettings()) for name in TRADING}
    return Wiring({**blueprints(listing), NAME: own}, settings)


def heard(wiring: Wiring, events: Iterable[Event]) -> list[Recorded]:
    """Play a market and give what was said, but single quotes and trades."""
    hearer = Heard()
    Run(wiring, None, hearer).take(events)
    return hearer.recorded
