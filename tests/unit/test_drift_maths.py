"""Drift: shares that moved against training, and a likelihood that fell for good."""

from collections.abc import Iterable
from math import log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.models import Bins, Scale
from quant.drift import SIGNIFICANT_PSI, SLIGHT_PSI, PageHinkley, PageHinkleyState, Psi, PsiState

QUARTERS = Bins(edges=(-0.6745, 0.0, 0.6745), shares=(0.25, 0.25, 0.25, 0.25))
USUAL = Scale(center=-2.0, spread=0.5)
VALUES = st.lists(st.floats(-3, 3), max_size=60)


def index_of(values: Iterable[float], window: int, reference: Bins = QUARTERS) -> float | None:
    psi = Psi(reference, window)
    return [psi.update(value) for value in values][-1]


def normal(count: int, *, mean: float = 0.0, deviation: float = 1.0) -> list[float]:
    random = Random(1)  # noqa: S311 # a sample, not a secret
    return [random.gauss(mean, deviation) for _ in range(count)]


def plain(values: list[float], reference: Bins) -> float:
    """Give the index of values by its definition."""
    inner = [float("-inf"), *reference.edges, float("inf")]
    bins, count, total = len(reference.shares), len(values), 0.0
    for number, share in enumerate(reference.shares):
        found = sum(inner[number] < value <= inner[number + 1] for value in values)
        actual = (found + 0.5) / (count + bins / 2)
        expected = (share * count + 0.5) / (count + bins / 2)
        total += (actual - expected) * log(actual / expected)
    return total


def test_the_same_shares_have_an_index_of_0() -> None:
    assert index_of([-1.0, -0.3, 0.3, 1.0] * 5, window=20) == 0.0


def test_a_sample_of_the_same_population_is_stable_and_one_of_another_is_not() -> None:
    same, moved = index_of(normal(500), window=500), index_of(normal(500, mean=1.0), window=500)
    assert same is not None and moved is not None
    assert same < SLIGHT_PSI < SIGNIFICANT_PSI < moved


def test_an_empty_bin_is_far_off_but_finite() -> None:
    index = index_of([5.0] * 100, window=100)
    assert index is not None
    assert SIGNIFICANT_PSI < index < 10


def test_a_bin_that_training_never_filled_is_no_division_by_nothing() -> None:
    never = Bins(edges=(0.0,), shares=(1.0, 0.0))
    assert index_of([-1.0] * 50, window=50, reference=never) == 0.0
    index = index_of([1.0] * 50, window=50, reference=never)
    assert index is not None and index > SIGNIFICANT_PSI


def test_a_value_at_an_edge_lies_below_it() -> None:
    assert index_of([-0.6745, 0.0, 0.6745, 1.0], window=4) == 0.0


def test_nothing_is_said_before_the_window_is_full() -> None:
    psi = Psi(QUARTERS, 5)
    assert [psi.update(0.1) is not None for _ in range(7)] == [False] * 4 + [True] * 3


@given(values=VALUES, window=st.integers(1, 20))
def test_the_index_is_that_of_the_last_values_only(values: list[float], window: int) -> None:
    psi = Psi(QUARTERS, window)
    for number, value in enumerate(values, start=1):
        index = psi.update(value)
        assert (index is None) is (number < window)
        if index is not None:
            assert index == pytest.approx(plain(values[number - window : number], QUARTERS), abs=1e-12)


@given(values=VALUES, window=st.integers(1, 20), cut=st.integers(0, 60))
def test_a_kept_index_goes_on_as_if_nothing_had_been(values: list[float], window: int, cut: int) -> None:
    as_json = TypeAdapter(PsiState)
    whole, before, after = (Psi(QUARTERS, window) for _ in range(3))
    expected = [whole.update(value) for value in values]
    for value in values[:cut]:
        before.update(value)
    after.restore(as_json.validate_json(as_json.dump_json(before.state())))
    assert [after.update(value) for value in values[cut:]] == expected[cut:]


def page_hinkley(zs: Iterable[float], *, tolerance: float = 0.25, most: float = 4.0) -> list[float]:
    """Feed likelihoods that are `zs` deviations from the usual one."""
    watch = PageHinkley(USUAL, tolerance=tolerance, most=most)
    return [watch.update(USUAL.center + z * USUAL.spread) for z in zs]


def test_a_usual_likelihood_never_adds_up() -> None:
    assert max(page_hinkley(normal(5_000))) < 25


def test_a_fall_adds_up_by_what_it_exceeds_the_tolerance() -> None:
    assert page_hinkley([0.0] * 10 + [-1.0] * 10)[-1] == pytest.approx(10 * 0.75)


def test_what_is_better_than_usual_is_no_drift_and_cannot_be_saved_up() -> None:
    assert page_hinkley([3.0] * 50)[-1] == 0.0
    assert page_hinkley([3.0] * 50 + [-1.0] * 4)[-1] == pytest.approx(4 * 0.75)


def test_one_outlier_is_no_drift() -> None:
    assert page_hinkley([0.0] * 5 + [-1e6])[-1] == pytest.approx(4.0 - 0.25)
    assert page_hinkley([0.0] * 5 + [-1e6] + [0.0] * 20)[-1] == 0.0


def test_it_is_the_sum_of_falls_above_its_own_least() -> None:
    zs = normal(300, mean=-0.2)
    sums = [0.0]
    for z in zs:
        sums.append(sums[-1] - max(-4.0, min(4.0, z)) - 0.25)
    by_definition = [sums[n] - min(sums[: n + 1]) for n in range(1, len(sums))]
    assert page_hinkley(zs) == pytest.approx(by_definition, abs=1e-9)


@given(zs=VALUES, cut=st.integers(0, 60))
def test_a_kept_watch_goes_on_as_if_nothing_had_been(zs: list[float], cut: int) -> None:
    as_json = TypeAdapter(PageHinkleyState)
    before, after = (PageHinkley(Scale(center=0.0, spread=1.0), tolerance=0.1) for _ in range(2))
    whole = PageHinkley(Scale(center=0.0, spread=1.0), tolerance=0.1)
    expected = [whole.update(z) for z in zs]
    for z in zs[:cut]:
        before.update(z)
    after.restore(as_json.validate_json(as_json.dump_json(before.state())))
    assert [after.update(z) for z in zs[cut:]] == expected[cut:]
    assert after.updates == len(zs[:cut]) + len(zs[cut:])
