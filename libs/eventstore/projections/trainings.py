"""trainings: what was asked to be learned, and what came of it: a model, or the reason why there is none."""

from enum import Enum
from typing import ClassVar, NamedTuple

from contracts.models import ModelFamily, ModelPublished, TrainFailed, TrainFailure, TrainRequested, TrainStarted
from contracts.ownership import EventTypes
from contracts.recorded import Recorded
from contracts.types import Interval
from eventstore.instruments import venue_and_symbol
from eventstore.projections.projection import Journal


class TrainingStep(Enum):
    REQUESTED = "requested"
    STARTED = "started"
    FAILED = "failed"
    PUBLISHED = "published"


class TrainingRow(NamedTuple):
    """`request` is the position of the request; `reason` is that of the request, or of the failure in full."""

    position: int
    cause: int | None
    step: TrainingStep
    request: int
    family: ModelFamily
    venue: str
    symbol: str
    by: str | None
    interval: Interval | None
    rows: int | None
    failure: TrainFailure | None
    model_id: str | None
    reason: str | None
    ts_init: int


class Trainings(Journal[TrainingRow]):
    name = "trainings"
    row = TrainingRow
    handles: ClassVar[EventTypes] = (TrainRequested, TrainStarted, TrainFailed, ModelPublished)

    def row_of(self, recorded: Recorded) -> TrainingRow:
        event = recorded.event
        assert isinstance(event, TrainRequested | TrainStarted | TrainFailed | ModelPublished)
        venue, symbol = venue_and_symbol(event.instrument)
        row = TrainingRow(
            position=recorded.position,
            cause=recorded.cause,
            step=TrainingStep.REQUESTED,
            request=recorded.position if isinstance(event, TrainRequested) else event.request,
            family=event.family,
            venue=venue,
            symbol=symbol,
            by=None,
            interval=None,
            rows=None,
            failure=None,
            model_id=None,
            reason=None,
            ts_init=event.ts_init,
        )
        match event:
            case TrainRequested():
                return row._replace(by=event.by, interval=event.interval, reason=event.reason)
            case TrainStarted():
                return row._replace(step=TrainingStep.STARTED, rows=event.rows)
            case TrainFailed():
                return row._replace(step=TrainingStep.FAILED, failure=event.failure, reason=event.detail)
            case ModelPublished():
                spec, rows = event.artifact.spec, event.artifact.trained_on.rows
                return row._replace(
                    step=TrainingStep.PUBLISHED, interval=spec.interval, rows=rows, model_id=event.model_id
                )
