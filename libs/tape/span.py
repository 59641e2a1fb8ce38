"""Spans of quotes: many at a time, for whoever has nothing to say to most of them."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Protocol, final, runtime_checkable

from contracts.event import Event
from contracts.market import Quote
from contracts.types import InstrumentId

LONGEST = 1_000
"""Quotes of a span: enough that what is done once for each costs little, few enough that progress is seen."""
_SHORTEST = 4
"""Fewer quotes are handled faster one by one."""


@final
class Span:
    """Quotes of one instrument that follow each other on the tape, in order of `ts_init`."""

    def __init__(self, quotes: Sequence[Quote], times: Sequence[int]) -> None:
        self.quotes = quotes
        self.times = times
        """`ts_init` of each."""
        self.instrument: InstrumentId = quotes[0].instrument

    @cached_property
    def mids(self) -> list[float]:
        """The middle of each quote."""
        return [(quote.bid + quote.ask) / 2 for quote in self.quotes]

    def before(self, time: int, begin: int, end: int) -> int:
        """Give the end of what comes before a time (ns) in `quotes[begin:end]`."""
        return end if self.times[end - 1] < time else bisect_left(self.times, time, begin, end)


@runtime_checkable
class Skims(Protocol):
    """A component that takes quotes many at a time, with the same result as one by one.

    Nothing else happens on the tape between these quotes, so what other events bring stays as it is.
    """

    def quiet_to(self, span: Span, begin: int, end: int) -> int:
        """Say up to which of `quotes[begin:end]` it would say nothing; it changes nothing by that."""
        ...

    def skim(self, span: Span, begin: int, end: int) -> None:
        """Take `quotes[begin:end]`, all of which it has nothing to say to."""
        ...


def in_spans(events: Iterable[Event]) -> Iterator[Event | Span]:
    """Put quotes of one instrument that follow each other together; all else stays as it is.

    An error of `events` comes out after what came before it.
    """
    found: list[Quote] = []
    instrument: InstrumentId | None = None
    try:
        for event in events:
            if type(event) is Quote:
                if event.instrument != instrument or len(found) == LONGEST:
                    yield from _joined(found)
                    found = []
                    instrument = event.instrument
                found.append(event)
            else:
                if found:
                    yield from _joined(found)
                    found = []
                yield event
    except Exception:
        yield from _joined(found)
        raise
    yield from _joined(found)


def one_by_one(events: Iterable[Event | Span]) -> Iterator[Event]:
    """Take spans apart again."""
    for event in events:
        if isinstance(event, Span):
            yield from event.quotes
        else:
            yield event


def _joined(found: list[Quote]) -> Iterator[Event | Span]:
    if len(found) < _SHORTEST:
        yield from found
        return
    times = [quote.ts_init for quote in found]
    if times == sorted(times):
        yield Span(found, times)
    else:
        yield from found
