"""Models: what was learned from which bytes, how good it is, and which one is believed.

A promotion carries the whole model: whoever reads the tape needs no other source, and knows the position from which on
it is believed. The same document lies in the object store under its hash.
"""

import hashlib
import re
from enum import Enum
from typing import Annotated

from pydantic import Field, TypeAdapter

from contracts.event import Event, event, record
from contracts.types import Count, Instrument, Interval, Name, Nanos, Sha256, Text

Share = Annotated[float, Field(ge=0, le=1)]
Periods = Annotated[int, Field(ge=1, le=100_000)]
Vector = tuple[float, ...]
Matrix = tuple[Vector, ...]

MODEL_ID_DIGITS = 16
"""A model is named by so many digits of its hash."""
SUM_TOLERANCE = 1e-9


class ModelFamily(Enum):
    """What a model tells; one of each family is believed per instrument."""

    REGIME = "regime"
    DIRECTION = "direction"


class Feature(Enum):
    """What is observed of a window of bars (see `quant.features`)."""

    LOG_RETURN = "log_return"
    VOLATILITY = "volatility"
    VOLUME = "volume"
    IMBALANCE = "imbalance"
    TREND = "trend"


@record
class FeatureSpec:
    """What an observation is made of: windows of `window` bars that do not overlap, means over `lookback` of them."""

    interval: Interval
    window: Periods
    lookback: Periods
    features: Annotated[tuple[Feature, ...], Field(min_length=1, max_length=len(Feature))]

    @property
    def nanos(self) -> int:
        """The length of a window."""
        return self.window * self.interval.nanos


@record
class Gaussian:
    """One part of a mixture: its `weight`, and its mean and full covariance over the scaled features."""

    weight: Share
    mean: Vector
    covariance: Matrix


@record
class HiddenState:
    """A state of a hidden Markov model; `occupancy` is its share of the data it was fitted to."""

    label: Name
    occupancy: Share
    mixture: Annotated[tuple[Gaussian, ...], Field(min_length=1)]


@record
class HiddenMarkovModel:
    """States, where the chain starts, and `transitions[from][to]` from one observation to the next."""

    states: Annotated[tuple[HiddenState, ...], Field(min_length=2, max_length=8)]
    initial: Vector
    transitions: Matrix

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(state.label for state in self.states)

    def contradiction(self, features: int) -> str | None:
        count = len(self.states)
        if len(set(self.labels)) != count:
            return "states: two have the same label"
        if not _is_distribution(self.initial, count):
            return f"initial: no distribution over {count} states"
        if wrong := _wrong_transitions(self.transitions, count):
            return f"transitions: {wrong}"
        for state in self.states:
            if abs(sum(part.weight for part in state.mixture) - 1) > SUM_TOLERANCE:
                return f"states: the weights of {state.label} do not sum to 1"
            if any(not _fits(part, features) for part in state.mixture):
                return f"states: {state.label} is not over {features} features, or a covariance is not one"
        return None


@record
class Scale:
    """A feature is seen as (value - `center`) / `spread`."""

    center: float
    spread: Annotated[float, Field(gt=0)]


@record
class SlowModel:
    """A model of longer windows, each of `every` of the fast one: its filtered state conditions the fast one.

    `transitions[s]` are those of the fast model while the slow one is in its state `s`. `scaler` as in `RegimeModel`.
    """

    every: Periods
    scaler: tuple[Scale, ...]
    model: HiddenMarkovModel
    transitions: tuple[Matrix, ...]


@record
class Bins:
    """How a scaled feature was distributed in training: `shares` between the inner `edges` (one more than edges)."""

    edges: Vector
    shares: Vector


@record
class RegimeModel:
    """Names the regime of a market from its observations.

    A probability is believed as far as experience allows: p is replaced by p^`confidence_exponent`, normalised. An
    observation whose predictive log-likelihood lies below `improbable_below` is of no regime that was learned.
    `usual` are mean and standard deviation of that log-likelihood (nats) in training.
    """

    spec: FeatureSpec
    scaler: tuple[Scale, ...]
    fast: HiddenMarkovModel
    slow: SlowModel | None
    confidence_exponent: Annotated[float, Field(gt=0, le=10)]
    improbable_below: float
    usual: Scale
    reference: tuple[Bins, ...]

    def contradiction(self) -> str | None:
        features = len(self.spec.features)
        if len(self.scaler) != features or len(self.reference) != features:
            return f"scaler, reference: not one for each of {features} features"
        if any(len(bins.shares) != len(bins.edges) + 1 for bins in self.reference):
            return "reference: not one share more than edges"
        if wrong := self.fast.contradiction(features):
            return f"fast.{wrong}"
        return None if self.slow is None else self._slow_contradiction(self.slow, features)

    def _slow_contradiction(self, slow: SlowModel, features: int) -> str | None:
        if wrong := slow.model.contradiction(features):
            return f"slow.{wrong}"
        if len(slow.scaler) != features or len(slow.transitions) != len(slow.model.states):
            return "slow: not one scale per feature and one transition matrix per state"
        found = [_wrong_transitions(matrix, len(self.fast.states)) for matrix in slow.transitions]
        return next((f"slow.transitions: {wrong}" for wrong in found if wrong), None)


