"""Makes an empty twin of a projection's table, compares the two, and lets it take the old one's place."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, LiteralString

from psycopg import Connection, sql

from eventstore.projections.projection import AnyProjection, Ledger

SAMPLE = 5

_INDEXES = """
    SELECT relname, pg_get_constraintdef(pg_constraint.oid), substring(pg_get_indexdef(indexrelid) FROM ' USING .*')
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid LEFT JOIN pg_constraint ON conindid = indexrelid
    WHERE indrelid = %s::regclass
    ORDER BY indexrelid
"""
_GRANTS = """
    SELECT CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee) END, privilege_type, is_grantable
    FROM pg_class, aclexplode(relacl)
    WHERE pg_class.oid = %s::regclass AND grantee <> relowner
"""
_COMPARE = """
    SELECT count(live), count(fresh), count(*) FILTER (WHERE live IS DISTINCT FROM fresh)
    FROM {live} AS live FULL JOIN {fresh} AS fresh USING ({key})
"""
_DIFFERENCES = """
    SELECT to_jsonb(live)::text, to_jsonb(fresh)::text
    FROM {live} AS live FULL JOIN {fresh} AS fresh USING ({key})
    WHERE live IS DISTINCT FROM fresh
    ORDER BY {key}
    LIMIT {sample}
"""


@dataclass(frozen=True)
class Difference:
    """One row as it was and as the events say it is; None: there was or is no such row."""

    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True)
class Comparison:
    rows_before: int
    rows_after: int
    differing: int
    sample: tuple[Difference, ...]


class FreshTable:
    """The twin of `projection`'s table, of the same name in `schema`."""

    def __init__(self, projection: AnyProjection, schema: str) -> None:
        self._projection = projection
        self._live = sql.Identifier(projection.name)
        self._fresh = sql.Identifier(schema, projection.name)

    def create(self, connection: Connection) -> None:
        """Create it with the columns and grants of the live one; only a ledger, which is read, needs its key now."""
        connection.execute(
            sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES)").format(self._fresh, self._live)
        )
        if isinstance(self._projection, Ledger):
            self._create_indexes(connection, keys=True)
        for grantee, privilege, grantable in connection.execute(_GRANTS, [self._live.as_string()]).fetchall():
            connection.execute(
                sql.SQL("GRANT {} ON {} TO {} {}").format(
                    sql.SQL(privilege),
                    self._fresh,
                    sql.SQL("PUBLIC") if grantee is None else sql.Identifier(grantee),
                    sql.SQL("WITH GRANT OPTION" if grantable else ""),
                )
            )

    def complete(self, connection: Connection) -> None:
        """Give it the indexes of the live one, which are cheapest after the rows, and let the planner know it."""
        if not isinstance(self._projection, Ledger):
            self._create_indexes(connection, keys=True)
        self._create_indexes(connection, keys=False)
        connection.execute(sql.SQL("ANALYZE {}").format(self._fresh))

    def _create_indexes(self, connection: Connection, *, keys: bool) -> None:
        """Create those that constraints need, or the others, by the names that migrations know."""
        for name, constraint, definition in connection.execute(_INDEXES, [self._live.as_string()]).fetchall():
            index, table = sql.Identifier(name), self._fresh
            if keys and constraint is not None:
                add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(table, index, sql.SQL(constraint))
                connection.execute(add)
            elif not keys and constraint is None:
                connection.execute(sql.SQL("CREATE INDEX {} ON {} {}").format(index, table, sql.SQL(definition)))

    def compare(self, connection: Connection) -> Comparison:
        """Compare every column of every row with the live table."""
        row = connection.execute(self._beside_live(_COMPARE)).fetchone()
        assert row is not None
        before, after, differing = row
        # Another pass over both, which is not needed as a rule.
        sample = connection.execute(self._beside_live(_DIFFERENCES)).fetchall() if differing else []
        return Comparison(
            rows_before=before,
            rows_after=after,
            differing=differing,
            sample=tuple(Difference(_document(was), _document(now)) for was, now in sample),
        )

    def _beside_live(self, query: LiteralString) -> sql.Composed:
        return sql.SQL(query).format(
            live=self._live,
            fresh=self._fresh,
            key=sql.SQL(", ").join(map(sql.Identifier, self._projection.key)),
            sample=sql.Literal(SAMPLE),
        )

    def lock_live(self, connection: Connection) -> None:
        """Wait until no reader is on the live table, and let new ones wait for the end of the transaction."""
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(self._live))

    def take_place(self, connection: Connection) -> None:
        home = connection.execute(
            "SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = %s::regclass", [self._live.as_string()]
        ).fetchone()
        assert home is not None
        connection.execute(sql.SQL("DROP TABLE {}").format(self._live))
        connection.execute(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(self._fresh, sql.Identifier(home[0])))


def _document(text: str | None) -> dict[str, Any] | None:
    """Read a row for showing it, amounts to the last digit."""
    return None if text is None else json.loads(text, parse_float=Decimal)
