"""Run a component on the live tape: catch up silently, go on exactly where it stopped, then live."""

import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TypeVar

from nats.aio.client import Client
from nats.js.errors import NotFoundError

from contracts.codec import Undecodable, decode, encode
from contracts.control import DeadLetter
from contracts.event import Event
from contracts.ownership import ROLES, Role
from contracts.recorded import Recorded, Unreadable
from contracts.types import LARGEST, MAX_TEXT
from tape.component import Component
from tape.consumers import read_subjects
from tape.headers import (
    MSG_ID,
    NOTHING_SAID,
    TRACE,
    TS,
    TYPE,
    Headers,
    Watermark,
    new_trace,
    origin_ns,
    output_id,
    same_trace,
    watermark_of,
    write_headers,
)
from tape.ledger import LedgerWatch
from tape.provision import TAPE
from tape.publisher import Publisher
from tape.reader import Reader
from tape.wire import Wire

E = TypeVar("E", bound=Event)

logger = logging.getLogger(__name__)

Observer = Callable[[Event, float | None], None]
"""Hears each event that a component says live, and how long ago (ms) the outside fact behind it came onto the tape."""

Observers = Mapping[type[Event], Observer]


class HostState(Enum):
    STARTING = "starting"
    CATCHING_UP = "catching_up"
    LIVE = "live"
    FINISHED = "finished"
    FAILED = "failed"


class NotDeclared(RuntimeError):
    """The component and the ownership table disagree."""


class Host:
    """One component, its reader and its publisher.

    What it had said before is known from the last message on its own subjects: inputs before that one's cause are
    folded without a word, that input is resumed behind the output it got to, everything later is answered. Outputs
    carry deterministic ids.
    """

    def __init__(self, component: Component, wire: Wire, observers: Observers) -> None:
        self.component = component
        self.role = _declared(component)
        self.publisher = Publisher(wire)
        self._nc = wire.nc
        self._observers = observers
        self._handlers = component.handlers()
        self._durable: tuple[type[Event], ...] = getattr(component, "durable", ())
        self._ledger = LedgerWatch(wire.nc, read_subjects(self._durable))
        self._watermark = NOTHING_SAID
        self._spans = time.time_ns()
        self.reader = Reader(wire, component.name, read_subjects(component.consumes()), start=1, handle=self.handle)
        self._started = False

    @property
    def state(self) -> HostState:
        if self.reader.failure.done():
            return HostState.FAILED
        if not self._started:
            return HostState.STARTING
        return HostState.CATCHING_UP if self.reader.position < self._watermark.cause else HostState.LIVE

    async def start(self) -> None:
        self._watermark = await last_said(self._nc, self.role)
        if self._watermark.cause:
            logger.info("%s folds silently up to position %s", self.component.name, self._watermark.cause)
        await self.publisher.start()
        if self._durable:
            await self._ledger.start()
        await self.reader.start()
        self._started = True

    async def run(self) -> None:
        """Work until something fails; raises what failed."""
        await self.reader.failure

    async def stop(self) -> None:
        """Stop reading, put on the tape what was said, and leave."""
        await self.reader.stop()
        await self._ledger.stop()
        if not self.reader.failure.done():
            await self.publisher.flush()
        await self.publisher.stop()

    def handle(self, received: Recorded | Unreadable, headers: Headers) -> Awaitable[None] | None:
        """Let the component answer one message; None when there is nothing to wait for."""
        if isinstance(received, Recorded) and isinstance(received.event, self._durable) and self._is_live(received):
            return self._handle_when_durable(received, headers)
        said = self._fold(received)
        if not said or not self._is_live(received):
            return None
        if len(said) > self.publisher.room:
            return self._answer_in_time(received.position, said, headers)
        self._answer(received.position, said, headers)
        return None

    def _is_live(self, received: Recorded | Unreadable) -> bool:
        return received.position >= self._watermark.cause

    async def _handle_when_durable(self, recorded: Recorded, headers: Headers) -> None:
        await self._ledger.reached(recorded.position)
        if said := self._fold(recorded):
            await self._answer_in_time(recorded.position, said, headers)

    def _fold(self, received: Recorded | Unreadable) -> Sequence[Event]:
        """Give a message to the component; what goes wrong becomes a dead letter, and the component goes on."""
        if isinstance(received, Unreadable):
            return (_dead(self.component.name, received),)
        event = received.event
        self.component.moment.position = received.position
        try:
            outputs = self._handlers[type(event)](event)
            return () if outputs is None else list(outputs)
        except Exception:
            logger.exception("%s could not handle position %s", self.component.name, received.position)
            return (_failed(self.component.name, received),)

    async def _answer_in_time(self, cause: int, said: Sequence[Event], headers: Headers) -> None:
        """Answer with as much waiting for room as it takes."""
        for subject, payload, sent in self._messages(cause, said, headers):
            await self.publisher.publish(subject, payload, sent)

    def _answer(self, cause: int, said: Sequence[Event], headers: Headers) -> None:
        """Answer at once: there is room for all of it."""
        for subject, payload, sent in self._messages(cause, said, headers):
            self.publisher.send(subject, payload, sent)

    def _messages(self, cause: int, said: Sequence[Event], headers: Headers) -> Iterator[tuple[str, bytes, Headers]]:
        """Give what is still to be said of the answer to `cause`, each as it goes onto the tape."""
        first = self._watermark.index + 1 if cause == self._watermark.cause else 0
        trace = headers.get(TRACE) or new_trace(time.time_ns(), cause)
        began = origin_ns(trace)
        for index in range(first, len(said)):
            event, payload = self._encoded(said[index], cause)
            now = time.time_ns()
            self._spans += 1
            msg_id = output_id(self.component.name, cause, index)
            yield (
                type(event).subject_of(event),
                payload,
                write_headers(event, msg_id, cause, now, same_trace(trace, self._spans)),
            )
            observer = self._observers.get(type(event))
            if observer is not None:
                observer(event, None if began is None else (now - began) / 1e6)

    def _encoded(self, event: Event, cause: int) -> tuple[Event, bytes]:
        """Write what the component said; where no reader would take it, a dead letter stands in its place."""
        try:
            return event, encode(event)
        except Undecodable as error:
            logger.error("%s answers position %s with what is no event: %s", self.component.name, cause, error)  # noqa: TRY400
            dead = _unsayable(self.component.name, cause, event, error)
            return dead, encode(dead)


