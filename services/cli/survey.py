"""What the tape and the event store hold, for `hmm status`: each part on its own, or a note why it is not there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js.errors import NotFoundError
from psycopg import errors
from psycopg.rows import dict_row

from eventstore.projections import PROJECTIONS
from services.cli import broker
from services.cli.database import connect, reason
from services.cli.settings import StackSettings
from tape.streams import LEDGER, LEDGER_DOMAIN, TAPE

STREAMS = {TAPE: None, LEDGER: LEDGER_DOMAIN}
"""Each stream with the JetStream domain it is in, where that is not our server's own."""
TABLES = ("events", "quotes", "trades", "bars", *PROJECTIONS, "unreadable")
COUNTED_ROWS = 2_000_000
_CONNECT_SECONDS = 2
_STATEMENT_SECONDS = 5

Row = dict[str, Any]


@dataclass(frozen=True)
class StreamFigures:
    first_seq: int
    last_seq: int
    messages: int
    bytes: int


@dataclass(frozen=True)
class StoreFigures:
    """Checkpoints by name, rows by table; a table that is too long to count quickly is in `longer`."""

    checkpoints: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    longer: frozenset[str] = frozenset()


@dataclass
class Survey:
    """`notes` says, by part, why that part is missing."""

    tape: dict[str, StreamFigures] = field(default_factory=dict)
    store: StoreFigures = field(default_factory=StoreFigures)
    orders: dict[str, int] = field(default_factory=dict)
    positions: list[Row] = field(default_factory=list)
    equity: list[Row] = field(default_factory=list)
    holds: list[Row] = field(default_factory=list)
    """Who or what holds trading back now."""
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def grouped_notes(self) -> list[str]:
        """One line per reason: several parts may be missing for the same one."""
        reasons = dict.fromkeys(self.notes.values())
        return [f"{', '.join(part for part, why in self.notes.items() if why == said)}: {said}" for said in reasons]


async def survey(settings: StackSettings) -> Survey:
    found = Survey()
    await _look_at_tape(settings, found)
    _look_at_store(settings.database_url, found)
    return found


async def _look_at_tape(settings: StackSettings, found: Survey) -> None:
    try:
        client = await broker.connect(settings)
    except broker.Unreachable as error:
        found.notes["tape"] = str(error)
        return
    try:
        for stream, domain in STREAMS.items():
            try:
                state = (await client.jetstream(domain=domain).stream_info(stream)).state
                found.tape[stream] = StreamFigures(state.first_seq, state.last_seq, state.messages, state.bytes)
            except NotFoundError:
                found.notes["tape"] = f"there is no stream {stream} yet; hmm provision makes it"
            except NoRespondersError:
                found.notes["tape"] = f"the server of {stream} is away; see hmm logs ledger"
    except (OSError, NatsError) as error:
        found.notes["tape"] = f"no answer from JetStream: {str(error) or type(error).__name__}"
    finally:
        await client.close()


def _look_at_store(database_url: str, found: Survey) -> None:
    try:
        connection = connect(database_url, connect_seconds=_CONNECT_SECONDS, statement_seconds=_STATEMENT_SECONDS)
    except psycopg.Error as error:
        found.notes |= dict.fromkeys(("store", "orders", "positions", "equity", "holds"), reason(error))
        return
    with connection:
        _note_failure(found, "store", lambda: _count_store(connection, found))
        _note_failure(found, "orders", lambda: _count_orders(connection, found))
        _note_failure(found, "positions", lambda: found.positions.extend(_rows(connection, POSITIONS)))
        _note_failure(found, "equity", lambda: found.equity.extend(_rows(connection, EQUITY)))
        _note_failure(found, "holds", lambda: found.holds.extend(_rows(connection, HOLDS)))


def _note_failure(found: Survey, part: str, look: Callable[[], None]) -> None:
    try:
        look()
    except (errors.UndefinedTable, errors.UndefinedColumn) as error:
        found.notes[part] = f"{error.diag.message_primary} yet; hmm provision makes it"
    except errors.QueryCanceled:
        found.notes[part] = f"too much to read in {_STATEMENT_SECONDS} s"
    except psycopg.Error as error:
        found.notes[part] = error.diag.message_primary or str(error)


def _count_store(connection: psycopg.Connection[Any], found: Survey) -> None:
    checkpoints = {row["name"]: row["position"] for row in _rows(connection, "SELECT name, position FROM checkpoints")}
    counts = {table: _count(connection, table) for table in TABLES}
    longer = frozenset(table for table, count in counts.items() if count > COUNTED_ROWS)
    rows = {table: min(count, COUNTED_ROWS) for table, count in counts.items()}
    found.store = StoreFigures(dict(sorted(checkpoints.items())), rows, longer)


def _count(connection: psycopg.Connection[Any], table: str) -> int:
    """Exact up to a limit: a status shall not read a month of quotes."""
    limited = f"SELECT count(*) AS rows FROM (SELECT 1 FROM {table} LIMIT {COUNTED_ROWS + 1}) AS limited"
    return int(_rows(connection, limited)[0]["rows"])


def _count_orders(connection: psycopg.Connection[Any], found: Survey) -> None:
    counted = _rows(connection, "SELECT status, count(*) AS orders FROM orders GROUP BY status ORDER BY status")
    found.orders.update({row["status"]: row["orders"] for row in counted})


def _rows(connection: psycopg.Connection[Any], statement: str) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement.encode()).fetchall()


POSITIONS = """
    SELECT strategy, venue, symbol, position_side, quantity, average_price, mark, value, unrealized_pnl, realized_pnl,
           fees, funding
    FROM positions ORDER BY strategy, venue, symbol, position_side
"""

# One index step per strategy: the table has a row for every second.
EQUITY = """
    WITH RECURSIVE strategies AS (
        (SELECT strategy FROM equity ORDER BY strategy LIMIT 1)
        UNION ALL
        SELECT (SELECT strategy FROM equity WHERE strategy > strategies.strategy ORDER BY strategy LIMIT 1)
        FROM strategies WHERE strategies.strategy IS NOT NULL
    )
    SELECT latest.strategy, latest.currency, latest.cash, latest.balances, latest.equity, latest.realized_pnl,
           latest.unrealized_pnl, latest.fees, latest.funding, latest.peak, latest.position
    FROM strategies CROSS JOIN LATERAL (
        SELECT * FROM equity WHERE equity.strategy = strategies.strategy ORDER BY time DESC, position DESC LIMIT 1
    ) AS latest
"""

# A lock is over when its time is, or when one that covers it was lifted later.
HOLDS = """
    SELECT kind, name, strategy, instrument, state, to_timestamp(locked_until / 1e9::float8) AS until, operator, reason,
           updated_at AS since
    FROM risk_state AS held
    WHERE state <> 'active' OR (kind = 'lock' AND to_timestamp(locked_until / 1e9::float8) > now() AND NOT EXISTS (
        SELECT FROM risk_state AS lifted
        WHERE lifted.kind = 'lock' AND lifted.name = held.name AND lifted.lifted_position > held.locked_position
          AND lifted.strategy IN ('', held.strategy) AND lifted.instrument IN ('', held.instrument)
    ))
    ORDER BY kind, name, strategy, instrument
"""
