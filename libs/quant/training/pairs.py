"""The hierarchical pair: a model of longer windows whose filtered state conditions how fast states follow each other.

S. Fine, Y. Singer, N. Tishby, The Hierarchical Hidden Markov Model, Machine Learning 32 (1998), in the simplest form:
two levels, the upper of which is filtered on its own and never looks down.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from contracts.models import FeatureSpec, HiddenMarkovModel, SlowModel
from quant.training.filtering import looking_back, retrospective, run
from quant.training.fitting import Shape, effort_of, fits
from quant.training.naming import settled
from quant.training.request import NoModel
from quant.training.samples import Array, Sample, scaler_of
from quant.training.settings import RegimeTraining

_LEAST_OBSERVATIONS = 60
"""Of the slow model: below, there is no pair."""


def steps(fast: HiddenMarkovModel, slow: SlowModel | None, seen: Sample, slowly: Sample | None) -> Array:
    """Give the transitions (n x states x states) that lead to each observation.

    The slow state is that of the last slow window which had closed before; until one has, the fast model's own hold.
    """
    own = np.array(fast.transitions)
    if slow is None or slowly is None or not len(slowly):
        return np.broadcast_to(own, (len(seen), *own.shape))
    known, shares = _slow_shares(slow, seen, slowly)
    mixed: Array = np.einsum("ts,sij->tij", shares, np.array(slow.transitions))
    return np.where(known[:, None, None], mixed, own)


def conditioned(
    fast: HiddenMarkovModel, seen: Sample, slowly: Sample, spec: FeatureSpec, settings: RegimeTraining, seed: int
) -> SlowModel | None:
    """Fit a slow model, and the fast transitions in each of its states; None where the data do not carry one.

    `seen` is scaled, `slowly` raw.

    Transitions of the fast model are counted by their probability looking back, and divided among the slow states by
    what the filter knew of them then: live, nothing else is known. Counts are drawn to the unconditional transitions as
    if `pair_smoothing` of those had been seen from each state.
    """
    slow = _fitted(slowly, fast, spec, settings, seed)
    if slow is None:
        return None
    own = np.array(fast.transitions)
    _, pairs = retrospective(run(fast, seen), own, seen.begins)
    known, shares = _slow_shares(slow, seen, slowly)
    counts = np.einsum("ts,tij->sij", shares * known[:, None], pairs) + settings.pair_smoothing * own
    matrices = counts / counts.sum(axis=2, keepdims=True)
    return replace(slow, transitions=tuple(tuple(map(tuple, matrix)) for matrix in matrices.tolist()))


def _fitted(
    slowly: Sample, fast: HiddenMarkovModel, spec: FeatureSpec, settings: RegimeTraining, seed: int
) -> SlowModel | None:
    """Fit the slow model; all of its states leave the fast transitions as they are."""
    if len(slowly) < _LEAST_OBSERVATIONS:
        return None
    try:
        scaler = scaler_of(slowly.values, spec)
        seen = slowly.scaled(scaler)
        found = fits(seen, Shape(settings.slow_states, 1), effort_of(settings, seed))[0]
    except NoModel:
        return None
    smooth = looking_back(found.model, seen)
    if not found.converged or smooth.mean(axis=0).min() < settings.least_occupancy:
        return None
    return SlowModel(
        every=settings.slow_every,
        scaler=scaler,
        model=settled(found.model, smooth, slowly),
        transitions=(fast.transitions,) * settings.slow_states,
    )


def _slow_shares(slow: SlowModel, seen: Sample, slowly: Sample) -> tuple[NDArray[np.bool_], Array]:
    """Give whether a slow state is known before each observation, and the filtered slow probabilities."""
    probabilities = run(slow.model, slowly.scaled(slow.scaler)).probabilities
    last = np.searchsorted(slowly.closed_at, seen.closed_at, side="left") - 1
    first_of_part = np.maximum.accumulate(np.where(seen.begins, seen.closed_at, 0))
    known = (last >= 0) & (slowly.closed_at[np.maximum(last, 0)] >= first_of_part)
    return known, probabilities[np.maximum(last, 0)]
