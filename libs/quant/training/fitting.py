"""Fits of hidden Markov models by expectation maximisation (hmmlearn), from several starts.

The first start cuts the observations into equal parts by how lively their neighbourhood is. Of the others every second
groups neighbourhoods by k-means, the rest are hmmlearn's own k-means of single observations, each from another seed.
A fit that is given a model goes on from it instead.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from hmmlearn.hmm import GMMHMM, GaussianHMM
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from contracts.models import Gaussian, HiddenMarkovModel, HiddenState, TrainFailure
from quant.training.request import NoModel
from quant.training.samples import Array, Sample
from quant.training.settings import Covariance, RegimeTraining

Machine: TypeAlias = "GaussianHMM | GMMHMM"

_STAY = 0.95
"""How likely a state stays, before anything was learned."""
_LEAST_TRANSITION = 1e-6
"""No change of state is impossible: an observation must never leave the filter without a state."""
_LEAST_VARIANCE = 1e-4
"""In scaled features; a state that is narrower in some direction has collapsed onto a few equal observations."""
_RESTART_STRIDE = 7919
_NEIGHBOURS = 9
_LEAST_GROUP = 10
_SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class Shape:
    """What is tried: so many states, each of so many Gaussians."""

    states: int
    mixture: int

    def __str__(self) -> str:
        return f"{self.states} states x {self.mixture} Gaussians"


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model over scaled features, its states in the order of the machine, not named yet."""

    model: HiddenMarkovModel
    log_likelihood: float
    converged: bool


@dataclass(frozen=True, slots=True)
class Effort:
    """How long a fit goes on, from how many starts; `tolerance` is in nats per observation."""

    starts: int
    iterations: int
    tolerance: float
    covariance: Covariance
    seed: int


def effort_of(settings: RegimeTraining, seed: int, *, haste: float = 1.0) -> Effort:
    """`haste` times less exact than the settings want it."""
    return Effort(
        settings.restarts, settings.iterations, settings.tolerance * haste, settings.covariance, seed % _SEEDS
    )


def fits(seen: Sample, shape: Shape, effort: Effort) -> list[Fit]:
    """Fit from each start: those that converged first, the likelier first; at least one."""
    found = [one for start in range(effort.starts) if (one := _started(seen, shape, effort, start)) is not None]
    if not found:
        raise NoModel(TrainFailure.DEGENERATE, f"{shape}: a covariance became singular from every start")
    return ranked(found)


def ranked(found: list[Fit]) -> list[Fit]:
    return sorted(found, key=lambda one: (not one.converged, -one.log_likelihood))


def refit(seen: Sample, model: HiddenMarkovModel, effort: Effort) -> Fit:
    """Go on from a model with other data."""
    shape = Shape(len(model.states), len(model.states[0].mixture))
    found = _from_model(seen, model, shape, effort)
    if found is None:
        raise NoModel(TrainFailure.DEGENERATE, f"{shape}: a covariance became singular with more data")
    return found


def _started(seen: Sample, shape: Shape, effort: Effort, start: int) -> Fit | None:
    if start == 0:
        return _from_model(seen, _by_quantiles(seen, shape), shape, effort)
    seed = (effort.seed + start * _RESTART_STRIDE) % _SEEDS
    if start % 2 and (grouped := _by_neighbourhood(seen, shape, seed)) is not None:
        return _from_model(seen, grouped, shape, effort)
    return _tried(seen, effort, lambda way: _machine(shape, effort, len(seen), way, seed))


def _from_model(seen: Sample, model: HiddenMarkovModel, shape: Shape, effort: Effort) -> Fit | None:
    def begun(way: str) -> Machine:
        machine = _machine(shape, effort, len(seen), way, effort.seed)
        machine.init_params = ""
        _begin_from(machine, model, shape)
        return machine

    return _tried(seen, effort, begun)


def _machine(shape: Shape, effort: Effort, rows: int, way: str, seed: int) -> Machine:
    common = {
        "n_components": shape.states,
        "covariance_type": "full" if effort.covariance is Covariance.FULL else "diag",
        "n_iter": effort.iterations,
        "tol": effort.tolerance * rows,
        "random_state": seed,
        "implementation": way,
    }
    return GaussianHMM(**common) if shape.mixture == 1 else GMMHMM(n_mix=shape.mixture, **common)


def _tried(seen: Sample, effort: Effort, made: Callable[[str], Machine]) -> Fit | None:
    """Fit by probabilities, which is fast; by their logarithms where those underflow (an outlier)."""
    return _fitted(made("scaling"), seen, effort) or _fitted(made("log"), seen, effort)


def _fitted(machine: Machine, seen: Sample, effort: Effort) -> Fit | None:
    """None where the fit broke down, or a state collapsed."""
    try:
        with _quiet():
            machine.fit(seen.values, np.diff([*np.flatnonzero(seen.begins), len(seen)]))
            model = _model_of(machine)
    except (ValueError, np.linalg.LinAlgError):
        return None
    history = list(machine.monitor_.history)
    if model is None or not np.isfinite(history[-1]):
        return None
    converged = len(history) > 1 and history[-1] - history[-2] < effort.tolerance * len(seen)
    return Fit(model, float(history[-1]), converged)


