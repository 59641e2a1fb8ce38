"""Training: the same bars give the same model, it finds the regimes that are there, and rubbish has a named outcome."""

import math
from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
import pytest

from contracts.market import Bar
from contracts.models import (
    Artifact,
    Feature,
    Gaussian,
    HiddenMarkovModel,
    HiddenState,
    RegimeModel,
    Scale,
    TrainFailure,
    sha256_of,
)
from contracts.types import Interval, instrument_id
from quant.direction import DirectionScorer
from quant.features import scaled
from quant.hmm import HmmFilter
from quant.regime import RegimeFilter
from quant.training import (
    Covariance,
    DirectionKind,
    DirectionTraining,
    Problem,
    RegimeTraining,
    Trained,
    Training,
    train_direction,
    train_regime,
)
from quant.training.calibration import confidence_exponent, expected_calibration_error, platt, sharpened
from quant.training.directions import scored as direction_scored
from quant.training.filtering import looking_back, run
from quant.training.naming import inherited
from quant.training.regimes import played
from quant.training.samples import Sample, observed

COIN = instrument_id("sim", "COINUSDT")
MINUTE = Interval.M1.nanos
START = 1_700_000_040 * 1_000_000_000
QUICK = RegimeTraining(
    window=1,
    lookback=10,
    states=(2,),
    mixtures=(1,),
    restarts=2,
    tolerance=1e-4,
    folds=2,
    slow_every=0,
    least_observations=300,
)
DIRECTION = DirectionTraining(window=1, lookback=10, least_observations=300, trees=12)


def bar(number: int, open_: float, close: float, spread: float = 0.0) -> Bar:
    opened = START + number * MINUTE
    return Bar(
        ts_event=opened + MINUTE,
        ts_init=opened + MINUTE,
        instrument=COIN,
        interval=Interval.M1,
        ts_open=opened,
        ts_close=opened + MINUTE,
        open=open_,
        high=max(open_, close) * (1 + spread),
        low=min(open_, close) * (1 - spread),
        close=close,
        volume=1000.0 + 100 * (number % 7),
        trades=1,
    )


@cache
def market(count: int = 1000, seed: int = 1, momentum: float = 0.0) -> tuple[tuple[Bar, ...], tuple[bool, ...]]:
    """A calm and a wild regime that last 50 bars; with momentum a bar tends to go on as the one before."""
    random, price, wild, last = Random(seed), 100.0, False, 0.0  # noqa: S311 # a market, not a secret
    bars, truth = [], []
    for number in range(count):
        wild = wild if random.random() > 0.02 else not wild
        size = 0.004 if wild else 0.0008
        last = random.gauss(momentum * math.copysign(size, last), size)
        after = price * math.exp(last)
        bars.append(bar(number, price, after, spread=size * random.uniform(0.2, 0.6)))
        truth.append(wild)
        price = after
    return tuple(bars), tuple(truth)


def training(
    bars: tuple[Bar, ...] | list[Bar],
    settings: RegimeTraining | DirectionTraining = QUICK,
    champion: Artifact | None = None,
    seed: int = 7,
) -> Training:
    return Training(COIN, list(bars), ("a" * 64,), settings, champion, seed, "test")


def trained(
    bars: tuple[Bar, ...], settings: RegimeTraining | DirectionTraining = QUICK, champion: Artifact | None = None
) -> Trained:
    train = train_regime if isinstance(settings, RegimeTraining) else train_direction
    result = train(training(bars, settings, champion))
    assert isinstance(result, Trained), result
    return result


@cache
def calm_and_wild() -> Trained:
    return trained(market()[0])


def regime_of(found: Trained) -> RegimeModel:
    assert found.artifact.regime is not None
    return found.artifact.regime


def test_the_same_bars_and_seed_give_the_same_model() -> None:
    again = trained(market()[0])
    assert sha256_of(again.artifact) == sha256_of(calm_and_wild().artifact)
    assert again == calm_and_wild()


