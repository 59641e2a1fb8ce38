"""The summary of a run: what it tells is what the books say, and it stays small however long the run is."""

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from decimal import Decimal
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.books import EquityMarked, PortfolioMarked, PositionClosed
from contracts.control import Alert
from contracts.event import Event
from contracts.orders import Denial, OrderFilled, RiskApproved, RiskRejected
from contracts.recorded import Recorded
from contracts.types import Interval, Liquidity, Rail, Severity, Side
from services.backtest.curves import DAY, Candle, Candles, Curve, Level, Mark, Marks, Period, Regimes, prevailing
from services.backtest.summary import Summary
from services.backtest.tracks import Sums, Track
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, SECOND, START, bar, filled, ns, quote, terms, tick
from tests.played import market, played

PORTFOLIO = PortfolioSettings(capital=Decimal(1_000))
VALUES = st.lists(st.integers(-500, 500).map(float), min_size=1, max_size=120)


def heard(*events: Event) -> Summary:
    """Let a summary hear events and what the books say to them."""
    summary, tape = Summary(), MemoryTape([Portfolio(PORTFOLIO)])
    for event in events:
        tape.play((event,))
        summary.hear(Recorded(tape.position, None, "test", 0, event))
        for recorded in tape.recorded:
            summary.hear(recorded)
        tape.recorded.clear()
    return summary


def fill(
    side: Side,
    price: str,
    *,
    at: float = 0.0,
    order_id: str = "trend-1-0",
    quantity: str = "1",
    strategy: str = "trend",
    fee: str = "0",
    bps: float | None = None,
    liquidity: Liquidity = Liquidity.TAKER,
) -> OrderFilled:
    order = terms(side, quantity, order_id=order_id, strategy=strategy)
    one = filled(order, price=price, quantity=quantity)
    return replace(
        one,
        ts_event=ns(at),
        ts_init=ns(at),
        trade_id=f"{order_id}/{at}",
        fee=Decimal(fee),
        slippage_bps=bps,
        liquidity=liquidity,
    )


def test_a_round_trip_brings_what_the_books_say() -> None:
    figures = heard(
        fill(Side.BUY, "100", fee="1"), fill(Side.SELL, "130", at=10, order_id="trend-2-0", fee="2"), tick(60)
    ).figures()
    assert (figures.currency, figures.capital, figures.net_pnl, figures.fees) == ("USDT", 1000.0, 27.0, 3.0)
    assert figures.headline is not None
    assert figures.headline.total_return == pytest.approx(0.027)
    assert (figures.trades.count, figures.trades.net, figures.trades.average_held) == (1, 27.0, 10 * SECOND)


def test_a_trade_names_the_order_that_opened_it_and_the_one_that_closed_it() -> None:
    summary = heard(
        fill(Side.BUY, "100", order_id="open"),
        fill(Side.BUY, "101", at=1, order_id="more"),
        fill(Side.SELL, "102", at=2, order_id="close", quantity="2"),
    )
    (trade,) = summary.shown.latest
    assert (trade.entry_order, trade.exit_order, trade.long, trade.quantity) == ("open", "close", True, "2")


def test_a_fill_that_turns_a_position_closes_one_trade_and_opens_the_next() -> None:
    summary = heard(
        fill(Side.BUY, "100", order_id="long"),
        fill(Side.SELL, "110", at=1, order_id="turn", quantity="2"),
        fill(Side.BUY, "105", at=2, order_id="back"),
    )
    first, second = summary.shown.latest
    assert (first.entry_order, first.exit_order, first.long) == ("long", "turn", True)
    assert (second.entry_order, second.exit_order, second.long) == ("turn", "back", False)


def test_the_capital_of_a_strategy_that_joins_late_is_no_profit() -> None:
    figures = heard(
        fill(Side.BUY, "100"),
        fill(Side.SELL, "90", at=1),
        tick(2),
        fill(Side.BUY, "100", at=50, strategy="other", order_id="other-1-0"),
        fill(Side.SELL, "105", at=51, strategy="other", order_id="other-2-0"),
        tick(60),
    ).figures()
    assert figures.headline is not None
    assert (figures.capital, figures.net_pnl) == (2000.0, -5.0)
    assert figures.headline.total_return == pytest.approx(-5 / 2000)
    assert figures.headline.drawdown is not None
    assert figures.headline.drawdown.loss == pytest.approx(10)
    assert [one.name for one in figures.strategies] == ["other", "trend"]
    assert [one.net_pnl for one in figures.strategies] == [5.0, -10.0]


