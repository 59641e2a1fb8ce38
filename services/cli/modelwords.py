"""A model in the words and units of a person: how long a state lasts, how much the price moves in it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import exp, sqrt

from contracts.models import (
    Artifact,
    Feature,
    FeatureSpec,
    HiddenMarkovModel,
    HiddenState,
    Matrix,
    RegimeModel,
    Scale,
    Score,
)
from quant.regime import slow_spec
from services.cli.output import table

_MINUTE = 60 * 10**9
_DAY = 24 * 60 * _MINUTE
_YEAR = 365.25 * _DAY
_HEADINGS = {
    Feature.VOLUME: "volume (sd)",
    Feature.IMBALANCE: "bought - sold",
    Feature.TREND: "trend (sd)",
}


@dataclass(frozen=True)
class StateSummary:
    """A hidden state in plain units.

    `share` of the data it was fitted to; `minutes` it lasts on average; `volatility` per year and `drift` per day as
    shares of the price, None where the model does not observe what tells them; `others`: means of other features.
    """

    label: str
    share: float
    minutes: float
    volatility: float | None
    drift: float | None
    others: tuple[tuple[Feature, float], ...]

    def document(self) -> dict[str, object]:
        """Give what a program reads of it."""
        return {**asdict(self), "others": {feature.value: mean for feature, mean in self.others}}


def summaries(model: HiddenMarkovModel, scaler: Sequence[Scale], spec: FeatureSpec) -> tuple[StateSummary, ...]:
    """Describe the states of a model that observes `spec`, scaled by `scaler`."""
    return tuple(
        _summary(state, scaler, spec, 1 / max(1 - model.transitions[at][at], 1e-12))
        for at, state in enumerate(model.states)
    )


def regime_summaries(model: RegimeModel) -> tuple[StateSummary, ...]:
    return summaries(model.fast, model.scaler, model.spec)


def slow_summaries(model: RegimeModel) -> tuple[StateSummary, ...]:
    if model.slow is None:
        return ()
    return summaries(model.slow.model, model.slow.scaler, slow_spec(model.spec, model.slow.every))


def _summary(state: HiddenState, scaler: Sequence[Scale], spec: FeatureSpec, dwell: float) -> StateSummary:
    means = [_moments(state, at, scale) for at, scale in enumerate(scaler)]
    known = dict(zip(spec.features, means, strict=True))
    windows_a_year = _YEAR / spec.nanos
    volatility = drift = None
    if Feature.LOG_RETURN in known:
        mean, variance = known[Feature.LOG_RETURN]
        drift = mean * _DAY / spec.nanos
        volatility = sqrt(variance * windows_a_year)
    if Feature.VOLATILITY in known:
        volatility = exp(known[Feature.VOLATILITY][0]) * sqrt(windows_a_year)
    others = tuple((feature, known[feature][0]) for feature in _HEADINGS if feature in known)
    return StateSummary(state.label, state.occupancy, dwell * spec.nanos / _MINUTE, volatility, drift, others)


def _moments(state: HiddenState, at: int, scale: Scale) -> tuple[float, float]:
    """Give mean and variance of a feature in a state, in raw units; of a mixture as a whole."""
    mean = sum(part.weight * part.mean[at] for part in state.mixture)
    variance = sum(part.weight * (part.covariance[at][at] + (part.mean[at] - mean) ** 2) for part in state.mixture)
    return mean * scale.spread + scale.center, variance * scale.spread**2


def print_states(title: str, states: Sequence[StateSummary]) -> None:
    if not states:
        return
    others = [_HEADINGS[feature] for feature, _ in states[0].others]
    columns = ("state", "share", "lasts", "volatility", "drift", *others)
    rows = [
        (
            state.label,
            f"{state.share:.1%}",
            duration(state.minutes),
            "-" if state.volatility is None else f"{state.volatility:.0%}/year",
            "-" if state.drift is None else f"{state.drift:+.2%}/day",
            *(f"{value:+.2f}" for _, value in state.others),
        )
        for state in states
    ]
    table(title, columns, rows, right=frozenset(columns) - {"state"})


def print_transitions(title: str, labels: Sequence[str], matrix: Matrix) -> None:
    rows = [(label, *(f"{share:.2%}" for share in row)) for label, row in zip(labels, matrix, strict=True)]
    columns = ("from \\ to", *labels)
    table(title, columns, rows, right=frozenset(columns[1:]))


def print_scores(scores: Sequence[tuple[str, Score | None]]) -> None:
    columns = ("model", "observations", "nats/observation", "calibration error", "accuracy")
    rows = [
        (
            whose,
            f"{score.observations:,}",
            f"{score.log_likelihood:+.4f}",
            f"{score.calibration_error:.1%}",
            "-" if score.accuracy is None else f"{score.accuracy:.1%}",
        )
        for whose, score in scores
        if score is not None
    ]
    table("on the hold-out, which no fit has seen", columns, rows, right=frozenset(columns) - {"model"})


def trained_on(artifact: Artifact) -> str:
    """Say which bars a model was learned from."""
    source, interval = artifact.trained_on, artifact.spec.interval
    chunks = f"{len(source.chunks):,} {'chunk' if len(source.chunks) == 1 else 'chunks'}"
    until = source.last + interval.nanos
    return f"{source.rows:,} bars of {interval.value}, {time(source.first)} to {time(until)} UTC ({chunks})"


def time(nanos: int) -> str:
    return f"{datetime.fromtimestamp(nanos // 10**9, UTC):%Y-%m-%d %H:%M}"


def duration(minutes: float) -> str:
    """Say how long something lasts, by a unit that suits it."""
    for least, divisor, unit in ((2 * 1440, 1440, "days"), (120, 60, "h"), (2, 1, "min")):
        if minutes >= least:
            return f"{minutes / divisor:.1f} {unit}"
    return f"{minutes * 60:.0f} s"
