"""What an operator tells the system, and what the system tells the operator."""

from contracts.event import Event, event
from contracts.types import Count, Instrument, Json, Name, Rail, Severity, Text, TradingState


@event("control.trading")
class TradingStateSet(Event):
    """The operator lets the system trade, only reduce, or not trade at all (the kill switch).

    `flatten` also leaves every position at once.
    """

    state: TradingState
    operator: Name
    reason: Text
    flatten: bool = False


@event("control.lock")
class LockLifted(Event):
    """The operator lifts what a rail has locked: of one strategy or instrument, or (None) of all."""

    rail: Rail
    strategy: Name | None
    instrument: Instrument | None
    operator: Name
    reason: Text


@event("control.capital")
class CapitalDecided(Event):
    """The operator approves or refuses the proposal at the position `proposal`."""

    proposal: Count
    approved: bool
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
