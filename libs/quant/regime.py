"""Regimes online: from bars to the probability of each state of a model, and how far to believe it."""

from dataclasses import dataclass, replace
from math import log

from contracts.market import Bar
from contracts.models import FeatureSpec, Matrix, RegimeModel, SlowModel, Vector
from quant.features import Features, FeaturesState, scaled
from quant.hmm import FilterState, HmmFilter, mixed


def slow_spec(spec: FeatureSpec, every: int) -> FeatureSpec:
    """Give what a slow model observes: the same features, of windows as long as `every` of the fast one."""
    return replace(spec, window=spec.window * every)


def calibrated(probabilities: Vector, exponent: float) -> Vector:
    """Believe probabilities as far as experience allows: p^exponent, normalised.

    An exponent below 1 draws them together, above 1 apart; the order stays. It is temperature scaling, T = 1/exponent
    (C. Guo et al., On Calibration of Modern Neural Networks, ICML 2017).
    """
    powers = [probability**exponent for probability in probabilities]
    total = sum(powers)
    return tuple([power / total for power in powers])


def gained(confidence: float, gain: float) -> float:
    """Multiply the odds of `confidence` (0..1) by `gain`: above 1 raises it, below 1 lowers it, 0 and 1 stay.

    Monotone in both: who was more confident stays so. The log-odds move by ln(gain).
    """
    assert gain > 0, f"a gain of {gain} leaves nothing to compare"
    raised = gain * confidence
    return raised / (1 - confidence + raised)


def entropy(probabilities: Vector) -> float:
    """Give Shannon's entropy over that of equal probabilities, 0 (certain) to 1 (nothing is known)."""
    nats = -sum(probability * log(probability) for probability in probabilities if probability > 0)
    return max(0.0, min(1.0, nats / log(len(probabilities))))


@dataclass(frozen=True, slots=True)
class Inference:
    """What is known when a window has closed.

    `observation` is scaled. `probabilities` are filtered, `calibrated` is what of them to believe; both in the order of
    the model's states. `slow`: those of the slow model's states, where they start before it has seen a window; empty
    without one. `improbable`: no state that was learned shows this.
    """

    closed_at: int
    close: float
    observation: Vector
    probabilities: Vector
    calibrated: Vector
    slow: Vector
    log_likelihood: float
    improbable: bool

    @property
    def likeliest(self) -> int:
        """The most probable state; the first of those that are equally so."""
        return self.probabilities.index(max(self.probabilities))

    @property
    def entropy(self) -> float:
        """Of the filtered probabilities, 0..1."""
        return entropy(self.probabilities)

    def confidence(self, gain: float = 1.0) -> float:
        """Give the calibrated probability of the most probable state, 0..1, its odds multiplied by `gain`."""
        return gained(max(self.calibrated), gain)


@dataclass(slots=True)
class SlowState:
    features: FeaturesState
    filter: FilterState


@dataclass(slots=True)
class RegimeState:
    """All that a `RegimeFilter` knows beyond its model."""

    since: int
    features: FeaturesState
    filter: FilterState
    slow: SlowState | None


class RegimeFilter:
    """Filters the regime of one instrument by one model; what it has said, no later bar changes.

    A break in the bars begins everything anew, as after the start.
    """

    def __init__(self, model: RegimeModel) -> None:
        self.model = model
        self._features = Features(model.spec)
        self._filter = HmmFilter(model.fast)
        self._slow = None if model.slow is None else _SlowFilter(model.slow, model.spec)
        self._since = -1

    @property
    def warm_up(self) -> int:
        """So many bars in a row are enough for an inference that knows the slow state, wherever they begin."""
        return max(self._features.warm_up, self._slow.features.warm_up if self._slow else 0)

    def state(self) -> RegimeState:
        slow = None if self._slow is None else SlowState(self._slow.features.state(), self._slow.filter.state())
        return RegimeState(self._since, self._features.state(), self._filter.state(), slow)

    def restore(self, state: RegimeState) -> None:
        """Go on from the state of a filter of the same model."""
        assert (state.slow is None) is (self._slow is None), "the state is of another model"
        self._since = state.since
        self._features.restore(state.features)
        self._filter.restore(state.filter)
        if self._slow is not None and state.slow is not None:
            self._slow.restore(state.slow)

    def update(self, bar: Bar) -> Inference | None:
        """Give what is known after `bar`; None if it closes no window, or before warm-up.

        The slow state that conditions this window is that before it: the prediction must not know what it predicts.
        """
        raw = self._features.update(bar)
        if self._features.since != self._since:
            self._begin()
        made = None if raw is None else self._infer(bar, raw)
        if self._slow is None or not self._slow.update(bar) or made is None:
            return made
        return replace(made, slow=self._slow.filter.probabilities)

    def _begin(self) -> None:
        self._since = self._features.since
        self._filter.begin()
        if self._slow is not None:
            self._slow.begin()

    def _infer(self, bar: Bar, raw: Vector) -> Inference:
        observation = scaled(raw, self.model.scaler)
        likelihood = self._filter.step(observation, None if self._slow is None else self._slow.transitions)
        probabilities = self._filter.probabilities
        return Inference(
            closed_at=bar.ts_close,
            close=bar.close,
            observation=observation,
            probabilities=probabilities,
            calibrated=calibrated(probabilities, self.model.confidence_exponent),
            slow=() if self._slow is None else self._slow.filter.probabilities,
            log_likelihood=likelihood,
            improbable=likelihood < self.model.improbable_below,
        )


class _SlowFilter:
    """The slow model's filter, and the fast transitions that follow from its state.

    They are None, which means the fast model's own, until a slow window was observed.
    """

    def __init__(self, slow: SlowModel, spec: FeatureSpec) -> None:
        self.slow = slow
        self.features = Features(slow_spec(spec, slow.every))
        self.filter = HmmFilter(slow.model)
        self.transitions: Matrix | None = None

    def begin(self) -> None:
        self.filter.begin()
        self.transitions = None

    def restore(self, state: SlowState) -> None:
        self.features.restore(state.features)
        self.filter.restore(state.filter)
        self._condition()

    def update(self, bar: Bar) -> bool:
        """Say whether a slow window has closed."""
        raw = self.features.update(bar)
        if raw is None:
            return False
        self.filter.step(scaled(raw, self.slow.scaler))
        self._condition()
        return True

    def _condition(self) -> None:
        self.transitions = mixed(self.filter.probabilities, self.slow.transitions) if self.filter.begun else None
