"""The ledger of chunks: which stretches of market history there are, and where, as the tape says it."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from contracts.data import DataChunk
from contracts.types import InstrumentId, Interval, symbol_of


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of time [`start`, `end`) in ns: whole bars, by when they open."""

    start: int
    end: int

    def __bool__(self) -> bool:
        return self.start < self.end


class ChunkLedger:
    """Folds `DataChunk` events in the order of the tape.

    Chunks of one instrument and interval do not overlap: of two that do, the one that came first counts for every
    reader, and the other never was.
    """

    def __init__(self) -> None:
        self._chunks: dict[tuple[InstrumentId, Interval], list[DataChunk]] = {}

    def hear(self, chunk: DataChunk) -> bool:
        """Take a chunk into the ledger; False if one that overlaps it is there."""
        known = self._chunks.setdefault((chunk.instrument, chunk.interval), [])
        at = bisect_left(known, chunk.first, key=attrgetter("first"))
        if (at and known[at - 1].until > chunk.first) or (at < len(known) and known[at].first < chunk.until):
            return False
        known.insert(at, chunk)
        return True

    def chunks(self, instrument: InstrumentId, interval: Interval) -> tuple[DataChunk, ...]:
        """Give the chunks of an instrument and interval, oldest first."""
        return tuple(self._chunks.get((instrument, interval), ()))

    def coverage(self, instrument: InstrumentId, interval: Interval) -> tuple[Span, ...]:
        """Give the stretches that are covered, joined where they touch, oldest first."""
        joined: list[Span] = []
        for chunk in self._chunks.get((instrument, interval), ()):
            if joined and joined[-1].end == chunk.first:
                joined[-1] = Span(joined[-1].start, chunk.until)
            else:
                joined.append(Span(chunk.first, chunk.until))
        return tuple(joined)

    def uncovered(self, instrument: InstrumentId, interval: Interval, within: Span) -> tuple[Span, ...]:
        """Give the stretches of `within` that no chunk covers, oldest first."""
        left: list[Span] = []
        start = within.start
        for covered in self.coverage(instrument, interval):
            if covered.end <= start or covered.start >= within.end:
                continue
            left.append(Span(start, covered.start))
            start = covered.end
        return tuple(span for span in (*left, Span(start, within.end)) if span)

    def holds(self, instrument: InstrumentId, interval: Interval, ts_open: int) -> bool:
        """Say whether the bar that opens at `ts_open` lies in a chunk."""
        known = self._chunks.get((instrument, interval), [])
        at = bisect_left(known, ts_open + 1, key=attrgetter("first"))
        return at > 0 and ts_open < known[at - 1].until

    def watermark(self, instrument: InstrumentId, interval: Interval) -> int:
        """Give when the last bar that is known closes (ns); 0 if none is."""
        known = self._chunks.get((instrument, interval), ())
        return known[-1].until if known else 0

    def streams(self) -> Iterator[tuple[InstrumentId, Interval]]:
        """Name what there is."""
        return (stream for stream, known in sorted(self._chunks.items(), key=_name_of) if known)

    def named(self, symbol: str) -> tuple[InstrumentId, ...]:
        """Find instruments by their symbol, or by their whole name."""
        known = dict.fromkeys(instrument for instrument, _ in self.streams())
        return tuple(one for one in known if symbol in (one, symbol_of(one)))


def _name_of(item: tuple[tuple[InstrumentId, Interval], list[DataChunk]]) -> tuple[str, int]:
    (instrument, interval), _ = item
    return instrument, interval.nanos
