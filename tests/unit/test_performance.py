"""Performance: the figures of curves and trades, against closed forms and values worked out by hand."""

from math import sin, sqrt
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.performance import (
    DAY,
    YEAR,
    annual_return,
    deepest_drawdown,
    kurtosis,
    monthly,
    performance,
    periods_per_year,
    returns,
    sharpe,
    skewness,
    sortino,
    tally,
    total_return,
    turnover,
    ulcer_index,
    underwater,
    volatility,
    worst_drawdowns,
)

EQUITIES = st.lists(st.floats(1, 1e6), min_size=2, max_size=60)
NETS = st.lists(st.floats(-1e6, 1e6), max_size=60)


def daily(equity: list[float]) -> list[int]:
    return [number * DAY for number in range(len(equity))]


QUANTSTATS = {
    "total_return": 0.18437320201034657,
    "annual_return": 0.36181039379557856,
    "volatility": 0.27316732128536564,
    "sharpe": 1.2667506412806921,
    "sortino": 1.91291576845346,
    "calmar": 12.40671631246784,
    "best": 0.023988701843199844,
    "worst": -0.021797378191310286,
}
"""What quantstats 0.0.86 says of the returns of `wave`, with 365 periods a year."""
QUANTSTATS_MONTHS = [0.01747216, 0.05231993, 0.00282245, 0.03260233, 0.04794721, 0.02770492, -0.00813344]


def wave() -> tuple[list[int], list[float]]:
    """Give 200 days whose returns anybody can compute again; the first return is that of 2021-01-02."""
    equity = [100.0]
    for number in range(200):
        equity.append(equity[-1] * (1 + 0.02 * sin(1.7 * number) + 0.001 * (number % 7 - 2)))
    return [18_628 * DAY + number * DAY for number in range(201)], equity


def test_figures_are_those_of_quantstats() -> None:
    at, equity = wave()
    told = performance(at, equity)
    assert {name: getattr(told, name) for name in QUANTSTATS} == pytest.approx(QUANTSTATS, rel=1e-12)
    assert told.drawdown is not None
    assert told.drawdown.depth == pytest.approx(0.029162462063550665, rel=1e-12)
    assert [month.change for month in monthly(at, equity)] == pytest.approx(QUANTSTATS_MONTHS, abs=1e-8)


def test_returns_are_those_of_each_step() -> None:
    assert returns([100, 110, 99]) == pytest.approx([0.1, -0.1])


def test_after_everything_is_lost_there_are_no_returns() -> None:
    assert returns([100, 0, 50]) == [-1.0]
    assert returns([100, -20, 50]) == pytest.approx([-1.2])


@given(EQUITIES)
def test_returns_compound_to_the_total_return(equity: list[float]) -> None:
    grown = 1.0
    for one in returns(equity):
        grown *= 1 + one
    assert grown - 1 == pytest.approx(total_return(equity), rel=1e-9, abs=1e-9)


