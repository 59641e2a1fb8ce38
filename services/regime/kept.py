"""Bars that are kept so that a model which comes later can begin with them."""

from dataclasses import dataclass, field

from contracts.market import Bar
from contracts.types import InstrumentId, Interval

Row = tuple[float, float, float, float, float]
"""Open, high, low, close and volume of a bar."""

SLACK = 64
"""Bars beyond what is needed that may pile up before the oldest are let go: one by one would be slow."""


@dataclass(slots=True)
class KeptBars:
    """The newest bars of an instrument and interval, oldest first, the last of which closes at `until` (ns).

    They follow each other without a gap: those before a break are of no use to any model, and are let go.
    """

    until: int = -1
    rows: list[Row] = field(default_factory=list)
    wanted: int = 0
    """The most bars that a model has wanted to begin with so far."""

    def keep(self, bar: Bar, most: int) -> None:
        """Add a bar; the last one is not added again."""
        if bar.ts_close == self.until:
            return
        rows = self.rows
        if bar.ts_open != self.until:
            rows.clear()
        self.until = bar.ts_close
        rows.append((bar.open, bar.high, bar.low, bar.close, bar.volume))
        if len(rows) > most + SLACK:
            del rows[: len(rows) - most]

    def last(self, count: int, instrument: InstrumentId, interval: Interval) -> list[Bar]:
        """Give the newest `count` bars; how many trades they are made of, and when we knew, is forgotten."""
        rows = self.rows[max(len(self.rows) - count, 0) :]
        first = self.until - len(rows) * interval.nanos
        return [_bar(row, first + number * interval.nanos, instrument, interval) for number, row in enumerate(rows)]


def _bar(row: Row, ts_open: int, instrument: InstrumentId, interval: Interval) -> Bar:
    first, high, low, close, volume = row
    ts_close = ts_open + interval.nanos
    return Bar(
        ts_event=ts_close,
        ts_init=ts_close,
        instrument=instrument,
        interval=interval,
        ts_open=ts_open,
        ts_close=ts_close,
        open=first,
        high=high,
        low=low,
        close=close,
        volume=volume,
        trades=0,
    )