def test_the_time_before_the_first_trade_counts_as_time_out_of_the_market() -> None:
    figures = heard(
        tick(0), fill(Side.BUY, "100", at=60), quote(at=60), tick(60.5), fill(Side.SELL, "100", at=80), tick(100)
    ).figures()
    assert figures.headline is not None
    assert figures.headline.span == 100 * SECOND
    assert figures.exposed == pytest.approx(0.2, abs=0.01)


def test_slippage_and_fees_are_told_apart_by_who_waited_in_the_book() -> None:
    figures = heard(
        fill(Side.BUY, "100", fee="0.1", bps=5.0),
        fill(Side.SELL, "100", at=1, fee="0.02", bps=-2.0, liquidity=Liquidity.MAKER),
        tick(2),
    ).figures()
    taker, maker = figures.execution["taker"], figures.execution["maker"]
    assert (taker.fees, taker.slippage) == pytest.approx((0.1, 0.05))
    assert (maker.fees, maker.slippage) == pytest.approx((0.02, -0.02))
    assert taker.slippage_bps == pytest.approx(5.0)
    assert maker.fee_bps == pytest.approx(2.0)
    assert figures.slippage == pytest.approx(0.03)


def test_other_costs_change_the_result_by_exactly_these_costs() -> None:
    figures = heard(
        fill(Side.BUY, "100", fee="1", bps=10.0), fill(Side.SELL, "100", at=9, fee="1", bps=10.0), tick(20)
    ).figures()
    net = {one.name: one.net_pnl for one in figures.scenarios}
    assert net["as it was"] == pytest.approx(-2.0)
    assert net["no fees"] == pytest.approx(0.0)
    assert net["double fees"] == pytest.approx(-4.0)
    assert net["no spread or slippage"] == pytest.approx(-1.8)
    assert net["no costs at all"] == pytest.approx(0.2)
    assert net["everything doubled"] == pytest.approx(-4.2)


def test_each_rail_is_counted_and_names_its_first_order() -> None:
    order, later = terms(order_id="first"), terms(order_id="later")
    notional, spread = Denial(rail=Rail.MAX_NOTIONAL, detail="5 > 4"), Denial(rail=Rail.SPREAD, detail="9 > 8")
    figures = heard(
        RiskRejected(ts_event=START, ts_init=START, order=order, reasons=(notional, spread)),
        RiskRejected(ts_event=START, ts_init=START, order=later, reasons=(notional,)),
        RiskApproved(ts_event=START, ts_init=START, order=later, mark=1.0, resized=(notional,)),
    ).figures()
    first, second = figures.rails
    assert (first.rail, first.rejected, first.resized, first.order_id) == ("max_notional", 2, 1, "first")
    assert (second.rail, second.rejected, second.detail) == ("spread", 1, "9 > 8")
    assert figures.approved == 1


def test_alerts_of_one_kind_are_one_finding_with_the_place_of_the_first() -> None:
    def alert(severity: Severity, code: str) -> Alert:
        return Alert(ts_event=START, ts_init=START, component="risk", severity=severity, code=code, message="look")

    figures = heard(
        alert(Severity.INFO, "small"), alert(Severity.CRITICAL, "grave"), alert(Severity.CRITICAL, "grave")
    ).figures()
    assert [(one.code, one.count, one.position) for one in figures.findings] == [("grave", 2, 2), ("small", 1, 1)]


def test_holding_what_was_traded_is_measured_from_its_first_price_to_its_last() -> None:
    rising = [bar(100.0 + number, number=number) for number in range(20)]
    figures = heard(
        *rising[:5], fill(Side.BUY, "105", at=27), *rising[5:], fill(Side.SELL, "119", at=101), tick(110)
    ).figures()
    assert figures.holding is not None
    assert figures.holding.instruments == (BTC,)
    assert figures.holding.performance.total_return == pytest.approx(0.19)
    assert figures.holding.performance.drawdown is None


def test_without_prices_of_what_was_traded_there_is_nothing_to_compare_with() -> None:
    assert heard(fill(Side.BUY, "100"), fill(Side.SELL, "110", at=9), tick(10)).figures().holding is None


