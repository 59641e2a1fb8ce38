"""The ends of returns, and what they are beside a benchmark: closed forms, and laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.benchmark import Relation, relation
from quant.tails import (
    Tails,
    expected_shortfall,
    normal_value_at_risk,
    positive,
    quantile,
    tail_ratio,
    value_at_risk,
)

RETURNS = st.lists(st.floats(-0.5, 0.5), min_size=20, max_size=80)
EVEN = [number / 100 for number in range(-50, 51)]


def test_a_quantile_lies_between_its_neighbours() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0, 2.0], 0.25) == pytest.approx(1.25)
    assert (quantile([4.0, 7.0], 0.0), quantile([4.0, 7.0], 1.0)) == (4.0, 7.0)


def test_of_even_returns_the_twentieth_part_is_below_the_value_at_risk() -> None:
    assert value_at_risk(EVEN) == pytest.approx(-0.45)
    assert expected_shortfall(EVEN) == pytest.approx(-0.475)
    assert tail_ratio(EVEN) == pytest.approx(1.0)


def test_few_returns_have_no_tails() -> None:
    assert Tails.of([0.01, -0.01]) == Tails(None, None, None, None, 0.5)
    assert normal_value_at_risk([0.01] * 30) is None
    assert tail_ratio([0.0] * 30) is None


def test_periods_that_did_not_move_are_no_losses() -> None:
    assert positive([0.1, 0.0, 0.0, -0.1, 0.2]) == pytest.approx(2 / 3)
    assert positive([0.0]) is None


@given(RETURNS)
def test_the_shortfall_is_never_better_than_the_value_at_risk(changes: list[float]) -> None:
    shortfall, border = expected_shortfall(changes), value_at_risk(changes)
    assert shortfall is not None and border is not None
    assert min(changes) - 1e-12 <= shortfall <= border + 1e-12


@given(RETURNS, st.floats(-3, 3), st.floats(-0.01, 0.01))
def test_a_line_of_the_benchmark_has_its_slope_and_its_height(market: list[float], slope: float, height: float) -> None:
    told = relation([slope * change + height for change in market], market, 365)
    if told.beta is None or max(market) - min(market) < 1e-3:
        return
    assert told.beta == pytest.approx(slope, abs=1e-6)
    assert told.alpha == pytest.approx(height * 365, abs=1e-4)


def test_a_benchmark_that_never_moves_tells_nothing() -> None:
    assert relation([0.1, 0.2], [0.0, 0.0], 365) == Relation(None, None, None, None, None)


def test_below_a_day_only_what_needs_no_year_is_told() -> None:
    told = relation([0.1, -0.1, 0.3], [0.1, -0.2, 0.2], None)
    assert told.beta is not None and told.correlation is not None
    assert (told.alpha, told.information_ratio, told.tracking_error) == (None, None, None)
