"""A stretch of the event store or the tape as the market of a backtest, read as it is needed."""

import asyncio
import hashlib
from collections.abc import Generator, Iterator
from contextlib import aclosing, closing, contextmanager

import typer

from contracts.event import Event
from contracts.recorded import Recorded
from services.backtest import sources
from services.backtest.run import WRITERS
from services.backtest.settings import BacktestSettings, DataSource
from services.cli.backtestcache import keeping
from services.cli.record import Messages, Record, chosen_span, opened, source_named
from services.cli.settings import current

_ENDS = 500
"""Positions at each end of a stretch that tell it from others."""


class _Stretch:
    """Gives events from position `first` to `last` in lists; the event loop runs only to fetch more of them."""

    def __init__(self, runner: asyncio.Runner, record: Record, first: int, last: int) -> None:
        self.done = 0
        self._runner = runner
        self._record = record
        self._first, self._last = first, last

    def lists(self) -> Generator[list[Event], None, None]:
        batches = self._record.messages(self._first, self._last, WRITERS)

        async def fetch() -> Messages | None:
            return await anext(batches, None)

        try:
            while (batch := self._runner.run(fetch())) is not None:
                self.done = batch[-1].position - self._first + 1
                events = [one.event for one in batch if isinstance(one, Recorded) and sources.is_outside(one)]
                if events:
                    yield events
        except typer.Exit as left:
            raise SystemExit(left.exit_code) from None
        finally:
            self._runner.run(batches.aclose())


async def _identity(record: Record, first: int, last: int) -> str:
    """Tell this stretch from one of the same positions on another tape: by the messages at its ends."""
    digest = hashlib.sha256()
    for begin, end in ((first, min(first + _ENDS, last)), (max(last - _ENDS, first), last)):
        async with aclosing(record.messages(begin, end, WRITERS)) as batches:
            async for batch in batches:
                for one in batch:
                    seen = (one.msg_id, one.ts_recorded) if isinstance(one, Recorded) else one.payload
                    digest.update(f"{one.position} {seen!r}\n".encode())
    return f"{first}-{last} {digest.hexdigest()}"


@contextmanager
def recorded(
    data: DataSource, asked: BacktestSettings, change: sources.Change = sources.as_told
) -> Iterator[tuple[sources.Source, int, int]]:
    """Open a record; gives its events, and the first and last position that are meant. Raises `Unusable`."""
    sources.require_meant(data.kind, asked)
    kind = source_named(data.kind.value)
    with asyncio.Runner() as runner:
        opening = opened(kind, current())
        record = runner.run(opening.__aenter__())
        try:
            first, last = chosen_span(runner.run(record.extent()), data.first, data.last, kind)
            stretch = _Stretch(runner, record, first, last)
            identity = runner.run(_identity(record, first, last)) if asked.cache else ""
            with closing(stretch.lists()) as lists, keeping(data.kind, (), identity, asked) as keep:
                reading = sources.Reading(lists, lambda: stretch.done, dict)
                yield sources.record(keep(reading), change), first, last
        finally:
            runner.run(opening.__aexit__(None, None, None))
