"""From bars to regimes: what is inferred when a window closes, what the slow state adds, and how far to trust it."""

from dataclasses import replace
from math import log

import pytest

from contracts.market import Bar
from contracts.models import Feature, RegimeModel
from quant.features import Features, scaled
from quant.hmm import HmmFilter, mixed
from quant.regime import Inference, RegimeFilter, calibrated, entropy, gained, slow_spec
from tests.regime_builders import moving, regime_model, slow_model, spec

UP_AND_DOWN = [2.0] * 8 + [-2.0] * 8 + [2.0, -2.0] * 8


def inferred(model: RegimeModel, history: list[Bar]) -> list[Inference]:
    online = RegimeFilter(model)
    return [made for one in history if (made := online.update(one)) is not None]


def test_a_regime_shows_itself_and_a_turn_is_noticed() -> None:
    model = regime_model()
    up, down = model.fast.labels.index("rising"), model.fast.labels.index("falling")
    said = inferred(model, moving([2.0] * 8 + [-2.0] * 8))
    assert said[6].likeliest == up and said[6].probabilities[up] > 0.99
    assert said[-1].likeliest == down and said[-1].probabilities[down] > 0.99


def test_an_inference_tells_the_window_it_is_of() -> None:
    history = moving(UP_AND_DOWN)
    last = inferred(regime_model(), history)[-1]
    assert (last.closed_at, last.close) == (history[-1].ts_close, history[-1].close)
    assert last.observation == pytest.approx((-2.0,), abs=0.01)


def test_an_inference_is_what_the_filter_says_of_scaled_features() -> None:
    model, history = regime_model(), moving(UP_AND_DOWN)
    features, plain = Features(model.spec), HmmFilter(model.fast)
    shown = [raw for one in history if (raw := features.update(one)) is not None]
    expected = [(plain.step(scaled(raw, model.scaler)), plain.probabilities) for raw in shown]
    assert [(made.log_likelihood, made.probabilities) for made in inferred(model, history)] == expected


def test_what_no_state_explains_is_improbable_and_the_next_usual_thing_is_not() -> None:
    shock = moving([2.0] * 6 + [80.0] + [2.0])
    *_, before, at, after = inferred(regime_model(), shock)
    assert [before.improbable, at.improbable, after.improbable] == [False, True, False]


def test_no_shock_leaves_probabilities_that_are_none() -> None:
    quiet = moving([0.0] * 4)
    price = quiet[-1].close
    leap = replace(quiet[-1], close=price * 1e12, high=price * 1e12)
    *_, last = inferred(regime_model(), [*quiet[:-1], leap])
    assert last.improbable
    assert sum(last.probabilities) == pytest.approx(1.0)


def test_a_break_in_the_bars_begins_the_regime_anew() -> None:
    history = moving(UP_AND_DOWN)
    after = history[13:]
    broken = [*history[:10], *after]
    assert inferred(regime_model(slow=slow_model()), broken)[-len(after) + 1 :] == inferred(
        regime_model(slow=slow_model()), after
    )


def test_a_slow_model_observes_windows_that_are_as_many_times_longer() -> None:
    assert slow_spec(spec(window=3), 4) == spec(window=12)


def test_the_slow_state_before_a_window_conditions_what_is_expected_of_it() -> None:
    slow = slow_model(every=4)
    model, history = regime_model(slow=slow), moving(UP_AND_DOWN)
    fast, slow_filter = HmmFilter(model.fast), HmmFilter(slow.model)
    fast_features, slow_features = Features(model.spec), Features(slow_spec(model.spec, slow.every))
    transitions, expected = None, []
    for one in history:
        raw = fast_features.update(one)
        likelihood = None if raw is None else fast.step(scaled(raw, model.scaler), transitions)
        if (slow_raw := slow_features.update(one)) is not None:
            slow_filter.step(scaled(slow_raw, slow.scaler))
            transitions = mixed(slow_filter.probabilities, slow.transitions)
        if likelihood is not None:
            expected.append((likelihood, fast.probabilities, slow_filter.probabilities))
    said = [(made.log_likelihood, made.probabilities, made.slow) for made in inferred(model, history)]
    assert said == expected
    assert transitions is not None


def test_a_restless_slow_state_makes_a_turn_believed_sooner() -> None:
    slow = slow_model(every=4)
    still, restless = slow.transitions
    calm, wild = (replace(slow, transitions=(both, both)) for both in (still, restless))
    history = moving([2.0] * 12 + [-1.0])
    falling = 0
    (a, b) = (inferred(regime_model(slow=of), history)[-1].probabilities[falling] for of in (calm, wild))
    assert b > a


def test_the_slow_state_is_where_it_starts_until_a_slow_window_has_closed() -> None:
    model = regime_model(slow=slow_model(every=4))
    said = inferred(model, moving(UP_AND_DOWN))
    assert said[0].slow == (0.5, 0.5)
    assert said[-1].slow != (0.5, 0.5)


def test_without_a_slow_model_nothing_is_said_of_one() -> None:
    assert inferred(regime_model(), moving(UP_AND_DOWN))[-1].slow == ()


@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("every", [1, 2, 4])
def test_the_warm_up_is_enough_for_an_inference_that_knows_the_slow_state(every: int, first: int) -> None:
    online = RegimeFilter(regime_model(of=spec(Feature.TREND), slow=slow_model(every=every)))
    state = online.state().slow
    assert state is not None
    for one in moving(UP_AND_DOWN[: online.warm_up], first=first):
        online.update(one)
    kept = online.state().slow
    assert kept is not None and kept.filter.begun


def test_the_state_of_another_model_is_not_gone_on_from() -> None:
    with pytest.raises(AssertionError, match="of another model"):
        RegimeFilter(regime_model()).restore(RegimeFilter(regime_model(slow=slow_model())).state())


@pytest.mark.parametrize(("exponent", "expected"), [(1.0, (0.8, 0.2)), (2.0, (16 / 17, 1 / 17)), (0.5, (2 / 3, 1 / 3))])
def test_an_exponent_draws_probabilities_together_or_apart(exponent: float, expected: tuple[float, float]) -> None:
    assert calibrated((0.8, 0.2), exponent) == pytest.approx(expected)


def test_only_calibrated_probabilities_are_a_confidence() -> None:
    history = moving([2.0, -2.0, 0.3])
    modest = inferred(regime_model(exponent=0.5), history)[-1]
    proud = inferred(regime_model(exponent=1.0), history)[-1]
    assert modest.probabilities == proud.probabilities
    assert modest.confidence() == max(modest.calibrated) < proud.confidence() == max(proud.probabilities)


@pytest.mark.parametrize(
    ("confidence", "gain", "expected"),
    [(0.5, 1.0, 0.5), (0.5, 3.0, 0.75), (0.8, 0.25, 0.5), (0.9, 1.0, 0.9), (1.0, 0.1, 1.0), (0.0, 10.0, 0.0)],
)
def test_a_gain_multiplies_odds(confidence: float, gain: float, expected: float) -> None:
    assert gained(confidence, gain) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [((1.0, 0.0), 0.0), ((0.5, 0.5), 1.0), ((0.25,) * 4, 1.0), ((0.5, 0.5, 0.0, 0.0), log(2) / log(4))],
)
def test_entropy_is_0_when_certain_and_1_when_nothing_is_known(
    probabilities: tuple[float, ...], expected: float
) -> None:
    assert entropy(probabilities) == pytest.approx(expected)
