"""A stretch of the event store or the tape as the market of a backtest, read as it is needed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from contracts.event import Event
from contracts.recorded import Recorded
from services.backtest import sources
from services.backtest.run import WRITERS
from services.backtest.settings import DataSource
from services.cli.record import Messages, Record, chosen_span, opened, source_named
from services.cli.settings import current


class _Stretch:
    """Gives events from position `first` to `last` one by one; the event loop runs only to fetch more of them."""

    def __init__(self, runner: asyncio.Runner, record: Record, first: int, last: int) -> None:
        self.done = 0
        self._runner = runner
        self._record = record
        self._first, self._last = first, last

    def events(self) -> Iterator[Event]:
        batches = self._record.messages(self._first, self._last, WRITERS)

        async def fetch() -> Messages | None:
            return await anext(batches, None)

        try:
            while (batch := self._runner.run(fetch())) is not None:
                for message in batch:
                    self.done = message.position - self._first + 1
                    if isinstance(message, Recorded) and sources.is_outside(message):
                        yield message.event
        except typer.Exit as left:
            raise SystemExit(left.exit_code) from None
        finally:
            self._runner.run(batches.aclose())


@contextmanager
def recorded(data: DataSource) -> Iterator[tuple[sources.Source, int, int]]:
    """Open a record; gives its events, and the first and last position that are meant."""
    kind = source_named(data.kind.value)
    with asyncio.Runner() as runner:
        opening = opened(kind, current())
        record = runner.run(opening.__aenter__())
        try:
            first, last = chosen_span(runner.run(record.extent()), data.first, data.last, kind)
            stretch = _Stretch(runner, record, first, last)
            yield sources.record(stretch.events(), lambda: stretch.done), first, last
        finally:
            runner.run(opening.__aexit__(None, None, None))
