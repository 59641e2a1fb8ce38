"""Laws of ingestion: nothing is lost, doubled or guessed, however pages come and wherever it is broken off."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import encode
from contracts.data import DataChunk
from contracts.market import Bar
from contracts.types import InstrumentId, Interval
from eventstore.chunkledger import ChunkLedger, Span
from eventstore.chunks import from_parquet, name_of, to_parquet
from services.ingest.gathering import Cutting, Gathering, Piece
from services.ingest.rules import Candle, Flaw, OutlierPolicy, Sifted, sift

BTC = InstrumentId("binance.BTCUSDT")
M1 = Interval.M1
MINUTE = M1.nanos
CLOSED_BY = 40 * MINUTE

prices = st.floats(min_value=1e-9, max_value=1e9)
volumes = st.floats(min_value=0, max_value=1e12)
anything = st.one_of(prices, st.sampled_from([0.0, -1.0, math.nan, math.inf, -math.inf]))


@st.composite
def good_candles(draw: st.DrawFn, minute: int) -> Candle:
    row = sorted(draw(st.lists(prices, min_size=4, max_size=4)))
    inner = row[1:3] if draw(st.booleans()) else row[2:0:-1]
    return Candle(minute * MINUTE, inner[0], row[3], row[0], inner[1], draw(volumes), draw(st.integers(0, 1000)))


@st.composite
def any_candles(draw: st.DrawFn) -> Candle:
    minute = draw(st.integers(0, 50))
    if draw(st.booleans()):
        return draw(good_candles(minute))
    ts_open = minute * MINUTE + draw(st.sampled_from([0, 1]))
    return Candle(ts_open, draw(anything), draw(anything), draw(anything), draw(anything), draw(anything))


@st.composite
def rows(draw: st.DrawFn, most: int = 60) -> list[Bar]:
    """Bars in order, with gaps."""
    minutes = sorted(draw(st.sets(st.integers(0, 90), min_size=1, max_size=most)))
    candles = [draw(good_candles(minute)) for minute in minutes]
    return list(sift(candles, BTC, M1, 1_000 * MINUTE).bars)


@st.composite
def cuttings(draw: st.DrawFn) -> Cutting:
    return Cutting(draw(st.integers(1, 20)), draw(st.integers(0, 12)), 5.0, draw(st.sampled_from(OutlierPolicy)))


def pieces(bars: list[Bar], cutting: Cutting) -> list[Piece]:
    gathering = Gathering(cutting)
    made = [piece for bar in bars if (piece := gathering.add(bar)) is not None]
    rest = gathering.rest()
    return [*made, rest] if rest else made


def told(made: list[Piece]) -> list[DataChunk]:
    return [piece.chunk("ingest", name_of(to_parquet(piece.bars)), "test", 1) for piece in made]


# -- pages ------------------------------------------------------------------------------------------------------------


@given(page=st.lists(any_candles(), max_size=40))
def test_whatever_comes_what_is_taken_is_valid_in_order_and_closed(page: list[Candle]) -> None:
    found = sift(page, BTC, M1, CLOSED_BY)
    assert all(encode(bar) for bar in found.bars)
    assert all(before.ts_close <= bar.ts_open for before, bar in pairwise(found.bars))
    assert all(bar.ts_close <= CLOSED_BY for bar in found.bars)


@given(page=st.lists(any_candles(), max_size=40))
def test_every_closed_candle_is_taken_or_found_wanting(page: list[Candle]) -> None:
    found = sift(page, BTC, M1, CLOSED_BY)
    known = {bar.ts_open for bar in found.bars} | {finding.ts_open for finding in found.findings}
    assert {candle.ts_open for candle in page if candle.ts_open + MINUTE <= CLOSED_BY} == known


@given(data=st.data(), page=st.lists(any_candles(), max_size=30))
def test_the_order_of_a_page_changes_no_bar(data: st.DataObject, page: list[Candle]) -> None:
    shuffled = data.draw(st.permutations(page))
    assert {bar.ts_open for bar in sift(page, BTC, M1, CLOSED_BY).bars} == {
        bar.ts_open for bar in sift(shuffled, BTC, M1, CLOSED_BY).bars
    }


@given(row=rows())
def test_good_candles_are_all_taken(row: list[Bar]) -> None:
    page = [Candle(one.ts_open, one.open, one.high, one.low, one.close, one.volume, one.trades) for one in row]
    found = sift([*page, *page], BTC, M1, 1_000 * MINUTE)
    assert list(found.bars) == row
    assert {finding.flaw for finding in found.findings} <= {Flaw.REPEATED, Flaw.OUT_OF_ORDER}


# -- pieces -----------------------------------------------------------------------------------------------------------


@given(row=rows(), cutting=cuttings())
def test_pieces_hold_every_bar_once_and_never_overlap(row: list[Bar], cutting: Cutting) -> None:
    made = pieces(row, cutting)
    kept = [bar.ts_open for piece in made for bar in piece.bars]
    dropped = [finding.ts_open for piece in made for finding in piece.findings if finding.flaw is Flaw.OUTLIER]
    if cutting.outliers is OutlierPolicy.KEEP:
        assert kept == [bar.ts_open for bar in row]
    else:
        assert sorted([*kept, *dropped]) == [bar.ts_open for bar in row]
    ledger = ChunkLedger()
    for chunk in told(made):
        assert chunk.contradiction() is None
        assert ledger.hear(chunk)


@given(row=rows(), cutting=cuttings(), pages=st.lists(st.integers(1, 20), max_size=20))
def test_how_bars_come_in_pages_changes_no_piece(row: list[Bar], cutting: Cutting, pages: list[int]) -> None:
    gathering, made, left = Gathering(cutting), list[Piece](), list(row)
    for size in [*pages, len(row)]:
        made += gathering.take(Sifted(tuple(left[:size]), ()))
        left = left[size:]
    rest = gathering.rest()
    assert [*made, *([rest] if rest else [])] == pieces(row, cutting)


@given(row=rows(), cutting=cuttings(), data=st.data())
def test_broken_off_anywhere_and_resumed_it_comes_to_the_same_bytes(
    row: list[Bar], cutting: Cutting, data: st.DataObject
) -> None:
    whole = told(pieces(row, cutting))
    ledger = ChunkLedger()
    for chunk in whole[: data.draw(st.integers(0, len(whole)))]:
        ledger.hear(chunk)
    for span in ledger.uncovered(BTC, M1, Span(0, 100 * MINUTE)):
        for chunk in told(pieces([bar for bar in row if span.start <= bar.ts_open < span.end], cutting)):
            assert ledger.hear(chunk)
    assert [chunk.sha256 for chunk in ledger.chunks(BTC, M1)] == [chunk.sha256 for chunk in whole]


@given(row=rows())
def test_bars_come_back_from_their_chunk(row: list[Bar]) -> None:
    assert from_parquet(to_parquet(row)) == row


# -- the ledger -------------------------------------------------------------------------------------------------------

spans = st.tuples(st.integers(0, 40), st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def chunk(first: int, last: int) -> DataChunk:
    return DataChunk(
        ts_event=0,
        ts_init=0,
        by="ingest",
        instrument=BTC,
        interval=M1,
        first=first * MINUTE,
        last=last * MINUTE,
        rows=last - first + 1,
        missing=0,
        repaired=0,
        sha256="0" * 64,
        source="test",
    )


@given(heard=st.lists(spans, max_size=30), within=spans)
def test_each_minute_is_covered_once_or_not_at_all(heard: list[tuple[int, int]], within: tuple[int, int]) -> None:
    ledger, covered = ChunkLedger(), set[int]()
    for first, last in heard:
        its = set(range(first, last + 1))
        assert ledger.hear(chunk(first, last)) is not bool(its & covered)
        covered |= set() if its & covered else its
    everywhere = range(60)
    assert {minute for minute in everywhere if ledger.holds(BTC, M1, minute * MINUTE)} == covered
    asked = range(within[0], within[1] + 1)
    left = ledger.uncovered(BTC, M1, Span(asked[0] * MINUTE, (asked[-1] + 1) * MINUTE))
    assert {at // MINUTE for span in left for at in range(span.start, span.end, MINUTE)} == set(asked) - covered
    assert all(before.end < span.start for before, span in pairwise(ledger.coverage(BTC, M1)))
