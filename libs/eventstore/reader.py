"""Gives the tape back from its tables, in order: for replay, audit and rebuild."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any

import psycopg
from psycopg import Connection, Cursor, sql
from psycopg.adapt import Buffer, Loader
from psycopg.pq import Format

from contracts.event import Event
from contracts.recorded import Recorded, Unreadable
from eventstore.tables import EVENTS, EVENTS_AGAIN, MARKET_TABLE_OF, TABLES, Row, Table

READ_BATCH = 2_000
"""Rows held per table while reading; the memory a read takes, whatever its length."""

Messages = list[Recorded | Unreadable]
Wanted = tuple[Table, list[str] | None]
"""A table to read, and the names to select from `events` (None: all rows)."""

_LAST = "SELECT position FROM checkpoints WHERE name = 'archive'"
_UNREADABLE = """
    SELECT seq, subject, headers, payload, reason FROM unreadable WHERE seq BETWEEN %s AND %s ORDER BY seq
"""
_AFTER_ALL = datetime.max.replace(tzinfo=UTC)
_seq_of = itemgetter(0)
_position_of = attrgetter("position")


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
        yield from chain.from_iterable(_merged(connection, start, stop, _tables(types), batch))


def read_again(
    connection: Connection, start: int, stop: int, types: Collection[type[Event]], batch: int
) -> Generator[list[Recorded], None, None]:
    """Give the same as `read`, in lists, trusting what is in `events`: for a fold, which cannot get it fast enough."""
    tables = [(EVENTS_AGAIN if table is EVENTS else table, names) for table, names in _tables(types)]
    with connection.transaction():
        for merged in _merged(connection, start, stop, tables, batch):
            for at in range(0, len(merged), batch):
                yield merged[at : at + batch]


def read_messages(
    connection: Connection, start: int, stop: int, types: Collection[type[Event]], batch: int = READ_BATCH
) -> Generator[Messages, None, None]:
    """Give the same as `read_again`, and in their places all messages that are no events."""
    waiting = _unreadable(connection, start, stop)
    for events in read_again(connection, start, stop, types, batch):
        last = events[-1].position
        due = bisect_right(waiting, last, key=_position_of)
        if due:
            yield sorted([*events, *waiting[:due]], key=_position_of)
            del waiting[:due]
        else:
            yield [*events]
    if waiting:
        yield [*waiting]


def _merged(
    connection: Connection, start: int, stop: int | None, tables: Sequence[Wanted], batch: int
) -> Iterator[list[Recorded]]:
    """Read tables side by side; each list holds what all of them have up to some position, in order."""
    # Tables are opened one after the other while the archive goes on: the checkpoint is what all of them have.
    last = last_position_of(connection)
    stop = last if stop is None else min(stop, last)
    with ExitStack() as stack:
        open_ = [_Rows(stack, connection, wanted, start, stop, batch) for wanted in tables]
        while open_ := [rows for rows in open_ if rows.fill()]:
            bound = min((rows.known_to for rows in open_), default=stop)
            parts = [part for rows in open_ if (part := rows.take(bound))]
            if len(parts) == 1:
                yield parts[0]
            elif parts:
                # Sorting what is made of sorted parts is merging them.
                yield sorted(chain.from_iterable(parts), key=_position_of)


class _Rows:
    """One table, read with a cursor in the server; rows become events when their turn comes."""

    def __init__(
        self, stack: ExitStack, connection: Connection, wanted: Wanted, start: int, stop: int, batch: int
    ) -> None:
        table, names = wanted
        self._recorded_of = table.recorded_of
        self._batch = batch
        self._stop = stop
        self._rows: list[Row] = []
        self._at = 0
        self._ended = False
        query = sql.SQL("SELECT {} FROM {} WHERE seq BETWEEN %(start)s AND %(stop)s {} ORDER BY seq").format(
            sql.SQL(", ").join(map(sql.Identifier, table.read_columns)),
            sql.Identifier(table.name),
            sql.SQL("" if names is None else "AND type = ANY(%(names)s)"),
        )
        self._cursor: Cursor[Row] = stack.enter_context(connection.cursor(name=f"read_{table.name}"))
        self._cursor.adapters.register_loader("jsonb", JsonText)
        self._cursor.execute(query, {"start": start, "stop": stop, "names": names}, binary=True)

    @property
    def known_to(self) -> int:
        """Give the position up to which all rows of the table are here."""
        return self._stop if self._ended else self._rows[-1][0]

    def fill(self) -> bool:
        """Fetch more when nothing is left; says whether there is something."""
        if self._at == len(self._rows) and not self._ended:
            self._rows, self._at = self._cursor.fetchmany(self._batch), 0
            self._ended = len(self._rows) < self._batch
        return self._at < len(self._rows)

    def take(self, bound: int) -> list[Recorded]:
        """Give the events up to the position `bound`."""
        end = bisect_right(self._rows, bound, lo=self._at, key=_seq_of)
        rows = self._rows[self._at : end]
        self._at = end
        return list(map(self._recorded_of, rows))


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


def _tables(types: Collection[type[Event]] | None) -> list[Wanted]:
    """Name the tables that hold `types`."""
    if types is None:
        return [(table, None) for table in TABLES]
    own = {table for event_type, table in MARKET_TABLE_OF.items() if event_type in types}
    chosen: list[Wanted] = [(table, None) for table in TABLES if table in own]
    names = [event_type.type_name for event_type in types if event_type not in MARKET_TABLE_OF]
    return [*chosen, (EVENTS, names)] if names else chosen


def _unreadable(connection: Connection, start: int, stop: int) -> list[Unreadable]:
    rows = connection.execute(_UNREADABLE, [start, min(stop, last_position_of(connection))]).fetchall()
    return [Unreadable(seq, subject, headers, bytes(payload), why) for seq, subject, headers, payload, why in rows]


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