def test_a_model_keeps_the_rules_of_its_contract_and_names_its_bytes() -> None:
    artifact = calm_and_wild().artifact
    assert artifact.contradiction() is None
    assert artifact.trained_on.chunks == ("a" * 64,)
    assert (artifact.trained_on.first, artifact.trained_on.rows) == (START, 1000)


def test_it_finds_the_regimes_that_are_there_online() -> None:
    bars, truth = market()
    model = regime_of(calm_and_wild())
    assert model.fast.labels == ("calm", "wild")
    shown = RegimeFilter(model)
    hits = [
        (made.likeliest == 1) is wild
        for bar_, wild in zip(bars, truth, strict=True)
        if (made := shown.update(bar_)) is not None
    ]
    assert sum(hits) / len(hits) > 0.93


def test_the_hold_out_changes_the_scores_and_nothing_of_the_model() -> None:
    bars, _ = market()
    last = [bar(len(bars) - 50 + k, 100.0 - k, 99.0 - k) for k in range(50)]
    other = trained((*bars[:-50], *last))
    assert other.artifact.regime == calm_and_wild().artifact.regime
    assert other.score.log_likelihood != calm_and_wild().score.log_likelihood


@pytest.mark.parametrize("missing", [range(0), range(400, 431)])
def test_a_history_is_filtered_as_it_is_live(missing: range) -> None:
    settings = QUICK.model_copy(update={"slow_every": 5, "least_pair_gain": -10.0})
    bars = tuple(bar_ for number, bar_ in enumerate(market()[0]) if number not in missing)
    model = regime_of(trained(bars, settings))
    assert model.slow is not None
    live = RegimeFilter(model)
    made = [inference for bar_ in bars if (inference := live.update(bar_)) is not None]
    seen, inferred, _ = played(model, list(bars))
    assert [one.closed_at for one in made] == seen.closed_at.tolist()
    np.testing.assert_allclose(inferred.probabilities, [one.probabilities for one in made], atol=1e-9)
    np.testing.assert_allclose(inferred.log_likelihood, [one.log_likelihood for one in made], atol=1e-9)


def test_a_champion_is_scored_on_the_same_data_and_its_labels_live_on() -> None:
    first = calm_and_wild()
    model = regime_of(first)
    renamed = replace(
        model,
        fast=replace(
            model.fast,
            states=tuple(replace(state, label=f"old_{state.label}") for state in model.fast.states),
        ),
    )
    again = trained(market()[0], champion=replace(first.artifact, regime=renamed))
    assert regime_of(again).fast.labels == ("old_calm", "old_wild")
    assert again.champion_score == again.score == first.score


def test_a_champion_that_observes_something_else_is_not_compared() -> None:
    other = trained(market()[0], QUICK.model_copy(update={"features": (Feature.VOLATILITY,)}))
    assert trained(market()[0], champion=other.artifact).champion_score is None


def test_labels_are_inherited_by_likeness_and_not_by_order() -> None:
    scale = (Scale(center=0.0, spread=1.0),)
    old = states_of(("small", 1.0), ("large", 100.0))
    new = states_of(("calm", 90.0), ("wild", 1e9))
    assert inherited(new, scale, old, scale).labels == ("large", "wild")


def states_of(*states: tuple[str, float]) -> HiddenMarkovModel:
    return HiddenMarkovModel(
        states=tuple(
            HiddenState(
                label=label,
                occupancy=0.5,
                mixture=(Gaussian(weight=1.0, mean=(0.0,), covariance=((variance,),)),),
            )
            for label, variance in states
        ),
        initial=(0.5, 0.5),
        transitions=((0.9, 0.1), (0.2, 0.8)),
    )


def test_the_filter_of_whole_series_is_that_of_single_observations() -> None:
    model = states_of(("a", 1.0), ("b", 9.0))
    values = np.array([[0.1], [5.0], [-2.0], [400.0], [0.3]])
    seen = Sample(np.arange(5), np.ones(5), values, np.array([True] + [False] * 4), None)
    online = HmmFilter(model)
    likelihood = [online.step(tuple(row)) for row in values.tolist()]
    np.testing.assert_allclose(run(model, seen).log_likelihood, likelihood, atol=1e-9)
    np.testing.assert_allclose(run(model, seen).probabilities[-1], online.probabilities, atol=1e-12)