@record
class Tree:
    """A decision tree by rows: at node n go `left[n]` if features[`feature[n]`] <= `threshold[n]`, else `right[n]`.

    A leaf has `feature` -1 and gives `value[n]`.
    """

    feature: tuple[int, ...]
    threshold: Vector
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: Vector


@record
class DirectionModel:
    """The probability that the price is higher `horizon` observations ahead.

    Score s = `intercept` + `weights` . x + the sum over `trees`; probability = 1 / (1 + exp(-(`slope` s + `offset`))):
    Platt's scaling (Platt 1999) of a score by data that it was not fitted to.
    """

    spec: FeatureSpec
    scaler: tuple[Scale, ...]
    horizon: Periods
    intercept: float
    weights: Vector
    trees: tuple[Tree, ...]
    slope: float
    offset: float

    def contradiction(self) -> str | None:
        features = len(self.spec.features)
        if len(self.scaler) != features or len(self.weights) not in (0, features):
            return f"scaler, weights: not one for each of {features} features"
        return "trees: one leads nowhere" if any(not _is_tree(tree, features) for tree in self.trees) else None


@record
class TrainedOn:
    """The bytes a model was learned from: bars that open in [`first`, `last`], in these chunks."""

    chunks: tuple[Sha256, ...]
    first: Nanos
    last: Nanos
    rows: Count


@record
class Artifact:
    """All of a model. Its hash is that of its canonical JSON; exactly one of `regime` and `direction` is there."""

    family: ModelFamily
    instrument: Instrument
    trained_on: TrainedOn
    code: Text
    """The version of the code that trained it."""
    seed: Count
    regime: RegimeModel | None = None
    direction: DirectionModel | None = None

    @property
    def spec(self) -> FeatureSpec:
        model = self.regime or self.direction
        assert model is not None
        return model.spec

    def contradiction(self) -> str | None:
        model = {ModelFamily.REGIME: self.regime, ModelFamily.DIRECTION: self.direction}
        if [family for family, of_it in model.items() if of_it is not None] != [self.family]:
            return "family: not the model that is there"
        wrong = (self.regime or self.direction).contradiction()  # type: ignore[union-attr] # one is there
        return f"{self.family.value}.{wrong}" if wrong else None


ARTIFACT = TypeAdapter(Artifact)

_NEGATIVE_ZERO = re.compile(rb"(?<=[:,\[])-0\.0(?=[,\]}])")


def canonical(artifact: Artifact) -> bytes:
    """The bytes that are hashed and kept: the same for the same model, whoever writes them, and wherever it was kept.

    A zero has no sign in them: the event store keeps documents as jsonb, which has only one zero.
    """
    return _NEGATIVE_ZERO.sub(b"0.0", ARTIFACT.dump_json(artifact, exclude_defaults=True))


def sha256_of(artifact: Artifact) -> str:
    return hashlib.sha256(canonical(artifact)).hexdigest()


def model_id_of(sha256: str) -> str:
    return sha256[:MODEL_ID_DIGITS]


@record
class Score:
    """How good a model is on data after that it was fitted to.

    `log_likelihood`: mean predictive log-likelihood of an observation (nats). `calibration_error`: how far stated
    probabilities are from what came true (expected calibration error, 0..1). `accuracy` where a truth is known.
    """

    observations: Count
    log_likelihood: float
    calibration_error: Share
    accuracy: Share | None = None


class TrainFailure(Enum):
    """Why a training gave no model."""

    TOO_LITTLE_DATA = "too_little_data"
    BAD_DATA = "bad_data"
    NO_CONVERGENCE = "no_convergence"
    DEGENERATE = "degenerate"
    """A covariance is singular, or the data do not move."""
    RARE_STATE = "rare_state"
    """A state holds less of the data than it must."""
    SHORT_DWELL = "short_dwell"
    """A state lasts less than it must."""
    ERROR = "error"


