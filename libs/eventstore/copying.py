"""The fastest way in: rows by COPY, in binary or as lines of text, whichever is cheaper to write for their types."""

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import Cursor, sql

Columns = Mapping[str, str]
"""Column names in order, each with the type whose binary form is sent: a binary COPY converts nothing."""

TIMESTAMP_AS = "int8"
"""A timestamptz travels as a 64-bit count of microseconds since 2000; see `timestamp`."""

JSONB_AS = "bytea"
"""A jsonb travels as a version byte before its text; see `JSONB_PREFIX`."""

JSONB_PREFIX = b"\x01"

_MICROS_1970_TO_2000 = 946_684_800_000_000


def timestamp(nanos: int) -> int:
    """Give the binary form of the timestamptz at `nanos`, which loses what is below a microsecond."""
    return nanos // 1000 - _MICROS_1970_TO_2000


class BinaryCopy:
    """Copies rows, given in the order of `columns`, into one table."""

    def __init__(self, table: sql.Identifier, columns: Columns) -> None:
        self._statement = _statement(table, columns, "BINARY")
        self._types = list(columns.values())

    def write(self, cursor: Cursor[Any], rows: Iterable[tuple[Any, ...]]) -> None:
        with cursor.copy(self._statement) as copy:
            copy.set_types(self._types)
            write = copy.write_row
            for row in rows:
                write(row)


class TextCopy:
    """Copies lines of COPY's text format into one table: cheaper than binary where rows are full of decimals."""

    def __init__(self, table: sql.Identifier, columns: Iterable[str]) -> None:
        self._statement = _statement(table, columns, "TEXT")

    def write(self, cursor: Cursor[Any], lines: str) -> None:
        with cursor.copy(self._statement) as copy:
            copy.write(lines)


def _statement(table: sql.Identifier, columns: Iterable[str], form: str) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT {})").format(table, names, sql.SQL(form))
