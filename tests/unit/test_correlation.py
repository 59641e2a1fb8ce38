"""How instruments move together, and what that makes of positions in several of them."""

from math import hypot, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.types import InstrumentId, Rail, Side
from quant.correlation import correlation, joint_exposure
from services.risk.correlations import Correlations
from services.risk.settings import RiskSettings
from tests.builders import BTC, ETH, ns, quote
from tests.risk_builders import holding, reasons, sampled, wish

RETURNS = st.floats(-0.1, 0.1).map(lambda x: round(x, 6))
PAIRS = st.lists(st.tuples(RETURNS, RETURNS), min_size=3, max_size=40)
SIZES = st.lists(st.just(0.0) | st.floats(1e-6, 1e6), min_size=1, max_size=6)
LITTLE = RiskSettings(correlation_least=3, correlation_samples=4)


def test_what_moves_alike_is_1_and_what_moves_against_each_other_is_minus_1() -> None:
    rising = [0.1, 0.2, 0.3, 0.5]
    assert correlation(rising, [3 * x - 1 for x in rising]) == pytest.approx(1)
    assert correlation(rising, [-x for x in rising]) == pytest.approx(-1)
    assert correlation([1, -1, 1, -1], [1, 1, -1, -1]) == 0


def test_what_does_not_move_has_no_correlation() -> None:
    assert correlation([0.1, 0.2, 0.3], [0.2, 0.2, 0.2]) is None
    assert correlation([0.1], [0.2]) is None


@given(PAIRS, st.floats(0.01, 100))
def test_a_correlation_is_symmetric_bounded_and_free_of_units(pairs: list[tuple[float, float]], unit: float) -> None:
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    found, back = correlation(xs, ys), correlation(ys, xs)
    assert (found is None) is (back is None)
    if found is not None and back is not None:
        assert -1 <= found <= 1
        assert isclose(found, back, abs_tol=1e-9)
        scaled = correlation([unit * x for x in xs], ys)
        assert scaled is not None
        assert isclose(found, scaled, abs_tol=1e-6)


@given(SIZES)
def test_sizes_sum_when_they_move_together_and_stand_upright_when_they_do_not(sizes: list[float]) -> None:
    assert isclose(joint_exposure(sizes, lambda _i, _j: 1.0), sum(sizes), rel_tol=1e-9, abs_tol=1e-9)
    assert isclose(joint_exposure(sizes, lambda _i, _j: 0.0), hypot(*sizes), rel_tol=1e-9, abs_tol=1e-9)


@given(SIZES, st.floats(0, 1))
def test_a_joint_size_lies_between(sizes: list[float], common: float) -> None:
    joint = joint_exposure(sizes, lambda _i, _j: common)
    assert hypot(*sizes) * (1 - 1e-9) <= joint <= sum(sizes) * (1 + 1e-9)


def shown(correlations: Correlations, prices: list[tuple[float, float]]) -> None:
    """Show two instruments at these prices, one pair in the midst of each minute."""
    quotes: dict[InstrumentId, object] = {}
    for minute, (btc, eth) in enumerate(prices):
        pair = (quote(btc, btc, at=60 * minute + 30), quote(eth, eth, at=60 * minute + 30, instrument=ETH))
        for one in pair:
            if one.ts_init >= correlations.samples.next_at:
                correlations.sample(quotes, one.ts_init)  # type: ignore[arg-type]
            quotes[one.instrument] = one


def test_returns_are_sampled_once_an_interval_from_the_last_prices_in_it() -> None:
    correlations = Correlations(LITTLE)
    shown(correlations, [(100, 10), (110, 10), (121, 10), (121, 20)])
    assert correlations.samples.returns[BTC] == pytest.approx([0.0953101798] * 2)
    assert correlations.samples.returns[ETH] == pytest.approx([0, 0])
    assert correlations.samples.next_at == ns(240)


def test_only_the_last_returns_are_kept() -> None:
    correlations = Correlations(LITTLE)
    shown(correlations, [(100 + minute, 10) for minute in range(20)])
    assert len(correlations.samples.returns[BTC]) == 4


def test_what_is_not_known_yet_counts_whole() -> None:
    correlations = Correlations(LITTLE)
    shown(correlations, [(100, 10), (110, 9), (100, 10)])
    assert correlations.together(BTC, ETH) == 1
    shown(correlations, [(100, 10)])
    assert correlations.together(BTC, InstrumentId("sim.NONE")) == 1


def test_a_hedge_is_no_excuse_and_what_moves_alike_counts() -> None:
    against, alike = Correlations(LITTLE), Correlations(LITTLE)
    shown(against, [(100, 10), (110, 9), (100, 10), (110, 9), (100, 10), (100, 10)])
    shown(alike, [(100, 10), (110, 11), (100, 10), (110, 11), (100, 10), (100, 10)])
    assert against.together(BTC, ETH) == 0
    assert alike.together(ETH, BTC) == pytest.approx(1)


def test_samples_of_another_interval_begin_anew() -> None:
    before, after = Correlations(LITTLE), Correlations(LITTLE.model_copy(update={"correlation_every_s": 30.0}))
    shown(before, [(100, 10), (110, 9), (100, 10)])
    after.restore(before.samples)
    assert (after.samples.returns, after.samples.next_at) == ({}, 0)
    again = Correlations(LITTLE)
    again.restore(before.samples)
    assert again.samples == before.samples


def test_positions_that_move_alike_sum_up() -> None:
    settings = {"max_correlated_exposure": 600, "correlation_least": 4, "correlation_samples": 8}
    alike = sampled([(0.01, 0.01), (0, 0), (0.01, 0.01), (0, 0)])
    against = sampled([(0.01, -0.01), (0, 0), (0.01, -0.01), (0, 0)])
    held, order = holding(Side.BUY, "30", instrument=ETH), wish("x", quantity="4", at=300)
    assert set(reasons(*alike, held, order, **settings)) == {Rail.CORRELATED_EXPOSURE}
    assert set(reasons(held, wish("x", quantity="4"), **settings)) == {Rail.CORRELATED_EXPOSURE}
    assert reasons(*against, held, order, **settings) == {}
