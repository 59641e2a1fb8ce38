"""Laws of filters: the future changes nothing, a kept state goes on, and probabilities are some whatever is shown."""

from dataclasses import replace
from math import isfinite

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.market import Bar
from contracts.models import HiddenMarkovModel, RegimeModel, Vector
from contracts.types import Interval
from quant.features import MOST_SCALED
from quant.hmm import IMPOSSIBLE, FilterState, HmmFilter
from quant.regime import Inference, RegimeFilter, RegimeState, calibrated, entropy, gained
from tests.property.basic_strategies import shares
from tests.property.model_strategies import hidden_markov_models, regime_models
from tests.property.test_features_laws import histories, specs

FEATURES = 2
FILTER_JSON, REGIME_JSON = TypeAdapter(FilterState), TypeAdapter(RegimeState)

models = hidden_markov_models(FEATURES)
usual = st.tuples(*[st.floats(-3, 3)] * FEATURES)
extreme = st.tuples(*[st.floats(-MOST_SCALED, MOST_SCALED)] * FEATURES)
series = st.lists(st.one_of(usual, extreme), max_size=25)
distributions = st.lists(shares, min_size=2, max_size=6).filter(sum).map(lambda s: tuple(one / sum(s) for one in s))


@st.composite
def filters(draw: st.DrawFn) -> RegimeModel:
    """Any model, of windows short enough that a slow one closes within a test."""
    model = draw(regime_models())
    features = model.spec.features
    spec = replace(draw(specs()), interval=Interval.S5, features=features)
    return replace(model, spec=spec, slow=model.slow and replace(model.slow, every=draw(st.integers(2, 3))))


def inferred(model: RegimeModel, history: list[Bar]) -> list[Inference | None]:
    online = RegimeFilter(model)
    return [online.update(one) for one in history]


def is_distribution(probabilities: Vector) -> bool:
    return abs(sum(probabilities) - 1) < 1e-9 and all(0 <= probability <= 1 for probability in probabilities)


@given(model=models, xs=series)
def test_probabilities_stay_a_distribution_and_likelihoods_finite(model: HiddenMarkovModel, xs: list[Vector]) -> None:
    online = HmmFilter(model)
    for x in xs:
        assert IMPOSSIBLE <= online.step(x) < 1e3
        assert is_distribution(online.probabilities)
        assert is_distribution(online.prediction())


@given(model=models, xs=series, cut=st.integers(0, 25))
def test_a_kept_filter_goes_on_as_if_nothing_had_been(model: HiddenMarkovModel, xs: list[Vector], cut: int) -> None:
    whole, before, after = HmmFilter(model), HmmFilter(model), HmmFilter(model)
    said = [(whole.step(x), whole.probabilities) for x in xs]
    for x in xs[:cut]:
        before.step(x)
    after.restore(FILTER_JSON.validate_json(FILTER_JSON.dump_json(before.state())))
    assert [(after.step(x), after.probabilities) for x in xs[cut:]] == said[cut:]


@given(model=filters(), history=histories)
def test_what_was_inferred_is_the_same_with_and_without_the_future(model: RegimeModel, history: list[Bar]) -> None:
    complete = inferred(model, history)
    for cut in range(len(history)):
        assert inferred(model, history[:cut]) == complete[:cut]


@given(model=filters(), history=histories, cut=st.integers(0, 40))
def test_a_kept_regime_goes_on_as_if_nothing_had_been(model: RegimeModel, history: list[Bar], cut: int) -> None:
    before, after = RegimeFilter(model), RegimeFilter(model)
    for one in history[:cut]:
        before.update(one)
    after.restore(REGIME_JSON.validate_json(REGIME_JSON.dump_json(before.state())))
    assert [after.update(one) for one in history[cut:]] == inferred(model, history)[cut:]


@given(model=filters(), history=histories, gain=st.floats(0.01, 10))
def test_every_inference_is_finite_and_its_shares_are_shares(
    model: RegimeModel, history: list[Bar], gain: float
) -> None:
    for made in filter(None, inferred(model, history)):
        assert is_distribution(made.probabilities)
        assert is_distribution(made.calibrated)
        assert is_distribution(made.slow) if model.slow else made.slow == ()
        assert isfinite(made.log_likelihood) and all(map(isfinite, made.observation))
        assert 0 <= made.entropy <= 1
        assert 0 <= made.confidence(gain) <= 1


@given(probabilities=distributions, exponent=st.floats(0.01, 10))
def test_calibration_keeps_the_order_of_states(probabilities: Vector, exponent: float) -> None:
    believed = calibrated(probabilities, exponent)
    assert is_distribution(believed)
    ordered = sorted(zip(probabilities, believed, strict=True))
    assert [one for _, one in ordered] == sorted(believed)


@given(confidences=st.tuples(shares, shares), gains=st.tuples(st.floats(0.01, 10), st.floats(0.01, 10)))
def test_a_gain_keeps_the_order_of_confidences_and_more_of_it_raises_them(
    confidences: tuple[float, float], gains: tuple[float, float]
) -> None:
    (less, more), (low, high) = sorted(confidences), sorted(gains)
    assert 0 <= gained(less, low) <= gained(more, low) + 1e-12
    assert gained(less, low) <= gained(less, high) + 1e-12 <= 1 + 1e-12


@given(probabilities=distributions)
def test_entropy_lies_between_certainty_and_knowing_nothing(probabilities: Vector) -> None:
    assert 0 <= entropy(probabilities) <= 1
