"""Where the events of a backtest come from, and what has to be known of them before they are played."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from pathlib import Path

from contracts.control import DeadLetter
from contracts.event import Event
from contracts.recorded import Recorded
from contracts.types import MAX_TEXT, Name
from services.backtest.run import WRITERS
from services.backtest.settings import BacktestSettings, DataKind, DataSource, Unusable
from services.backtest.wiring import Nature
from services.catalog import BLUEPRINTS
from services.feed.frames import FrameKind, FrameReport, Rejected, frame_lists
from services.feed.gaps import GapWatch
from services.feed.settings import FeedSettings
from tape.headers import writer_and_watermark
from venues.instruments import LISTING, Listing

_STALE_AFTER_NS = int(FeedSettings().stale_after_s * 1e9)
"""As the live feed has it, so that the same gaps are told."""


Change = Callable[[Iterator[Event]], Iterator[Event]]
"""What is done to what files or a record tell, before anything is assumed between two of their rows."""


def as_told(events: Iterator[Event]) -> Iterator[Event]:
    return events


@dataclass(frozen=True)
class Reading:
    """What files or a record tell: events in order of time, as many at once as were read at once."""

    lists: Generator[list[Event], None, None]
    rows_done: Callable[[], int]
    """How much was read to make the events that were given."""
    repairs: Callable[[], Mapping[str, int]]
    """What was wrong in it and was left out or put right, by kind."""

    def close(self) -> None:
        """Say that nobody wants the rest."""
        self.lists.close()


Keep = Callable[[Reading], Reading]
"""Gives the same events from where they were kept before, or keeps them while they are read."""


def as_read(reading: Reading) -> Reading:
    return reading


@dataclass(frozen=True)
class Source:
    """Events in order of time, and how far they have come."""

    events: Iterator[Event]
    listing: Listing
    nature: Nature
    rows_done: Callable[[], int]
    repairs: Callable[[], Mapping[str, int]]
    """What was wrong with the data so far and was left out or put right, by kind."""
    assumptions: tuple[str, ...] = ()


def require_meant(kind: DataKind, asked: BacktestSettings) -> None:
    """Refuse what is said about rows of files where there are none; raises `Unusable`."""
    usual = BacktestSettings()
    for name, option in _OF_ROWS.items():
        if kind not in _ROWS and getattr(asked, name) != getattr(usual, name):
            raise Unusable(f"--{option}: {kind.value} have no rows of columns", f"it is for {_ROW_WORDS}")
    for name, option in _OF_BARS.items():
        if kind is not DataKind.BARS and getattr(asked, name) != getattr(usual, name):
            raise Unusable(f"--{option}: {kind.value} have no bars", "it is for bars:")


_ROWS = (DataKind.BARS, DataKind.TRADES, DataKind.QUOTES)
_ROW_WORDS = ", ".join(f"{kind.value}:" for kind in _ROWS)
_OF_ROWS = {"symbol": "symbol", "columns": "columns", "sizes": "sizes", "zone": "zone"}
_OF_BARS = {"bar_time": "bar-time", "path": "path"}


def files(data: DataSource, asked: BacktestSettings, change: Change = as_told, keep: Keep = as_read) -> Source:
    """Open files; raises `Unusable`, and so do its events where a file is bad."""
    require_meant(data.kind, asked)
    if data.kind is DataKind.FRAMES:
        return frames(data.files, asked.venue, change, keep)
    from services.backtest.tables import tables  # noqa: PLC0415 # slow to import

    return tables(data, asked, change, keep)


def frames(files: Sequence[Path], venue: Name, change: Change = as_told, keep: Keep = as_read) -> Source:
    """Read recorded frames as the live feed does: dead letters for bad ones, gaps where something is missing."""
    report = FrameReport()

    def repairs() -> Mapping[str, int]:
        bad = report.kinds[FrameKind.BAD]
        return {"frames that could not be read": bad} if bad else {}

    reading = keep(Reading(_framed(files, venue, report), lambda: report.lines, repairs))
    events = change(chain.from_iterable(reading.lists))
    return Source(events, LISTING, Nature(), reading.rows_done, reading.repairs)


def _framed(files: Sequence[Path], venue: Name, report: FrameReport) -> Generator[list[Event], None, None]:
    look = GapWatch(_STALE_AFTER_NS).look
    for told in frame_lists(files, venue, report):
        if isinstance(told, Rejected):
            yield [_dead_letter(told)]
            continue
        events: list[Event] = []
        for shown in told:
            if missing := look(shown):
                events += missing
            events.append(shown)
        yield events


def _dead_letter(frame: Rejected) -> DeadLetter:
    return DeadLetter(
        ts_event=frame.received_ns,
        ts_init=frame.received_ns,
        component="feed",
        source=frame.source,
        reason=frame.reason[:MAX_TEXT],
        excerpt=frame.excerpt,
    )


def record(reading: Reading, change: Change = as_told) -> Source:
    """Play again what came from outside in a stretch of a record."""
    events = change(chain.from_iterable(reading.lists))
    return Source(events, LISTING, Nature(), reading.rows_done, reading.repairs)


def within(events: Iterator[Event], asked: BacktestSettings) -> Iterator[Event]:
    """Leave out what is before the beginning and from the end on."""
    begins, ends = asked.begins_at, asked.ends_at
    if begins is not None:
        events = (event for event in events if event.ts_init >= begins)
    if ends is not None:
        events = takewhile(lambda event: event.ts_init < ends, events)
    return events


def is_outside(recorded: Recorded) -> bool:
    """Say whether an event on record came from outside, and was not an answer that the run gives anew."""
    if type(recorded.event) not in WRITERS:
        return False
    writer, watermark = writer_and_watermark(recorded.msg_id)
    return watermark is None or writer not in BLUEPRINTS
