"""The clock: the only source of "now" for components."""

from contracts.event import Event, event


@event("clock.1s")
class ClockTick(Event):
    """A full second has begun; `ts_event` is that second."""