def test_looking_back_agrees_with_all_paths_counted_one_by_one() -> None:
    model = states_of(("a", 1.0), ("b", 9.0))
    values = [0.1, 5.0, -2.0]
    seen = Sample(np.arange(3), np.ones(3), np.array(values)[:, None], np.array([True, False, False]), None)
    weight = np.zeros((3, 2))
    for path in np.ndindex(2, 2, 2):
        likely = model.initial[path[0]]
        for t, state in enumerate(path):
            variance = model.states[state].mixture[0].covariance[0][0]
            likely *= math.exp(-(values[t] ** 2) / (2 * variance)) / math.sqrt(variance)
            likely *= model.transitions[path[t - 1]][state] if t else 1.0
        for t, state in enumerate(path):
            weight[t, state] += likely
    np.testing.assert_allclose(looking_back(model, seen), weight / weight.sum(axis=1, keepdims=True), atol=1e-12)


def test_too_few_bars_are_told_with_how_many_are_needed() -> None:
    result = train_regime(training(market()[0][:3]))
    assert isinstance(result, Problem)
    assert result.failure is TrainFailure.TOO_LITTLE_DATA
    assert "300 are needed: about 302 bars" in result.detail
    nothing = train_regime(training([]))
    assert isinstance(nothing, Problem)
    assert nothing.failure is TrainFailure.TOO_LITTLE_DATA


@pytest.mark.parametrize("price", [math.nan, 0.0, -1.0, math.inf])
@pytest.mark.parametrize("settings", [QUICK, DIRECTION])
def test_prices_that_are_none_are_told_with_their_bar(
    price: float, settings: RegimeTraining | DirectionTraining
) -> None:
    bars = list(market()[0])
    bars[40] = replace(bars[40], close=price)
    result = train_regime(training(bars)) if settings is QUICK else train_direction(training(bars, settings))
    assert isinstance(result, Problem)
    assert result.failure is TrainFailure.BAD_DATA
    assert f"bar that opens at {bars[40].ts_open} ns" in result.detail


def test_reversed_time_is_refused() -> None:
    result = train_regime(training(market()[0][::-1]))
    assert isinstance(result, Problem)
    assert result.failure is TrainFailure.BAD_DATA
    assert "sort them" in result.detail


def test_bars_of_another_instrument_are_refused() -> None:
    bars = list(market()[0])
    bars[3] = replace(bars[3], instrument=instrument_id("sim", "OTHER"))
    result = train_regime(training(bars))
    assert isinstance(result, Problem)
    assert result.failure is TrainFailure.BAD_DATA


def test_constant_prices_are_degenerate() -> None:
    still = [bar(number, 100.0, 100.0) for number in range(600)]
    for train, settings in ((train_regime, QUICK), (train_direction, DIRECTION)):
        result = train(training(still, settings))
        assert isinstance(result, Problem)
        assert result.failure is TrainFailure.DEGENERATE


def test_prices_that_only_jump_to_and_fro_are_degenerate() -> None:
    two = [bar(number, 100.0 + number % 2, 101.0 - number % 2) for number in range(600)]
    result = train_regime(training(two))
    assert isinstance(result, Problem)
    assert result.failure is TrainFailure.DEGENERATE


def test_a_fit_that_goes_on_gaining_has_not_converged() -> None:
    result = train_regime(
        training(
            market()[0],
            QUICK.model_copy(update={"states": (4,), "mixtures": (2,), "iterations": 5, "tolerance": 1e-12}),
        )
    )
    assert isinstance(result, Problem)
    assert result.failure is TrainFailure.NO_CONVERGENCE


