"""Folds batches of events into the tables of projections; where the transaction begins and ends is the caller's."""

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import Cursor, sql

from contracts.event import Event
from contracts.recorded import Recorded
from eventstore.copying import BinaryCopy
from eventstore.projections.projection import AnyProjection, Journal, Key, Ledger
from eventstore.projections.shape import Shape


class ProjectionWriter:
    """Writes a set of projections to their tables in `schema` (None: where the search path finds them).

    Nothing is kept between batches, so a rebuild may swap the tables under it.
    """

    def __init__(self, projections: Iterable[AnyProjection], schema: str | None = None) -> None:
        self._tables = [_writer(projection, schema) for projection in projections]
        self._by_type: dict[type[Event], list[_JournalTable | _LedgerTable]] = {}
        for table in self._tables:
            for event_type in table.projection.handles:
                self._by_type.setdefault(event_type, []).append(table)

    @property
    def handles(self) -> frozenset[type[Event]]:
        """The types that any of the projections is folded from."""
        return frozenset(self._by_type)

    def write(self, cursor: Cursor[Any], events: Sequence[Recorded]) -> dict[str, int]:
        """Fold events, which are in position order, into the tables; says how many each projection took."""
        shares: dict[str, list[Recorded]] = {}
        by_type = self._by_type
        for recorded in events:
            for table in by_type.get(type(recorded.event), ()):
                shares.setdefault(table.projection.name, []).append(recorded)
        for table in self._tables:
            if share := shares.get(table.projection.name):
                table.write(cursor, share)
        return {name: len(share) for name, share in shares.items()}


class _JournalTable:
    def __init__(self, projection: Journal[Any], table: sql.Identifier) -> None:
        self.projection = projection
        self._shape = Shape(projection.row)
        self._copy = BinaryCopy(table, self._shape.columns)

    def write(self, cursor: Cursor[Any], events: Sequence[Recorded]) -> None:
        values, row_of = self._shape.values, self.projection.row_of
        self._copy.write(cursor, (values(row_of(recorded)) for recorded in events))


class _LedgerTable:
    def __init__(self, projection: Ledger[Any], table: sql.Identifier) -> None:
        self.projection = projection
        self._table = table
        self._shape = Shape(projection.row)
        self._copy = BinaryCopy(table, self._shape.columns)
        self._key_at = [list(self._shape.columns).index(name) for name in projection.key]
        self._select = self._selection()
        self._update = self._updating()

    def write(self, cursor: Cursor[Any], events: Sequence[Recorded]) -> None:
        keys_of = self.projection.keys
        touched = {key for recorded in events for key in keys_of(recorded.event)}
        if not touched:
            return
        before = self._load(cursor, touched)
        after = self.projection.fold_all(before, events)
        values = self._shape.values
        if len(after) > len(before):
            self._copy.write(cursor, (values(row) for key, row in after.items() if key not in before))
        changed = [(*values(after[key]), *key) for key, row in before.items() if after[key] is not row]
        if changed:
            cursor.executemany(self._update, changed)

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
