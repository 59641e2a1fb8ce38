"""The log of a run as a record: what reads the tape or the event store reads it too, and needs no server."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path

from contracts.codec import type_header
from contracts.control import LeaseTaken
from contracts.recorded import Recorded
from eventstore.extent import Extent
from services.backtest.log import BadLog, Line, read_lines
from services.backtest.rundirectory import RunDirectory, open_run
from services.backtest.settings import Unusable
from services.cli.errors import fail, misused
from services.cli.record import BATCH, Messages, Original, Types, original_of


def run_in(directory: Path) -> RunDirectory:
    """Look at the directory that `--run` names, or leave with a line that says what is wrong with it."""
    try:
        return open_run(directory)
    except Unusable as refusal:
        misused(f"--run {refusal}", refusal.remedy)


class RunRecord:
    """Reads the log from its beginning each time: it is a file in order, and is not looked up in."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self._extent: Extent | None = None

    async def extent(self) -> Extent:
        if self._extent is None:
            last = 0
            for line in lines_of(self.run):
                last = line.position
            self._extent = Extent(min(last, 1), last, min(last, 1))
        return self._extent

    async def first_lease(self, name: str) -> LeaseTaken | None:
        header = type_header(LeaseTaken)
        for line in lines_of(self.run):
            if line.header != header:
                return None
            lease = decoded(self.run, line).event
            if isinstance(lease, LeaseTaken) and lease.component == name:
                return lease
        return None

    async def messages(self, start: int, stop: int, types: Types) -> AsyncGenerator[Messages, None]:
        wanted = {type_header(event_type) for event_type in types}
        batch: Messages = []
        for line in lines_of(self.run):
            if line.position > stop:
                break
            if line.position < start or line.header not in wanted:
                continue
            batch.append(decoded(self.run, line))
            if len(batch) >= BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    async def originals(self, start: int, stop: int, types: Types) -> AsyncGenerator[list[Original], None]:
        async with aclosing(self.messages(start, stop, types)) as batches:
            async for batch in batches:
                yield [original_of(message) for message in batch]


def lines_of(run: RunDirectory) -> Iterator[Line]:
    """Give the lines of its log; a bad one ends the command with what is wrong."""
    try:
        yield from read_lines(run.log)
    except BadLog as error:
        fail(f"{run.path}: {error}", "" if run.complete else "the run did not come to its end")


def decoded(run: RunDirectory, line: Line) -> Recorded:
    """Decode a line, or leave with what is wrong with it."""
    try:
        return line.recorded
    except ValueError as error:
        fail(f"{run.log}, position {line.position}: {error}", "other code wrote it: run it again")
