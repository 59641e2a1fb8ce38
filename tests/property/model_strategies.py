"""Any valid model, and what is said of data and regimes: parts that must agree with each other."""

from typing import Any

from hypothesis import strategies as st

from contracts.data import DataChunk
from contracts.models import (
    Artifact,
    Bins,
    DirectionModel,
    Feature,
    FeatureSpec,
    Gaussian,
    HiddenMarkovModel,
    HiddenState,
    ModelFamily,
    RegimeModel,
    Scale,
    SlowModel,
    TrainedOn,
    Tree,
    model_id_of,
    sha256_of,
)
from contracts.regimes import UNKNOWN, RegimeInferred
from contracts.types import Interval
from tests.property.basic_strategies import INSTRUMENTS, hashes, nanos, numbers, prices, shares, texts, tokens


@st.composite
def chunks(draw: st.DrawFn) -> DataChunk:
    interval, first = draw(st.sampled_from(Interval)), draw(st.integers(0, 2**61))
    rows, missing = draw(st.integers(1, 1_000)), draw(st.integers(0, 1_000))
    return DataChunk(
        ts_event=draw(nanos),
        ts_init=draw(nanos),
        by=draw(tokens),
        instrument=draw(st.sampled_from(INSTRUMENTS)),
        interval=interval,
        first=first,
        last=first + (rows + missing - 1) * interval.nanos,
        rows=rows,
        missing=missing,
        repaired=draw(st.integers(0, 10)),
        sha256=draw(hashes),
        source=draw(texts),
    )


@st.composite
def distributions(draw: st.DrawFn, count: int) -> tuple[float, ...]:
    weights = draw(st.lists(st.integers(1, 100), min_size=count, max_size=count))
    return tuple(weight / sum(weights) for weight in weights)


@st.composite
def hidden_markov_models(draw: st.DrawFn, features: int) -> HiddenMarkovModel:
    count = draw(st.integers(2, 4))
    return HiddenMarkovModel(
        states=tuple(
            HiddenState(
                label=f"state-{number}",
                occupancy=draw(shares),
                mixture=tuple(
                    Gaussian(
                        weight=weight,
                        mean=tuple(draw(numbers) for _ in range(features)),
                        covariance=_diagonal([draw(st.floats(1e-6, 1e6)) for _ in range(features)]),
                    )
                    for weight in draw(distributions(draw(st.integers(1, 2))))
                ),
            )
            for number in range(count)
        ),
        initial=draw(distributions(count)),
        transitions=draw(_transitions(count)),
    )


@st.composite
def _transitions(draw: st.DrawFn, count: int) -> tuple[tuple[float, ...], ...]:
    return tuple(draw(distributions(count)) for _ in range(count))


def _diagonal(variances: list[float]) -> tuple[tuple[float, ...], ...]:
    size = range(len(variances))
    return tuple(tuple(variances[row] if row == column else 0.0 for column in size) for row in size)


@st.composite
def feature_specs(draw: st.DrawFn) -> FeatureSpec:
    return FeatureSpec(
        interval=draw(st.sampled_from(Interval)),
        window=draw(st.integers(1, 100)),
        lookback=draw(st.integers(1, 100)),
        features=tuple(draw(st.lists(st.sampled_from(Feature), min_size=1, max_size=5, unique=True))),
    )


def _scales(count: int) -> st.SearchStrategy[tuple[Scale, ...]]:
    scale = st.builds(Scale, center=numbers, spread=st.floats(1e-6, 1e6))
    return st.lists(scale, min_size=count, max_size=count).map(tuple)


@st.composite
def regime_models(draw: st.DrawFn) -> RegimeModel:
    spec = draw(feature_specs())
    features = len(spec.features)
    fast = draw(hidden_markov_models(features))
    slow = None
    if draw(st.booleans()):
        of_slow = draw(hidden_markov_models(features))
        matrices = tuple(draw(_transitions(len(fast.states))) for _ in of_slow.states)
        every = draw(st.integers(1, 50))
        slow = SlowModel(every=every, scaler=draw(_scales(features)), model=of_slow, transitions=matrices)
    return RegimeModel(
        spec=spec,
        scaler=draw(_scales(features)),
        fast=fast,
        slow=slow,
        confidence_exponent=draw(st.floats(0.01, 10)),
        improbable_below=draw(numbers),
        usual=draw(_scales(1))[0],
        reference=tuple(Bins(edges=(draw(numbers),), shares=(0.5, 0.5)) for _ in range(features)),
    )


@st.composite
def direction_models(draw: st.DrawFn) -> DirectionModel:
    spec = draw(feature_specs())
    features = len(spec.features)
    tree = Tree(
        feature=(0, -1, -1),
        threshold=(draw(numbers), 0.0, 0.0),
        left=(1, 0, 0),
        right=(2, 0, 0),
        value=(0.0, -1.0, 1.0),
    )
    return DirectionModel(
        spec=spec,
        scaler=draw(_scales(features)),
        horizon=draw(st.integers(1, 100)),
        intercept=draw(numbers),
        weights=tuple(draw(numbers) for _ in range(features)),
        trees=draw(st.sampled_from([(), (tree,)])),
        slope=draw(numbers),
        offset=draw(numbers),
    )


@st.composite
def artifacts(draw: st.DrawFn) -> Artifact:
    regime = draw(st.none() | regime_models())
    trained_on = TrainedOn(
        chunks=tuple(draw(st.lists(hashes, max_size=3))),
        first=draw(nanos),
        last=draw(nanos),
        rows=draw(st.integers(0, 10**6)),
    )
    return Artifact(
        family=ModelFamily.DIRECTION if regime is None else ModelFamily.REGIME,
        instrument=draw(st.sampled_from(INSTRUMENTS)),
        trained_on=trained_on,
        code=draw(texts),
        seed=draw(st.integers(0, 2**63 - 1)),
        regime=regime,
        direction=draw(direction_models()) if regime is None else None,
    )


def with_artifact(made: dict[str, Any]) -> dict[str, Any]:
    """Let all that is said beside an artifact agree with it."""
    artifact = made["artifact"]
    sha256 = sha256_of(artifact)
    family, instrument = artifact.family, artifact.instrument
    return made | {"sha256": sha256, "model_id": model_id_of(sha256), "family": family, "instrument": instrument}


@st.composite
def regime_inferences(draw: st.DrawFn) -> RegimeInferred:
    count, slow = draw(st.integers(2, 4)), draw(st.integers(0, 3))
    states = tuple(f"state-{number}" for number in range(count))
    return RegimeInferred(
        ts_event=draw(nanos),
        ts_init=draw(nanos),
        instrument=draw(st.sampled_from(INSTRUMENTS)),
        model_id=draw(tokens),
        regime=draw(st.sampled_from((*states, UNKNOWN))),
        states=states,
        probabilities=draw(distributions(count)),
        entropy=draw(shares),
        confidence=draw(shares),
        confident=draw(st.booleans()),
        log_likelihood=draw(numbers),
        observation=tuple(draw(st.lists(numbers, max_size=5))),
        close=draw(prices),
        slow_states=tuple(f"slow-{number}" for number in range(slow)),
        slow=draw(distributions(slow)) if slow else (),
    )