def test_how_far_the_price_went_against_a_trade_and_for_it_is_known_when_it_closes() -> None:
    summary = heard(
        fill(Side.BUY, "100"),
        quote(bid=89.0, ask=91.0, at=1),
        tick(2),
        quote(bid=124.0, ask=126.0, at=3),
        tick(4),
        fill(Side.SELL, "110", at=5),
        fill(Side.SELL, "100", at=6, order_id="short"),
        quote(bid=94.0, ask=96.0, at=7),
        tick(8),
        fill(Side.BUY, "98", at=9, order_id="cover"),
    )
    long, short = summary.shown.latest
    assert (long.adverse, long.favourable, long.change) == pytest.approx((0.10, 0.25, 0.10))
    assert (short.favourable, short.change) == pytest.approx((0.05, 0.02))
    means = {one.name: one for one in summary.figures().excursions}
    assert means["long"].favourable == pytest.approx(0.25)
    assert means["all"].count == 2


def test_trades_are_counted_by_side_hour_weekday_and_length() -> None:
    hour = 3_600.0
    kinds = (
        heard(
            fill(Side.BUY, "100"),
            fill(Side.SELL, "130", at=30),
            fill(Side.SELL, "100", at=2 * hour, order_id="short"),
            fill(Side.BUY, "101", at=2 * hour + 600, order_id="cover"),
            tick(3 * hour),
        )
        .figures()
        .kinds
    )
    assert [(one.name, one.trades.net) for one in kinds.sides] == [("long", 30.0), ("short", -1.0)]
    assert [(one.name, one.trades.count) for one in kinds.hours] == [("00:00", 1), ("22:00", 1)]
    assert [one.name for one in kinds.weekdays] == ["Tuesday", "Wednesday"]
    assert [one.name for one in kinds.held] == ["up to 1 min", "up to 15 min"]


def test_exposure_is_the_mean_over_all_the_time() -> None:
    figures = heard(
        tick(0),
        fill(Side.BUY, "100", at=60),
        quote(bid=100.0, ask=100.0, at=60),
        tick(60.5),
        fill(Side.SELL, "100", at=80),
        tick(80.5),
        tick(100),
    ).figures()
    assert figures.exposure is not None
    assert figures.exposure.mean_gross == pytest.approx(20.0, abs=1.0)
    assert figures.exposure.mean_net == pytest.approx(20.0, abs=1.0)
    assert figures.exposure.most_gross == pytest.approx(100.0)


def test_the_deepest_drawdowns_are_told_one_by_one() -> None:
    figures = heard(
        fill(Side.BUY, "100"),
        *(
            event
            for at, price in ((10, 90.0), (20, 120.0), (30, 105.0))
            for event in (quote(bid=price, ask=price, at=at), tick(at + 1))
        ),
        fill(Side.SELL, "105", at=40),
        tick(41),
    ).figures()
    assert [fall.loss for fall in figures.drawdowns] == pytest.approx([15.0, 10.0])
    assert [fall.recovered is None for fall in figures.drawdowns] == [True, False]


def test_intervals_lie_around_what_all_trades_came_to() -> None:
    figures = heard(
        *(
            fill(side, price, at=number, order_id=f"trend-{number}-0")
            for number, (side, price) in enumerate(
                [
                    (Side.BUY, "100"),
                    (Side.SELL, "110"),
                    (Side.BUY, "100"),
                    (Side.SELL, "95"),
                    (Side.BUY, "90"),
                    (Side.SELL, "99"),
                ]
            )
        ),
        tick(60),
    ).figures()
    assert figures.intervals["win_rate"].value == figures.trades.win_rate == pytest.approx(2 / 3)
    assert figures.intervals["expectancy"].value == figures.trades.expectancy


def test_costs_are_told_by_instrument_too() -> None:
    figures = heard(fill(Side.BUY, "100", fee="1", bps=5.0), tick(2)).figures()
    assert figures.venues[BTC].fees == pytest.approx(1.0)


def test_a_month_without_a_trade_is_in_the_table_of_months() -> None:
    month = 31 * 86_400.0
    figures = heard(fill(Side.BUY, "100"), fill(Side.SELL, "110", at=60), tick(61), tick(3 * month)).figures()
    assert [one.change for one in figures.months] == pytest.approx([0.01, 0.0, 0.0, 0.0])


def test_a_run_without_trades_has_no_headline_and_says_so() -> None:
    figures = heard(tick(0), quote(at=1)).figures()
    assert (figures.headline, figures.currency, figures.intervals) == (None, None, {})
    assert "Nothing was traded" in figures.remarks[0]


