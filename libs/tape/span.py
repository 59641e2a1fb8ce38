"""Spans of quotes: many at a time, for whoever has nothing to say to most of them."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Protocol, cast, final, runtime_checkable

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

    It reads ahead by as much as a span holds. An error of `events` comes out after what came before it.
    """
    source, error = iter(events), None
    while error is None:
        some: list[Event] = []
        try:
            some.extend(islice(source, LONGEST))
        except Exception as raised:  # noqa: BLE001 # comes out below
            error = raised
        if set(map(type, some)) == {Quote}:
            yield from _of_quotes(cast("list[Quote]", some))
        elif some:
            yield from _mixed(some)
        elif error is None:
            return
    raise error


def _of_quotes(quotes: list[Quote]) -> Iterator[Event | Span]:
    if len({quote.instrument for quote in quotes}) == 1:
        yield from _joined(quotes)
    else:
        yield from _mixed(quotes)


def _mixed(events: Sequence[Event]) -> Iterator[Event | Span]:
    found: list[Quote] = []
    instrument: InstrumentId | None = None
    for event in events:
        if type(event) is Quote and event.instrument == instrument:
            found.append(event)
            continue
        if len(found) < _SHORTEST:
            yield from found
        else:
            yield from _joined(found)
        if type(event) is Quote:
            found, instrument = [event], event.instrument
        else:
            found, instrument = [], None
            yield event
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
