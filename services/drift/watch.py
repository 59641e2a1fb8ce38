"""What is watched of a market since a model was promoted: its features, and how well the model predicts them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from contracts.models import Bins, Feature, Matrix, RegimeModel, Scale
from contracts.regimes import DriftKind, RegimeInferred
from quant.drift import PageHinkley, PageHinkleyState, Psi, PsiState
from services.drift.settings import DriftSettings

SECOND = 1_000_000_000
LONGEST_STAY = 100_000.0
"""What is never left is left then, as far as windows and thresholds go."""


@dataclass(frozen=True)
class Found:
    """A statistic that has passed its threshold."""

    kind: DriftKind
    feature: Feature | None
    statistic: float
    threshold: float

    @property
    def key(self) -> str:
        return self.kind.value if self.feature is None else f"{self.kind.value}/{self.feature.value}"


@dataclass(frozen=True)
class Training:
    """What of a model tells how the market was when it was trained; `stay` as in `DriftSettings` (observations)."""

    model_id: str
    features: tuple[Feature, ...]
    reference: tuple[Bins, ...]
    usual: Scale
    stay: float

    @classmethod
    def of(cls, model_id: str, model: RegimeModel) -> "Training":
        return cls(model_id, model.spec.features, model.reference, model.usual, longest_stay(model))


def longest_stay(model: RegimeModel) -> float:
    """Give the longest mean stay in a state, in observations; that of a geometric distribution is 1 / (1 - p)."""
    stay = _stay(model.fast.transitions)
    return stay if model.slow is None else max(stay, model.slow.every * _stay(model.slow.model.transitions))


def _stay(transitions: Matrix) -> float:
    stays = max(transitions[state][state] for state in range(len(transitions)))
    return min(1 / (1 - stays), LONGEST_STAY) if stays < 1 else LONGEST_STAY


@dataclass(slots=True)
class WatchState:
    """`window` is that of `shown`; `told` says when (ns) a drift was told last, by its key."""

    training: Training
    window: int
    shown: list[PsiState]
    likelihood: PageHinkleyState
    told: dict[str, int] = field(default_factory=dict)


class Watch:
    def __init__(self, training: Training, settings: DriftSettings) -> None:
        self.training = training
        self._settings = settings
        self._window = settings.window_of(training.stay)
        self._loss = settings.loss_of(training.stay)
        self._psi = [Psi(bins, self._window) for bins in training.reference]
        self._likelihood = PageHinkley(training.usual, tolerance=settings.tolerance, most=settings.most)
        self._told: dict[str, int] = {}

    @classmethod
    def restored(cls, state: WatchState, settings: DriftSettings) -> "Watch":
        """Go on from `state`; what is counted over another window begins anew."""
        watch = cls(state.training, settings)
        if state.window == watch._window:
            for psi, shown in zip(watch._psi, state.shown, strict=True):
                psi.restore(shown)
        watch._likelihood.restore(state.likelihood)
        watch._told = state.told
        return watch

    def state(self) -> WatchState:
        shown = [psi.state() for psi in self._psi]
        return WatchState(self.training, self._window, shown, self._likelihood.state(), self._told)

    def fits(self, inferred: RegimeInferred) -> bool:
        return len(inferred.observation) == len(self.training.features)

    def is_due(self, key: str, now: int) -> bool:
        """Say whether something is to be told now, and remember that it is."""
        told_at = self._told.get(key)
        if told_at is not None and now - told_at < self._settings.again_s * SECOND:
            return False
        self._told[key] = now
        return True

    def look(self, inferred: RegimeInferred) -> list[Found]:
        """Take in one more observation; give the drifts that are to be told now."""
        found = [*self._changed(inferred), *self._fallen(inferred)]
        return [one for one in found if self.is_due(one.key, inferred.ts_init)]

    def _changed(self, inferred: RegimeInferred) -> Iterator[Found]:
        """Compare what each feature shows now with training."""
        threshold = self._settings.psi
        for feature, psi, value in zip(self.training.features, self._psi, inferred.observation, strict=True):
            index = psi.update(value)
            if index is not None and index >= threshold:
                yield Found(DriftKind.PSI, feature, index, threshold)

    def _fallen(self, inferred: RegimeInferred) -> Iterator[Found]:
        """Sum what the predictions have become worse; each time that it is too much it is summed anew."""
        likelihood = self._likelihood
        lost = likelihood.update(inferred.log_likelihood)
        if likelihood.updates >= self._settings.least and lost >= self._loss:
            likelihood.restore(PageHinkleyState(updates=likelihood.updates))
            yield Found(DriftKind.PAGE_HINKLEY, None, lost, self._loss)
