"""A connection to the event store that can only read."""

from typing import Any

import psycopg


def reason(error: psycopg.Error) -> str:
    """Why there is no connection, in one line; libpq's text goes on with advice and further attempts."""
    first = str(error).partition("\n")[0].removeprefix("connection failed: ")
    return f"no answer from the database: {first.removesuffix(', multiple errors:')}"


def connect(database_url: str, *, connect_seconds: int = 5, statement_seconds: int = 0) -> psycopg.Connection[Any]:
    """Connect read-only; `statement_seconds` of 0 sets no limit. Every statement is a transaction of its own."""
    options = f"-c default_transaction_read_only=on -c statement_timeout={statement_seconds * 1000}"
    return psycopg.connect(
        database_url,
        autocommit=True,
        connect_timeout=connect_seconds,
        options=options,
        application_name="hmm",
    )
