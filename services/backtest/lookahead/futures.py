"""Other futures for the same past: what stands behind a cut is gone, or goes the other way."""

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from itertools import takewhile

from contracts.event import Event
from contracts.market import Bar, Funding, Quote, Trade
from contracts.types import InstrumentId

PricedEvent = Quote | Trade | Bar | Funding

LARGER = 3.0
"""By how much all that is traded and displayed is larger in the other future."""


class Future(Enum):
    """What becomes of everything behind a cut."""

    GONE = "gone"
    """Nothing comes any more."""
    MIRRORED = "mirrored"
    """What rose falls as much, in logarithms, sellers are buyers, and sizes are others."""


def behind(events: Iterator[Event], cut: int, future: Future) -> Iterator[Event]:
    """Give rows as they were up to `cut` (ns), and another future behind it.

    A row is behind the cut when it begins there or later; of a bar that is when it opens. So a bar within which the cut
    lies stays as it was: its path is made of all of it (see `docs/lookahead.md`).
    """
    if future is Future.GONE:
        return takewhile(lambda event: begins(event) < cut, events)
    return _mirrored(events, cut)


def begins(event: Event) -> int:
    """Say from when on a row tells of the market (ns)."""
    return event.ts_open if isinstance(event, Bar) else event.ts_init


def price_of(event: PricedEvent) -> float:
    match event:
        case Quote():
            return event.mid
        case Trade():
            return event.price
        case Bar():
            return event.close
        case Funding():
            return event.mark


def mirrored(event: PricedEvent, about: float) -> PricedEvent:
    """Give an event with each price p as `about`^2 / p: a rise by a factor becomes a fall by it.

    Ask and bid change places, as do high and low, so what was free of contradictions stays so.
    """
    square = about * about
    match event:
        case Quote():
            return replace(
                event,
                bid=square / event.ask,
                ask=square / event.bid,
                bid_size=event.ask_size * LARGER,
                ask_size=event.bid_size * LARGER,
            )
        case Trade():
            return replace(
                event, price=square / event.price, size=event.size * LARGER, aggressor=event.aggressor.opposite
            )
        case Bar():
            return replace(
                event,
                open=square / event.open,
                high=square / event.low,
                low=square / event.high,
                close=square / event.close,
                volume=event.volume * LARGER,
            )
        case Funding():
            return replace(event, mark=square / event.mark, index=square / event.index, rate=-event.rate)


def _mirrored(events: Iterator[Event], cut: int) -> Iterator[Event]:
    last: dict[InstrumentId, float] = {}
    for event in events:
        if not isinstance(event, PricedEvent):
            yield event
        elif begins(event) < cut:
            last[event.instrument] = price_of(event)
            yield event
        else:
            yield mirrored(event, last.setdefault(event.instrument, price_of(event)))
