"""Fold the tape with a component, under the settings that were in force at each position. No I/O."""

import logging
import traceback
from collections.abc import Sequence

from pydantic import BaseModel

from contracts.codec import encode
from contracts.control import DeadLetter, LeaseTaken
from contracts.event import Event
from contracts.ownership import matches
from contracts.recorded import Recorded, Unreadable
from contracts.types import LARGEST, MAX_TEXT
from tape.blueprint import Blueprint
from tape.component import Component
from tape.headers import TS
from tape.subjects import read_subjects

logger = logging.getLogger(__name__)


class NotAComponent(RuntimeError):
    """Under these settings an edge does the work: there is nothing to fold."""


class Folding:
    """One component, and what it answers to each message.

    A `LeaseTaken` of its own name says by which settings it decides from there on: it is built anew with them and goes
    on from the state it had. With `keep_settings` the settings it began with stay in force: a what-if.
    """

    def __init__(self, blueprint: Blueprint, settings: BaseModel, *, keep_settings: bool = False) -> None:
        self.blueprint = blueprint
        self.name = blueprint.name
        self.by_an_edge = False
        """Whether an edge (a wall clock) does the work at present: the component learns, and has nothing to say."""
        self._keep_settings = keep_settings
        component = blueprint.build(settings)
        if component is None:
            raise NotAComponent(f"{self.name} is no component with {settings!r}")
        self._use(component, settings)
        self._reads = read_subjects(self.component.consumes())

    def _use(self, component: Component, settings: BaseModel) -> None:
        self.component, self.settings, self._handlers = component, settings, component.handlers()

    def answer(self, received: Recorded | Unreadable) -> Sequence[Event]:
        """Give what the component says to a message; what goes wrong becomes a dead letter, and it goes on."""
        if isinstance(received, Unreadable):
            heard = any(matches(received.subject, pattern) for pattern in self._reads)
            return (_unreadable(self.name, received),) if heard else ()
        event = received.event
        handler = self._handlers.get(type(event))
        if handler is None:
            if isinstance(event, LeaseTaken) and event.component == self.name:
                self._adopt(event)
            return ()
        self.component.moment.position = received.position
        try:
            outputs = handler(event)
            return () if outputs is None else list(outputs)
        except Exception as error:
            logger.exception("%s could not handle position %s", self.name, received.position)
            return (failed(self.name, received, error),)

    def _adopt(self, lease: LeaseTaken) -> None:
        """Go on under the settings of a lease, if they are others."""
        if self._keep_settings:
            return
        settings = self.blueprint.settings_of(lease, self.settings)
        component = self.blueprint.build(settings)
        self.by_an_edge = component is None
        if component is not None and settings != self.settings:
            component.restore(self.component.state())
            self._use(component, settings)


def sayable(name: str, cause: int, event: Event) -> tuple[Event, bytes]:
    """Give what goes onto the tape as an answer to position `cause`: a dead letter where no reader would take it."""
    try:
        return event, encode(event)
    except ValueError as error:  # also what JSON cannot hold
        logger.error("%s answers position %s with what is no event: %s", name, cause, error)  # noqa: TRY400
        dead = dead_letter(name, f"answer to position {cause}", 0, 0, str(error), repr(event))
        return dead, encode(dead)


def _unreadable(name: str, unreadable: Unreadable) -> DeadLetter:
    ts = unreadable.headers.get(TS, "")
    now = min(int(ts), LARGEST) if ts.isdecimal() else 0
    source = f"position {unreadable.position}, {unreadable.subject}"
    return dead_letter(name, source, now, now, unreadable.reason, unreadable.payload[:200].decode(errors="replace"))


def failed(name: str, recorded: Recorded, error: Exception) -> DeadLetter:
    """Make a dead letter of what a component raised; it names the place in the code, and is the same on any machine."""
    event = recorded.event
    source = f"position {recorded.position}, {type(event).subject_of(event)}"
    reason = f"{''.join(traceback.format_exception_only(error)).strip()} ({_raised_at(error)})"
    return dead_letter(name, source, event.ts_event, event.ts_init, reason, encode(event).decode())


def _raised_at(error: Exception) -> str:
    """Name module, line and function in which it was raised."""
    last = error.__traceback__
    assert last is not None
    while last.tb_next is not None:
        last = last.tb_next
    frame = last.tb_frame
    return f"{frame.f_globals.get('__name__', '?')}:{last.tb_lineno}, {frame.f_code.co_qualname}"


def dead_letter(name: str, source: str, ts_event: int, ts_init: int, reason: str, excerpt: str) -> DeadLetter:
    """Make a dead letter of whatever came: it can always be said."""
    return DeadLetter(
        ts_event=ts_event,
        ts_init=ts_init,
        component=name,
        source=_text(source),
        reason=_text(reason[-MAX_TEXT:]),
        excerpt=_text(excerpt[:200]),
    )


def _text(text: str) -> str:
    """Make any text one that an event may hold."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()[:MAX_TEXT]
