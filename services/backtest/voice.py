"""Holds a strategy to what a live tape would let it say: wishes of its own, and nothing that others decide."""

from collections.abc import Mapping
from typing import Any

from contracts.event import Event
from contracts.ownership import Role, matches
from tape.component import Handler, Outputs
from tape.strategy import Strategy


class NotItsOwn(PermissionError):
    """It said what is for others to say: the server of a live tape would refuse it."""


def held_to(role: Role, made: type[Strategy]) -> type[Strategy]:
    """Give the class whose strategies raise `NotItsOwn` rather than speak for others."""
    patterns = {event_type: role.subject(event_type) for event_type in role.writes}

    def handlers(self: Strategy) -> dict[type[Event], Handler]:
        return {event_type: _held(handler, patterns) for event_type, handler in made.handlers(self).items()}

    return type(made.__name__, (made,), {"handlers": handlers, "__module__": made.__module__, "__doc__": made.__doc__})


def _held(handler: Handler, patterns: Mapping[type[Event], str]) -> Handler:
    def heard(event: Any) -> Outputs:  # noqa: ANN401 # of the type that the handler takes
        outputs = handler(event)
        return None if outputs is None else [_its_own(output, patterns) for output in outputs]

    return heard


def _its_own(output: Event, patterns: Mapping[type[Event], str]) -> Event:
    pattern = patterns.get(type(output))
    if pattern is None:
        raise NotItsOwn(f"{type(output).__name__} is not for it to say")
    subject = type(output).subject_of(output)
    if not matches(subject, pattern):
        raise NotItsOwn(f"{subject} is not for it to say: its own are {pattern}")
    return output
