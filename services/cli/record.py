"""The record of what happened, for commands that go through it again: the event store, or the tape itself."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import psycopg
from nats.aio.client import Client
from nats.js.errors import NotFoundError
from pydantic_core import from_json

from contracts.codec import Undecodable, decode, type_header, write
from contracts.control import LeaseTaken
from contracts.event import EVENT_TYPES, Event, subject_pattern
from contracts.recorded import Recorded, Unreadable
from eventstore.ahead import garbage_looked_for_rarely, read_ahead
from eventstore.extent import Extent, extent_of
from eventstore.history import StoredHistory
from eventstore.reader import read_messages
from services.cli.database import connect as connect_database
from services.cli.database import reason
from services.cli.errors import fail, misused, not_running
from services.cli.settings import StackSettings
from services.cli.tape import connect as connect_broker
from services.cli.tapebatches import TapeBatches
from tape.headers import CAUSE, TRACE, TS, TYPE, Headers
from tape.reader import received
from tape.streams import TAPE

BATCH = 5_000
Messages = list[Recorded | Unreadable]
Types = Collection[type[Event]]


_KEPT = (TYPE, CAUSE, TS, TRACE)
"""What stands beside a message for those who read it, and not for the server."""


@dataclass(frozen=True, slots=True)
class Original:
    """A message as it was put on the tape; the event store keeps no trace. `ts_init` is 0 where it is no event."""

    position: int
    subject: str
    headers: Headers
    payload: bytes
    ts_init: int


class Source(Enum):
    STORE = "store"
    TAPE = "tape"
    RUN = "run"
    """The log of a backtest, in the directory of that run."""

    @property
    def words(self) -> str:
        return {Source.STORE: "the event store", Source.TAPE: "the tape", Source.RUN: "the log of the run"}[self]


_SERVERS = (Source.STORE, Source.TAPE)


def source_named(name: str) -> Source:
    known = {source.value: source for source in _SERVERS}
    if name not in known:
        misused(f"--source {name}: not a record", f"use {' or '.join(known)}")
    return known[name]


class Record(Protocol):
    async def extent(self) -> Extent:
        """Say what of the tape is here."""

    async def first_lease(self, name: str) -> LeaseTaken | None:
        """Give the first lease ever taken under a name."""

    def messages(self, start: int, stop: int, types: Types) -> AsyncGenerator[Messages, None]:
        """Give the events of `types`, and what is unreadable, from `start` to `stop`, both included, in order."""

    def originals(self, start: int, stop: int, types: Types) -> AsyncGenerator[list[Original], None]:
        """Give the same as they were put on the tape."""


@asynccontextmanager
async def opened(source: Source, settings: StackSettings) -> AsyncIterator[Record]:
    """Open a record, or leave with a line that says why not."""
    if source is Source.TAPE:
        nc = await connect_broker(settings)
        try:
            yield TapeRecord(nc)
        except NotFoundError:
            fail("the server has no TAPE stream", "make it: hmm provision")
        finally:
            await nc.close()
        return
    try:
        with connect_database(settings.database_url) as connection, garbage_looked_for_rarely():
            yield StoreRecord(connection, settings.database_url)
    except psycopg.errors.UndefinedTable:
        fail("the database has no event store", "make it: hmm provision")
    except psycopg.OperationalError as error:
        not_running(reason(error))
    except Undecodable as error:
        fail(str(error))


class StoreRecord:
    def __init__(self, connection: psycopg.Connection, database_url: str) -> None:
        self._connection = connection
        self._history = StoredHistory(database_url)

    async def extent(self) -> Extent:
        return extent_of(self._connection)

    async def first_lease(self, name: str) -> LeaseTaken | None:
        return self._history.first_lease(name)

    async def messages(self, start: int, stop: int, types: Types) -> AsyncGenerator[Messages, None]:
        with read_ahead(read_messages(self._connection, start, stop, types, BATCH)) as ready:
            for batch in ready:
                yield batch

    async def originals(self, start: int, stop: int, types: Types) -> AsyncGenerator[list[Original], None]:
        async with aclosing(self.messages(start, stop, types)) as batches:
            async for batch in batches:
                yield [original_of(message) for message in batch]


class TapeRecord:
    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._batches = TapeBatches(nc)

    async def extent(self) -> Extent:
        state = (await self._nc.jetstream(timeout=10).stream_info(TAPE)).state
        return Extent(state.first_seq, state.last_seq, state.first_seq) if state.messages else Extent(0, 0, 0)

    async def first_lease(self, name: str) -> LeaseTaken | None:
        subject = subject_pattern(LeaseTaken, component=name)
        try:
            found = await self._nc.jetstream(timeout=10).get_msg(TAPE, 1, subject, direct=True, next=True)
            lease = decode((found.headers or {}).get(TYPE, ""), subject, found.data or b"")
        except (NotFoundError, Undecodable):
            return None
        return lease if isinstance(lease, LeaseTaken) else None

    async def messages(self, start: int, stop: int, types: Types) -> AsyncGenerator[Messages, None]:
        async with aclosing(self._batches.read(start, stop)) as batches:
            async for batch in batches:
                messages = [received(one.position, one.subject, one.payload, one.headers) for one in batch]
                if wanted := [one for one in messages if isinstance(one, Unreadable) or type(one.event) in types]:
                    yield wanted

    async def originals(self, start: int, stop: int, types: Types) -> AsyncGenerator[list[Original], None]:
        names = {event_type.type_name for event_type in types}
        async with aclosing(self._batches.read(start, stop)) as batches:
            async for batch in batches:
                yield [
                    Original(one.position, one.subject, _kept(one.headers), one.payload, _time(one.payload))
                    for one in batch
                    if (name := _type_name(one.headers)) in names or name not in EVENT_TYPES
                ]


def original_of(message: Recorded | Unreadable) -> Original:
    """Give a message as it was put on the tape, but for its trace."""
    if isinstance(message, Unreadable):
        return Original(message.position, message.subject, _kept(message.headers), message.payload, 0)
    event = message.event
    headers = {TYPE: type_header(type(event)), TS: str(message.ts_recorded)}
    if message.cause is not None:
        headers[CAUSE] = str(message.cause)
    return Original(message.position, type(event).subject_of(event), headers, write(event), event.ts_init)


def _kept(headers: Headers) -> Headers:
    return {name: value for name in _KEPT if (value := headers.get(name, "")).isprintable() and value}


def _type_name(headers: Headers) -> str:
    return headers.get(TYPE, "").partition(".v")[0]


def _time(payload: bytes) -> int:
    try:
        ts = from_json(payload)["ts_init"]
    except (ValueError, LookupError, TypeError):
        return 0
    return ts if isinstance(ts, int) else 0


def chosen_span(extent: Extent, start: int | None, stop: int | None, source: Source) -> tuple[int, int]:
    """Give the positions that are meant, as far as they are on record."""
    where = source.words
    if not extent.last:
        fail(f"{where} holds nothing yet")
    first, last = start or extent.first, min(stop or extent.last, extent.last)
    if first > extent.last:
        misused(f"--from {first}: {where} ends at position {extent.last}")
    if first > last:
        misused(f"--from {first} --to {stop}: nothing lies between, for {where} holds {extent.first} to {extent.last}")
    return first, last
