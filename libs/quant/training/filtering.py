"""Forward filter and retrospective probabilities of whole series at once; equal to the online filters of `quant`.

L. R. Rabiner, A Tutorial on Hidden Markov Models, Proc. IEEE 77 (1989), with scaling.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.models import Gaussian, HiddenMarkovModel
from quant.training.samples import Array, Sample

_LOG_2PI = float(np.log(2 * np.pi))
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Filtered:
    """For each observation: P(state | data up to it), and its log-likelihood given the data before it (nats)."""

    probabilities: Array
    log_likelihood: Array


def log_emissions(model: HiddenMarkovModel, values: Array) -> Array:
    """Give ln p(observation | state), n x states, of scaled observations."""
    columns = []
    for state in model.states:
        parts = [_log_density(part, values) + np.log(max(part.weight, _TINY)) for part in state.mixture]
        columns.append(np.logaddexp.reduce(parts, axis=0))
    return np.stack(columns, axis=1)


def filtered(initial: Array, transitions: Array, emissions: Array, begins: NDArray[np.bool_]) -> Filtered:
    """Filter; `transitions` is states x states, or n x states x states: those that lead to each observation."""
    n, states = emissions.shape
    peak = emissions.max(axis=1)
    likely = np.exp(emissions - peak[:, None])
    steps = np.broadcast_to(transitions, (n, states, states))
    probabilities = np.empty((n, states))
    mass = np.empty(n)
    for t in range(n):
        prior = initial if begins[t] else probabilities[t - 1] @ steps[t]
        joint = prior * likely[t]
        mass[t] = total = joint.sum()
        probabilities[t] = joint / total
    return Filtered(probabilities, np.log(mass) + peak)


def retrospective(seen: Filtered, transitions: Array, begins: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Look back from the end: P(state at t | all data), and P(states at t-1 and t | all data), 0 where a part begins.

    Shapes n x states and n x states x states. L. Rabiner, as above: the backward pass, over filtered probabilities.
    """
    n, states = seen.probabilities.shape
    steps = np.broadcast_to(transitions, (n, states, states))
    smooth = seen.probabilities.copy()
    pairs = np.zeros((n, states, states))
    for t in range(n - 1, 0, -1):
        if begins[t]:
            continue
        joint = seen.probabilities[t - 1][:, None] * steps[t]
        pairs[t] = joint * (smooth[t] / np.maximum(joint.sum(axis=0), _TINY))
        smooth[t - 1] = pairs[t].sum(axis=1)
        smooth[t - 1] /= smooth[t - 1].sum()
    return smooth, pairs


def run(model: HiddenMarkovModel, seen: Sample, transitions: Array | None = None) -> Filtered:
    """Filter with the model's own start, and its own transitions where no others are given."""
    steps = np.array(model.transitions) if transitions is None else transitions
    return filtered(np.array(model.initial), steps, log_emissions(model, seen.values), seen.begins)


def looking_back(model: HiddenMarkovModel, seen: Sample) -> Array:
    """Give P(state at t | all of `seen`), n x states."""
    return retrospective(run(model, seen), np.array(model.transitions), seen.begins)[0]


def _log_density(part: Gaussian, values: Array) -> Array:
    lower = np.linalg.cholesky(np.array(part.covariance))
    white = np.linalg.solve(lower, (values - np.array(part.mean)).T)
    log_det = 2 * np.log(np.diag(lower)).sum()
    density: Array = -0.5 * ((white**2).sum(axis=0) + log_det + values.shape[1] * _LOG_2PI)
    return density
