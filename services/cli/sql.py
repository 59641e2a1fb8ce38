"""`hmm sql`: one read-only statement on the event store."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import psycopg

from services.cli.database import connect, reason
from services.cli.errors import fail, not_running
from services.cli.output import cell, plain, table
from services.cli.settings import StackSettings, current

_STATEMENT_SECONDS = 60
_SHOWN_ROWS = 1000


def run_query(query: str, *, as_json: bool) -> None:
    columns, rows = _run(current(), query)
    if as_json:
        _print_json(columns, rows)
        return
    if columns:
        table("", columns, [[cell(value) for value in row] for row in rows[:_SHOWN_ROWS]])
    shown = f", the first {_SHOWN_ROWS:,} shown (all: --json)" if len(rows) > _SHOWN_ROWS else ""
    print(f"{len(rows):,} {'row' if len(rows) == 1 else 'rows'}{shown}")


def _run(settings: StackSettings, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    try:
        connection = connect(settings.database_url, statement_seconds=_STATEMENT_SECONDS)
    except psycopg.Error as error:
        not_running(reason(error))
    with connection:
        try:
            # Prepared, because that takes a single statement: none can leave the read-only transaction.
            cursor = connection.execute(query.encode(), prepare=True)
            rows = cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            fail(*_explain(error, query))
        columns = [column.name for column in cursor.description or ()]
    return _unique(columns), rows


def _explain(error: psycopg.Error, query: str) -> tuple[str, str]:
    said = error.diag.message_primary or str(error)
    if error.diag.sqlstate == "57014":
        said = f"it took longer than {_STATEMENT_SECONDS} s"
    if "multiple commands" in said:
        said = "one statement at a time"
    place = error.diag.statement_position
    near = query[int(place) - 1 :].split() if place else []
    return f"SQL: {said}{f', at {near[0]!r}' if near and near[0] not in said else ''}", error.diag.message_hint or ""


def _unique(columns: Iterable[str]) -> list[str]:
    """Columns of the same name would hide each other in JSON."""
    seen: Counter[str] = Counter()
    names = []
    for column in columns:
        seen[column] += 1
        names.append(column if seen[column] == 1 else f"{column}_{seen[column]}")
    return names


def _print_json(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    """A row a line: a long answer stays readable and can be cut."""
    lines = (json.dumps(dict(zip(columns, row, strict=True)), default=plain) for row in rows)
    print("[" + ",\n ".join(lines) + "]")
