"""Trains the regime model of an instrument: fit, choose, veto, name, pair, calibrate, score.

The data are cut once: the last part (the hold-out) only scores, everything else is done on the part before, with an
embargo between (`quant.training.purging`). Within that part a walk forward chooses the number of states and Gaussians:
each candidate is fitted to what was before a fold and predicts the fold, behind an embargo too (R. Hyndman,
G. Athanasopoulos, Forecasting, 5.10).
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from contracts.market import Bar
from contracts.models import (
    Artifact,
    Bins,
    FeatureSpec,
    HiddenMarkovModel,
    ModelFamily,
    RegimeModel,
    Scale,
    Score,
    SlowModel,
    TrainFailure,
)
from quant.regime import slow_spec
from quant.training.calibration import confidence_exponent, expected_calibration_error, sharpened
from quant.training.filtering import Filtered, looking_back, retrospective, run
from quant.training.fitting import Fit, Shape, effort_of, fits, ranked, refit
from quant.training.naming import inherited, settled
from quant.training.pairs import conditioned, steps
from quant.training.request import NoModel, Problem, Trained, Training
from quant.training.samples import Array, Sample, checked, observed, sample, scaler_of
from quant.training.settings import RegimeTraining

FIRST_FOLD_FROM = 0.4
"""The walk forward begins after this part of the data."""
_LEAST_SCORED = 30
_REFERENCE_BINS = 10
_LEAST_SPREAD = 1e-9
_HASTE = 10.0
"""A walk only compares shapes: its fits may end so many times earlier."""


@dataclass(frozen=True, slots=True)
class Walk:
    """How well a shape predicted the folds, in nats per observation; its model before the last fold."""

    shape: Shape
    log_likelihood: float
    last: HiddenMarkovModel


def train(request: Training) -> Trained:
    """Raises `NoModel`."""
    settings = request.settings
    assert isinstance(settings, RegimeTraining), "a regime model is trained by its own settings"
    checked(request.bars, request.instrument)
    spec = settings.spec(request.bars[0].interval)
    whole = sample(request.bars, spec, settings.least_observations)
    cut = int(len(whole) * (1 - settings.hold_out))
    first = settings.purge(spec).tests(whole.closed_at, cut)
    if len(whole) - first < _LEAST_SCORED:
        raise NoModel(TrainFailure.TOO_LITTLE_DATA, f"{_LEAST_SCORED} observations of hold-out are needed")
    slowly = observed(request.bars, slow_spec(spec, settings.slow_every)) if settings.slow_every else None
    model = _Trainer(request, settings, spec, whole.until(cut), slowly).model()
    artifact = Artifact(
        family=ModelFamily.REGIME,
        instrument=request.instrument,
        trained_on=request.trained_on(),
        code=request.code,
        seed=request.seed,
        regime=model,
    )
    held = int(whole.closed_at[first])
    champion = request.champion.regime if request.champion is not None else None
    rival = champion if champion is not None and champion.spec == spec else None
    return Trained(
        artifact, scored(model, request.bars, held), None if rival is None else scored(rival, request.bars, held)
    )


class _Trainer:
    """Makes a model of the observations before the hold-out; nothing after them is looked at."""

    def __init__(
        self, request: Training, settings: RegimeTraining, spec: FeatureSpec, raw: Sample, slowly: Sample | None
    ) -> None:
        self.settings = settings
        self.spec = spec
        self.scaler = scaler_of(raw.values, spec)
        self.seen = raw.scaled(self.scaler)
        self.slowly = slowly
        self.seed = request.seed
        champion = request.champion.regime if request.champion is not None else None
        self.champion = champion if champion is not None and champion.spec.features == spec.features else None
        first = int(len(raw) * FIRST_FOLD_FROM)
        self.edges: list[int] = np.linspace(first, len(raw), settings.folds + 1).astype(int).tolist()

    def model(self) -> RegimeModel:
        walk, fast = self._chosen()
        slow, exponent = self._pair(walk, fast)
        usual = self._filtered(fast, slow).log_likelihood
        return RegimeModel(
            spec=self.spec,
            scaler=self.scaler,
            fast=self._named(fast),
            slow=None if slow is None else replace(slow, model=self._named_slow(slow)),
            confidence_exponent=exponent,
            improbable_below=float(np.quantile(usual, self.settings.improbable)),
            usual=Scale(center=float(usual.mean()), spread=max(float(usual.std()), _LEAST_SPREAD)),
            reference=tuple(_bins(column) for column in self.seen.values.T),
        )

    def _chosen(self) -> tuple[Walk, HiddenMarkovModel]:
        """Give the shape that predicted best of those whose model of all the data has no veto against it."""
        walks: list[Walk] = []
        broken: list[NoModel] = []
        for shape in [Shape(states, mixture) for states in self.settings.states for mixture in self.settings.mixtures]:
            try:
                walks.append(self._walk(shape))
            except NoModel as none:
                broken.append(none)
        vetoed: list[NoModel] = []
        for walk in sorted(walks, key=lambda walk: -walk.log_likelihood):
            try:
                return walk, self._fitted(walk)
            except NoModel as none:
                vetoed.append(none)
        raise (vetoed or broken)[0]

    def _walk(self, shape: Shape) -> Walk:
        effort = effort_of(self.settings, self.seed, haste=_HASTE)
        found: Fit | None = None
        predicted = []
        for begin, end in pairwise(self.edges):
            before = self.seen.until(begin)
            found = (
                self._likely(fits(before, shape, effort), before)
                if found is None
                else refit(before, found.model, effort)
            )
            ahead = run(found.model, self.seen.until(end))
            predicted.append(ahead.log_likelihood[self.tested(begin, end)])
        assert found is not None, "there is a fold"
        return Walk(shape, float(np.concatenate(predicted).mean()), found.model)

    def tested(self, begin: int, end: int) -> slice:
        """Give the part of a fold behind the embargo."""
        first = self.settings.purge(self.spec).tests(self.seen.closed_at, begin)
        if first >= end:
            raise NoModel(
                TrainFailure.TOO_LITTLE_DATA,
                f"a fold of {end - begin} observations lies within the embargo: fewer folds, or a shorter embargo",
            )
        return slice(first, end)

    def _likely(self, found: list[Fit], seen: Sample) -> Fit:
        """Give the likeliest fit without a veto, else the likeliest. Outliers make a likely state, but no regime."""
        settings = self.settings
        for one in found:
            if _veto(one, looking_back(one.model, seen), settings) is None:
                return one
        return found[0]

    def _fitted(self, walk: Walk) -> HiddenMarkovModel:
        """Fit the shape to all the data, from new starts and from the walk's model."""
        effort = effort_of(self.settings, self.seed)
        every = ranked([*fits(self.seen, walk.shape, effort), refit(self.seen, walk.last, effort)])
        found = self._likely(every, self.seen)
        smooth = looking_back(found.model, self.seen)
        if (veto := _veto(found, smooth, self.settings)) is not None:
            raise NoModel(veto.failure, f"{walk.shape}: {veto.detail}")
        return settled(found.model, smooth, self.seen)

    def _pair(self, walk: Walk, fast: HiddenMarkovModel) -> tuple[SlowModel | None, float]:
        """Say whether a slow model helped to predict the last fold, and how far its probabilities could be believed."""
        begin, end = self.edges[-2:]
        test = self.tested(begin, end)
        alone = self._filtered(walk.last, None)
        slow = self._conditioned(walk.last, begin)
        paired = None if slow is None else self._filtered(walk.last, slow)
        if paired is not None:
            gain = float((paired.log_likelihood - alone.log_likelihood)[test].mean())
            final = self._conditioned(fast, end) if gain >= self.settings.least_pair_gain else None
            if final is not None:
                return final, self._exponent(paired, self._steps(walk.last, slow), test)
        return None, self._exponent(alone, self._steps(walk.last, None), test)

    def _conditioned(self, fast: HiddenMarkovModel, end: int) -> SlowModel | None:
        if self.slowly is None:
            return None
        known = int(np.searchsorted(self.slowly.closed_at, self.seen.closed_at[end - 1], side="right"))
        seen, slowly = self.seen.until(end), self.slowly.until(known)
        return conditioned(fast, seen, slowly, self.spec, self.settings, self.seed)

    def _exponent(self, inferred: Filtered, transitions: Array, test: slice) -> float:
        part = Filtered(inferred.probabilities[test], inferred.log_likelihood[test])
        smooth, _ = retrospective(part, transitions[test], self.seen.begins[test])
        return confidence_exponent(part.probabilities, smooth)

    def _filtered(self, fast: HiddenMarkovModel, slow: SlowModel | None) -> Filtered:
        return run(fast, self.seen, self._steps(fast, slow))

    def _steps(self, fast: HiddenMarkovModel, slow: SlowModel | None) -> Array:
        return steps(fast, slow, self.seen, self.slowly)

    def _named(self, fast: HiddenMarkovModel) -> HiddenMarkovModel:
        old = self.champion
        return fast if old is None else inherited(fast, self.scaler, old.fast, old.scaler)

    def _named_slow(self, slow: SlowModel) -> HiddenMarkovModel:
        old = None if self.champion is None else self.champion.slow
        return slow.model if old is None else inherited(slow.model, slow.scaler, old.model, old.scaler)


