"""Gives the tape back from its tables, in order: for replay, audit and rebuild."""

from bisect import bisect_left
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from heapq import merge
from itertools import chain, islice
from operator import attrgetter
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.adapt import Buffer, Loader
from psycopg.pq import Format

from contracts.event import Event
from contracts.recorded import Recorded
from eventstore.tables import EVENTS, EVENTS_AGAIN, MARKET_TABLE_OF, TABLES, Table

READ_BATCH = 2_000
"""Rows held per table while reading; the memory a read takes, whatever its length."""

_LAST = "SELECT position FROM checkpoints WHERE name = 'archive'"
_AFTER_ALL = datetime.max.replace(tzinfo=UTC)


def read(
    source: str | Connection,
    start: int = 1,
    stop: int | None = None,
    types: Collection[type[Event]] | None = None,
    batch: int = READ_BATCH,
) -> Generator[Recorded, None, None]:
    """Give what was archived from position `start` to `stop`, both included, in the order of the tape.

    `stop` None: up to what is archived now. `types` None: all. `source` is a URL or a connection, which is in a
    transaction until the iterator ends.
    """
    with ExitStack() as stack:
        connection = stack.enter_context(_connect(source)) if isinstance(source, str) else source
        stack.enter_context(connection.transaction())
        yield from _merged(connection, start, stop, _tables(types), batch)


def read_again(
    connection: Connection, start: int, stop: int, types: Collection[type[Event]], batch: int
) -> Generator[list[Recorded], None, None]:
    """Give the same as `read`, in lists, trusting what is in `events`: for a fold, which cannot get it fast enough."""
    tables = [(EVENTS_AGAIN if table is EVENTS else table, names) for table, names in _tables(types)]
    with connection.transaction():
        merged = _merged(connection, start, stop, tables, batch)
        while batched := list(islice(merged, batch)):
            yield batched


def _merged(
    connection: Connection, start: int, stop: int | None, tables: Sequence[tuple[Table, list[str] | None]], batch: int
) -> Iterator[Recorded]:
    # Tables are opened one after the other while the archive goes on: the checkpoint is what all of them have.
    last = last_position_of(connection)
    stop = last if stop is None else min(stop, last)
    streams = [chain.from_iterable(_batches(connection, table, start, stop, wanted, batch)) for table, wanted in tables]
    return streams[0] if len(streams) == 1 else merge(*streams, key=attrgetter("position"))


def last_position(database_url: str) -> int:
    """Give the last archived position; 0 if there is none."""
    with _connect(database_url) as connection:
        return last_position_of(connection)


def last_position_of(connection: Connection) -> int:
    """Do the same on a connection that is there already."""
    row = connection.execute(_LAST).fetchone()
    assert row is not None, "the migrations make the archive's checkpoint"
    position: int = row[0]
    return position


def position_at(database_url: str, moment: datetime) -> int:
    """Translate a time (of `ts_init`) to the first position at or after it; last + 1 if there is none.

    Relies on time going forward along the tape, which it does but for what several writers overlap.
    """
    with _connect(database_url) as connection:
        positions = range(1, last_position_of(connection) + 1)
        return 1 + bisect_left(positions, moment, key=lambda position: _time_from(connection, position))


def _connect(database_url: str) -> Connection:
    return psycopg.connect(database_url, autocommit=True, application_name="hmm-reader")


def _tables(types: Collection[type[Event]] | None) -> list[tuple[Table, list[str] | None]]:
    """Name the tables that hold `types`, with the names to select from `events` (None: all rows)."""
    if types is None:
        return [(table, None) for table in TABLES]
    own = {table for event_type, table in MARKET_TABLE_OF.items() if event_type in types}
    chosen: list[tuple[Table, list[str] | None]] = [(table, None) for table in TABLES if table in own]
    names = [event_type.type_name for event_type in types if event_type not in MARKET_TABLE_OF]
    return [*chosen, (EVENTS, names)] if names else chosen


def _batches(
    connection: Connection, table: Table, start: int, stop: int, names: list[str] | None, batch: int
) -> Iterator[Iterable[Recorded]]:
    """Read one table with a cursor in the server; rows become events as they are asked for."""
    query = sql.SQL("SELECT {} FROM {} WHERE seq BETWEEN %(start)s AND %(stop)s {} ORDER BY seq").format(
        sql.SQL(", ").join(map(sql.Identifier, table.read_columns)),
        sql.Identifier(table.name),
        sql.SQL("" if names is None else "AND type = ANY(%(names)s)"),
    )
    with connection.cursor(name=f"read_{table.name}") as cursor:
        cursor.adapters.register_loader("jsonb", JsonText)
        cursor.execute(query, {"start": start, "stop": stop, "names": names}, binary=True)
        while rows := cursor.fetchmany(batch):
            yield map(table.recorded_of, rows)


class JsonText(Loader):
    """Leaves a jsonb as the bytes of its text: contracts read it, field by field."""

    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return bytes(data)[1:]


def _time_from(connection: Connection, position: int) -> datetime:
    """Give the time of the first event from `position` on."""
    found: list[tuple[Any, ...]] = []
    for table in TABLES:
        time = "ts" if table is EVENTS else "time"
        query = f"SELECT seq, {time} FROM {table.name} WHERE seq >= %s ORDER BY seq LIMIT 1"
        found += connection.execute(query.encode(), [position]).fetchall()
    first: datetime = min(found, default=(0, _AFTER_ALL))[1]
    return first
