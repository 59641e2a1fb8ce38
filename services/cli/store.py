"""The event store for commands that look things up: a connection or a clear end, rows, events, and what is missing."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import psycopg
from nats.errors import Error as NatsError
from psycopg import errors
from psycopg.rows import dict_row

from contracts.recorded import Recorded
from eventstore.reader import JsonText, read
from eventstore.tables import EVENTS
from services.cli import broker
from services.cli.causes import MOST_STEPS
from services.cli.database import connect, reason
from services.cli.errors import fail, not_running
from services.cli.settings import StackSettings, current
from tape.streams import TAPE

Row = dict[str, Any]

_STATEMENT_SECONDS = 60
_RECENT = 5_000


class Store:
    """What was archived, as a person asks for it."""

    def __init__(self, connection: psycopg.Connection[Any], settings: StackSettings) -> None:
        self._connection = connection
        self._settings = settings

    def rows(self, query: str, values: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), values).fetchall()

    def events(self, condition: str, values: Sequence[object] = (), limit: int = 1_000) -> list[Recorded]:
        """Give what is in `events` under a condition, in the order of the tape; market data is elsewhere."""
        columns = ", ".join(EVENTS.read_columns)
        query = f"SELECT {columns} FROM events WHERE {condition} ORDER BY seq LIMIT {limit}"
        with self._connection.cursor() as cursor:
            cursor.adapters.register_loader("jsonb", JsonText)
            return list(map(EVENTS.recorded_of, cursor.execute(query.encode(), values, binary=True).fetchall()))

    def at(self, position: int) -> Recorded | None:
        """Give the event at a position, of whatever kind."""
        return next(read(self._connection, position, position), None)

    def causes(self, position: int | None) -> list[Recorded]:
        """List what led to something, the first fact first."""
        chain: list[Recorded] = []
        while position is not None and len(chain) < MOST_STEPS:
            recorded = self.at(position)
            if recorded is None:
                break
            chain.append(recorded)
            position = recorded.cause
        return chain[::-1]

    def notes(self, *projections: str) -> list[str]:
        """Say what may be missing: the tape is ahead of the archive, or a table waits to be folded."""
        at = {row["name"]: row["position"] for row in self.rows("SELECT name, position FROM checkpoints")}
        waiting = [name for name in projections if at.get(name, 0) < at["archive"]]
        notes = [f"{name} is not folded up to now; make it: hmm rebuild {name}" for name in waiting]
        last = asyncio.run(_last_position(self._settings))
        if isinstance(last, str):
            notes.append(f"whether the event store is behind the tape is not known: {last}")
        elif last > at["archive"]:
            behind = last - at["archive"]
            notes.append(f"the event store is {behind:,} positions behind the tape: what came since is not shown")
        return notes

    def unknown_order(self, order_id: str) -> tuple[str, str]:
        """Say that nothing is known of an order, and what may have been meant."""
        recent = self.rows(f"SELECT client_order_id FROM orders ORDER BY created_position DESC LIMIT {_RECENT}")
        rejected = self.events("type = 'RiskRejected' AND seq > (SELECT max(seq) - 100000 FROM events)")
        names = [row["client_order_id"] for row in recent]
        names += [recorded.event.order.client_order_id for recorded in rejected]  # type: ignore[attr-defined]  # all are
        near = get_close_matches(order_id, names, n=3, cutoff=0.7)
        return f"there is no order {order_id} in the event store", (
            f"near it: {', '.join(near)}" if near else "see hmm orders"
        )


@contextmanager
def open_store() -> Iterator[Store]:
    """Connect, or leave with a line that says why not."""
    settings = current()
    try:
        connection = connect(settings.database_url, statement_seconds=_STATEMENT_SECONDS)
    except psycopg.Error as error:
        not_running(reason(error))
    with connection:
        try:
            yield Store(connection, settings)
        except (errors.UndefinedTable, errors.UndefinedColumn) as error:
            fail(f"event store: {error.diag.message_primary}", "bring it to the schema of this code: hmm provision")
        except errors.QueryCanceled:
            fail(f"the event store took longer than {_STATEMENT_SECONDS} s", "try again when it has less to do")


async def _last_position(settings: StackSettings) -> int | str:
    """Give the last position of the tape, or why it is not known."""
    try:
        client = await broker.connect(settings)
    except broker.Unreachable as error:
        return str(error)
    try:
        return (await client.jetstream().stream_info(TAPE)).state.last_seq
    except (OSError, NatsError) as error:
        return str(error) or type(error).__name__
    finally:
        await client.close()
