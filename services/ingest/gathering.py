"""Bars that follow each other become pieces, whose bounds depend on the bars alone: so the same range is the same
bytes, whoever fetches it and whenever.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from contracts.data import DataChunk
from contracts.market import Bar
from contracts.types import InstrumentId, Interval
from eventstore.chunkledger import Span
from eventstore.marketdata.times import moment
from services.ingest.rules import Finding, Flaw, OutlierPolicy, Sifted, outliers


@dataclass(frozen=True, slots=True)
class Cutting:
    """How bars are cut into pieces.

    A piece lies within a window of `bars` intervals, counted from the epoch. `longest_gap`: more missing bars than this
    part two pieces. `cut_after` (ns of the bars' own time): a piece that is this long need not wait for its window.
    """

    bars: int
    longest_gap: int
    outlier_deviations: float
    outliers: OutlierPolicy
    cut_after: int | None = None

    def __post_init__(self) -> None:
        assert self.bars > 0 and self.longest_gap >= 0 and self.outlier_deviations > 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Bars to be stored together; bars that open in [`first`, `last`] are there or missing."""

    bars: tuple[Bar, ...]
    first: int
    last: int
    repaired: int
    findings: tuple[Finding, ...]

    @property
    def instrument(self) -> InstrumentId:
        return self.bars[0].instrument

    @property
    def interval(self) -> Interval:
        return self.bars[0].interval

    @property
    def missing(self) -> int:
        return (self.last - self.first) // self.interval.nanos + 1 - len(self.bars)

    def within(self, span: Span) -> "Piece | None":
        """Give what of it lies in `span`; None if nothing does."""
        nanos = self.interval.nanos
        if span.start <= self.first and self.last + nanos <= span.end:
            return self
        bars = tuple(bar for bar in self.bars if span.start <= bar.ts_open < span.end)
        if not bars:
            return None
        return Piece(bars, bars[0].ts_open, bars[-1].ts_open, 0, ())

    def span(self) -> Span:
        return Span(self.first, self.last + self.interval.nanos)

    def chunk(self, by: str, sha256: str, source: str, now: int) -> DataChunk:
        """Tell of it, as the object `sha256`."""
        return DataChunk(
            ts_event=self.last + self.interval.nanos,
            ts_init=now,
            by=by,
            instrument=self.instrument,
            interval=self.interval,
            first=self.first,
            last=self.last,
            rows=len(self.bars),
            missing=self.missing,
            repaired=self.repaired,
            sha256=sha256,
            source=source,
        )


class Gathering:
    """Takes the bars of one instrument and interval in order, and gives a piece whenever one is complete."""

    def __init__(self, cutting: Cutting) -> None:
        self.cutting = cutting
        self._held: list[Bar] = []
        self._until = 0
        self._repaired = 0

    @property
    def held(self) -> int:
        """How many bars wait to become a piece."""
        return len(self._held)

    @property
    def until(self) -> int:
        """When the last bar that was taken closes (ns); 0 before the first."""
        return self._held[-1].ts_close if self._held else self._until

    def add(self, bar: Bar) -> Piece | None:
        """Take a bar; it may complete the piece before it. One that is not behind the last is known already."""
        if bar.ts_open < self.until:
            return None
        piece = self._cut(bar) if self._held and self._parts(bar) else None
        self._held.append(bar)
        return piece

    def take(self, sifted: Sifted) -> Iterator[Piece]:
        """Take a page."""
        for bar in sifted.bars:
            piece = self.add(bar)
            if piece is not None:
                yield piece
        self._repaired += sifted.repaired

    def rest(self) -> Piece | None:
        """Give what is left as a piece: nothing comes behind it."""
        return self._cut(None) if self._held else None

    def _parts(self, bar: Bar) -> bool:
        """Say whether this bar belongs to another piece than those that wait."""
        first, last, nanos = self._held[0], self._held[-1], bar.interval.nanos
        window = self.cutting.bars * nanos
        if bar.ts_open // window != first.ts_open // window:
            return True
        if (bar.ts_open - last.ts_close) // nanos > self.cutting.longest_gap:
            return True
        return self.cutting.cut_after is not None and last.ts_close - first.ts_open >= self.cutting.cut_after

    def _cut(self, after: Bar | None) -> Piece:
        held = self._held
        far = outliers(held, self.cutting.outlier_deviations)
        findings = [
            *(Finding(Flaw.OUTLIER, bar.ts_open, _excursion_text(bar)) for bar in far),
            *gaps([*held, after] if after else held),
        ]
        dropped = {bar.ts_open for bar in far} if self.cutting.outliers is OutlierPolicy.DROP else set()
        bars = tuple(bar for bar in held if bar.ts_open not in dropped)
        assert bars, "the first of them is never dropped"
        piece = Piece(bars, held[0].ts_open, self._last(after), self._repaired, tuple(findings))
        self._until, self._held, self._repaired = held[-1].ts_close, [], 0
        return piece

    def _last(self, after: Bar | None) -> int:
        """Say how far a piece reaches: what is missing behind it, up to a bar that is near, counts as missing in it."""
        last = self._held[-1]
        if after is None or (after.ts_open - last.ts_close) // last.interval.nanos > self.cutting.longest_gap:
            return last.ts_open
        return after.ts_open - last.interval.nanos


def gaps(bars: Sequence[Bar]) -> Iterator[Finding]:
    """Name the gaps between bars in order."""
    for last, bar in pairwise(bars):
        missing = (bar.ts_open - last.ts_close) // bar.interval.nanos
        if missing:
            text = f"{missing} bars are missing from here to {moment(bar.ts_open)}"
            yield Finding(Flaw.GAP, last.ts_close, text)


def _excursion_text(bar: Bar) -> str:
    return f"the price was in [{bar.low:g}, {bar.high:g}] for this bar alone"
