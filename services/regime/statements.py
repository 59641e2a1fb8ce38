"""What regime says on the tape."""

from contracts.control import Alert
from contracts.event import Event
from contracts.market import Bar
from contracts.models import ModelPromoted, ModelPublished, ModelRetired
from contracts.regimes import DirectionInferred, RegimeInferred, ShadowInferred
from contracts.types import MAX_TEXT, InstrumentId, Severity
from quant.regime import Inference
from services.regime.settings import RegimeSettings
from services.regime.work import DirectionWork, RegimeWork, Work

NAME = "regime"


def regime_inferred(
    bar: Bar, work: RegimeWork, found: Inference, gain: float, settings: RegimeSettings
) -> RegimeInferred:
    """Tell the regime; it is relied on if it is the most probable too, probable enough, and explains what is seen."""
    model, regime = work.model, work.hysteresis.regime
    labels, confidence = model.fast.labels, found.confidence(gain)
    agrees = regime == labels[found.likeliest] and not found.improbable
    return RegimeInferred(
        ts_event=bar.ts_event,
        ts_init=bar.ts_init,
        instrument=bar.instrument,
        model_id=work.model_id,
        regime=regime,
        states=labels,
        probabilities=found.probabilities,
        entropy=found.entropy,
        confidence=confidence,
        confident=agrees and confidence >= settings.confident,
        log_likelihood=found.log_likelihood,
        observation=found.observation,
        close=found.close,
        slow_states=() if model.slow is None else model.slow.model.labels,
        slow=found.slow,
    )


def shadow_inferred(bar: Bar, work: RegimeWork, found: Inference) -> ShadowInferred:
    return ShadowInferred(
        ts_event=bar.ts_event,
        ts_init=bar.ts_init,
        instrument=bar.instrument,
        model_id=work.model_id,
        states=work.model.fast.labels,
        probabilities=found.probabilities,
        log_likelihood=found.log_likelihood,
    )


def direction_inferred(bar: Bar, work: DirectionWork, up: float) -> DirectionInferred:
    return DirectionInferred(
        ts_event=bar.ts_event,
        ts_init=bar.ts_init,
        instrument=bar.instrument,
        model_id=work.model_id,
        up=up,
        horizon=work.model.horizon,
    )


def tampered(said: ModelPublished | ModelPromoted, found: str, kept: str) -> Alert:
    text = (
        f"{_named(said)} was changed after it was made: its sha256 is said to be {said.sha256} and is {found}; "
        f"{kept}; find out who wrote it, and train it again"
    )
    return _alert(said, Severity.CRITICAL, "model_tampered", text)


def contradictory(said: ModelPublished | ModelPromoted, wrong: str, kept: str) -> Alert:
    text = f"{_named(said)} cannot be used, {wrong}; {kept}; train it again"
    return _alert(said, Severity.CRITICAL, "model_contradictory", text)


def cold(said: ModelPromoted, work: Work, kept: int) -> Alert:
    length = work.model.spec.interval.value
    text = (
        f"{_named(said)} is believed from here on, but has nothing to say yet: it begins with {kept} bars of {length} "
        f"in a row and needs up to {work.warm_up}; `kept_bars` of regime keeps more of them"
    )
    return _alert(said, Severity.INFO, "model_cold", text)


def retired(said: ModelRetired) -> Alert:
    text = (
        f"{_named(said)} was retired by {said.by} ({said.reason}) and no other one is believed: nothing is inferred "
        "until one is promoted"
    )
    return _alert(said, Severity.INFO, "model_retired", text)


def without_bars(bar: Bar, instrument: InstrumentId, work: Work, silent_s: float) -> Alert:
    length = work.model.spec.interval.value
    text = (
        f"{instrument}: no bar of {length} has come for {silent_s:.0f} s, and model {work.model_id} waits for them: "
        f"see that the feed brings it and that `intervals` of bars holds {length}, or retire the model"
    )
    return _alert(bar, Severity.WARNING, "model_without_bars", text)


def _named(said: ModelPublished | ModelPromoted | ModelRetired) -> str:
    return f"{said.instrument}: the {said.family.value} model {said.model_id}"


def _alert(event: Event, severity: Severity, code: str, message: str) -> Alert:
    return Alert(
        ts_event=event.ts_event,
        ts_init=event.ts_init,
        component=NAME,
        severity=severity,
        code=code,
        message=message[:MAX_TEXT],
    )
