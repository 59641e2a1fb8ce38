"""Drift: compare what a model sees with what it was trained on, and say when it is no longer the same market."""

from dataclasses import dataclass
from typing import ClassVar

from contracts.control import Alert
from contracts.event import Event
from contracts.models import ModelFamily, ModelPromoted
from contracts.regimes import DriftDetected, RegimeInferred
from contracts.types import MAX_TEXT, InstrumentId, Severity
from services.drift.settings import DriftSettings
from services.drift.watch import Found, Training, Watch, WatchState
from tape.component import Component, on

NAME = "drift"
MISFIT = "observation_misfit"


@dataclass(slots=True)
class DriftState:
    watches: dict[InstrumentId, WatchState]


class Drift(Component):
    """Watches the regime model that is believed of each instrument, from its promotion on."""

    produces: ClassVar[tuple[type[Event], ...]] = (DriftDetected, Alert)
    State = DriftState

    def __init__(self, settings: DriftSettings) -> None:
        super().__init__(NAME)
        self.settings = settings
        self.watches: dict[InstrumentId, Watch] = {}

    def state(self) -> DriftState:
        return DriftState({name: watch.state() for name, watch in self.watches.items()})

    def restore(self, state: DriftState) -> None:
        self.watches = {name: Watch.restored(kept, self.settings) for name, kept in state.watches.items()}

    @on(ModelPromoted)
    def on_promoted(self, said: ModelPromoted) -> tuple[Alert] | None:
        """Watch another model from here on; what was told of the one before is forgotten."""
        if said.family is not ModelFamily.REGIME:
            return None
        if wrong := said.contradiction():
            return (_refused(said, wrong),)
        assert said.artifact.regime is not None
        self.watches[said.instrument] = Watch(Training.of(said.model_id, said.artifact.regime), self.settings)
        return None

    @on(RegimeInferred)
    def on_inferred(self, inferred: RegimeInferred) -> list[Event] | None:
        """Look at an observation of the model that is watched; one of the model before may still come."""
        watch = self.watches.get(inferred.instrument)
        if watch is None or inferred.model_id != watch.training.model_id:
            return None
        if not watch.fits(inferred):
            return [_misfit(inferred, watch.training)] if watch.is_due(MISFIT, inferred.ts_init) else None
        return [_detected(inferred, found) for found in watch.look(inferred)] or None


def _detected(inferred: RegimeInferred, found: Found) -> DriftDetected:
    return DriftDetected(
        ts_event=inferred.ts_event,
        ts_init=inferred.ts_init,
        instrument=inferred.instrument,
        model_id=inferred.model_id,
        kind=found.kind,
        feature=found.feature,
        statistic=found.statistic,
        threshold=found.threshold,
    )


def _refused(said: ModelPromoted, wrong: str) -> Alert:
    text = (
        f"{said.instrument}: the regime model {said.model_id} is not watched, {wrong}; the one before still is; "
        "train it again"
    )
    return _alert(said, Severity.CRITICAL, "model_refused", text)


def _misfit(inferred: RegimeInferred, training: Training) -> Alert:
    text = (
        f"{inferred.instrument}: an observation of {len(inferred.observation)} features is not looked at, as model "
        f"{training.model_id} has {len(training.features)}: find out who writes as regime"
    )
    return _alert(inferred, Severity.WARNING, MISFIT, text)


def _alert(event: Event, severity: Severity, code: str, message: str) -> Alert:
    return Alert(
        ts_event=event.ts_event,
        ts_init=event.ts_init,
        component=NAME,
        severity=severity,
        code=code,
        message=message[:MAX_TEXT],
    )
