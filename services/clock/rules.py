"""A clock for recorded markets: a second begins when market data of that second arrives."""

from dataclasses import dataclass
from typing import ClassVar

from contracts.clock import ClockTick
from contracts.event import Event
from contracts.market import Quote, Trade
from contracts.types import InstrumentId
from tape.component import Component, on

SECOND = 1_000_000_000


@dataclass(slots=True)
class MarketClockState:
    next: int
    """When the next second begins."""


class MarketClock(Component):
    produces: ClassVar[tuple[type[Event], ...]] = (ClockTick,)
    State = MarketClockState

    def __init__(self) -> None:
        super().__init__("clock")
        self._next = 0

    def state(self) -> MarketClockState:
        return MarketClockState(self._next)

    def restore(self, state: MarketClockState) -> None:
        self._next = state.next

    def rests_until(self, _instrument: InstrumentId) -> int:
        return self._next

    @on(Quote, Trade)
    def on_market(self, event: Quote | Trade) -> tuple[ClockTick] | None:
        if event.ts_init < self._next:
            return None
        began = event.ts_init - event.ts_init % SECOND
        self._next = began + SECOND
        return (ClockTick(ts_event=began, ts_init=event.ts_init),)
