"""Names of states that stay: in order of variance, told from each other, and inherited from the model before.

A fit numbers its states as it happens. They are sorted by the variance of the log returns in them, and each takes the
label of the state of the champion that it is most like: the assignment with the least sum of Hellinger distances
(H. W. Kuhn, The Hungarian Method for the Assignment Problem, 1955).
"""

from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from contracts.models import HiddenMarkovModel, HiddenState, Scale
from quant.training.samples import Array, Sample

RANKS = {
    2: ("calm", "wild"),
    3: ("calm", "normal", "wild"),
    4: ("calm", "normal", "lively", "wild"),
    5: ("calm", "mild", "normal", "lively", "wild"),
    6: ("calm", "mild", "normal", "lively", "rough", "wild"),
}
UP, DOWN = "up", "down"
_CLEAR_SHARE = 0.08
_CLEAR_T = 4.0
"""A state has a direction where its mean return is this part of its deviation, and so many standard errors of it."""
_TINY = 1e-300
_ALIKE = 0.8
"""States at a larger Hellinger distance (0..1) have nothing to do with each other."""


def moments(state: HiddenState, scaler: tuple[Scale, ...]) -> tuple[Array, Array]:
    """Give mean and covariance of a state in raw units; a mixture's as a whole."""
    weights = np.array([part.weight for part in state.mixture])
    means = np.array([part.mean for part in state.mixture])
    center = weights @ means
    spread = sum(
        weight * (np.array(part.covariance) + np.outer(mean - center, mean - center))
        for weight, part, mean in zip(weights, state.mixture, means, strict=True)
    )
    unit = np.array([scale.spread for scale in scaler])
    return center * unit + np.array([scale.center for scale in scaler]), spread * np.outer(unit, unit)


def hellinger(one: tuple[Array, Array], other: tuple[Array, Array]) -> float:
    """Give the distance (0..1) of two normal distributions.

    L. Pardo, Statistical Inference Based on Divergence Measures (2006).
    """
    (mean_a, cov_a), (mean_b, cov_b) = one, other
    middle = (cov_a + cov_b) / 2
    gap = mean_a - mean_b
    log_share = (
        (np.linalg.slogdet(cov_a)[1] + np.linalg.slogdet(cov_b)[1]) / 4
        - np.linalg.slogdet(middle)[1] / 2
        - gap @ np.linalg.solve(middle, gap) / 8
    )
    return float(np.sqrt(max(0.0, 1 - np.exp(log_share))))


def settled(model: HiddenMarkovModel, smooth: Array, seen: Sample) -> HiddenMarkovModel:
    """Sort and label the states of a fit to `seen` by the returns in them; `smooth` are probabilities looking back.

    A chain that begins in the middle of things begins as often in a state as it holds.
    """
    means, variances, weights = _returns(smooth, seen)
    order = np.argsort(variances, kind="stable").tolist()
    shares = smooth.mean(axis=0) / smooth.mean(axis=0).sum()
    labels = _labels(means[order], variances[order], weights[order])
    return HiddenMarkovModel(
        states=tuple(
            replace(model.states[k], occupancy=float(shares[k]), label=label)
            for k, label in zip(order, labels, strict=True)
        ),
        initial=tuple(float(shares[k]) for k in order),
        transitions=tuple(tuple(model.transitions[i][j] for j in order) for i in order),
    )


def inherited(
    model: HiddenMarkovModel,
    scaler: tuple[Scale, ...],
    ancestor: HiddenMarkovModel,
    ancestor_scaler: tuple[Scale, ...],
) -> HiddenMarkovModel:
    """Give each state the label of the ancestor's that it is most like; one that is like none keeps its own."""
    new = [moments(state, scaler) for state in model.states]
    old = [moments(state, ancestor_scaler) for state in ancestor.states]
    distances = np.array([[hellinger(a, b) for b in old] for a in new])
    pairs = zip(*linear_sum_assignment(distances), strict=True)
    kept = {int(a): ancestor.states[b].label for a, b in pairs if distances[a, b] <= _ALIKE}
    labels = _unique([kept.get(k) for k in range(len(new))], list(model.labels))
    return replace(
        model, states=tuple(replace(state, label=label) for state, label in zip(model.states, labels, strict=True))
    )


def _returns(smooth: Array, seen: Sample) -> tuple[Array, Array, Array]:
    """Give mean and variance of the log returns in each state, and how many observations they rest on."""
    inner = ~seen.begins[1:]
    moves = np.diff(np.log(seen.close))[inner]
    held = smooth[1:][inner]
    weights = np.maximum(held.sum(axis=0), _TINY)
    means = held.T @ moves / weights
    variances = np.array([held[:, k] @ (moves - means[k]) ** 2 for k in range(len(means))]) / weights
    return means, variances, weights


def _labels(means: Array, variances: Array, weights: Array) -> list[str]:
    """Name by rank of variance; a state between the calmest and the wildest with a clear direction by that."""
    labels = list(RANKS[len(means)])
    shares = means / np.sqrt(np.maximum(variances, _TINY))
    for k in range(1, len(labels) - 1):
        clear = abs(shares[k]) >= _CLEAR_SHARE and abs(shares[k]) * np.sqrt(weights[k]) >= _CLEAR_T
        direction = UP if shares[k] > 0 else DOWN
        if clear and direction not in labels:
            labels[k] = direction
    return labels


def _unique(kept: list[str | None], labels: list[str]) -> list[str]:
    """Keep inherited labels; a state without one gets its own, numbered where that is taken."""
    taken = {label for label in kept if label is not None}
    result = []
    for inherited, own in zip(kept, labels, strict=True):
        label, number = inherited or own, 2
        while inherited is None and label in taken:
            label, number = f"{own}{number}", number + 1
        taken.add(label)
        result.append(label)
    return result
