"""What a training looks at, what it tries, and what it refuses."""

from enum import Enum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from contracts.models import Feature, FeatureSpec, Periods
from contracts.types import Interval
from quant.training.purging import Purge

_FROZEN = ConfigDict(frozen=True, extra="forbid")

Features = Annotated[tuple[Feature, ...], Field(min_length=1, max_length=len(Feature))]


class Covariance(Enum):
    FULL = "full"
    DIAGONAL = "diagonal"
    """Features do not go together within a state: faster, and enough where they hardly do."""


class Gate(BaseModel):
    """What a model must be to be believed without anybody's approval; all of it on the hold-out."""

    model_config = _FROZEN

    least_observations: int = Field(default=50, ge=1, description="fewest observations a score must rest on")
    most_calibration_error: float = Field(
        default=0.15, gt=0, le=1, description="largest expected calibration error of stated probabilities"
    )
    least_gain: float = Field(
        default=0.0, ge=-10, le=10, description="nats per observation that a champion must be beaten by"
    )
    worse_calibration: float = Field(
        default=0.01, ge=0, le=1, description="how much larger than the champion's the calibration error may be"
    )


class _Training(BaseModel):
    """What trainings of both families share."""

    model_config = _FROZEN

    window: Periods = Field(default=5, description="bars that one observation is made of")
    lookback: Periods = Field(default=48, description="windows that slow averages of the features reach back")
    features: Features = Field(
        default=(Feature.LOG_RETURN, Feature.VOLATILITY), description="what is observed of a window"
    )
    embargo: int | None = Field(
        default=None,
        ge=0,
        le=100_000,
        description="windows left out between what fits and what scores it; none: as many as averages reach back",
    )
    hold_out: float = Field(default=0.2, ge=0.05, le=0.5, description="last part of the data, which only scores")
    least_observations: int = Field(
        default=600, ge=100, le=10_000_000, description="fewest observations that are worth a training"
    )
    gate: Gate = Field(default=Gate(), description="what a model must be to be promoted by itself")

    def spec(self, interval: Interval) -> FeatureSpec:
        return FeatureSpec(interval=interval, window=self.window, lookback=self.lookback, features=self.features)

    def purge(self, spec: FeatureSpec, horizon: int = 0) -> Purge:
        """Give the distance of what fits from what scores it, where labels look `horizon` windows ahead."""
        embargo = self.lookback if self.embargo is None else self.embargo
        return Purge(label=horizon * spec.nanos, embargo=embargo * spec.nanos)


class RegimeTraining(_Training):
    """How hidden Markov models are fitted, chosen and vetoed."""

    states: tuple[Annotated[int, Field(ge=2, le=6)], ...] = Field(
        default=(2, 3, 4), min_length=1, description="numbers of states that are tried"
    )
    mixtures: tuple[Annotated[int, Field(ge=1, le=3)], ...] = Field(
        default=(1, 2), min_length=1, description="numbers of Gaussians per state that are tried"
    )
    covariance: Covariance = Field(default=Covariance.FULL, description="shape of covariances: full or diagonal")
    restarts: int = Field(default=3, ge=1, le=50, description="starts of each fit: one by quantiles, others by k-means")
    iterations: int = Field(default=200, ge=5, le=10_000, description="most steps of a fit")
    tolerance: float = Field(
        default=1e-5, gt=0, le=1, description="a fit has converged when a step gains less (nats per observation)"
    )
    folds: int = Field(default=3, ge=1, le=20, description="steps of the walk forward that chooses a model")
    least_occupancy: float = Field(default=0.05, ge=0, le=0.5, description="smallest part of the data of a state")
    least_dwell: float = Field(default=4.0, ge=1, le=10_000, description="fewest observations that a state lasts")
    slow_every: int = Field(
        default=12, ge=0, le=1_000, description="windows of the fast model in one of the slow model; 0: no slow model"
    )
    slow_states: int = Field(default=2, ge=2, le=4, description="states of the slow model")
    pair_smoothing: float = Field(
        default=25.0, gt=0, le=1e6, description="transitions that conditional ones are drawn to the common ones by"
    )
    least_pair_gain: float = Field(
        default=0.0, ge=-10, le=10, description="nats per observation that a slow model must add to be kept"
    )
    improbable: float = Field(
        default=0.001, gt=0, le=0.1, description="part of the fitted observations that counts as improbable"
    )


class DirectionKind(Enum):
    LOGISTIC = "logistic"
    BOOSTED = "boosted"
    """Gradient boosted shallow trees."""


class DirectionTraining(_Training):
    """How a classifier of the next direction is fitted and calibrated."""

    features: Features = Field(
        default=(Feature.LOG_RETURN, Feature.VOLATILITY, Feature.VOLUME, Feature.IMBALANCE, Feature.TREND),
        description="what is observed of a window",
    )
    kind: DirectionKind = Field(default=DirectionKind.LOGISTIC, description="the classifier: logistic or boosted")
    horizon: Periods = Field(default=1, description="observations ahead whose price is compared with this one's")
    calibration: float = Field(
        default=0.2, ge=0.05, le=0.5, description="part of the data, before the hold-out, that calibrates"
    )
    shrinkage: float = Field(
        default=10.0, gt=0, le=1e6, description="L2 penalty on the logistic weights (scaled features)"
    )
    trees: int = Field(default=60, ge=1, le=500, description="trees of the boosted classifier")
    depth: int = Field(default=2, ge=1, le=4, description="questions on the way to a leaf")
    learning_rate: float = Field(default=0.05, gt=0, le=1, description="part of each tree that is believed")
    iterations: int = Field(default=500, ge=10, le=10_000, description="most steps of the logistic fit")