def test_a_state_that_is_too_rare_is_no_regime() -> None:
    result = train_regime(training(market()[0], QUICK.model_copy(update={"least_occupancy": 0.499})))
    assert isinstance(result, Problem)
    assert result.failure is TrainFailure.RARE_STATE


def test_a_state_that_ends_at_once_is_no_regime() -> None:
    result = train_regime(training(market()[0], QUICK.model_copy(update={"least_dwell": 400.0})))
    assert isinstance(result, Problem)
    assert result.failure is TrainFailure.SHORT_DWELL


@pytest.mark.parametrize("covariance", Covariance)
def test_mixtures_and_both_shapes_of_covariance_are_fitted(covariance: Covariance) -> None:
    model = regime_of(trained(market()[0], QUICK.model_copy(update={"mixtures": (2,), "covariance": covariance})))
    assert all(len(state.mixture) == 2 for state in model.fast.states)
    crossed = {part.covariance[0][1] for state in model.fast.states for part in state.mixture}
    assert (crossed == {0.0}) is (covariance is Covariance.DIAGONAL)


def test_calibration_error_is_the_distance_between_said_and_true() -> None:
    stated, true = np.full(100, 0.8), np.repeat([1.0, 0.0], [60, 40])
    assert expected_calibration_error(stated, true) == pytest.approx(0.2)
    assert expected_calibration_error(np.full(100, 0.6), true) == pytest.approx(0.0)


def test_overconfident_probabilities_are_drawn_together() -> None:
    random = np.random.default_rng(1)
    honest = random.dirichlet((1.0, 1.0, 1.0), size=4000)
    truth = np.eye(3)[[random.choice(3, p=row) for row in honest]]
    boasting = sharpened(honest, 2.0)
    assert confidence_exponent(boasting, truth) == pytest.approx(0.5, abs=0.05)
    assert confidence_exponent(honest, truth) == pytest.approx(1.0, abs=0.1)


def test_a_score_that_misled_is_not_believed_at_all() -> None:
    random = np.random.default_rng(1)
    scores = random.normal(size=2000)
    rose = random.random(2000) < 1 / (1 + np.exp(-2 * scores))
    assert platt(scores, rose)[0] == pytest.approx(2.0, abs=0.2)
    assert platt(-scores, rose)[0] == 0.0


@pytest.mark.parametrize("kind", DirectionKind)
def test_a_direction_that_can_be_known_is_learned_and_scored_alike_online(kind: DirectionKind) -> None:
    bars, _ = market(2000, momentum=1.0)
    found = trained(bars, DIRECTION.model_copy(update={"kind": kind}))
    model = found.artifact.direction
    assert model is not None and found.artifact.contradiction() is None
    assert found.score.accuracy is not None and found.score.accuracy > 0.7
    assert found.score.calibration_error < 0.2
    online = DirectionScorer(model)
    ups = [up for bar_ in bars if (up := online.update(bar_)) is not None]
    assert len(ups) == len(observed(bars, model.spec))
    assert trained(bars, DIRECTION.model_copy(update={"kind": kind})) == found


def test_a_direction_that_cannot_be_known_is_not_claimed() -> None:
    found = trained(market()[0], DIRECTION)
    assert found.score.log_likelihood == pytest.approx(math.log(0.5), abs=0.03)


def test_a_direction_champion_is_scored_on_the_same_data() -> None:
    bars, _ = market(2000, momentum=1.0)
    first = trained(bars, DIRECTION)
    again = trained(bars, DIRECTION, champion=first.artifact)
    assert again.champion_score == again.score
    assert first.artifact.direction is not None
    assert direction_scored(first.artifact.direction, list(bars), bars[-1].ts_close) is None


def test_scaled_observations_are_those_of_the_online_filter() -> None:
    bars, _ = market()
    model = regime_of(calm_and_wild())
    seen = observed(bars, model.spec)
    ours = seen.scaled(model.scaler).values[-1]
    assert ours.tolist() == pytest.approx(scaled(tuple(seen.values[-1].tolist()), model.scaler))
