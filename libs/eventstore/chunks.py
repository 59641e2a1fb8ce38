"""Chunks of bars as Parquet: the same bars are the same bytes, and are named by their hash.

A bar of a chunk became known when it closed (`ts_event` and `ts_init` are `ts_close`), wherever and whenever it was
fetched: so its bytes depend on the market alone.
"""

# ruff: noqa: PLC0415 # pyarrow is slow to import, and not everybody who names chunks reads them

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

from pydantic import TypeAdapter

from contracts.market import Bar
from contracts.types import LARGEST, Instrument, InstrumentId, Interval

VERSION = "1"
COLUMNS = ("ts_open", "open", "high", "low", "close", "volume", "trades")
WHOLE = frozenset({"ts_open", "trades"})
"""Columns of whole numbers; the others are floats."""

_INSTRUMENT: TypeAdapter[InstrumentId] = TypeAdapter(Instrument)


class BadChunk(ValueError):
    """These bytes are no chunk of bars; the text says why."""


def to_parquet(bars: Sequence[Bar]) -> bytes:
    """Write bars of one instrument and interval, oldest first, at least one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = bars[0]
    assert all(bar.instrument == first.instrument and bar.interval is first.interval for bar in bars)
    assert all(before.ts_open < bar.ts_open for before, bar in pairwise(bars))
    metadata = {"hmm": VERSION, "instrument": first.instrument, "interval": first.interval.value}
    schema = _schema().with_metadata(metadata)
    arrays = [pa.array([getattr(bar, field.name) for bar in bars], field.type) for field in schema]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink, compression="zstd", use_dictionary=False)
    return bytes(sink.getvalue().to_pybytes())


def from_parquet(data: bytes) -> list[Bar]:
    """Read the bars of a chunk. Raises `BadChunk`."""
    table = _table(data)
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if metadata.get("hmm") != VERSION or not table.schema.equals(_schema()):
        raise BadChunk(f"no chunk of version {VERSION}: it has the columns {', '.join(table.schema.names)}")
    try:
        instrument = _INSTRUMENT.validate_python(metadata["instrument"])
        interval = Interval(metadata["interval"])
    except (KeyError, ValueError) as error:
        raise BadChunk(f"it does not say of which instrument and interval it is ({error!r})") from None
    nanos = interval.nanos
    bars = [
        Bar(
            ts_event=ts_open + nanos,
            ts_init=ts_open + nanos,
            instrument=instrument,
            interval=interval,
            ts_open=ts_open,
            ts_close=ts_open + nanos,
            open=open_,
            high=high,
            low=low,
            close=close,
            volume=volume,
            trades=trades,
        )
        for ts_open, open_, high, low, close, volume, trades in zip(
            *(column.to_pylist() for column in table.columns), strict=True
        )
    ]
    for bar in bars:
        if problem := _problem(bar):
            raise BadChunk(f"the bar that opens at {bar.ts_open}: {problem}")
    for before, bar in pairwise(bars):
        if bar.ts_open <= before.ts_open:
            raise BadChunk(f"bars are not in order: {bar.ts_open} comes after {before.ts_open}")
    return bars


def name_of(data: bytes) -> str:
    """Give the name that a chunk is stored under: its SHA-256."""
    return hashlib.sha256(data).hexdigest()


def _schema() -> Any:  # noqa: ANN401 # pyarrow has no types
    import pyarrow as pa

    types = {name: pa.int64() if name in WHOLE else pa.float64() for name in COLUMNS}
    return pa.schema([pa.field(name, types[name], nullable=False) for name in COLUMNS])


def _table(data: bytes) -> Any:  # noqa: ANN401 # pyarrow has no types
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadChunk(f"not Parquet: {error}") from None


def _problem(bar: Bar) -> str | None:
    if not all(map(isfinite, (bar.open, bar.high, bar.low, bar.close, bar.volume))):
        return "a value is no number"
    if bar.low <= 0 or bar.volume < 0 or bar.trades < 0 or bar.ts_open < 0 or bar.ts_close > LARGEST:
        return "a value is out of range"
    if bar.ts_open % bar.interval.nanos:
        return f"no bar of {bar.interval.value} opens then"
    return bar.contradiction()
