"""Chunks: the same bars are the same bytes; and the ledger of what there is."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.data import DataChunk
from contracts.types import InstrumentId, Interval
from eventstore.chunkledger import ChunkLedger, Span
from eventstore.chunks import BadChunk, from_parquet, name_of, to_parquet
from tests.builders import BTC, ETH, bars

MINUTE = Interval.M1.nanos
BARS = [replace(bar, ts_init=bar.ts_close, ts_event=bar.ts_close) for bar in bars([100, 101, 99, 100.5, 103])]


def chunk(
    first: int, last: int, *, instrument: InstrumentId = BTC, interval: Interval = Interval.M1, by: str = "ingest"
) -> DataChunk:
    nanos = interval.nanos
    return DataChunk(
        ts_event=0,
        ts_init=0,
        by=by,
        instrument=instrument,
        interval=interval,
        first=first * nanos,
        last=last * nanos,
        rows=last - first + 1,
        missing=0,
        repaired=0,
        sha256=f"{first:064x}",
        source="test",
    )


def ledger(*chunks: DataChunk) -> ChunkLedger:
    made = ChunkLedger()
    for one in chunks:
        made.hear(one)
    return made


def minutes(*pairs: tuple[int, int]) -> tuple[Span, ...]:
    return tuple(Span(start * MINUTE, end * MINUTE) for start, end in pairs)


def test_bars_come_back_as_they_were() -> None:
    assert from_parquet(to_parquet(BARS)) == BARS


def test_the_same_bars_are_the_same_bytes_and_others_are_not() -> None:
    moved = [*BARS[:-1], replace(BARS[-1], trades=BARS[-1].trades + 1)]
    assert name_of(to_parquet(BARS)) == name_of(to_parquet(list(BARS)))
    assert name_of(to_parquet(BARS)) != name_of(to_parquet(moved))


def test_a_chunk_does_not_depend_on_when_its_bars_were_heard_of() -> None:
    late = [replace(bar, ts_init=bar.ts_init + 17) for bar in BARS]
    assert to_parquet(late) == to_parquet(BARS)


def test_other_programs_can_read_a_chunk() -> None:
    table = pq.read_table(pa.BufferReader(to_parquet(BARS)))
    assert table.column("close").to_pylist() == [bar.close for bar in BARS]
    assert table.schema.metadata[b"instrument"] == BTC.encode()


def rewritten(metadata: dict[str, str] | None = None, **columns: pa.Array) -> bytes:
    """A chunk with some columns replaced."""
    table = pq.read_table(pa.BufferReader(to_parquet(BARS)))
    for name, column in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(name), column)
    kept = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({**kept, **(metadata or {})}), sink)
    return bytes(sink.getvalue().to_pybytes())


OPENS = [bar.ts_open for bar in BARS]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not Parquet"),
        (b"PAR1 and nothing else", "not Parquet"),
        (to_parquet(BARS)[:-9], "not Parquet"),
        (rewritten({"hmm": "2"}), "no chunk of version 1"),
        (rewritten({"instrument": "no instrument"}), "does not say of which instrument"),
        (rewritten({"interval": "7m"}), "does not say of which instrument and interval"),
        (rewritten(close=pa.array([float("nan")] * 5)), "no number"),
        (rewritten(volume=pa.array([1.0, 1.0, -1.0, 1.0, 1.0])), "out of range"),
        (rewritten(high=pa.array([1.0] * 5)), "high"),
        (rewritten(ts_open=pa.array(OPENS[::-1], pa.int64())), "not in order"),
        (rewritten(ts_open=pa.array([one + 1 for one in OPENS], pa.int64())), "no bar of 5s opens"),
    ],
)
def test_what_is_no_chunk_is_named(data: bytes, said: str) -> None:
    with pytest.raises(BadChunk, match=said):
        from_parquet(data)


# -- the ledger -------------------------------------------------------------------------------------------------------


def test_coverage_joins_chunks_that_touch() -> None:
    known = ledger(chunk(10, 19), chunk(0, 9), chunk(30, 39))
    assert known.coverage(BTC, Interval.M1) == minutes((0, 20), (30, 40))
    assert [one.first for one in known.chunks(BTC, Interval.M1)] == [0, 10 * MINUTE, 30 * MINUTE]


def test_of_two_chunks_that_overlap_the_first_counts() -> None:
    known = ledger(chunk(10, 19))
    assert [known.hear(chunk(*span)) for span in ((5, 10), (19, 25), (0, 30), (12, 13))] == [False] * 4
    assert known.coverage(BTC, Interval.M1) == minutes((10, 20))


def test_instruments_and_intervals_do_not_mix() -> None:
    known = ledger(chunk(0, 9), chunk(0, 9, instrument=ETH), chunk(0, 9, interval=Interval.M5))
    assert list(known.streams()) == [(BTC, Interval.M1), (BTC, Interval.M5), (ETH, Interval.M1)]
    assert known.coverage(ETH, Interval.M5) == ()


def test_what_is_uncovered_lies_between_and_around_the_chunks() -> None:
    known = ledger(chunk(10, 19), chunk(30, 39))
    assert known.uncovered(BTC, Interval.M1, *minutes((0, 50))) == minutes((0, 10), (20, 30), (40, 50))
    assert known.uncovered(BTC, Interval.M1, *minutes((12, 35))) == minutes((20, 30))
    assert known.uncovered(BTC, Interval.M1, *minutes((12, 18))) == ()
    assert known.uncovered(ETH, Interval.M1, *minutes((12, 18))) == minutes((12, 18))


def test_the_watermark_is_the_end_of_the_last_chunk() -> None:
    assert ledger(chunk(30, 39), chunk(0, 9)).watermark(BTC, Interval.M1) == 40 * MINUTE
    assert ChunkLedger().watermark(BTC, Interval.M1) == 0


@pytest.mark.parametrize(("minute", "held"), [(9, False), (10, True), (19, True), (20, False)])
def test_a_bar_is_held_if_a_chunk_reaches_over_it(minute: int, *, held: bool) -> None:
    assert ledger(chunk(10, 19)).holds(BTC, Interval.M1, minute * MINUTE) is held


def test_instruments_are_found_by_symbol_and_by_name() -> None:
    other = InstrumentId("file.BTCUSDT")
    known = ledger(chunk(0, 9), chunk(0, 9, instrument=other), chunk(0, 9, instrument=ETH))
    assert known.named("BTCUSDT") == (other, BTC)
    assert known.named("sim.BTCUSDT") == (BTC,)
    assert known.named("XRPUSDT") == ()
