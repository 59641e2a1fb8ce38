"""The figures of a report against quantstats, on returns of several kinds; where definitions differ it is said how."""

import warnings
from collections.abc import Callable, Iterator
from math import isnan, sin, sqrt
from types import ModuleType

import pandas as pd
import pytest

from quant.benchmark import relation
from quant.chance import stream
from quant.performance import DAY, Performance, monthly, performance, returns, tally, worst_drawdowns
from quant.tails import Tails, expected_shortfall, normal_value_at_risk, positive, tail_ratio

YEAR = 365
BEGIN = 18_628
"""2021-01-01 in days since 1970."""


def random_walk(count: int, drift: float, spread: float, name: str) -> list[float]:
    chance = stream(7, name)
    return [drift + spread * chance.normal() for _ in range(count)]


def jumpy(count: int) -> list[float]:
    """Give quiet days with a crash or a rally in every fiftieth."""
    chance = stream(3, "jumps")
    jumps = [0.12 if chance.uniform() > 0.6 else -0.15 for _ in range(count)]
    return [jumps[number] if number % 50 == 49 else 0.01 * chance.normal() for number in range(count)]


SERIES: dict[str, list[float]] = {
    "random": random_walk(500, 0.0, 0.02, "random"),
    "trending": random_walk(800, 0.004, 0.01, "trending"),
    "falling": random_walk(300, -0.006, 0.03, "falling"),
    "mostly flat": [change if n % 3 == 0 else 0.0 for n, change in enumerate(random_walk(400, 0.001, 0.02, "flat"))],
    "with jumps": jumpy(450),
    "a wave": [0.02 * sin(1.7 * n) + 0.001 * (n % 7 - 2) for n in range(200)],
    "losing nearly all": [0.01, *(-0.2 + 0.01 * sin(n) for n in range(60))],
}


@pytest.fixture(scope="module")
def stats() -> Iterator[ModuleType]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from quantstats import stats as module  # noqa: PLC0415 # takes seconds

        yield module


@pytest.fixture(params=SERIES)
def changes(request: pytest.FixtureRequest) -> list[float]:
    return SERIES[request.param]


def series(changes: list[float]) -> pd.Series:
    return pd.Series(changes, index=pd.date_range("2021-01-02", periods=len(changes), freq="D"), dtype=float)


def curve(changes: list[float]) -> tuple[list[int], list[float]]:
    equity = [1_000.0]
    for change in changes:
        equity.append(equity[-1] * (1 + change))
    return [(BEGIN + number) * DAY for number in range(len(equity))], equity


def measured(changes: list[float]) -> Performance:
    return performance(*curve(changes))


def deepest(told: Performance) -> float:
    return told.drawdown.depth if told.drawdown else 0.0


Figure = tuple[Callable[[Performance], float | None], Callable[[ModuleType, pd.Series], float]]

FIGURES: dict[str, Figure] = {
    "Sharpe ratio": (lambda told: told.sharpe, lambda qs, made: qs.sharpe(made, periods=YEAR)),
    "Sortino ratio": (lambda told: told.sortino, lambda qs, made: qs.sortino(made, periods=YEAR)),
    "Calmar ratio": (lambda told: told.calmar, lambda qs, made: qs.calmar(made, periods=YEAR)),
    "annual return": (lambda told: told.annual_return, lambda qs, made: qs.cagr(made, periods=YEAR)),
    "total return": (lambda told: told.total_return, lambda qs, made: qs.comp(made)),
    "volatility": (lambda told: told.volatility, lambda qs, made: qs.volatility(made, periods=YEAR)),
    "max drawdown": (
        lambda told: -deepest(told),
        lambda qs, made: qs.max_drawdown(made),
    ),
    "best return": (lambda told: told.best, lambda qs, made: qs.best(made)),
    "worst return": (lambda told: told.worst, lambda qs, made: qs.worst(made)),
}


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_that_of_quantstats(figure: str, changes: list[float], stats: ModuleType) -> None:
    ours, theirs = FIGURES[figure]
    assert ours(measured(changes)) == pytest.approx(theirs(stats, series(changes)), rel=1e-9)


def test_the_tails_are_those_of_quantstats(changes: list[float], stats: ModuleType) -> None:
    made = series(changes)
    assert normal_value_at_risk(changes) == pytest.approx(stats.value_at_risk(made), rel=1e-9)
    assert expected_shortfall(changes) == pytest.approx(stats.cvar(made, method="historical"), rel=1e-9)
    assert positive(changes) == pytest.approx(stats.win_rate(made))
    theirs = stats.tail_ratio(made)
    assert tail_ratio(changes) == (None if isnan(theirs) else pytest.approx(theirs, rel=1e-9))
    assert Tails.of(changes).value_at_risk == pytest.approx(made.quantile(0.05), rel=1e-9)


