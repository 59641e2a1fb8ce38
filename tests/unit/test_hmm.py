"""The online filter against hmmlearn's likelihood, and against the sum over all paths that the states can take."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from math import exp, log, pi

import numpy as np
import pytest
from hmmlearn.hmm import GMMHMM, GaussianHMM
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from contracts.models import Gaussian, HiddenMarkovModel, HiddenState, Matrix, Vector
from quant.hmm import IMPOSSIBLE, HmmFilter, mixed

Array = NDArray[np.float64]
TRANSITIONS = ((0.9, 0.07, 0.03), (0.1, 0.8, 0.1), (0.02, 0.08, 0.9))
INITIAL = (0.5, 0.3, 0.2)
UNITS_APART = np.array([[[0.0]], [[60.0]], [[200.0]]])
"""Means of three states of one part and one feature."""


def rows(matrix: Array) -> Matrix:
    return tuple(tuple(float(value) for value in row) for row in matrix)


def covariances(rng: np.random.Generator, count: int, size: int) -> Array:
    """Make symmetric, positive definite matrices, none of them near to diagonal."""
    factors = rng.normal(size=(count, size, size))
    made = factors @ factors.transpose(0, 2, 1) + 0.3 * np.eye(size)
    return np.asarray((made + made.transpose(0, 2, 1)) / 2)


def model_of(weights: Array, means: Array, covariance: Array) -> HiddenMarkovModel:
    """Write down mixtures: weights are states x parts, means and covariances have the same first two axes."""
    states = tuple(
        HiddenState(
            label=f"state-{state}",
            occupancy=1 / len(weights),
            mixture=tuple(
                Gaussian(weight=float(weight), mean=tuple(map(float, mean)), covariance=rows(cov))
                for weight, mean, cov in zip(weights[state], means[state], covariance[state], strict=True)
            ),
        )
        for state in range(len(weights))
    )
    return HiddenMarkovModel(states=states, initial=INITIAL, transitions=TRANSITIONS)


def gaussian(features: int, seed: int) -> tuple[GaussianHMM, HiddenMarkovModel]:
    rng = np.random.default_rng(seed)
    theirs = GaussianHMM(n_components=3, covariance_type="full")
    theirs.startprob_, theirs.transmat_ = np.array(INITIAL), np.array(TRANSITIONS)
    means, covariance = rng.normal(scale=2, size=(3, features)), covariances(rng, 3, features)
    theirs.n_features, theirs.means_, theirs.covars_ = features, means, covariance
    return theirs, model_of(np.ones((3, 1)), means[:, None], covariance[:, None])


def mixture(features: int, seed: int) -> tuple[GMMHMM, HiddenMarkovModel]:
    rng = np.random.default_rng(seed)
    theirs = GMMHMM(n_components=3, n_mix=2, covariance_type="full")
    theirs.n_features = features
    theirs.startprob_, theirs.transmat_ = np.array(INITIAL), np.array(TRANSITIONS)
    theirs.weights_ = np.array([[0.5, 0.5], [0.9, 0.1], [0.3, 0.7]])
    theirs.means_ = rng.normal(scale=2, size=(3, 2, features))
    theirs.covars_ = covariances(rng, 6, features).reshape(3, 2, features, features)
    return theirs, model_of(theirs.weights_, theirs.means_, theirs.covars_)


def vectors(x: Array) -> list[Vector]:
    return [tuple(map(float, row)) for row in x]


def filtered(model: HiddenMarkovModel, xs: Sequence[Vector]) -> tuple[float, Vector]:
    """Give the log-likelihood of all, and the probabilities after the last."""
    online = HmmFilter(model)
    return sum(online.step(x) for x in xs), online.probabilities


def density(state: HiddenState, x: Vector) -> float:
    parts = ((part.weight, multivariate_normal(part.mean, part.covariance)) for part in state.mixture)
    return sum(weight * float(of.pdf(x)) for weight, of in parts)


def over_all_paths(model: HiddenMarkovModel, xs: Sequence[Vector]) -> tuple[float, Vector]:
    """Give the same as `filtered`, by adding up the joint density of every path of states."""
    densities = [[density(state, x) for state in model.states] for x in xs]
    ends = [0.0] * len(model.states)
    for path in product(range(len(model.states)), repeat=len(xs)):
        joint = model.initial[path[0]] * densities[0][path[0]]
        for place in range(1, len(path)):
            joint *= model.transitions[path[place - 1]][path[place]] * densities[place][path[place]]
        ends[path[-1]] += joint
    return log(sum(ends)), tuple(end / sum(ends) for end in ends)


@pytest.mark.parametrize("features", [1, 2, 4, 5])
@pytest.mark.parametrize("made", [gaussian, mixture])
def test_the_log_likelihood_is_that_of_hmmlearn(
    made: Callable[[int, int], tuple[GaussianHMM | GMMHMM, HiddenMarkovModel]], features: int
) -> None:
    theirs, ours = made(features, features)
    x, _ = theirs.sample(800, random_state=5)
    assert filtered(ours, vectors(x))[0] == pytest.approx(theirs.score(x), abs=1e-6)


@pytest.mark.parametrize("made", [gaussian, mixture])
def test_the_last_filtered_probabilities_are_hmmlearns_posterior(
    made: Callable[[int, int], tuple[GaussianHMM | GMMHMM, HiddenMarkovModel]],
) -> None:
    theirs, ours = made(3, 7)
    x, _ = theirs.sample(200, random_state=6)
    for length in (1, 2, 50, 200):
        assert filtered(ours, vectors(x[:length]))[1] == pytest.approx(theirs.predict_proba(x[:length])[-1], abs=1e-9)


@pytest.mark.parametrize("made", [gaussian, mixture])
@pytest.mark.parametrize("length", [1, 2, 6])
def test_the_filter_adds_up_all_paths(
    made: Callable[[int, int], tuple[GaussianHMM | GMMHMM, HiddenMarkovModel]], length: int
) -> None:
    theirs, ours = made(2, 3)
    xs = vectors(theirs.sample(length, random_state=1)[0])
    likelihood, probabilities = filtered(ours, xs)
    exact, of_paths = over_all_paths(ours, xs)
    assert likelihood == pytest.approx(exact, abs=1e-9)
    assert probabilities == pytest.approx(of_paths, abs=1e-12)


def test_other_transitions_take_the_place_of_the_models_own() -> None:
    _, ours = gaussian(2, 3)
    other = ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
    online = HmmFilter(ours)
    online.step((0.1, 0.2))
    before = online.probabilities
    assert online.prediction(other) == (before[2], before[0], before[1])
    online.step((0.3, -0.4), other)
    joint = [(before[2], before[0], before[1])[s] * density(ours.states[s], (0.3, -0.4)) for s in range(3)]
    assert online.probabilities == pytest.approx([one / sum(joint) for one in joint])


def test_the_first_observation_is_expected_where_the_chain_starts() -> None:
    _, ours = gaussian(2, 3)
    online = HmmFilter(ours)
    assert online.probabilities == online.prediction() == INITIAL
    expected = sum(INITIAL[s] * density(ours.states[s], (0.1, 0.2)) for s in range(3))
    assert exp(online.step((0.1, 0.2))) == pytest.approx(expected)


def test_a_filter_has_begun_with_its_first_observation() -> None:
    online = HmmFilter(gaussian(1, 3)[1])
    assert [online.begun, bool(online.step((0.1,))), online.begun] == [False, True, True]


def test_a_filter_that_begins_again_knows_no_observation() -> None:
    _, ours = gaussian(2, 3)
    online = HmmFilter(ours)
    first = online.step((0.1, 0.2))
    online.begin()
    assert (online.probabilities, online.step((0.1, 0.2))) == (INITIAL, first)


def test_what_no_state_can_show_leaves_the_states_as_predicted() -> None:
    _, ours = gaussian(2, 3)
    online = HmmFilter(ours)
    online.step((0.1, 0.2))
    expected = online.prediction()
    assert online.step((1e200, -1e200)) == IMPOSSIBLE
    assert online.probabilities == pytest.approx(expected)


def test_an_observation_far_from_all_states_still_goes_to_the_nearest_of_them() -> None:
    _, ours = gaussian(1, 3)
    online = HmmFilter(ours)
    likelihood = online.step((1e3,))
    assert IMPOSSIBLE < likelihood < -1e4
    widest = max(range(3), key=lambda s: ours.states[s].mixture[0].covariance[0][0])
    assert online.probabilities[widest] == pytest.approx(1.0)


def test_a_state_that_is_almost_ruled_out_is_believed_when_only_it_can_show_what_was_seen() -> None:
    model = replace(model_of(np.ones((3, 1)), UNITS_APART, np.ones((3, 1, 1, 1))), initial=(1.0, 1e-300, 1e-300))
    online = HmmFilter(model)
    log_density = -log(2 * pi) / 2
    assert online.step((60.0,)) == pytest.approx(log(1e-300) + log_density)
    assert online.probabilities == (0.0, 1.0, 0.0)


def test_a_state_that_cannot_be_reached_stays_at_nothing() -> None:
    _, ours = gaussian(1, 3)
    closed = HiddenMarkovModel(
        states=ours.states, initial=(1.0, 0.0, 0.0), transitions=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    )
    online = HmmFilter(closed)
    for x in (-5.0, 0.0, 5.0):
        online.step((x,))
        assert online.probabilities == (1.0, 0.0, 0.0)


def test_an_observation_of_other_features_is_the_callers_mistake() -> None:
    with pytest.raises(AssertionError, match="1 features, and the model is of 2"):
        HmmFilter(gaussian(2, 3)[1]).step((0.1,))


def test_a_part_of_a_mixture_without_weight_counts_for_nothing() -> None:
    theirs, _ = mixture(2, 3)
    theirs.weights_ = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    ours = model_of(theirs.weights_, theirs.means_, theirs.covars_)
    x = (0.4, 0.3)
    assert exp(HmmFilter(ours).step(x)) == pytest.approx(sum(INITIAL[s] * density(ours.states[s], x) for s in range(3)))


def test_transitions_are_mixed_by_their_weights() -> None:
    still, restless = ((1.0, 0.0), (0.0, 1.0)), ((0.5, 0.5), (0.5, 0.5))
    assert mixed((0.8, 0.2), (still, restless)) == ((0.9, 0.1), (0.1, 0.9))
