"""The bars of real markets that lie beside the project."""

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path

from contracts.market import Bar
from contracts.types import InstrumentId, Interval, instrument_id

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "bars"


def shared_bars(name: str, interval: Interval) -> list[Bar]:
    """Read a file of candles: time, open, high, low, close, volume."""
    instrument = instrument_id("file", name.split(f"-{interval.value}", maxsplit=1)[0])
    with gzip.open(SHARED / name, "rt") as lines:
        rows = csv.reader(lines)
        next(rows)
        return [_bar(row, instrument, interval) for row in rows]


def _bar(row: list[str], instrument: InstrumentId, interval: Interval) -> Bar:
    begins = datetime.fromisoformat(row[0]).replace(tzinfo=UTC)
    opened = int(begins.timestamp()) * 1_000_000_000
    open_, high, low, close, volume = map(float, row[1:6])
    closed = opened + interval.nanos
    return Bar(
        ts_event=closed,
        ts_init=closed,
        instrument=instrument,
        interval=interval,
        ts_open=opened,
        ts_close=closed,
        open=open_,
        high=max(high, open_, close),
        low=min(low, open_, close),
        close=close,
        volume=volume,
        trades=1,
    )