async def last_said(nc: Client, role: Role) -> Watermark:
    """Find the last message on the subjects that `role` owns, and read from its id how far the role had got.

    An edge that spoke in that role before (the wall clock, then a replay's clock) has its own kind of id: whoever takes
    over answers only what comes after.
    """
    last_position, found = 0, NOTHING_SAID
    for subject in role.write_subjects():
        position, headers = await last_message(nc, subject)
        if position > last_position:
            last_position = position
            found = watermark_of(headers.get(MSG_ID, "")) or Watermark(position, -1)
    return found


async def last_message(nc: Client, subject: str) -> tuple[int, Headers]:
    """Give position and headers of the last message on a subject pattern; (0, {}) if there is none."""
    try:
        message = await nc.jetstream(timeout=10).get_last_msg(TAPE, subject, direct=True)
    except NotFoundError:
        return 0, {}
    return message.seq or 0, message.headers or {}


async def last_event(nc: Client, event_type: type[E], subject: str) -> E | None:
    """Give the last event of a type on a subject pattern; None if there is none that can be read."""
    try:
        message = await nc.jetstream(timeout=10).get_last_msg(TAPE, subject, direct=True)
        event = decode((message.headers or {}).get(TYPE, ""), message.subject or "", message.data or b"")
    except (NotFoundError, Undecodable):
        return None
    return event if isinstance(event, event_type) else None


def _declared(component: Component) -> Role:
    """Find the component's role and check that it says and hears what the table allows."""
    role = ROLES.get(component.name)
    if role is None:
        raise NotDeclared(f"{component.name} is not in contracts/ownership.py: nobody may write its subjects")
    if foreign := set(component.produces) - set(role.all_writes):
        raise NotDeclared(f"{component.name} may not write {', '.join(sorted(t.__name__ for t in foreign))}")
    if foreign := set(component.consumes()) - set(role.reads):
        raise NotDeclared(f"{component.name} may not read {', '.join(sorted(t.__name__ for t in foreign))}")
    return role


def _dead(name: str, unreadable: Unreadable) -> DeadLetter:
    ts = unreadable.headers.get(TS, "")
    now = min(int(ts), LARGEST) if ts.isdecimal() else 0
    source = f"position {unreadable.position}, {unreadable.subject}"
    return _letter(name, source, now, now, unreadable.reason, unreadable.payload[:200].decode(errors="replace"))


def _failed(name: str, recorded: Recorded) -> DeadLetter:
    event = recorded.event
    source = f"position {recorded.position}, {type(event).subject_of(event)}"
    reason = traceback.format_exc(limit=-1)
    return _letter(name, source, event.ts_event, event.ts_init, reason, encode(event).decode())


def _unsayable(name: str, cause: int, event: Event, error: Undecodable) -> DeadLetter:
    return _letter(name, f"answer to position {cause}", 0, 0, str(error), repr(event))


def _letter(name: str, source: str, ts_event: int, ts_init: int, reason: str, excerpt: str) -> DeadLetter:
    return DeadLetter(
        ts_event=ts_event,
        ts_init=ts_init,
        component=name,
        source=_text(source),
        reason=_text(reason[-MAX_TEXT:]),
        excerpt=_text(excerpt[:200]),
    )


def _text(text: str) -> str:
    """Make any text one that an event may hold: whatever came, its dead letter can be said."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()[:MAX_TEXT]
