"""alerts: everything that a person should look at."""

from typing import ClassVar, NamedTuple

from contracts.control import Alert
from contracts.ownership import EventTypes
from contracts.recorded import Recorded
from contracts.types import Severity
from eventstore.projections.projection import Journal


class AlertRow(NamedTuple):
    position: int
    cause: int | None
    component: str
    severity: Severity
    code: str
    message: str
    ts_event: int
    ts_init: int


class Alerts(Journal[AlertRow]):
    name = "alerts"
    row = AlertRow
    handles: ClassVar[EventTypes] = (Alert,)

    def row_of(self, recorded: Recorded) -> AlertRow:
        alert = recorded.event
        assert isinstance(alert, Alert)
        return AlertRow(
            position=recorded.position,
            cause=recorded.cause,
            component=alert.component,
            severity=alert.severity,
            code=alert.code,
            message=alert.message,
            ts_event=alert.ts_event,
            ts_init=alert.ts_init,
        )
