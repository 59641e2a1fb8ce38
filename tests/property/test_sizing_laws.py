"""Laws of sizing: weights sum to one, risks are equal, units do not matter, and no size goes beyond its limit."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from quant.sizing import (
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

shares = st.just(0.0) | st.floats(1e-9, 1)
amounts = st.just(0.0) | st.floats(1e-6, 100)
returns = st.floats(-0.5, 0.5).map(lambda value: round(value, 6))


@st.composite
def covariances(draw: st.DrawFn) -> list[list[float]]:
    """Covariances of returns that all move, of very different sizes, shrunk a little."""
    count, length = draw(st.integers(1, 8)), draw(st.integers(3, 12))
    series = []
    for number in range(count):
        values = draw(st.lists(returns, min_size=length, max_size=length))
        values[number % length] += 1.0
        size = 10.0 ** draw(st.integers(-4, 4))
        series.append([value * size for value in values])
    return shrunk_to_diagonal(covariance(series), draw(st.floats(0.01, 1)))


@st.composite
def bounded(draw: st.DrawFn) -> tuple[list[float], list[float], list[float]]:
    count = draw(st.integers(1, 8))
    pairs = [sorted((draw(shares), draw(shares))) for _ in range(count)]
    weights = draw(st.lists(shares, min_size=count, max_size=count))
    return weights, [low for low, _ in pairs], [high for _, high in pairs]


@given(matrix=covariances())
def test_parity_weights_are_positive_sum_to_one_and_carry_the_same_risk(matrix: list[list[float]]) -> None:
    weights = risk_parity(matrix)
    assert weights is not None
    assert min(weights) > 0
    assert abs(sum(weights) - 1) < 1e-12
    assert max(abs(part - 1 / len(matrix)) for part in risk_contributions(weights, matrix)) < 1e-8


@given(matrix=covariances(), scale=st.floats(1e-6, 1e6))
def test_parity_does_not_depend_on_the_unit_of_all_returns(matrix: list[list[float]], scale: float) -> None:
    scaled = risk_parity([[value * scale for value in row] for row in matrix])
    weights = risk_parity(matrix)
    assert weights is not None
    assert scaled is not None
    assert all(abs(a - b) < 1e-7 * max(a, b) for a, b in zip(weights, scaled, strict=True))


@given(matrix=covariances(), data=st.data())
def test_a_holding_in_units_twice_as_risky_gets_half_the_units(matrix: list[list[float]], data: st.DataObject) -> None:
    chosen = data.draw(st.integers(0, len(matrix) - 1))
    factors = [2.0 if i == chosen else 1.0 for i in range(len(matrix))]
    weights = risk_parity(matrix)
    changed = risk_parity(
        [[value * factors[i] * factors[j] for j, value in enumerate(row)] for i, row in enumerate(matrix)]
    )
    assert weights is not None
    assert changed is not None
    units = [weight * factor for weight, factor in zip(changed, factors, strict=True)]
    assert all(abs(a / sum(units) - b) < 1e-7 for a, b in zip(units, weights, strict=True))


@given(volatilities=st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=10))
def test_inverse_volatility_gives_each_the_same_risk_alone(volatilities: list[float]) -> None:
    weights = inverse_volatility(volatilities)
    risks = [weight * volatility for weight, volatility in zip(weights, volatilities, strict=True)]
    assert abs(sum(weights) - 1) < 1e-12
    assert max(risks) - min(risks) <= 1e-9 * max(risks)


@given(case=bounded())
def test_weights_in_bounds_never_sum_to_more_than_one(case: tuple[list[float], list[float], list[float]]) -> None:
    weights, least, most = case
    given_ = within_bounds(weights, least, most)
    assert sum(given_) <= 1 + 1e-9
    assert all(part <= high + 1e-9 for part, high in zip(given_, most, strict=True))
    if sum(least) <= 1:
        assert all(part >= low - 1e-9 for part, low in zip(given_, least, strict=True))


@given(case=bounded())
def test_all_is_divided_where_bounds_and_wishes_allow(case: tuple[list[float], list[float], list[float]]) -> None:
    weights, least, most = case
    reach = sum(high if weight > 0 else low for weight, low, high in zip(weights, least, most, strict=True))
    expected = 1.0 if sum(least) >= 1 else min(1.0, reach)
    assert abs(sum(within_bounds(weights, least, most)) - expected) < 1e-9


@given(case=bounded())
def test_what_is_within_bounds_stays_as_it_is(case: tuple[list[float], list[float], list[float]]) -> None:
    _, least, most = case
    once = within_bounds(*case)
    if sum(least) < 1 and sum(once) > 1 - 1e-9:
        assert all(abs(a - b) < 1e-7 for a, b in zip(within_bounds(once, least, most), once, strict=True))


@given(case=bounded())
def test_who_wants_more_gets_no_less_under_the_same_bounds(case: tuple[list[float], list[float], list[float]]) -> None:
    weights, least, most = case
    same_least, same_most = [min(least)] * len(weights), [max(most)] * len(weights)
    parts = within_bounds(weights, same_least, same_most)
    ordered = sorted(zip(weights, parts, strict=True))
    assert all(a[1] <= b[1] + 1e-12 for a, b in pairwise(ordered))


@given(volatility=amounts, target=amounts, most=amounts)
def test_an_exposure_never_moves_more_than_its_target_nor_goes_beyond_the_limit(
    volatility: float, target: float, most: float
) -> None:
    exposure = volatility_target(volatility, target, most=most)
    assert 0 <= exposure <= most
    assert exposure * volatility <= target * (1 + 1e-9)


@given(
    equity=st.floats(1e-3, 1e12),
    risk=shares,
    entry=st.floats(1e-6, 1e6),
    stop=st.floats(1e-6, 1e6),
    leverage=amounts,
)
def test_a_stop_never_costs_more_than_was_risked(
    equity: float, risk: float, entry: float, stop: float, leverage: float
) -> None:
    quantity = fixed_fractional(equity, risk, entry, stop, max_leverage=leverage)
    assert quantity >= 0
    assert quantity * abs(entry - stop) <= equity * risk * (1 + 1e-9)
    assert quantity * entry <= equity * leverage * (1 + 1e-9)


@given(wins=st.integers(0, 10_000), losses=st.integers(0, 10_000), payoff=st.floats(0.01, 100), most=shares)
def test_kelly_shrinks_toward_nothing_with_doubt_and_stays_below_its_cap(
    wins: int, losses: int, payoff: float, most: float
) -> None:
    certain, doubtful = (kelly(wins, losses, payoff, prior_trades=prior, most=most) for prior in (0, 100))
    assert 0 <= doubtful <= certain <= most


@given(mean=st.floats(-1, 1), variance=st.floats(0, 1), observations=st.integers(0, 10_000), most=st.floats(0, 100))
def test_leverage_stays_between_nothing_and_its_cap(
    mean: float, variance: float, observations: int, most: float
) -> None:
    certain, doubtful = (kelly_leverage(mean, variance, observations, prior=prior, most=most) for prior in (0, 100))
    assert 0 <= doubtful <= certain <= most
