"""Small models whose regimes can be told by heart, the events of their lives, and bars that show them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from contracts.market import Bar
from contracts.models import (
    Artifact,
    Bins,
    DirectionModel,
    Feature,
    FeatureSpec,
    Gaussian,
    HiddenMarkovModel,
    HiddenState,
    Matrix,
    ModelFamily,
    ModelPromoted,
    ModelPublished,
    ModelRetired,
    RegimeModel,
    Scale,
    Score,
    SlowModel,
    TrainedOn,
    Vector,
    model_id_of,
    sha256_of,
)
from contracts.regimes import CalibrationSet, RegimeInferred
from contracts.types import InstrumentId, Interval
from tests.builders import BTC, START, ns

UNIT = 0.001
"""Returns are seen in tenths of a percent."""
CHUNK = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"


def state(label: str, mean: float, deviation: float, features: int = 1) -> HiddenState:
    """Make a state in which every scaled feature has this mean and deviation."""
    covariance = tuple(tuple(deviation**2 * (i == j) for j in range(features)) for i in range(features))
    part = Gaussian(weight=1.0, mean=(mean,) * features, covariance=covariance)
    return HiddenState(label=label, occupancy=0.5, mixture=(part,))


def falling_or_rising(features: int = 1) -> tuple[HiddenState, ...]:
    return (state("falling", -2.0, 1.0, features), state("rising", 2.0, 1.0, features))


def staying(share: float, states: int = 2) -> Matrix:
    """Stay in a state with this probability, else go to any of the others."""
    other = (1 - share) / (states - 1)
    return tuple(tuple(share if here == there else other for there in range(states)) for here in range(states))


def chain(states: tuple[HiddenState, ...]) -> HiddenMarkovModel:
    count = len(states)
    return HiddenMarkovModel(states=states, initial=(1 / count,) * count, transitions=staying(0.95, count))


def spec(*features: Feature, interval: Interval = Interval.S5, window: int = 1, lookback: int = 2) -> FeatureSpec:
    return FeatureSpec(interval=interval, window=window, lookback=lookback, features=features or (Feature.LOG_RETURN,))


def regime_model(
    *,
    of: FeatureSpec | None = None,
    states: tuple[HiddenState, ...] | None = None,
    slow: SlowModel | None = None,
    improbable_below: float = -12.0,
    exponent: float = 1.0,
) -> RegimeModel:
    """Make a model of falling and rising returns: 2 units and more are quite certainly one of the two."""
    of = of or spec()
    count = len(of.features)
    return RegimeModel(
        spec=of,
        scaler=(Scale(center=0.0, spread=UNIT),) * count,
        fast=chain(states or falling_or_rising(count)),
        slow=slow,
        confidence_exponent=exponent,
        improbable_below=improbable_below,
        usual=Scale(center=-2.0, spread=0.7),
        reference=(Bins(edges=(-2.0, 0.0, 2.0), shares=(0.25, 0.25, 0.25, 0.25)),) * count,
    )


def slow_model(every: int = 4) -> SlowModel:
    return SlowModel(
        every=every,
        scaler=(Scale(center=0.0, spread=2 * UNIT),),
        model=chain((state("down", -2.0, 2.0), state("up", 2.0, 2.0))),
        transitions=(staying(0.95), staying(0.7)),
    )


def direction_model(*, of: FeatureSpec | None = None, weight: float = 1.0, horizon: int = 3) -> DirectionModel:
    """Make a model that expects a move to go on."""
    of = of or spec()
    count = len(of.features)
    return DirectionModel(
        spec=of,
        scaler=(Scale(center=0.0, spread=UNIT),) * count,
        horizon=horizon,
        intercept=0.0,
        weights=(weight,) * count,
        trees=(),
        slope=1.0,
        offset=0.0,
    )


def artifact(model: RegimeModel | DirectionModel, instrument: InstrumentId = BTC, seed: int = 0) -> Artifact:
    """Wrap a model up; models that differ in `seed` only have different ids."""
    is_regime = isinstance(model, RegimeModel)
    return Artifact(
        family=ModelFamily.REGIME if is_regime else ModelFamily.DIRECTION,
        instrument=instrument,
        trained_on=TrainedOn(chunks=(CHUNK,), first=START - 3_600 * 10**9, last=START - 5 * 10**9, rows=719),
        code="0.1.0",
        seed=seed,
        regime=model if isinstance(model, RegimeModel) else None,
        direction=model if isinstance(model, DirectionModel) else None,
    )


def id_of(made: Artifact) -> str:
    return model_id_of(sha256_of(made))


def published(made: Artifact, *, at: float = 0.0) -> ModelPublished:
    return ModelPublished(
        ts_event=ns(at),
        ts_init=ns(at),
        request=1,
        model_id=id_of(made),
        sha256=sha256_of(made),
        family=made.family,
        instrument=made.instrument,
        artifact=made,
        score=Score(observations=100, log_likelihood=-2.0, calibration_error=0.05),
        champion=None,
        champion_score=None,
    )


def promoted(made: Artifact, *, at: float = 0.0) -> ModelPromoted:
    return ModelPromoted(
        ts_event=ns(at),
        ts_init=ns(at),
        model_id=id_of(made),
        sha256=sha256_of(made),
        family=made.family,
        instrument=made.instrument,
        artifact=made,
        replaces=None,
        by="trainer",
        reason="better on the hold-out",
    )


def tampered(made: Artifact, *, at: float = 0.0) -> ModelPromoted:
    """Promote another model than the one that the hash was made of."""
    return replace(promoted(made, at=at), artifact=replace(made, seed=made.seed + 1))


def retired(made: Artifact, *, at: float = 0.0) -> ModelRetired:
    return ModelRetired(
        ts_event=ns(at),
        ts_init=ns(at),
        model_id=id_of(made),
        family=made.family,
        instrument=made.instrument,
        by="alice",
        reason="too nervous",
    )


def calibrated(gain: float, instrument: InstrumentId | None = None, *, at: float = 0.0) -> CalibrationSet:
    return CalibrationSet(
        ts_event=ns(at),
        ts_init=ns(at),
        instrument=instrument,
        confidence_gain=gain,
        quote_multiplier=1.0,
        cooldown_scale=1.0,
        operator="alice",
        reason="as experience tells",
    )


def moving(
    units: Iterable[float],
    *,
    first: int = 0,
    price: float = 100.0,
    interval: Interval = Interval.S5,
    instrument: InstrumentId = BTC,
    volume: float = 1.0,
) -> list[Bar]:
    """Close a bar after each move (in units of the models here), the first of them as the `first` since `START`."""
    closes = list(accumulate(units, lambda last, move: last * (1 + move * UNIT), initial=price))
    made = []
    for number, (before, close) in enumerate(pairwise(closes), start=first):
        ts_open = START + number * interval.nanos
        ts_close = ts_open + interval.nanos
        made.append(
            Bar(
                ts_event=ts_close,
                ts_init=ts_close,
                instrument=instrument,
                interval=interval,
                ts_open=ts_open,
                ts_close=ts_close,
                open=before,
                high=max(before, close),
                low=min(before, close),
                close=close,
                volume=volume,
                trades=3,
            )
        )
    return made


def inferred(
    made: Artifact,
    observation: Sequence[float] = (0.0,),
    *,
    log_likelihood: float = -2.0,
    number: int = 0,
) -> RegimeInferred:
    """Infer something of the `number`-th window of 5 s since `START`."""
    at = START + (number + 1) * Interval.S5.nanos
    assert made.regime is not None
    labels = made.regime.fast.labels
    shares: Vector = (1 / len(labels),) * len(labels)
    return RegimeInferred(
        ts_event=at,
        ts_init=at,
        instrument=made.instrument,
        model_id=id_of(made),
        regime=labels[0],
        states=labels,
        probabilities=shares,
        entropy=1.0,
        confidence=shares[0],
        confident=False,
        log_likelihood=log_likelihood,
        observation=tuple(observation),
        close=100.0,
    )
