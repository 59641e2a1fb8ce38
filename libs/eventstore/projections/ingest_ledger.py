"""ingest_ledger and watermarks: which history was fetched, chunk by chunk, and how far it reaches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from contracts.data import DataChunk
from contracts.event import Event
from contracts.ownership import EventTypes
from contracts.recorded import Recorded
from contracts.types import LARGEST, Interval
from eventstore.instruments import venue_and_symbol
from eventstore.projections.projection import Journal, Key, Ledger


class ChunkRow(NamedTuple):
    """`first` and `last` are the opening times (ns) of its first and last bar; `sha256` names the object."""

    position: int
    cause: int | None
    by: str
    venue: str
    symbol: str
    interval: Interval
    first: int
    last: int
    rows: int
    missing: int
    repaired: int
    sha256: str
    source: str
    ts_init: int


class IngestLedger(Journal[ChunkRow]):
    name = "ingest_ledger"
    row = ChunkRow
    handles: ClassVar[EventTypes] = (DataChunk,)

    def row_of(self, recorded: Recorded) -> ChunkRow:
        chunk = recorded.event
        assert isinstance(chunk, DataChunk)
        venue, symbol = venue_and_symbol(chunk.instrument)
        return ChunkRow(
            position=recorded.position,
            cause=recorded.cause,
            by=chunk.by,
            venue=venue,
            symbol=symbol,
            interval=chunk.interval,
            first=chunk.first,
            last=chunk.last,
            rows=chunk.rows,
            missing=chunk.missing,
            repaired=chunk.repaired,
            sha256=chunk.sha256,
            source=chunk.source,
            ts_init=chunk.ts_init,
        )


@dataclass(slots=True)
class WatermarkRow:
    """What is there of an instrument's bars: from `first` (opening time, ns) `until` (closing time), with gaps."""

    venue: str
    symbol: str
    interval: Interval
    first: int
    until: int
    updated_position: int
    updated_ts: int
    chunks: int = 0
    rows: int = 0
    missing: int = 0
    repaired: int = 0


class Watermarks(Ledger[WatermarkRow]):
    name = "watermarks"
    row = WatermarkRow
    key: ClassVar[tuple[str, ...]] = ("venue", "symbol", "interval")
    handles: ClassVar[EventTypes] = (DataChunk,)

    def keys(self, event: Event) -> Sequence[Key]:
        assert isinstance(event, DataChunk)
        return ((*venue_and_symbol(event.instrument), event.interval.value),)

    def fold(self, rows: dict[Key, WatermarkRow], recorded: Recorded) -> None:
        chunk = recorded.event
        assert isinstance(chunk, DataChunk)
        (key,) = self.keys(chunk)
        until = min(chunk.until, LARGEST)
        row = rows.get(key)
        if row is None:
            venue, symbol, _ = key
            row = rows[key] = WatermarkRow(venue, symbol, chunk.interval, chunk.first, until, 0, 0)
        row.chunks += 1
        row.first = min(row.first, chunk.first)
        row.until = max(row.until, until)
        row.rows += chunk.rows
        row.missing += chunk.missing
        row.repaired += chunk.repaired
        row.updated_position = recorded.position
        row.updated_ts = chunk.ts_init
