"""Trains the direction model of an instrument: whether the price will be higher, and how surely.

The data are cut three times, in order of time: one part fits the classifier (scikit-learn), the next calibrates its
score (Platt), the last (the hold-out) only scores. Between the parts lies what `quant.training.purging` demands: no
label reaches into the next part, and there is an embargo.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.tree._tree import Tree as SklearnTree

from contracts.market import Bar
from contracts.models import Artifact, DirectionModel, FeatureSpec, ModelFamily, Scale, Score, TrainFailure, Tree
from quant.training.calibration import expected_calibration_error, platt
from quant.training.request import NoModel, Trained, Training
from quant.training.samples import Array, Sample, checked, observed, sample, scaler_of
from quant.training.settings import DirectionKind, DirectionTraining

_LEAST_PART = 30
_LEAST_CLASS = 10
"""Observations of each part, and of rises and of falls in what is fitted to."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Classifier:
    """A score of scaled observations: the part of a `DirectionModel` that is fitted."""

    intercept: float
    weights: tuple[float, ...] = ()
    trees: tuple[Tree, ...] = ()


def train(request: Training) -> Trained:
    """Raises `NoModel`."""
    settings = request.settings
    assert isinstance(settings, DirectionTraining), "a direction model is trained by its own settings"
    checked(request.bars, request.instrument)
    spec = settings.spec(request.bars[0].interval)
    whole = sample(request.bars, spec, settings.least_observations)
    known, rose = labels(whole, settings.horizon, spec.nanos)
    fit, calibrate, hold = parts(whole, known, spec, settings)
    model = _model(whole, rose, fit, calibrate, spec, settings, request.seed % 2**31)
    artifact = Artifact(
        family=ModelFamily.DIRECTION,
        instrument=request.instrument,
        trained_on=request.trained_on(),
        code=request.code,
        seed=request.seed,
        direction=model,
    )
    held = int(whole.closed_at[hold[0]])
    champion = request.champion.direction if request.champion is not None else None
    rival = champion if champion is not None and champion.horizon == settings.horizon else None
    own = scored(model, request.bars, held)
    assert own is not None, "the hold-out has observations"
    same = rival is not None and rival.spec.nanos == spec.nanos
    return Trained(artifact, own, scored(rival, request.bars, held) if rival is not None and same else None)


def labels(seen: Sample, horizon: int, nanos: int) -> tuple[NDArray[np.int64], Bools]:
    """Give which observations have another `horizon` windows later, and for all whether the price is higher then."""
    last = len(seen) - horizon
    later = seen.closed_at[horizon:] - seen.closed_at[:last] == horizon * nanos
    rose = np.zeros(len(seen), dtype=np.bool_)
    rose[:last] = seen.close[horizon:] > seen.close[:last]
    return np.flatnonzero(later), rose


def scored(model: DirectionModel, bars: list[Bar], from_ns: int) -> Score | None:
    """Score a model on the windows that close from `from_ns` on; None if it observes none of them.

    `log_likelihood` is that of what came true (nats).
    """
    seen = observed(bars, model.spec)
    known, rose = labels(seen, model.horizon, model.spec.nanos)
    held = known[seen.closed_at[known] >= from_ns]
    if not len(held):
        return None
    z = model.slope * scores(model, seen.at(held).scaled(model.scaler).values) + model.offset
    up = 1 / (1 + np.exp(-z))
    true = rose[held]
    return Score(
        observations=len(held),
        log_likelihood=float(-np.logaddexp(0.0, np.where(true, -z, z)).mean()),
        calibration_error=expected_calibration_error(up, true.astype(float)),
        accuracy=float(((up > 0.5) == true).mean()),  # more likely than not
    )


def scores(model: Classifier | DirectionModel, values: Array) -> Array:
    """Score scaled observations: intercept + weights . x + the sum over trees, as the online scorer does."""
    total = np.full(len(values), model.intercept)
    if model.weights:
        total = total + values @ np.array(model.weights)
    for tree in model.trees:
        total = total + _leaves(tree, values)
    return total


