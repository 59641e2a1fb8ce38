"""How much: weights by risk, and the size of one position."""

from math import inf, sqrt

import pytest

from quant.sizing import (
    annualized,
    covariance,
    fixed_fractional,
    inverse_volatility,
    kelly,
    kelly_leverage,
    risk_contributions,
    risk_parity,
    shrunk_to_diagonal,
    volatility_target,
    within_bounds,
)


def test_covariance_is_that_of_a_sample() -> None:
    assert covariance([[1.0, 2.0, 3.0], [2.0, 4.0, 0.0]]) == [[1.0, -1.0], [-1.0, 4.0]]
    assert covariance([]) == []


def test_shrinking_believes_variances_and_only_part_of_what_moves_together() -> None:
    assert shrunk_to_diagonal([[1.0, 0.8], [0.8, 4.0]], 0.25) == [[1.0, pytest.approx(0.6)], [pytest.approx(0.6), 4.0]]


def test_half_the_volatility_gets_twice_the_weight() -> None:
    assert inverse_volatility([0.1, 0.2]) == pytest.approx([2 / 3, 1 / 3])
    assert inverse_volatility([]) == []


def test_uncorrelated_risk_parity_is_inverse_volatility() -> None:
    assert risk_parity([[0.01, 0.0], [0.0, 0.04]]) == pytest.approx([2 / 3, 1 / 3])


def test_two_holdings_that_move_together_share_the_risk_of_one() -> None:
    weights = risk_parity([[1.0, 0.99, 0.0], [0.99, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert weights is not None
    assert weights[0] == pytest.approx(weights[1])
    assert weights[2] > 1.4 * weights[0]


def test_a_known_solution_with_three_correlations() -> None:
    weights = risk_parity([[1.0, 0.5, 0.2], [0.5, 4.0, -0.6], [0.2, -0.6, 9.0]])
    assert weights is not None
    assert risk_contributions(weights, [[1.0, 0.5, 0.2], [0.5, 4.0, -0.6], [0.2, -0.6, 9.0]]) == pytest.approx(
        [1 / 3] * 3
    )


@pytest.mark.parametrize(
    "covariances",
    [
        [],
        [[0.0]],
        [[1.0, 0.0], [0.0, 0.0]],
        [[inf]],
        [[1.0, -1.0], [-1.0, 1.0]],
        [[1.0, -0.5, -0.5], [-0.5, 1.0, -0.5], [-0.5, -0.5, 1.0]],
        [[1.0, -2.0], [-2.0, 1.0]],
    ],
)
def test_without_risk_or_where_it_cancels_there_is_no_parity(covariances: list[list[float]]) -> None:
    assert risk_parity(covariances) is None


def test_what_carries_no_risk_contributes_none() -> None:
    assert risk_contributions([0.5, 0.5], [[0.0, 0.0], [0.0, 0.0]]) == [0.0, 0.0]


@pytest.mark.parametrize(
    ("weights", "least", "most", "expected"),
    [
        ([0.5, 0.5], [0.0, 0.0], [1.0, 1.0], [0.5, 0.5]),
        ([0.8, 0.1, 0.1], [0.0, 0.0, 0.0], [0.5, 1.0, 1.0], [0.5, 0.25, 0.25]),
        ([0.8, 0.15, 0.05], [0.2, 0.2, 0.2], [1.0, 1.0, 1.0], [0.6, 0.2, 0.2]),
        ([0.5, 0.5], [0.0, 0.0], [0.3, 0.3], [0.3, 0.3]),
        ([0.5, 0.5], [0.9, 0.3], [1.0, 1.0], [0.75, 0.25]),
        ([1.0, 0.0], [0.0, 0.0], [0.5, 0.5], [0.5, 0.0]),
        ([0.0, 0.0], [0.1, 0.2], [1.0, 1.0], [0.1, 0.2]),
    ],
    ids=["inside", "too_much", "too_little", "not_all_is_given", "more_than_there_is", "nothing_wanted", "the_least"],
)
def test_weights_are_brought_into_bounds(
    weights: list[float], least: list[float], most: list[float], expected: list[float]
) -> None:
    assert within_bounds(weights, least, most) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("volatility", "target", "expected"), [(0.2, 0.1, 0.5), (0.05, 0.1, 2.0), (0.01, 0.1, 3.0), (0.0, 0.1, 3.0)]
)
def test_calm_markets_are_held_more_of_up_to_a_limit(volatility: float, target: float, expected: float) -> None:
    assert volatility_target(volatility, target, most=3.0) == pytest.approx(expected)


def test_a_day_of_volatility_is_a_nineteenth_of_a_year() -> None:
    assert annualized(0.02, 86_400) == pytest.approx(0.02 * sqrt(365))


@pytest.mark.parametrize(
    ("equity", "stop", "expected"),
    [
        (10_000.0, 95.0, 20.0),
        (10_000.0, 105.0, 20.0),
        (10_000.0, 99.9, 200.0),
        (10_000.0, 100.0, 200.0),
        (-1.0, 95.0, 0.0),
    ],
    ids=["long", "short", "stop_too_close", "no_distance", "ruined"],
)
def test_a_stopped_position_loses_the_part_that_was_risked(equity: float, stop: float, expected: float) -> None:
    assert fixed_fractional(equity, 0.01, 100.0, stop, max_leverage=2.0) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("wins", "losses", "payoff", "expected"),
    [
        (60, 40, 1.0, 0.1),
        (40, 60, 2.0, 0.05),
        (50, 50, 1.0, 0.0),
        (30, 70, 1.0, 0.0),
        (0, 0, 1.0, 0.0),
        (100, 0, 1.0, 0.25),
    ],
    ids=["kelly", "larger_wins", "even", "losing", "nothing_seen", "capped"],
)
def test_half_of_kelly_is_believed_after_as_many_trades_as_were_assumed(
    wins: int, losses: int, payoff: float, expected: float
) -> None:
    assert kelly(wins, losses, payoff, prior_trades=100, most=0.25) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("mean", "variance", "observations", "expected"),
    [
        (0.002, 0.001, 50, 1.0),
        (-0.002, 0.001, 50, 0.0),
        (0.002, 0.001, 0, 0.0),
        (0.1, 0.001, 50, 3.0),
        (0.1, 0.0, 50, 3.0),
    ],
    ids=["half_believed", "losing", "nothing_seen", "capped", "no_risk"],
)
def test_leverage_grows_with_what_is_earned_for_the_risk(
    mean: float, variance: float, observations: int, expected: float
) -> None:
    assert kelly_leverage(mean, variance, observations, prior=50, most=3.0) == pytest.approx(expected)
