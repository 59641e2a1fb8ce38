"""The fastest way in: rows by binary COPY."""

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
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        self._statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(table, names)
        self._types = list(columns.values())

    def write(self, cursor: Cursor[Any], rows: Iterable[tuple[Any, ...]]) -> None:
        with cursor.copy(self._statement) as copy:
            copy.set_types(self._types)
            write = copy.write_row
            for row in rows:
                write(row)