def parts(
    seen: Sample, known: NDArray[np.int64], spec: FeatureSpec, settings: DirectionTraining
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Give the observations that fit, that calibrate and that score, of those whose label is `known`."""
    purge, closed_at = settings.purge(spec, settings.horizon), seen.closed_at[known]
    held = int(len(known) * (1 - settings.hold_out))
    calibrated = int(len(known) * (1 - settings.hold_out - settings.calibration))
    calibrates = slice(calibrated, purge.fits(closed_at, closed_at[held])) if held < len(known) else slice(0)
    fits = slice(purge.fits(closed_at, closed_at[calibrated])) if calibrated < len(known) else slice(0)
    found = known[fits], known[calibrates], known[held:]
    for part, use in zip(found, ("fit", "calibrate", "score"), strict=True):
        if len(part) < _LEAST_PART:
            apart = (purge.label + purge.embargo) // spec.nanos
            raise NoModel(
                TrainFailure.TOO_LITTLE_DATA,
                f"{len(part)} observations to {use}, {_LEAST_PART} are needed: {len(known)} in all, and between the "
                f"parts {apart} windows are left out",
            )
    return found


def _model(
    seen: Sample,
    rose: Bools,
    fit: NDArray[np.int64],
    calibrate: NDArray[np.int64],
    spec: FeatureSpec,
    settings: DirectionTraining,
    seed: int,
) -> DirectionModel:
    ups = int(rose[fit].sum())
    if min(ups, len(fit) - ups) < _LEAST_CLASS:
        raise NoModel(TrainFailure.DEGENERATE, f"the price rose {ups} times of {len(fit)}: nothing to tell apart")
    scaler = scaler_of(seen.values[fit], spec)
    found = _fitted(seen.at(fit).scaled(scaler).values, rose[fit], settings, seed)
    slope, offset = platt(scores(found, seen.at(calibrate).scaled(scaler).values), rose[calibrate])
    return _assembled(found, spec, scaler, settings.horizon, slope, offset)


def _assembled(
    found: Classifier, spec: FeatureSpec, scaler: tuple[Scale, ...], horizon: int, slope: float, offset: float
) -> DirectionModel:
    return DirectionModel(
        spec=spec,
        scaler=scaler,
        horizon=horizon,
        intercept=found.intercept,
        weights=found.weights,
        trees=found.trees,
        slope=slope,
        offset=offset,
    )


def _fitted(values: Array, rose: Bools, settings: DirectionTraining, seed: int) -> Classifier:
    return (
        _logistic(values, rose, settings)
        if settings.kind is DirectionKind.LOGISTIC
        else _boosted(values, rose, settings, seed)
    )


def _logistic(values: Array, rose: Bools, settings: DirectionTraining) -> Classifier:
    machine = LogisticRegression(C=1 / settings.shrinkage, max_iter=settings.iterations)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            machine.fit(values, rose)
    except ConvergenceWarning as warning:
        raise NoModel(
            TrainFailure.NO_CONVERGENCE, f"the logistic fit still gains after {settings.iterations} steps"
        ) from warning
    return Classifier(float(machine.intercept_[0]), weights=tuple(machine.coef_[0].tolist()))


def _boosted(values: Array, rose: Bools, settings: DirectionTraining, seed: int) -> Classifier:
    """Fit shallow trees one after the other to what the ones before got wrong: J. Friedman, Greedy Function
    Approximation, Annals of Statistics 29 (2001); half of the data for each (Stochastic Gradient Boosting, 2002).
    """
    machine = GradientBoostingClassifier(
        n_estimators=settings.trees,
        max_depth=settings.depth,
        learning_rate=settings.learning_rate,
        subsample=0.5,
        min_samples_leaf=_LEAST_CLASS,
        random_state=seed,
    )
    machine.fit(values, rose)
    share = float(rose.mean())
    trees = tuple(_rows(stage[0].tree_, settings.learning_rate) for stage in machine.estimators_)
    return Classifier(float(np.log(share / (1 - share))), trees=trees)


def _rows(tree: SklearnTree, rate: float) -> Tree:
    leaf = tree.children_left < 0
    return Tree(
        feature=tuple(np.where(leaf, -1, tree.feature).tolist()),
        threshold=tuple(np.where(leaf, 0.0, tree.threshold).tolist()),
        left=tuple(np.where(leaf, 0, tree.children_left).tolist()),
        right=tuple(np.where(leaf, 0, tree.children_right).tolist()),
        value=tuple(np.where(leaf, rate * tree.value[:, 0, 0], 0.0).tolist()),
    )


def _leaves(tree: Tree, values: Array) -> Array:
    feature, threshold = np.array(tree.feature), np.array(tree.threshold)
    left, right = np.array(tree.left), np.array(tree.right)
    node = np.zeros(len(values), dtype=np.int64)
    rows = np.arange(len(values))
    while (inner := feature[node] >= 0).any():
        below = values[rows, np.maximum(feature[node], 0)] <= threshold[node]
        node = np.where(inner, np.where(below, left[node], right[node]), node)
    value: Array = np.array(tree.value)[node]
    return value
