"""Features against their definitions, computed plainly over the whole history."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import erf, log, sqrt
from random import Random

import numpy as np
import pytest

from contracts.market import Bar
from contracts.models import Feature, FeatureSpec, Scale, Vector
from contracts.types import Interval
from quant.features import LEAST_VOLATILITY, MOST_SCALED, MOST_VOLUME, Features, observations, scaled
from tests.builders import bar

LOOKBACK = 5
ALL = tuple(Feature)


def spec(*features: Feature, window: int = 4, lookback: int = LOOKBACK) -> FeatureSpec:
    return FeatureSpec(interval=Interval.S5, window=window, lookback=lookback, features=features or ALL)


def walk(count: int, *, first: int = 0, seed: int = 1, moves: Callable[[Random], float] | None = None) -> list[Bar]:
    """Wander about from the `first`-th bar on, with volumes from nothing to much."""
    random = Random(seed)  # noqa: S311 # a market, not a secret
    made, price = [], 100.0
    for number in range(first, first + count):
        price *= 1 + (random.gauss(0, 0.001) if moves is None else moves(random))
        reach = price * 0.001 * random.random()
        one = bar(price, number=number, high=price + reach, low=price - reach)
        made.append(replace(one, volume=random.choice([0.0, 1.0, random.expovariate(0.1)])))
    return made


def shown(of: FeatureSpec, history: Sequence[Bar]) -> list[Vector]:
    features = Features(of)
    return [made for one in history if (made := features.update(one)) is not None]


def last(of: FeatureSpec, history: Sequence[Bar]) -> float:
    return shown(of, history)[-1][0]


def weights(count: int, period: int) -> list[float]:
    """Give what each of `count` values weighs: a mean of all as long as they are few, exponential then."""
    steps = [max(1 / number, 2 / (period + 1)) for number in range(1, count + 1)]
    return [step * float(np.prod([1 - later for later in steps[place + 1 :]])) for place, step in enumerate(steps)]


def mean_and_deviation(values: Sequence[float], period: int) -> tuple[float, float]:
    of = np.asarray(weights(len(values), period))
    mean = float(of @ np.asarray(values))
    return mean, sqrt(float(of @ (np.asarray(values) - mean) ** 2))


def windows_of(history: Sequence[Bar], size: int) -> list[Sequence[Bar]]:
    return [history[begin : begin + size] for begin in range(0, len(history), size)]


@pytest.fixture
def history() -> list[Bar]:
    return walk(4 * 12)


@pytest.fixture
def returns(history: list[Bar]) -> list[float]:
    """Of whole windows of 4 bars; the first has no price before it."""
    closes = [window[-1].close for window in windows_of(history, 4)]
    return [log(close / before) for before, close in pairwise(closes)]


def test_a_log_return_is_from_the_close_of_the_window_before(history: list[Bar]) -> None:
    assert last(spec(Feature.LOG_RETURN), history) == pytest.approx(log(history[47].close / history[43].close))


def test_volatility_is_the_logarithm_of_what_the_bars_of_the_window_realised(history: list[Bar]) -> None:
    squares = sum(log(history[n].close / history[n - 1].close) ** 2 for n in range(44, 48))
    assert last(spec(Feature.VOLATILITY), history) == pytest.approx(log(sqrt(squares)))


def test_the_volatility_of_a_window_of_one_bar_comes_from_its_range(history: list[Bar]) -> None:
    parkinson = log(history[-1].high / history[-1].low) / sqrt(4 * log(2))
    assert last(spec(Feature.VOLATILITY, window=1), history) == pytest.approx(log(parkinson))


def test_a_price_that_stands_still_has_the_least_volatility() -> None:
    still = [bar(100.0, number=number) for number in range(12)]
    assert last(spec(Feature.VOLATILITY), still) == log(LEAST_VOLATILITY)
    assert last(spec(Feature.VOLATILITY, window=1), still) == log(LEAST_VOLATILITY)


def test_volume_is_told_in_deviations_from_that_of_the_windows_before(history: list[Bar]) -> None:
    volumes = [log(1 + sum(one.volume for one in window)) for window in windows_of(history, 4)]
    mean, deviation = mean_and_deviation(volumes[1:-1], LOOKBACK)
    expected = (volumes[-1] - mean) / sqrt(deviation**2 + 0.05**2)
    assert last(spec(Feature.VOLUME), history) == pytest.approx(expected)


def test_imbalance_is_what_was_bought_less_what_was_sold_as_moves_tell(history: list[Bar]) -> None:
    changes = [log(one.close / before.close) for before, one in pairwise(history)]
    signed = 0.0
    for number in range(44, 48):
        _, deviation = mean_and_deviation(changes[: number - 1], 4 * LOOKBACK)
        signed += history[number].volume * erf(changes[number - 1] / deviation / sqrt(2))
    expected = signed / sum(one.volume for one in history[44:48])
    assert last(spec(Feature.IMBALANCE), history) == pytest.approx(expected)


def test_all_that_trades_while_the_price_rises_for_the_first_time_was_bought() -> None:
    still = [bar(100.0, number=number) for number in range(28)]
    rising = [bar(101.0, number=28), *(bar(101.0, number=number) for number in range(29, 32))]
    assert last(spec(Feature.IMBALANCE), [*still, *rising]) == pytest.approx(0.25)


def test_a_window_without_trades_is_balanced() -> None:
    silent = [replace(one, volume=0.0) for one in walk(40)]
    assert last(spec(Feature.IMBALANCE), silent) == 0.0


def test_trend_is_the_mean_return_over_its_size_and_standard_normal_without_one(
    history: list[Bar], returns: list[float]
) -> None:
    mean, deviation = mean_and_deviation(returns, LOOKBACK)
    expected = sqrt(LOOKBACK) * mean / sqrt(mean**2 + deviation**2)
    assert last(spec(Feature.TREND), history) == pytest.approx(expected)


def test_without_a_trend_trend_has_mean_0_and_deviation_1() -> None:
    values = np.asarray(shown(spec(Feature.TREND, window=1, lookback=30), walk(6_000)))
    assert abs(values.mean()) < 0.15
    assert values.std() == pytest.approx(1.0, abs=0.15)


def test_trend_points_where_the_price_goes() -> None:
    up = walk(60, moves=lambda random: 0.001 + random.gauss(0, 1e-5))
    down = walk(60, moves=lambda random: -0.001 + random.gauss(0, 1e-5))
    assert last(spec(Feature.TREND), up) == pytest.approx(sqrt(LOOKBACK), rel=1e-3)
    assert last(spec(Feature.TREND), down) == pytest.approx(-sqrt(LOOKBACK), rel=1e-3)


def test_features_come_in_the_order_that_was_asked_for(history: list[Bar]) -> None:
    asked = (Feature.TREND, Feature.LOG_RETURN, Feature.VOLUME)
    alone = [last(spec(feature), history) for feature in asked]
    assert list(shown(spec(*asked), history)[-1]) == alone


def test_one_observation_comes_of_each_window_and_windows_begin_at_whole_multiples_of_their_length() -> None:
    features = Features(spec(Feature.LOG_RETURN))
    closed = [one.ts_close for one in walk(21, first=2) if features.update(one) is not None]
    assert closed == [bar(1.0, number=number).ts_close for number in (7, 11, 15, 19)]


@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("features", [(Feature.VOLATILITY,), ALL])
def test_the_warm_up_is_enough_wherever_it_begins_and_some_beginnings_need_it(
    features: tuple[Feature, ...], first: int
) -> None:
    needs = Features(spec(*features)).warm_up
    many = [number for number in range(1, needs + 1) if shown(spec(*features), walk(number, first=first))]
    assert many
    assert many[0] == needs - first
    assert needs == (8 if features == (Feature.VOLATILITY,) else 28)


def test_a_bar_that_was_there_already_changes_nothing(history: list[Bar]) -> None:
    doubled = [one for one in history for _ in range(2)]
    assert shown(spec(), doubled) == shown(spec(), history)


def test_a_missing_bar_begins_everything_anew(history: list[Bar]) -> None:
    after = history[21:]
    assert shown(spec(), [*history[:20], *after]) == shown(spec(), after)
    assert len(shown(spec(), after)) < len(shown(spec(), history))


def test_a_step_back_in_time_begins_everything_anew(history: list[Bar]) -> None:
    features = Features(spec())
    for one in history:
        features.update(one)
    again = [made for one in history if (made := features.update(one)) is not None]
    assert again == shown(spec(), history)
    assert features.since == history[0].ts_open


def test_bars_of_another_interval_are_the_callers_mistake(history: list[Bar]) -> None:
    with pytest.raises(AssertionError, match="5s bars among 1m ones"):
        Features(replace(spec(), interval=Interval.M1)).update(history[0])


def test_a_huge_jump_and_a_huge_volume_are_told_within_bounds() -> None:
    history = [*walk(40), *(replace(bar(1e9, number=number), volume=1e12) for number in range(40, 44))]
    change, volatility, volume, imbalance, trend = shown(spec(), history)[-1]
    assert change == pytest.approx(log(1e9 / history[39].close))
    assert volatility == pytest.approx(log(change), rel=1e-3)
    assert volume == MOST_VOLUME
    assert imbalance == pytest.approx(0.25)
    assert abs(trend) <= sqrt(LOOKBACK)


def test_scaled_features_are_deviations_from_the_center_within_bounds() -> None:
    scaler = (Scale(center=1.0, spread=2.0), Scale(center=0.0, spread=1e-300))
    assert scaled((5.0, 1.0), scaler) == (2.0, MOST_SCALED)
    assert scaled((-3.0, -1.0), scaler) == (-2.0, -MOST_SCALED)


def test_training_sees_what_is_seen_live(history: list[Bar]) -> None:
    live = Features(spec())
    said = [(one.ts_close, one.close, made) for one in history if (made := live.update(one)) is not None]
    trained = observations(spec(), history)
    assert trained.values.shape == (len(said), len(ALL))
    assert list(zip(trained.closed_at, trained.close, map(tuple, trained.values), strict=True)) == said


def test_a_history_without_observations_has_none() -> None:
    assert observations(spec(), walk(3)).values.shape == (0, len(ALL))
