"""What must be true when the storm is over, from the event store alone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from contracts.laws import Laws
from contracts.recorded import Recorded
from eventstore.history import StoredHistory
from services.chaos.stack import Stack

TOLD_OF_THE_LATE = frozenset({("stops", "stop_failed"), ("stops", "stop_repaired"), ("router", "amend_refused")})
"""Alerts, by component and code, that a killed or paused order path leads to while the market goes on."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `wrong` says what is wrong with it, or is empty."""

    what: str
    wrong: str = ""


def verify(stack: Stack, database_url: str, quotes: int, trades: int) -> Iterator[Finding]:
    """Look at everything that was promised."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield _market(connection, quotes, trades)
        yield _positions(connection)
        yield _once(connection)
        yield _read(connection)
        yield _traded(connection)
    yield _laws(database_url)
    yield _audit(stack)
    yield _rebuild(stack)


def _market(connection: psycopg.Connection, quotes: int, trades: int) -> Finding:
    found = _row(connection, "SELECT (SELECT count(*) FROM quotes), (SELECT count(*) FROM trades)")
    what = f"every frame is kept once: {quotes:,} quotes, {trades:,} trades"
    return Finding(what, "" if found == (quotes, trades) else f"{found[0]:,} quotes and {found[1]:,} trades are kept")


def _positions(connection: psycopg.Connection) -> Finding:
    """The tape never forgets or doubles a position: they are 1, 2, 3, ... over all tables."""
    tables = ("events", "quotes", "trades", "bars", "unreadable")
    everything = " UNION ALL ".join(f"SELECT seq FROM {table}" for table in tables)
    count, distinct, last = _row(connection, f"SELECT count(*), count(DISTINCT seq), max(seq) FROM ({everything}) AS t")
    wrong = "" if count == distinct == last else f"{count:,} rows at {distinct:,} positions, the last is {last:,}"
    return Finding(f"every position up to {last:,} is kept once", wrong)


def _once(connection: psycopg.Connection) -> Finding:
    tables = ("events", "quotes", "trades", "bars")
    twice = " UNION ALL ".join(f"SELECT msg_id FROM {table} GROUP BY msg_id HAVING count(*) > 1" for table in tables)
    rows = connection.execute(twice.encode()).fetchmany(5)
    return Finding("no message was said twice", ", ".join(row[0] for row in rows))


def _read(connection: psycopg.Connection) -> Finding:
    """Nothing went wrong; that somebody was late is said, and rightly: those he waits for were killed."""
    said = connection.execute(
        "SELECT type, payload->>'component', coalesce(payload->>'code', ''), count(*), min(coalesce("
        "payload->>'message', payload->>'reason')) FROM events WHERE type IN ('DeadLetter', 'Alert') "
        "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ).fetchall()
    late = sum(count for _, who, code, count, _ in said if (who, code) in TOLD_OF_THE_LATE)
    odd = ", ".join(
        f"{count} {kind} of {who} ({code or 'no code'}: {what})"
        for kind, who, code, count, what in said
        if (who, code) not in TOLD_OF_THE_LATE
    )
    unreadable = _row(connection, "SELECT count(*) FROM unreadable")[0]
    return Finding(
        f"no dead letter, nothing unreadable, no alert but {late} of what came late",
        odd or (f"{unreadable} unreadable" if unreadable else ""),
    )


def _traded(connection: psycopg.Connection) -> Finding:
    """A run in which nothing was at stake would prove nothing."""
    orders, fills = _row(connection, "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM fills)")
    return Finding(f"{orders:,} orders lived once, with {fills:,} fills", "" if orders else "nothing was traded")


def _laws(database_url: str) -> Finding:
    history = StoredHistory(database_url)
    laws = Laws()
    violations, events = [], 0
    for received in history.read(1, history.last(), None):
        events += 1
        if isinstance(received, Recorded):
            violations += laws.look(received)
    violations += laws.at_rest()
    return Finding(
        f"the laws of the tape hold over {events:,} events (verdicts, lifecycles, fills, books)",
        "; ".join(map(str, violations[:3])) + (f" and {len(violations) - 3} more" if len(violations) > 3 else ""),
    )


def _audit(stack: Stack) -> Finding:
    outcome = json.loads(stack.hmm("audit", "--all", "--json", check=False))
    compared = sum(component.get("compared", 0) for component in outcome["components"])
    wrong = f"{outcome['diverging']} differ: hmm audit --all" if outcome["diverging"] else ""
    return Finding(
        f"the audit finds 0 divergences in {compared:,} outputs", "; ".join(filter(None, [wrong, *outcome["notes"]]))
    )


def _rebuild(stack: Stack) -> Finding:
    reports = json.loads(stack.hmm("rebuild", "--json", check=False))
    unequal = [report["projection"] for report in reports if not report["equal"]]
    return Finding(f"the rebuild of {len(reports)} projections is equal", ", ".join(unequal))


def _row(connection: psycopg.Connection, query: str) -> tuple[int, ...]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row