class ModelAction(Enum):
    PROMOTE = "promote"
    RETIRE = "retire"


@event("train.requested.{by}")
class TrainRequested(Event):
    """A model of this family and instrument shall be trained on all chunks of `interval` known at this position."""

    by: Name
    family: ModelFamily
    instrument: Instrument
    interval: Interval
    reason: Text


@event("train.started.{family}.{instrument}")
class TrainStarted(Event):
    """The training that was requested at the position `request` has begun."""

    request: Count
    family: ModelFamily
    instrument: Instrument
    rows: Count


@event("train.failed.{family}.{instrument}")
class TrainFailed(Event):
    """The training that was requested at `request` gave no model."""

    request: Count
    family: ModelFamily
    instrument: Instrument
    failure: TrainFailure
    detail: Text


@event("model.published.{family}.{instrument}")
class ModelPublished(Event):
    """A training gave a model; it is a shadow until it is promoted. `champion_score` is on the same data as `score`."""

    request: Count
    model_id: Name
    sha256: Sha256
    family: ModelFamily
    instrument: Instrument
    artifact: Artifact
    score: Score
    champion: Name | None
    champion_score: Score | None
    passed: bool = False
    """Whether the gate lets it replace `champion`; `gate` says why, or why not."""
    gate: Text = ""

    def contradiction(self) -> str | None:
        return _artifact_contradiction(self)


@event("model.promoted.{family}.{instrument}")
class ModelPromoted(Event):
    """From this position on this model is believed. `by`: the gate, or an operator."""

    model_id: Name
    sha256: Sha256
    family: ModelFamily
    instrument: Instrument
    artifact: Artifact
    replaces: Name | None
    by: Name
    reason: Text

    def contradiction(self) -> str | None:
        return _artifact_contradiction(self)


@event("model.retired.{family}.{instrument}")
class ModelRetired(Event):
    """A model is no longer used, neither as the one believed nor as a shadow."""

    model_id: Name
    family: ModelFamily
    instrument: Instrument
    by: Name
    reason: Text


@event("control.model")
class ModelDecided(Event):
    """The operator promotes or retires a model, whatever the gate says."""

    model_id: Name
    action: ModelAction
    operator: Name
    reason: Text


def _artifact_contradiction(said: ModelPublished | ModelPromoted) -> str | None:
    if (said.family, said.instrument) != (said.artifact.family, said.artifact.instrument):
        return "artifact: of another family or instrument"
    if wrong := said.artifact.contradiction():
        return f"artifact.{wrong}"
    if (found := sha256_of(said.artifact)) != said.sha256:
        return f"sha256: the artifact's is {found}: it was changed after it was made"
    return None if said.model_id == model_id_of(said.sha256) else "model_id: not the beginning of sha256"


def _is_distribution(shares: Vector, count: int) -> bool:
    return len(shares) == count and all(share >= 0 for share in shares) and abs(sum(shares) - 1) <= SUM_TOLERANCE


def _wrong_transitions(matrix: Matrix, count: int) -> str | None:
    if len(matrix) != count:
        return f"{len(matrix)} rows for {count} states"
    wrong = [row for row in range(count) if not _is_distribution(matrix[row], count)]
    return f"row {wrong[0]} is no distribution over {count} states" if wrong else None


def _fits(part: Gaussian, features: int) -> bool:
    shape = len(part.mean) == len(part.covariance) == features and all(len(row) == features for row in part.covariance)
    return shape and _is_positive_definite(part.covariance)


def _is_positive_definite(matrix: Matrix) -> bool:
    """Try Cholesky's factorisation."""
    size = len(matrix)
    lower = [[0.0] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            if matrix[i][j] != matrix[j][i]:
                return False
            rest = matrix[i][j] - sum(lower[i][k] * lower[j][k] for k in range(j))
            if i == j and rest <= 0:
                return False
            lower[i][j] = rest**0.5 if i == j else rest / lower[j][j]
    return True


def _is_tree(tree: Tree, features: int) -> bool:
    """Whether each step leads on to a later node, so that every path ends in a leaf."""
    nodes = len(tree.feature)
    if not nodes or {len(tree.threshold), len(tree.left), len(tree.right), len(tree.value)} != {nodes}:
        return False
    return all(
        tree.feature[n] == -1
        or (0 <= tree.feature[n] < features and n < tree.left[n] < nodes and n < tree.right[n] < nodes)
        for n in range(nodes)
    )
