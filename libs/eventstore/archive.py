"""The archive: writes the tape into the event store, each position exactly once."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import Cursor, sql
from psycopg.types.json import Jsonb

from contracts.event import Event
from contracts.recorded import Recorded, Unreadable
from eventstore.copying import BinaryCopy
from eventstore.keepable import as_unreadable, keepable_text
from eventstore.projections import PROJECTIONS
from eventstore.projections.writer import ProjectionWriter
from eventstore.tables import EVENTS, MARKET_TABLE_OF, TABLES, Table

CHECKPOINT = "archive"

_MOVE = "UPDATE checkpoints SET position = %s, moved_at = now() WHERE position = %s RETURNING name"
_KEEP_UNREADABLE = "INSERT INTO unreadable (seq, subject, headers, payload, reason) VALUES (%s, %s, %s, %s, %s)"

_COPIES = {table: BinaryCopy(sql.Identifier(table.name), table.columns) for table in TABLES}


class CheckpointMoved(RuntimeError):
    """Somebody else archived: two archives run on one database. Nothing of the batch was written."""


class Archive:
    """Writes batches of the tape; a failed write left nothing behind, and its error is the caller's.

    After an error of the connection the outcome of the last batch is unknown: make a new archive and ask its position.
    """

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(database_url, autocommit=True, application_name="hmm-archive")
        try:
            self._position = _read_position(self._connection)
        except BaseException:
            self._connection.close()
            raise
        self._writers: dict[frozenset[str], ProjectionWriter] = {}

    def position(self) -> int:
        """Give the last archived position; 0 if there is none."""
        return self._position

    def write(self, batch: Sequence[Recorded | Unreadable]) -> None:
        """Write `batch` in one transaction: rows, projections and checkpoints.

        Positions strictly increase and begin above `position()`. Raises `CheckpointMoved`.
        """
        if not batch:
            return
        self._require_order(batch)
        try:
            self._write(batch)
        except (psycopg.DataError, UnicodeEncodeError, OverflowError):
            # A valid event may still be one that PostgreSQL cannot keep (U+0000 in a text): it must not stop the tape.
            sifted = [as_unreadable(message) for message in batch]
            if all(after is before for after, before in zip(sifted, batch, strict=True)):
                raise
            self._write(sifted)
        self._position = batch[-1].position

    def close(self) -> None:
        self._connection.close()

    def _require_order(self, batch: Sequence[Recorded | Unreadable]) -> None:
        last = self._position
        for message in batch:
            position = message.position
            assert position > last, f"position {position} after {last}: the archive takes each position once, in order"
            last = position

    def _write(self, batch: Sequence[Recorded | Unreadable]) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            projections = self._move_checkpoints(cursor, batch[-1].position)
            recorded, unreadable = _parted(batch)
            for table, messages in _by_table(recorded).items():
                _COPIES[table].write(cursor, map(table.row_of, messages))
            projections.write(cursor, recorded)
            for message in unreadable:
                _keep_unreadable(cursor, message)

    def _move_checkpoints(self, cursor: Cursor[Any], position: int) -> ProjectionWriter:
        """Move the checkpoint and those of the projections that are level with it; the others wait for a rebuild.

        It comes first: from here to the end of the transaction no rebuild can swap a table.
        """
        moved = frozenset(name for (name,) in cursor.execute(_MOVE, [position, self._position]))
        if CHECKPOINT not in moved:
            found = _read_position(self._connection)
            raise CheckpointMoved(
                f"the archive's checkpoint is at {found} and not where we left it, at {self._position}: "
                "another archive writes to this database; stop one of them"
            )
        writer = self._writers.get(moved)
        if writer is None:
            level = [projection for name, projection in PROJECTIONS.items() if name in moved]
            writer = self._writers[moved] = ProjectionWriter(level)
        return writer


def _read_position(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT position FROM checkpoints WHERE name = %s", [CHECKPOINT]).fetchone()
    assert row is not None, "the migrations make the archive's checkpoint"
    position: int = row[0]
    return position


def _parted(batch: Sequence[Recorded | Unreadable]) -> tuple[list[Recorded], list[Unreadable]]:
    recorded, unreadable = [], []
    for message in batch:
        if isinstance(message, Recorded):
            recorded.append(message)
        else:
            unreadable.append(message)
    return recorded, unreadable


def _by_table(recorded: Sequence[Recorded]) -> dict[Table, list[Recorded]]:
    by_type: dict[type[Event], list[Recorded]] = {}
    for message in recorded:
        by_type.setdefault(type(message.event), []).append(message)
    by_table: dict[Table, list[Recorded]] = {}
    for event_type, messages in by_type.items():
        table = MARKET_TABLE_OF.get(event_type, EVENTS)
        by_table.setdefault(table, []).extend(messages)
    return by_table


def _keep_unreadable(cursor: Cursor[Any], message: Unreadable) -> None:
    headers = {keepable_text(name): keepable_text(value) for name, value in message.headers.items()}
    subject, reason = keepable_text(message.subject), keepable_text(message.reason)
    cursor.execute(_KEEP_UNREADABLE, [message.position, subject, Jsonb(headers), message.payload, reason])
