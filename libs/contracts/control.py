"""What an operator tells the system, and what the system tells the operator."""

from contracts.event import Event, event
from contracts.types import Json, Name, Severity, Text, TradingState


@event("control.trading")
class TradingStateSet(Event):
    """The operator lets the system trade, only reduce, or not trade at all (the kill switch)."""

    state: TradingState
    operator: Name
    reason: Text


@event("guard.{guard}")
class GuardSet(Event):
    """A guard lets the system trade, only reduce, or not trade at all; the strictest of all guards holds."""

    guard: Name
    state: TradingState
    reason: Text


@event("lease.taken.{component}")
class LeaseTaken(Event):
    """From this position on `instance` alone writes as `component`: whoever did before is refused by the server.

    `settings` are those that it decides by from here on.
    """

    component: Name
    instance: Text
    settings: Json


@event("alert.{component}")
class Alert(Event):
    """Something a person should look at; the component went on."""

    component: Name
    severity: Severity
    code: Name
    message: Text


@event("dead.{component}")
class DeadLetter(Event):
    """An input that could not be taken: where it was (`source`), why, and how it began."""

    component: Name
    source: Text
    reason: Text
    excerpt: Text
