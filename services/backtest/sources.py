"""Where the events of a backtest come from, and what has to be known of them before they are played."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from contracts.control import DeadLetter
from contracts.event import Event
from contracts.recorded import Recorded
from contracts.types import MAX_TEXT, Name
from services.backtest.run import WRITERS
from services.backtest.settings import BacktestSettings, DataKind, DataSource
from services.backtest.wiring import Nature
from services.catalog import BLUEPRINTS
from services.feed.frames import FrameKind, FrameReport, Rejected, read_frames
from services.feed.gaps import GapWatch
from services.feed.settings import FeedSettings
from tape.headers import writer_and_watermark
from venues.instruments import LISTING, Listing

_STALE_AFTER_NS = int(FeedSettings().stale_after_s * 1e9)
"""As the live feed has it, so that the same gaps are told."""


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


def files(data: DataSource, asked: BacktestSettings) -> Source:
    """Open files; raises `Unusable`, and so do its events where a file is bad."""
    if data.kind is DataKind.FRAMES:
        return frames(data.files, asked.venue)
    from services.backtest.tables import tables  # noqa: PLC0415 # slow to import

    return tables(data, asked)


def frames(files: Sequence[Path], venue: Name) -> Source:
    """Read recorded frames as the live feed does: dead letters for bad ones, gaps where something is missing."""
    report = FrameReport()

    def repairs() -> Mapping[str, int]:
        bad = report.kinds[FrameKind.BAD]
        return {"frames that could not be read": bad} if bad else {}

    return Source(_framed(files, venue, report), LISTING, Nature(), lambda: report.lines, repairs)


def _framed(files: Sequence[Path], venue: Name, report: FrameReport) -> Iterator[Event]:
    gaps = GapWatch(_STALE_AFTER_NS)
    for frame in read_frames(files, venue, report):
        if isinstance(frame, Rejected):
            yield DeadLetter(
                ts_event=frame.received_ns,
                ts_init=frame.received_ns,
                component="feed",
                source=frame.source,
                reason=frame.reason[:MAX_TEXT],
                excerpt=frame.excerpt,
            )
            continue
        yield from gaps.look(frame)
        yield frame


def record(events: Iterator[Event], rows_done: Callable[[], int]) -> Source:
    """Play again what came from outside in a stretch of a record."""
    return Source(events, LISTING, Nature(), rows_done, dict)


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
