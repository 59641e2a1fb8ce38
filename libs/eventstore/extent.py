"""How much of the tape the event store holds: where it begins and ends, and what is not there."""

from dataclasses import dataclass

from psycopg import Connection

from eventstore.reader import last_position_of
from eventstore.tables import EVENTS, TABLES

MOST_HOLES = 1_000
"""More than power cuts leave: market data was let go, and only the events between were kept."""

_TABLES = (*(table.name for table in TABLES), "unreadable")
_MARKET = tuple(table.name for table in TABLES if table is not EVENTS)

_ALL = " UNION ALL ".join(f"SELECT seq FROM {table}" for table in _TABLES)
_COUNT = f"SELECT count(*) FROM ({_ALL}) AS kept WHERE seq BETWEEN %s AND %s"
_HOLES = f"""
    SELECT seq + 1, next FROM (
        SELECT seq, lead(seq) OVER (ORDER BY seq) AS next FROM ({_ALL}) AS kept WHERE seq BETWEEN %s AND %s
    ) AS neighbours WHERE next > seq + 1 ORDER BY seq DESC LIMIT %s
"""
_AFTER = f"""
    SELECT (SELECT min(seq) FROM events WHERE type = 'LeaseTaken' AND seq >= %(stop)s),
           least({", ".join(f"(SELECT min(seq) FROM {table} WHERE seq >= %(stop)s)" for table in _MARKET)})
"""


@dataclass(frozen=True)
class Extent:
    """Positions from `first` to `last` (0: nothing), of which none is missing from `whole_from` on but `holes`.

    `cuts` are those of the holes that a power cut left.
    """

    first: int
    last: int
    whole_from: int
    holes: tuple[range, ...] = ()
    cuts: tuple[range, ...] = ()


def extent_of(connection: Connection) -> Extent:
    """Look what there is; takes a second for every few million positions."""
    last = last_position_of(connection)
    first = min(filter(None, (_begin(connection, table) for table in _TABLES)), default=0)
    if not first or last < first:
        return Extent(0, 0, 0)
    if _count(connection, first, last) == last - first + 1:
        return Extent(first, last, first)
    whole_from, holes = _whole_from(connection, first, last)
    return Extent(first, last, whole_from, holes, tuple(hole for hole in holes if _is_cut(connection, hole)))


def _whole_from(connection: Connection, first: int, last: int) -> tuple[int, tuple[range, ...]]:
    """Give the first position from which there are few holes, and these."""
    begins = [begin for table in _MARKET if (begin := _begin(connection, table)) is not None]
    holes: tuple[range, ...] = ()
    for begin in (first, *sorted(begins)):
        holes = _holes(connection, begin, last)
        if len(holes) <= MOST_HOLES:
            return begin, holes
    return holes[-1].stop, ()


def _holes(connection: Connection, start: int, stop: int) -> tuple[range, ...]:
    """Give the last holes in order, one more than there may be of them."""
    rows = connection.execute(_HOLES.encode(), [start, stop, MOST_HOLES + 1]).fetchall()
    return tuple(range(*row) for row in reversed(rows))


def _is_cut(connection: Connection, hole: range) -> bool:
    """Say whether a hole is a power cut's: after it all have to take their lease anew before they write."""
    row = connection.execute(_AFTER.encode(), {"stop": hole.stop}).fetchone()
    assert row is not None
    lease, market = row
    return lease is not None and (market is None or lease < market)


def _begin(connection: Connection, table: str) -> int | None:
    row = connection.execute(f"SELECT min(seq) FROM {table}".encode()).fetchone()
    assert row is not None
    begin: int | None = row[0]
    return begin


def _count(connection: Connection, start: int, stop: int) -> int:
    row = connection.execute(_COUNT.encode(), [start, stop]).fetchone()
    assert row is not None
    count: int = row[0]
    return count