def test_what_trades_won_and_lost_is_counted_as_quantstats_counts_returns(
    changes: list[float], stats: ModuleType
) -> None:
    moved = [change for change in changes if change]
    told, made = tally((change, 0) for change in moved), series(moved)
    assert told.win_rate == pytest.approx(stats.win_rate(made))
    assert told.average_win == (None if not told.wins else pytest.approx(stats.avg_win(made)))
    assert -(told.average_loss or 0.0) == pytest.approx(stats.avg_loss(made))
    assert told.profit_factor == pytest.approx(stats.profit_factor(made))
    assert told.longest_losing_streak == stats.consecutive_losses(made)


def test_months_are_those_of_quantstats(changes: list[float], stats: ModuleType) -> None:
    table = stats.monthly_returns(series(changes), eoy=False)
    theirs = [change for row in table.to_numpy().tolist() for change in row]
    ours = {(month.year, month.month): month.change for month in monthly(*curve(changes))}
    first = int(table.index[0])
    told = [ours.get((first + n // 12, n % 12 + 1), 0.0) for n in range(len(theirs))]
    assert told == pytest.approx(theirs, abs=1e-12)


def test_the_worst_drawdowns_are_those_of_quantstats(changes: list[float], stats: ModuleType) -> None:
    details = stats.drawdown_details(stats.to_drawdown_series(series(changes)))
    worst = details.sort_values("max drawdown").head(5)
    ours = worst_drawdowns(*curve(changes))
    assert [-100 * fall.depth for fall in ours] == pytest.approx(worst["max drawdown"].tolist(), rel=1e-9)
    days = [pd.Timestamp(fall.trough_at).strftime("%Y-%m-%d") for fall in ours]
    assert days == worst["valley"].tolist()


def test_beta_alpha_and_the_information_ratio_are_those_of_quantstats(changes: list[float], stats: ModuleType) -> None:
    noise = random_walk(len(changes), 0.0, 0.01, "market")
    market = [0.6 * change + other for change, other in zip(changes, noise, strict=True)]
    told, greeks = relation(changes, market, YEAR), stats.greeks(series(changes), series(market), periods=YEAR)
    assert told.beta == pytest.approx(greeks["beta"], rel=1e-9)
    assert told.alpha == pytest.approx(greeks["alpha"], rel=1e-9)
    assert told.correlation is not None
    assert told.correlation**2 == pytest.approx(stats.r_squared(series(changes), series(market)), rel=1e-9)
    theirs = stats.information_ratio(series(changes), series(market)) * sqrt(YEAR)
    assert told.information_ratio == pytest.approx(theirs, rel=1e-9)


def test_skewness_and_kurtosis_differ_by_the_correction_of_their_bias(changes: list[float], stats: ModuleType) -> None:
    told, count = measured(changes), len(changes)
    assert told.skewness is not None and told.kurtosis is not None
    skewness = told.skewness * sqrt(count * (count - 1)) / (count - 2)
    excess = (count - 1) / ((count - 2) * (count - 3)) * ((count + 1) * (told.kurtosis - 3) + 6)
    assert skewness == pytest.approx(stats.skew(series(changes)), rel=1e-7, abs=1e-9)
    assert excess == pytest.approx(stats.kurtosis(series(changes)), rel=1e-7, abs=1e-9)


def test_the_ulcer_index_differs_by_what_it_is_divided_by(changes: list[float], stats: ModuleType) -> None:
    count = len(changes)
    theirs = stats.ulcer_index(series(changes)) * sqrt((count - 1) / (count + 1))
    assert measured(changes).ulcer_index == pytest.approx(theirs, rel=1e-9)


def test_one_day_says_what_it_can_and_no_more(stats: ModuleType) -> None:
    told = measured([0.03])
    assert told.total_return == pytest.approx(stats.comp(series([0.03])))
    assert (told.annual_return, told.sharpe, told.volatility, told.skewness) == (None, None, None, None)
    assert (told.best, told.worst) == pytest.approx((0.03, 0.03))
    assert told.drawdown is None


def test_a_day_that_loses_all_ends_the_returns_and_is_a_drawdown_of_all(stats: ModuleType) -> None:
    changes = [0.01, -0.02, -1.0, 0.05]
    at, equity = curve(changes)
    told = performance(at, equity)
    assert returns(equity) == pytest.approx(changes[:3])
    assert told.drawdown is not None
    assert -told.drawdown.depth == pytest.approx(stats.max_drawdown(series(changes[:3])))
    assert (told.total_return, told.annual_return) == (-1.0, None)


def test_a_wrong_figure_would_be_found(stats: ModuleType) -> None:
    changes = SERIES["random"]
    ours, theirs = FIGURES["Sharpe ratio"]
    shifted = [change + 1e-6 for change in changes]
    assert ours(measured(shifted)) != pytest.approx(theirs(stats, series(changes)), rel=1e-9)
