"""Folds batches of events into the tables of projections; where the transaction begins and ends is the caller's."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from psycopg import Cursor, sql

from contracts.event import Event
from contracts.recorded import Recorded
from eventstore.copying import TextCopy
from eventstore.projections.projection import AnyProjection, Journal, Key, Ledger
from eventstore.projections.shape import Shape


class ProjectionWriter:
    """Writes a set of projections to their tables in `schema` (None: where the search path finds them).

    Nothing is kept between batches, so a rebuild may swap the tables under it.
    """

    def __init__(self, projections: Iterable[AnyProjection], schema: str | None = None) -> None:
        self._tables = [_writer(projection, schema) for projection in projections]
        self._handles = frozenset(event_type for table in self._tables for event_type in table.projection.handles)

    @property
    def handles(self) -> frozenset[type[Event]]:
        """The types that any of the projections is folded from."""
        return self._handles

    def write(self, cursor: Cursor[Any], events: Sequence[Recorded]) -> dict[str, int]:
        """Fold events, which are in position order, into the tables; says how many each projection took."""
        handles = self._handles
        handled = [recorded for recorded in events if type(recorded.event) in handles]
        taken = {}
        for table in self._tables:
            own = table.handles
            if share := [recorded for recorded in handled if type(recorded.event) in own]:
                table.write(cursor, share)
                taken[table.projection.name] = len(share)
        return taken


class _JournalTable:
    def __init__(self, projection: Journal[Any], table: sql.Identifier) -> None:
        self.projection = projection
        self.handles = frozenset(projection.handles)
        self._shape = Shape(projection.row)
        self._copy = TextCopy(table, self._shape.columns)

    def write(self, cursor: Cursor[Any], events: Sequence[Recorded]) -> None:
        self._copy.write(cursor, self._shape.lines(list(map(self.projection.row_of, events))))


class _LedgerTable:
    def __init__(self, projection: Ledger[Any], table: sql.Identifier) -> None:
        self.projection = projection
        self.handles = frozenset(projection.handles)
        self._table = table
        self._shape = Shape(projection.row)
        self._copy = TextCopy(table, self._shape.columns)
        self._key_at = [list(self._shape.columns).index(name) for name in projection.key]
        self._select = self._selection()
        self._update = self._updating()

    def write(self, cursor: Cursor[Any], events: Sequence[Recorded]) -> None:
        keys_of = self.projection.keys
        touched = {key for recorded in events for key in keys_of(recorded.event)}
        if not touched:
            return
        rows = self._load(cursor, touched)
        kept = list(rows)
        fold = self.projection.fold
        for recorded in events:
            fold(rows, recorded)
        if kept:
            cursor.executemany(self._update, [(*self._shape.values(rows[key]), *key) for key in kept])
        # New rows come after those that were loaded.
        if made := list(islice(rows.values(), len(kept), None)):
            self._copy.write(cursor, self._shape.lines(made))

    def _load(self, cursor: Cursor[Any], keys: set[Key]) -> dict[Key, Any]:
        rows = cursor.execute(self._select, [list(column) for column in zip(*keys, strict=True)], binary=True)
        loaded = {}
        for values in rows:
            loaded[tuple(values[at] for at in self._key_at)] = self._shape.row(values)
        return loaded

    def _selection(self) -> sql.Composed:
        """Ask for rows by their keys, given as one array per key column: one statement whatever their number."""
        key = [sql.Identifier(name) for name in self.projection.key]
        return sql.SQL("SELECT {} FROM {} JOIN unnest({}) AS touched ({}) USING ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, self._shape.columns)),
            self._table,
            sql.SQL(", ").join([sql.SQL("%s::text[]")] * len(key)),
            sql.SQL(", ").join(key),
            sql.SQL(", ").join(key),
        )

    def _updating(self) -> sql.Composed:
        columns = self._shape.columns
        return sql.SQL("UPDATE {} SET ({}) = ROW ({}) WHERE ({}) = ({})").format(
            self._table,
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.SQL("%b::" + kind) for kind in columns.values()),
            sql.SQL(", ").join(map(sql.Identifier, self.projection.key)),
            sql.SQL(", ").join([sql.Placeholder()] * len(self.projection.key)),
        )


def _writer(projection: AnyProjection, schema: str | None) -> _JournalTable | _LedgerTable:
    table = sql.Identifier(projection.name) if schema is None else sql.Identifier(schema, projection.name)
    if isinstance(projection, Journal):
        return _JournalTable(projection, table)
    return _LedgerTable(projection, table)