def test_a_year_of_crypto_has_365_days() -> None:
    assert periods_per_year(daily([1.0] * 31)) == pytest.approx(365)
    assert periods_per_year([number * DAY // 24 for number in range(721)]) == pytest.approx(365 * 24)


def test_less_than_a_day_is_not_annualised() -> None:
    at = [number * DAY // 48 for number in range(24)]
    told = performance(at, [100.0 + number % 3 for number in range(24)])
    assert periods_per_year(at) is None
    assert (told.sharpe, told.sortino, told.volatility, told.annual_return) == (None, None, None, None)
    assert told.total_return == pytest.approx(0.02)


def test_a_year_is_its_own_annual_return_and_half_a_year_is_squared() -> None:
    assert annual_return(0.2, YEAR) == pytest.approx(0.2)
    assert annual_return(0.1, YEAR // 2) == pytest.approx(0.21)


def test_a_few_days_are_not_compounded_to_a_year_nor_is_a_total_loss() -> None:
    assert annual_return(0.1, 13 * DAY) is None
    assert annual_return(-1.0, YEAR) is None


def test_sharpe_and_volatility_are_mean_and_deviation_scaled_by_time() -> None:
    changes = [0.01, -0.02, 0.03, 0.0]
    assert volatility(changes, 365) == pytest.approx(stdev(changes) * sqrt(365))
    assert sharpe(changes, 365) == pytest.approx(fmean(changes) / stdev(changes) * sqrt(365))
    assert sharpe(changes, 365, risk_free=fmean(changes)) == pytest.approx(0)


def test_equal_returns_have_no_sharpe_ratio() -> None:
    assert sharpe([0.01] * 5, 365) is None
    assert sharpe([0.01], 365) is None


def test_sortino_counts_only_what_falls_short() -> None:
    assert sortino([0.02, -0.01, 0.03, -0.02], 1) == pytest.approx(0.005 / sqrt((0.0001 + 0.0004) / 4))
    assert sortino([0.02, 0.01], 1) is None


def test_moments_of_a_fair_coin_are_known() -> None:
    coin = [1.0, -1.0] * 10
    assert skewness(coin) == pytest.approx(0)
    assert kurtosis(coin) == pytest.approx(1)
    assert skewness([0.0, 0.0, 0.0, 1.0]) == pytest.approx(2 / sqrt(3))


def test_the_deepest_drawdown_is_the_one_that_lost_the_largest_share() -> None:
    equity = [100.0, 80.0, 100.0, 400.0, 330.0, 401.0]
    found = deepest_drawdown(daily(equity), equity)
    assert found is not None
    assert found.depth == pytest.approx(0.2)
    assert (found.loss, found.peak_at, found.trough_at, found.recovered) == (20.0, 0, DAY, 2 * DAY)
    assert found.length == 2 * DAY


def test_a_drawdown_that_lasts_has_no_end_yet() -> None:
    found = deepest_drawdown(daily([1, 3, 2, 1.5, 2.9]), [1, 3, 2, 1.5, 2.9])
    assert found is not None
    assert found.depth == pytest.approx(0.5)
    assert (found.recovered, found.until, found.peak_at, found.trough_at) == (None, 4 * DAY, DAY, 3 * DAY)


def test_the_worst_drawdowns_are_the_deepest_of_all_in_that_order() -> None:
    equity = [100.0, 90.0, 100.0, 80.0, 120.0, 60.0]
    falls = worst_drawdowns(daily(equity), equity, 2)
    assert [fall.depth for fall in falls] == pytest.approx([0.5, 0.2])
    assert [(fall.peak_at, fall.trough_at, fall.recovered) for fall in falls] == [
        (4 * DAY, 5 * DAY, None),
        (2 * DAY, 3 * DAY, 4 * DAY),
    ]


@given(EQUITIES)
def test_the_deepest_of_all_drawdowns_is_the_largest_way_under_water(equity: list[float]) -> None:
    deepest = deepest_drawdown(daily(equity), equity)
    assert (deepest.depth if deepest else 0.0) == pytest.approx(max(underwater(equity)))


def test_what_never_falls_has_no_drawdown() -> None:
    assert deepest_drawdown(daily([1, 1, 2]), [1, 1, 2]) is None
    assert ulcer_index([1, 1, 2]) == 0


@given(EQUITIES)
def test_the_deepest_drawdown_is_the_largest_share_under_water(equity: list[float]) -> None:
    found = deepest_drawdown(daily(equity), equity)
    assert (found.depth if found else 0.0) == pytest.approx(max(underwater(equity)))


def test_the_ulcer_index_is_the_root_of_mean_squared_drawdowns() -> None:
    assert ulcer_index([100, 90, 100, 80]) == pytest.approx(sqrt((0.01 + 0.04) / 4))


def test_calmar_is_annual_return_over_depth() -> None:
    equity = [100.0, 80.0, *[100.0] * 363, 130.0]
    told = performance(daily(equity), equity)
    assert told.calmar == pytest.approx(0.3 / 0.2)


@given(EQUITIES, st.floats(0.1, 10))
def test_the_unit_of_money_changes_no_ratio(equity: list[float], unit: float) -> None:
    one, other = (performance(daily(curve), curve) for curve in (equity, [unit * value for value in equity]))
    assert other.total_return == pytest.approx(one.total_return, abs=1e-9)
    assert other.ulcer_index == pytest.approx(one.ulcer_index, abs=1e-9)


def test_months_end_with_their_last_point_and_begin_where_the_one_before_ended() -> None:
    january, february = 1_706_659_200 * 10**9, 1_706_832_000 * 10**9
    months = monthly([january, january + DAY // 2, february], [100.0, 110.0, 99.0])
    assert [(one.year, one.month) for one in months] == [(2024, 1), (2024, 2)]
    assert [one.change for one in months] == pytest.approx([0.1, -0.1])


@given(EQUITIES)
def test_months_compound_to_the_total_return(equity: list[float]) -> None:
    grown = 1.0
    for month in monthly([number * 9 * DAY for number in range(len(equity))], equity):
        grown *= 1 + month.change
    assert grown - 1 == pytest.approx(total_return(equity), rel=1e-9, abs=1e-9)


def test_trades_add_up() -> None:
    added = tally([(30.0, 10), (-10.0, 20), (-5.0, 30), (15.0, 40)])
    assert (added.count, added.net, added.win_rate) == (4, 30.0, 0.5)
    assert added.profit_factor == pytest.approx(45 / 15)
    assert (added.expectancy, added.average_win, added.average_loss) == (7.5, 22.5, 7.5)
    assert (added.best, added.worst, added.average_held) == (30.0, -10.0, 25)
    assert added.longest_losing_streak == 2


def test_no_trades_have_no_figures_and_no_losses_no_profit_factor() -> None:
    nothing = tally([])
    assert (nothing.win_rate, nothing.expectancy, nothing.best, nothing.average_held) == (None, None, None, None)
    assert tally([(1.0, 1)]).profit_factor is None


@given(NETS)
def test_expectancy_is_what_wins_and_losses_bring_by_their_frequency(nets: list[float]) -> None:
    added = tally((net, 0) for net in nets)
    assert added.net == pytest.approx(sum(nets), rel=1e-9, abs=1e-3)
    assert (added.best, added.worst) == (max(nets, default=None), min(nets, default=None))


def test_turnover_counts_how_often_a_year_the_equity_was_traded() -> None:
    assert turnover(300.0, [100.0, 200.0], YEAR // 2) == pytest.approx(4)
    assert turnover(300.0, [], YEAR) is None
    assert turnover(300.0, [100.0], DAY - 1) is None
