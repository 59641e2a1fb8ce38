"""Regimes: which kind of market it is now, as far as the past tells, and when the models no longer fit."""

from enum import Enum
from typing import Annotated

from pydantic import Field

from contracts.event import Event, event
from contracts.models import Feature, Periods, Share, Vector
from contracts.types import Instrument, Name, Price, Text

UNKNOWN = "unknown"
"""The regime of a market that shows what no state of the model explains."""


@event("regime.inferred.{instrument}")
class RegimeInferred(Event):
    """The filtered regime after one more observation: nothing after it was looked at.

    `probabilities` are those of `states`; `regime` is the one that hysteresis settled on, or `unknown`. `entropy` is
    normalised to 0..1. `confidence` is the calibrated probability of the most probable state; `confident` says whether
    it suffices. `log_likelihood` is the predictive one of this observation (nats), `observation` its scaled features.
    `slow`: of the slow model's states, if there is one.
    """

    instrument: Instrument
    model_id: Name
    regime: Name
    states: tuple[Name, ...]
    probabilities: Vector
    entropy: Share
    confidence: Share
    confident: bool
    log_likelihood: float
    observation: Vector
    close: Price
    slow_states: tuple[Name, ...] = ()
    slow: Vector = ()

    def contradiction(self) -> str | None:
        if len(self.states) != len(self.probabilities) or len(self.slow_states) != len(self.slow):
            return "probabilities: not one for each state"
        return None if self.regime in (*self.states, UNKNOWN) else "regime: none of the states"


@event("regime.shadow.{instrument}")
class ShadowInferred(Event):
    """The same from a model that is not believed yet."""

    instrument: Instrument
    model_id: Name
    states: tuple[Name, ...]
    probabilities: Vector
    log_likelihood: float


@event("regime.direction.{instrument}")
class DirectionInferred(Event):
    """The probability that the price is higher `horizon` observations ahead."""

    instrument: Instrument
    model_id: Name
    up: Share
    horizon: Periods


Gain = Annotated[float, Field(gt=0, le=10)]
Factor = Annotated[float, Field(ge=0, le=10)]


@event("control.calibration")
class CalibrationSet(Event):
    """The operator tells how far to believe, how much to trade, and how long to pause on an instrument (None: on all).

    `confidence_gain` raises (above 1) or lowers calibrated confidence; `quote_multiplier` scales the size of a trade,
    `cooldown_scale` the pause after one.
    """

    instrument: Instrument | None
    confidence_gain: Gain
    quote_multiplier: Factor
    cooldown_scale: Factor
    operator: Name
    reason: Text


class DriftKind(Enum):
    PSI = "psi"
    """The population stability index of a feature: what it shows now against training."""
    PAGE_HINKLEY = "page_hinkley"
    """The predictive log-likelihood has fallen for good (Page 1954)."""


@event("drift.detected.{instrument}")
class DriftDetected(Event):
    """The market no longer is as it was when `model_id` was trained: `statistic` has passed `threshold`."""

    instrument: Instrument
    model_id: Name
    kind: DriftKind
    feature: Feature | None
    statistic: float
    threshold: float