def test_a_run_that_loses_more_than_there_was_is_told_as_it_is() -> None:
    figures = heard(
        fill(Side.BUY, "100", quantity="20"), fill(Side.SELL, "40", at=30, quantity="20"), tick(60), tick(90_000)
    ).figures()
    assert figures.headline is not None and figures.headline.drawdown is not None
    assert figures.headline.total_return == pytest.approx(-1.2)
    assert figures.headline.drawdown.depth == pytest.approx(1.2)
    json.dumps(asdict(figures), allow_nan=False)


def test_books_in_another_currency_are_not_added_up_and_the_page_says_so() -> None:
    summary = heard(fill(Side.BUY, "100"), fill(Side.SELL, "110", at=1), tick(2))
    other = PortfolioMarked(
        ts_event=ns(3),
        ts_init=ns(3),
        currency="BTC",
        equity=Decimal(7),
        peak=Decimal(7),
        gross=Decimal(0),
        net=Decimal(0),
        realized_pnl=Decimal(2),
        unrealized_pnl=Decimal(0),
        fees=Decimal(0),
        funding=Decimal(0),
    )
    summary.hear(Recorded(99, None, "test", 0, other))
    figures = summary.figures()
    assert (figures.currency, figures.net_pnl) == ("USDT", 10.0)
    assert "Books in BTC" in figures.remarks[0]


def test_nothing_heard_is_a_summary_too() -> None:
    assert Summary().figures().events == 0


def test_figures_are_json_and_the_same_however_often_they_are_asked_for() -> None:
    summary = heard(fill(Side.BUY, "100", fee="1"), tick(5), fill(Side.SELL, "130", at=10), tick(60))
    first, second = (json.dumps(asdict(summary.figures()), allow_nan=False) for _ in range(2))
    assert first == second


def test_of_a_whole_system_every_sum_agrees_with_the_books() -> None:
    tape = [one for one in played(market(1_500)).tape if isinstance(one, Recorded)]
    summary = Summary()
    for recorded in tape:
        summary.hear(recorded)
    figures = summary.figures()
    last = {one.event.strategy: one.event for one in tape if isinstance(one.event, EquityMarked)}
    earned = sum(one.realized_pnl + one.unrealized_pnl - one.fees + one.funding for one in last.values())
    assert len(last) >= 2
    assert figures.net_pnl == pytest.approx(float(earned))
    assert figures.net_pnl == pytest.approx(sum(one.net_pnl for one in figures.strategies))
    assert figures.fees == pytest.approx(sum(one.fees for one in figures.execution.values()))
    closed = [one.event for one in tape if isinstance(one.event, PositionClosed)]
    assert figures.trades.net == pytest.approx(float(sum(one.net_pnl for one in closed)))
    assert figures.trades.count == len(closed) == sum(one.trades.count for one in figures.instruments)
    orders = {one.event.client_order_id for one in tape if isinstance(one.event, OrderFilled)}
    assert all({one.entry_order, one.exit_order} <= orders for one in summary.shown.latest)


# -- bounded memory ----------------------------------------------------------------------------------------------------


def marked(values: Iterable[float], *, most: int, apart: int = SECOND) -> Curve:
    curve = Curve(most=most)
    for number, value in enumerate(values):
        curve.mark(START + number * apart, value)
    return curve


@given(VALUES, st.integers(1, 8), st.sampled_from([SECOND, 40 * SECOND, DAY // 5]))
def test_a_joined_curve_keeps_its_extremes_its_end_and_its_deepest_fall(
    values: list[float], most: int, apart: int
) -> None:
    curve = marked(values, most=most, apart=apart)
    kept = [value for _, value in curve.points()]
    assert len(curve.stretches) <= most
    assert (min(kept), max(kept), kept[-1]) == (min(values), max(values), values[-1])
    assert fall_of(kept) == fall_of(values)


def fall_of(values: list[float]) -> float:
    """Give the deepest fall in money."""
    peaks = accumulate(values, max)
    return max(peak - value for peak, value in zip(peaks, values, strict=True))


def test_a_long_curve_is_drawn_with_few_points() -> None:
    curve = marked((float(number % 997) for number in range(50_000)), most=2_000)
    assert len(curve.stretches) <= 2_000
    assert len(list(curve.outline())) <= 4_001


def test_marks_of_one_moment_keep_their_order() -> None:
    curve = Curve()
    for value in (1.0, 5.0, 2.0):
        curve.mark(START, value)
    assert [value for _, value in curve.points()] == [1.0, 5.0, 2.0]


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(-9, 9)), min_size=1, max_size=40), st.integers(1, 6))
def test_a_level_keeps_its_mean_over_all_time_in_a_few_stretches(steps: list[tuple[int, int]], most: int) -> None:
    level, at, held, whole = Level(most=most), START, 0.0, 0.0
    level.mark(at, held)
    for seconds, value in steps:
        at += seconds * SECOND
        whole += held * seconds
        held = float(value)
        level.mark(at, held)
    level.pass_time(at)
    means = level.means()
    assert len(means) <= most
    assert sum(value for _, value in means) * level.step / SECOND == pytest.approx(whole, abs=1e-6)