def _veto(found: Fit, smooth: Array, settings: RegimeTraining) -> Problem | None:
    """Say why a fit is no model."""
    if not found.converged:
        return Problem(
            TrainFailure.NO_CONVERGENCE,
            f"still gains after {settings.iterations} steps from each of {settings.restarts} starts",
        )
    rarest = float(smooth.mean(axis=0).min())
    if rarest < settings.least_occupancy:
        detail = f"a state holds {rarest:.1%} of the data, less than {settings.least_occupancy:.0%}"
        return Problem(TrainFailure.RARE_STATE, detail)
    dwell = min(1 / max(1 - row[k], _LEAST_SPREAD) for k, row in enumerate(found.model.transitions))
    if dwell < settings.least_dwell:
        detail = f"a state lasts {dwell:.1f} observations, less than {settings.least_dwell:g}"
        return Problem(TrainFailure.SHORT_DWELL, detail)
    return None


def scored(model: RegimeModel, bars: list[Bar], from_ns: int) -> Score:
    """Score a model on the windows that close from `from_ns` on; the filter also sees what was before.

    The density is that of raw features, so that models with other scalers compare. There is no truth to be right about:
    calibration is that of the most probable state against what the same model says looking back.
    """
    seen, inferred, transitions = played(model, bars)
    held = seen.closed_at >= from_ns
    part = Filtered(inferred.probabilities[held], inferred.log_likelihood[held])
    smooth, _ = retrospective(part, transitions[held], seen.begins[held])
    believed = sharpened(part.probabilities, model.confidence_exponent)
    first = believed.argmax(axis=1)
    rows = np.arange(len(first))
    per_unit = sum(float(np.log(scale.spread)) for scale in model.scaler)
    return Score(
        observations=len(first),
        log_likelihood=float(part.log_likelihood.mean()) - per_unit,
        calibration_error=expected_calibration_error(believed[rows, first], smooth[rows, first]),
    )


def played(model: RegimeModel, bars: list[Bar]) -> tuple[Sample, Filtered, Array]:
    """Filter a whole history at once, as `RegimeFilter` does bar by bar; with the transitions to each observation."""
    seen = observed(bars, model.spec)
    slowly = observed(bars, slow_spec(model.spec, model.slow.every)) if model.slow is not None else None
    transitions = steps(model.fast, model.slow, seen, slowly)
    return seen, run(model.fast, seen.scaled(model.scaler), transitions), transitions


def _bins(column: Array) -> Bins:
    """Cut a scaled feature at its deciles; where values repeat, edges that would be equal are one.

    A value that equals an edge lies below it, as in `quant.drift`.
    """
    cuts = np.unique(np.quantile(column, np.linspace(0, 1, _REFERENCE_BINS + 1)[1:-1]))
    shares = np.bincount(np.searchsorted(cuts, column, side="left"), minlength=len(cuts) + 1) / len(column)
    return Bins(edges=tuple(cuts.tolist()), shares=tuple(shares.tolist()))
