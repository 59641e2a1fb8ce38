"""What pages of candles are worth, and how bars become pieces."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from statistics import fmean

import pytest

from contracts.market import Bar, Trade
from contracts.types import InstrumentId, Interval, Severity
from eventstore.chunkledger import Span
from eventstore.marketdata.times import moment
from services.ingest.gathering import Cutting, Gathering, Piece
from services.ingest.past import Past, merged, past
from services.ingest.rules import Candle, Flaw, OutlierPolicy, Sifted, alerts, outliers, sift
from tests.builders import START
from venues.instruments import BINANCE_SPOT
from venues.market import SimulatedSymbol, start_price

BTC = InstrumentId("binance.BTCUSDT")
M1 = Interval.M1
MINUTE = M1.nanos
FOR_EVER = 2**62
CUTTING = Cutting(bars=10, longest_gap=3, outlier_deviations=10.0, outliers=OutlierPolicy.KEEP)


def candle(minute: int, close: float = 100.0, *, reach: float = 1.0, volume: float = 5.0, line: int = 0) -> Candle:
    return Candle(START + minute * MINUTE, close, close + reach, close - reach, close, volume, line=line)


def sifted(candles: Iterable[Candle], closed_by: int = FOR_EVER) -> Sifted:
    return sift(list(candles), BTC, M1, closed_by)


def bars(minutes: Iterable[int], close: float = 100.0) -> list[Bar]:
    return list(sifted(candle(minute, close + 0.1 * (minute % 3)) for minute in minutes).bars)


def flaws(found: Sifted) -> list[tuple[Flaw, int]]:
    return [(finding.flaw, (finding.ts_open - START) // MINUTE) for finding in found.findings]


def minutes_of(found: Iterable[Bar]) -> list[int]:
    return [(bar.ts_open - START) // MINUTE for bar in found]


# -- pages ------------------------------------------------------------------------------------------------------------


def test_good_candles_become_bars_as_of_their_close() -> None:
    (bar,) = sifted([candle(0)]).bars
    assert (bar.ts_open, bar.ts_close, bar.ts_init, bar.instrument) == (START, START + MINUTE, START + MINUTE, BTC)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (100.0, 101.0, 99.0, 100.0, 5.0)


def test_a_candle_that_still_goes_on_is_not_taken() -> None:
    page = [candle(0), candle(1), candle(2)]
    assert minutes_of(sifted(page, START + 3 * MINUTE).bars) == [0, 1, 2]
    assert minutes_of(sifted(page, START + 3 * MINUTE - 1).bars) == [0, 1]
    assert sifted(page, START + 3 * MINUTE - 1).findings == ()


def test_a_candle_that_is_there_twice_is_dropped_once() -> None:
    found = sifted([candle(0), candle(1), candle(1), candle(2)])
    assert minutes_of(found.bars) == [0, 1, 2]
    assert flaws(found) == [(Flaw.REPEATED, 1)]
    assert found.repaired == 1


def test_of_two_candles_that_contradict_each_other_neither_is_believed() -> None:
    found = sifted([candle(0), candle(1, 100.0), candle(1, 101.0), candle(1, 100.0), candle(2)])
    assert minutes_of(found.bars) == [0, 2]
    assert (Flaw.CONTRADICTED, 1) in flaws(found)


def test_candles_out_of_order_are_put_in_order() -> None:
    found = sifted([candle(0), candle(2), candle(1), candle(3)])
    assert minutes_of(found.bars) == [0, 1, 2, 3]
    assert flaws(found) == [(Flaw.OUT_OF_ORDER, 1)]


@pytest.mark.parametrize(
    ("wrong", "flaw"),
    [
        (replace(candle(1), close=math.nan), Flaw.NOT_A_NUMBER),
        (replace(candle(1), high=math.inf), Flaw.NOT_A_NUMBER),
        (replace(candle(1), volume=math.nan), Flaw.NOT_A_NUMBER),
        (replace(candle(1), low=0.0), Flaw.NOT_POSITIVE),
        (replace(candle(1), open=-1.0), Flaw.NOT_POSITIVE),
        (replace(candle(1), volume=-1.0), Flaw.NOT_POSITIVE),
        (replace(candle(1), high=99.5), Flaw.INCONSISTENT),
        (replace(candle(1), low=100.5), Flaw.INCONSISTENT),
        (replace(candle(1), ts_open=START + MINUTE + 1), Flaw.OFF_GRID),
    ],
)
def test_a_wrong_candle_is_refused_and_its_neighbours_stay(wrong: Candle, flaw: Flaw) -> None:
    found = sifted([candle(0), wrong, candle(2)])
    assert minutes_of(found.bars) == [0, 2]
    assert flaws(found) == [(flaw, 1)]


def test_findings_become_one_alert_for_each_kind_with_time_and_reason() -> None:
    found = sifted([candle(0), *(replace(candle(at), close=math.nan) for at in (1, 2)), candle(3), candle(3)])
    (alert,) = alerts(found.findings, "ingest", "binance.BTCUSDT 1m", 7)
    assert (alert.code, alert.severity, alert.ts_init) == ("candles_not_a_number", Severity.WARNING, 7)
    assert alert.message.startswith("binance.BTCUSDT 1m: not a number 2x, first at 2023-11-14 22:01:00Z: close: not a")
    assert "counts as missing" in alert.message


# -- outliers ---------------------------------------------------------------------------------------------------------


def spiked(*, after: float = 100.0, reach: float = 0.05) -> list[Bar]:
    """A quiet market with one bar far above the others at minute 10, and what comes after it."""
    page = [candle(at, 100.0 + 0.01 * (at % 3), reach=reach) for at in range(20)]
    page[10] = candle(10, 110.0, reach=reach)
    page[11:] = [candle(at, after + 0.01 * (at % 3), reach=reach) for at in range(11, 20)]
    return list(sifted(page).bars)


def test_a_bar_alone_and_far_away_is_an_outlier() -> None:
    assert minutes_of(outliers(spiked(), 10.0)) == [10]


def test_a_wick_is_an_outlier_too() -> None:
    page = [candle(at, 100.0 + 0.01 * (at % 3), reach=0.05) for at in range(20)]
    page[10] = replace(page[10], low=80.0)
    assert minutes_of(outliers(sifted(page).bars, 10.0)) == [10]


def test_a_price_that_stays_where_it_jumped_to_is_none() -> None:
    assert outliers(spiked(after=110.0), 10.0) == ()


def test_in_a_wild_market_the_same_bar_is_none() -> None:
    assert outliers(spiked(reach=3.0), 10.0) == ()


def test_the_first_and_the_last_bar_are_not_judged() -> None:
    far = spiked()
    assert outliers(far[10:], 10.0) == ()
    assert outliers(far[:11], 10.0) == ()
    assert outliers(far[9:11], 10.0) == ()


# -- pieces -----------------------------------------------------------------------------------------------------------


def pieces(row: Sequence[Bar], cutting: Cutting = CUTTING) -> list[Piece]:
    gathering = Gathering(cutting)
    made = [piece for bar in row if (piece := gathering.add(bar)) is not None]
    rest = gathering.rest()
    return [*made, rest] if rest else made


def test_pieces_lie_within_windows_counted_from_the_epoch() -> None:
    offset = START // MINUTE % 10
    made = pieces(bars(range(7 - offset, 33 - offset)))
    assert [len(piece.bars) for piece in made] == [3, 10, 10, 3]
    assert [piece.first // MINUTE % 10 for piece in made[1:]] == [0, 0, 0]


def test_a_small_gap_is_told_as_missing() -> None:
    (piece,) = pieces(bars([0, 1, 2, 5, 6]))
    assert (len(piece.bars), piece.missing) == (5, 2)
    chunk = piece.chunk("ingest", "0" * 64, "test", 1)
    assert chunk.contradiction() is None
    assert (chunk.rows, chunk.missing) == (5, 2)


def test_a_small_gap_between_two_pieces_is_missing_in_the_first() -> None:
    first, second = pieces(bars([0, 1, 2, 5, 6]), replace(CUTTING, cut_after=3 * MINUTE))
    assert (len(first.bars), first.missing, first.last) == (3, 2, START + 4 * MINUTE)
    assert (len(second.bars), second.missing) == (2, 0)


def test_a_large_gap_parts_two_pieces() -> None:
    made = pieces(bars([0, 1, 6, 7]))
    assert [minutes_of(piece.bars) for piece in made] == [[0, 1], [6, 7]]
    (gap,) = made[0].findings
    assert (gap.flaw, gap.text) == (Flaw.GAP, f"4 bars are missing from here to {moment(START + 6 * MINUTE)}")


def test_a_piece_that_is_long_enough_need_not_wait_for_its_window() -> None:
    made = pieces(bars(range(9)), replace(CUTTING, cut_after=4 * MINUTE))
    assert [minutes_of(piece.bars) for piece in made] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


def test_what_was_taken_before_changes_nothing() -> None:
    row = bars(range(8))
    assert pieces([*row[:4], *row[1:3], *row[4:]]) == pieces(row)


def test_repairs_are_told_with_the_piece_they_are_in() -> None:
    gathering = Gathering(CUTTING)
    assert list(gathering.take(sifted([candle(0), candle(1), candle(1)]))) == []
    rest = gathering.rest()
    assert rest is not None
    assert rest.repaired == 1


def test_an_outlier_is_kept_and_told_or_dropped_and_missing() -> None:
    cutting = replace(CUTTING, bars=1000)
    (kept,) = pieces(spiked(), cutting)
    assert [finding.flaw for finding in kept.findings] == [Flaw.OUTLIER]
    assert (len(kept.bars), kept.missing) == (20, 0)
    (dropped,) = pieces(spiked(), replace(cutting, outliers=OutlierPolicy.DROP))
    assert 10 not in minutes_of(dropped.bars)
    assert (len(dropped.bars), dropped.missing) == (19, 1)


def test_a_part_of_a_piece_reaches_from_its_first_bar_to_its_last() -> None:
    (piece,) = pieces(bars([0, 1, 2, 5, 6]))
    part = piece.within(Span(START + MINUTE, START + 6 * MINUTE))
    assert part is not None
    assert (minutes_of(part.bars), part.missing) == ([1, 2, 5], 2)
    assert piece.within(Span(START + 3 * MINUTE, START + 5 * MINUTE)) is None
    assert piece.within(piece.span()) is piece


# -- the simulated past -----------------------------------------------------------------------------------------------


@cache
def simulated(seed: str = "seed", begin: int = START, ends_at: float | None = None) -> list[Bar]:
    return past(BINANCE_SPOT[BTC], Past(seed, begin, begin + 300 * 1_000_000_000, 20.0), Interval.S5, ends_at)


def test_a_past_is_made_of_bars_that_follow_each_other_up_to_its_end() -> None:
    made = simulated()
    assert [bar.ts_open for bar in made] == list(range(made[0].ts_open, START + 300 * 10**9, Interval.S5.nanos))
    assert len(made) >= 59
    assert all(bar.contradiction() is None and bar.low > 0 for bar in made)


def test_the_same_seed_is_the_same_market_whenever_it_is() -> None:
    later = START + 86_400 * 10**9
    assert [bar.close for bar in simulated()] == [bar.close for bar in simulated(begin=later)]
    assert [bar.close for bar in simulated()] != [bar.close for bar in simulated("other")]


def test_a_past_ends_where_the_live_market_begins() -> None:
    assert simulated()[-1].close == pytest.approx(start_price(BINANCE_SPOT[BTC]))
    assert simulated(ends_at=12_345.67)[-1].close == 12_345.67


def test_longer_bars_are_made_of_whole_shorter_ones() -> None:
    fine = simulated()
    whole = merged(fine, Interval.M1)
    inside = [bar for bar in fine if whole[2].ts_open <= bar.ts_open < whole[2].ts_close]
    assert len(inside) == 12
    assert whole[2].high == max(bar.high for bar in inside if bar.trades)
    assert whole[2].volume == pytest.approx(sum(bar.volume for bar in inside))
    assert (whole[2].close, whole[2].trades) == (inside[-1].close, sum(bar.trades for bar in inside))
    assert whole[-1].ts_close == fine[-1].ts_close


def test_trades_without_quotes_are_of_the_same_market() -> None:
    steps = range(4_000)
    shown, alone = (SimulatedSymbol(BINANCE_SPOT[BTC], seed, 60_000.0) for seed in ("a", "b"))
    with_quotes = [one for one in chain.from_iterable(shown.step(at, 0.05) for at in steps) if isinstance(one, Trade)]
    without = [traded for _ in steps if (traded := alone.traded(0.05)) is not None]
    assert len(without) / len(steps) == pytest.approx(len(with_quotes) / len(steps), abs=0.04)
    assert fmean(math.log(size) for _, size in without) == pytest.approx(
        fmean(math.log(trade.size) for trade in with_quotes), abs=0.2
    )
