"""The models of a simulation: of falling and rising seconds, promoted as a trainer would."""

from contracts.models import (
    Artifact,
    Bins,
    Feature,
    FeatureSpec,
    Gaussian,
    HiddenMarkovModel,
    HiddenState,
    ModelFamily,
    ModelPromoted,
    RegimeModel,
    Scale,
    TrainedOn,
    model_id_of,
    sha256_of,
)
from contracts.types import InstrumentId, Interval

USUAL_MOVE = 0.0001
"""A second's return, by which returns are scaled."""


def promotion(instrument: InstrumentId, seed: int, now_ns: int) -> ModelPromoted:
    """Promote a model; another `seed` is another model that says the same."""
    made = Artifact(
        family=ModelFamily.REGIME,
        instrument=instrument,
        trained_on=TrainedOn(chunks=(), first=0, last=0, rows=0),
        code="simulated",
        seed=seed,
        regime=RegimeModel(
            spec=FeatureSpec(interval=Interval.S1, window=1, lookback=2, features=(Feature.LOG_RETURN,)),
            scaler=(Scale(center=0.0, spread=USUAL_MOVE),),
            fast=HiddenMarkovModel(
                states=(_state("falling", -1.0), _state("rising", 1.0)),
                initial=(0.5, 0.5),
                transitions=((0.9, 0.1), (0.1, 0.9)),
            ),
            slow=None,
            confidence_exponent=1.0,
            improbable_below=-12.0,
            usual=Scale(center=-2.0, spread=0.7),
            reference=(Bins(edges=(-1.0, 0.0, 1.0), shares=(0.25, 0.25, 0.25, 0.25)),),
        ),
    )
    sha256 = sha256_of(made)
    return ModelPromoted(
        ts_event=now_ns,
        ts_init=now_ns,
        model_id=model_id_of(sha256),
        sha256=sha256,
        family=made.family,
        instrument=instrument,
        artifact=made,
        replaces=None,
        by="trainer",
        reason="simulated",
    )


def _state(label: str, mean: float) -> HiddenState:
    part = Gaussian(weight=1.0, mean=(mean,), covariance=((1.0,),))
    return HiddenState(label=label, occupancy=0.5, mixture=(part,))