@given(st.lists(st.floats(1, 100), min_size=1, max_size=100), st.integers(1, 10))
def test_joined_candles_hold_the_same_prices(closes: list[float], most: int) -> None:
    candles = Candles(5 * SECOND, most=most)
    for number, close in enumerate(closes):
        candles.add(Candle(START + number * 5 * SECOND, close, close + 1, close - 1, close, 2.0))
    kept = candles.candles
    assert len(kept) <= most
    assert (kept[0].open, kept[-1].close) == (closes[0], closes[-1])
    assert (max(one.high for one in kept), min(one.low for one in kept)) == (max(closes) + 1, min(closes) - 1)
    assert sum(one.volume for one in kept) == pytest.approx(2.0 * len(closes))


def test_of_several_bars_the_shortest_are_drawn() -> None:
    summary = heard(bar(10.0, interval=Interval.M1), bar(11.0, interval=Interval.S5), bar(12.0, interval=Interval.M1))
    assert [one.close for one in summary.charts[BTC].candles.candles] == [11.0]
    assert ETH not in summary.charts


def test_of_many_fills_every_second_one_stays_and_all_are_counted() -> None:
    marks = Marks(most=10)
    for number in range(100):
        marks.add(Mark(START + number, 1.0, bought=True, order_id=str(number)))
    assert (len(marks.marks) <= 10, marks.heard, marks.every) == (True, 100, 16)
    assert [mark.order_id for mark in marks.marks] == [str(number) for number in range(0, 100, 16)]


def test_of_too_many_regimes_the_long_ones_stay() -> None:
    regimes = Regimes(most=6)
    for start, end, regime in ((0, 100, "calm"), (100, 200, "wild"), (200, 300, "calm")):
        regimes.tell(start, regime)
        for number in range(5):
            regimes.tell(end - 10 + 2 * number, "wild" if regime == "calm" else "calm")
            regimes.tell(end - 9 + 2 * number, regime)
    assert len(regimes.changes) <= 6
    assert prevailing(regimes.periods(), 3)[:2] == [Period("calm", 0, 100), Period("wild", 100, 200)]


def test_a_stretch_has_the_regime_that_prevailed_in_it() -> None:
    periods = [Period("calm", 0, 60), Period("wild", 60, 100), Period("rest", 100, 200)]
    assert prevailing(periods, 2) == [Period("calm", 0, 100), Period("rest", 100, 200)]
    assert prevailing([], 5) == []


# -- prices and sums ---------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(1, 100), min_size=1, max_size=200), st.integers(2, 12))
def test_a_track_knows_its_first_and_its_last_price_however_much_is_joined(prices: list[float], most: int) -> None:
    track = Track(most=most)
    for number, price in enumerate(prices):
        track.mark(START + number * 7 * SECOND, price)
    last = START + len(prices) * 7 * SECOND
    assert len(track.closes) <= most
    assert track.begin == (START, prices[0])
    assert track.at([START - 1, last], daily=False) == [None, prices[-1]]


def test_a_track_gives_the_price_that_was_known_at_a_moment() -> None:
    track = Track()
    for at, price in ((0, 10.0), (60, 11.0), (120, 12.0)):
        track.mark(START + at * SECOND, price)
    moments = [START + at * SECOND for at in (-5, 0, 59, 60, 119, 500)]
    assert track.at(moments, daily=False) == [None, 10.0, 10.0, 11.0, 11.0, 12.0]


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(-9, 9)), max_size=60), st.integers(2, 9))
def test_joined_sums_add_up_to_the_same(added: list[tuple[int, int]], most: int) -> None:
    sums = Sums(most=most)
    for at, value in added:
        sums.add(START + at * SECOND, float(value))
    assert len(sums.by) <= most
    assert sum(value for _, value in sums.read()) == pytest.approx(sum(value for _, value in added))
