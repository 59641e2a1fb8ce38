"""Incremental indicators against their definitions, computed plainly over the whole series."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quant.indicators import Atr, Ema, Rsi

PRICES = st.lists(st.floats(1.0, 1000.0), min_size=1, max_size=60)
Series = Sequence[float] | NDArray[np.float64]
PERIODS = st.integers(1, 20)


def ema(values: Sequence[float], period: int) -> float:
    """Closed form: each value weighs a*(1-a)^age, the first one what is left of 1."""
    a = 2 / (period + 1)
    x = np.asarray(values)
    ages = np.arange(len(x))[::-1]
    weights = a * (1 - a) ** ages
    weights[0] = (1 - a) ** ages[0]
    return float(weights @ x)


def wilder(values: Series, period: int) -> float:
    """Closed form: the mean of the first `period` values, then as an average with a = 1/period."""
    seed = float(np.mean(values[:period]))
    rest = np.asarray(values[period:])
    ages = np.arange(len(rest))[::-1]
    keep = 1 - 1 / period
    return float(seed * keep ** len(rest) + (keep**ages / period) @ rest) if len(rest) else seed


def rsi(closes: Sequence[float], period: int) -> float:
    changes = np.diff(closes)
    if not len(changes):
        return 50.0
    rises, falls = wilder(np.maximum(changes, 0), period), wilder(np.maximum(-changes, 0), period)
    if not falls:
        return 100.0 if rises else 50.0
    return 100 - 100 / (1 + rises / falls)


def atr(bars: Sequence[tuple[float, float, float]], period: int) -> float:
    high, low, close = np.asarray(bars).T
    previous = np.concatenate([close[:1], close[:-1]])
    ranges = np.max([high - low, abs(high - previous), abs(low - previous)], axis=0)
    return wilder(ranges, period)


@given(PRICES, PERIODS)
def test_ema_is_the_weighted_sum_of_all_values(values: list[float], period: int) -> None:
    average = Ema(period)
    for number, value in enumerate(values, start=1):
        assert average.update(value) == average.value
        assert average.value == pytest.approx(ema(values[:number], period))


@given(PRICES, PERIODS)
def test_rsi_is_the_share_of_rises_in_all_movement(closes: list[float], period: int) -> None:
    strength = Rsi(period)
    for number, close in enumerate(closes, start=1):
        assert strength.update(close) == strength.value
        assert strength.value == pytest.approx(rsi(closes[:number], period), abs=1e-6)


@given(st.lists(st.tuples(*[st.floats(1.0, 1000.0)] * 3).map(sorted), min_size=1, max_size=60), PERIODS)
def test_atr_is_the_smoothed_reach_of_bars_and_the_gaps_between_them(bars: list[list[float]], period: int) -> None:
    highs_lows_closes = [(high, low, close) for low, close, high in bars]
    reach = Atr(period)
    for number, bar in enumerate(highs_lows_closes, start=1):
        assert reach.update(*bar) == reach.value
        assert reach.value == pytest.approx(atr(highs_lows_closes[:number], period))


@pytest.mark.parametrize("period", [1, 2, 14])
def test_warm_comes_with_the_value_that_completes_the_period(period: int) -> None:
    average, reach, strength = Ema(period), Atr(period), Rsi(period)
    strength.update(1.0)
    for number in range(1, period + 3):
        average.update(1.0)
        reach.update(1.0, 1.0, 1.0)
        strength.update(1.0)
        assert average.warm is reach.warm is strength.warm is (number >= period)


@given(PRICES)
def test_rsi_lies_between_nothing_but_falls_and_nothing_but_rises(closes: list[float]) -> None:
    strength = Rsi(5)
    assert all(0 <= strength.update(close) <= 100 for close in closes)


@pytest.mark.parametrize(("closes", "strength"), [([1, 2, 3, 4], 100), ([4, 3, 2, 1], 0), ([5, 5, 5], 50), ([5], 50)])
def test_rsi_at_its_ends(closes: list[float], strength: float) -> None:
    index = Rsi(3)
    assert [index.update(close) for close in closes][-1] == strength


@given(st.floats(0.01, 1e6), PERIODS)
def test_an_average_of_one_price_is_that_price(price: float, period: int) -> None:
    average = Ema(period)
    assert all(average.update(price) == pytest.approx(price) for _ in range(30))


@given(PRICES, PERIODS, st.integers(1, 60))
def test_the_future_cannot_change_an_average(values: list[float], period: int, cut: int) -> None:
    some, all_ = Ema(period), Ema(period)
    assert [some.update(x) for x in values[:cut]] == [all_.update(x) for x in values][:cut]


@pytest.mark.parametrize("indicator", [Ema, Rsi, Atr])
@pytest.mark.parametrize("period", [0, -1])
def test_a_period_below_one_is_no_average(indicator: type[Ema | Rsi | Atr], period: int) -> None:
    with pytest.raises(AssertionError, match="is no average"):
        indicator(period)