def _model_of(machine: Machine) -> HiddenMarkovModel | None:
    count = machine.n_components
    weights, means, covariances = _parts_of(machine)
    if not all(np.isfinite(array).all() for array in (weights, means, covariances, machine.transmat_)):
        return None
    if np.linalg.eigvalsh(covariances).min() < _LEAST_VARIANCE:
        return None
    states = tuple(
        HiddenState(
            label=f"state{k}",
            occupancy=0.0,
            mixture=tuple(
                Gaussian(weight=float(weight), mean=tuple(mean.tolist()), covariance=_rows(covariance))
                for weight, mean, covariance in zip(_shares(weights[k], 0.0), means[k], covariances[k], strict=True)
            ),
        )
        for k in range(count)
    )
    return HiddenMarkovModel(
        states=states,
        initial=_shares(machine.startprob_, _LEAST_TRANSITION),
        transitions=tuple(_shares(row, _LEAST_TRANSITION) for row in machine.transmat_),
    )


def _parts_of(machine: Machine) -> tuple[Array, Array, Array]:
    """Give weights (states x parts), means (x features) and full covariances (x features), symmetric."""
    count = machine.n_components
    if isinstance(machine, GMMHMM):
        weights, means, covariances = machine.weights_, machine.means_, machine.covars_
        if machine.covariance_type == "diag":
            covariances = covariances[..., None] * np.eye(covariances.shape[-1])
    else:
        weights, means = np.ones((count, 1)), machine.means_[:, None, :]
        covariances = machine.covars_[:, None, :, :]
    return weights, means, (covariances + np.swapaxes(covariances, -1, -2)) / 2


def _begin_from(machine: Machine, model: HiddenMarkovModel, shape: Shape) -> None:
    means = np.array([[part.mean for part in state.mixture] for state in model.states])
    covariances = np.array([[part.covariance for part in state.mixture] for state in model.states])
    if machine.covariance_type == "diag":
        covariances = np.diagonal(covariances, axis1=-2, axis2=-1)
    machine.startprob_ = np.array(model.initial)
    machine.transmat_ = np.array(model.transitions)
    if shape.mixture == 1:
        machine.means_, machine.covars_ = means[:, 0], covariances[:, 0]
    else:
        machine.means_, machine.covars_ = means, covariances
        machine.weights_ = np.array([[part.weight for part in state.mixture] for state in model.states])
        machine.n_features = means.shape[-1]


def _by_quantiles(seen: Sample, shape: Shape) -> HiddenMarkovModel:
    """Cut the observations into a part per state by how lively their neighbourhood is.

    States last, so a mean over neighbours tells close ones apart where single observations do not.
    """
    lively = np.abs(seen.values).sum(axis=1) if seen.lively is None else seen.values[:, seen.lively]
    near = np.convolve(lively, np.ones(_NEIGHBOURS) / _NEIGHBOURS, mode="same")
    return _from_groups(seen.values, np.array_split(np.argsort(near, kind="stable"), shape.states), shape)


def _by_neighbourhood(seen: Sample, shape: Shape, seed: int) -> HiddenMarkovModel | None:
    """Group the observations by k-means of their neighbourhoods' means; None where a group holds too few."""
    kernel = np.ones(_NEIGHBOURS) / _NEIGHBOURS
    near = np.stack([np.convolve(column, kernel, mode="same") for column in seen.values.T], axis=1)
    which = KMeans(shape.states, n_init=1, random_state=seed).fit_predict(near)
    groups = [np.flatnonzero(which == k) for k in range(shape.states)]
    enough = min(map(len, groups)) >= _LEAST_GROUP * shape.mixture
    return _from_groups(seen.values, groups, shape) if enough else None


def _from_groups(values: Array, groups: list[NDArray[np.int64]], shape: Shape) -> HiddenMarkovModel:
    """Begin each state with the moments of its group, each of its Gaussians with a part of it by the first feature."""
    states = []
    for k, members in enumerate(groups):
        by_first = members[np.argsort(values[members, 0], kind="stable")]
        parts = np.array_split(by_first, shape.mixture)
        mixture = tuple(gaussian_of(values[part], 1 / shape.mixture) for part in parts)
        states.append(HiddenState(label=f"state{k}", occupancy=1 / shape.states, mixture=mixture))
    leave = (1 - _STAY) / (shape.states - 1)
    rows = tuple(tuple(_STAY if i == j else leave for j in range(shape.states)) for i in range(shape.states))
    return HiddenMarkovModel(states=tuple(states), initial=(1 / shape.states,) * shape.states, transitions=rows)


def gaussian_of(values: Array, weight: float) -> Gaussian:
    covariance = np.atleast_2d(np.cov(values, rowvar=False)) + 0.01 * np.eye(values.shape[1])
    return Gaussian(weight=weight, mean=tuple(values.mean(axis=0).tolist()), covariance=_rows(covariance))


def _rows(matrix: Array) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())


def _shares(parts: Array, least: float) -> tuple[float, ...]:
    bounded = np.maximum(parts, least)
    return tuple((bounded / bounded.sum()).tolist())


@contextmanager
def _quiet() -> Iterator[None]:
    """A fit that goes wrong is told by its result, not by the library's warnings."""
    log = logging.getLogger("hmmlearn")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
