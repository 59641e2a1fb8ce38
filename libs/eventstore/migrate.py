"""Bring a database to the schema of this code: numbered SQL files, each applied once, never changed afterwards."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import errors

from eventstore.edition import compress_market_data
from eventstore.grants import grant_readers

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x484D4D01  # "HMM", 1: one migration of a database at a time

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class MigrationRefused(RuntimeError):
    """The database is not what this code can continue from; nothing was changed."""


@dataclass(frozen=True)
class Migration:
    number: int
    name: str
    statements: bytes

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.statements).hexdigest()


def migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """List the migrations of `folder` in order: NNNN_name.sql, numbered from 0001 without gaps."""
    found = []
    for number, path in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None or int(match[1]) != number:
            raise MigrationRefused(f"{path.name}: expected the migration {number:04}_<name>.sql; rename it")
        found.append(Migration(number, path.stem, path.read_bytes()))
    return found


def migrate(database_url: str, folder: Path = MIGRATIONS) -> list[str]:
    """Apply what is missing and name it; repeating it changes nothing. Raises `MigrationRefused`."""
    known = migrations(folder)
    with psycopg.connect(database_url, autocommit=True, application_name="hmm-migrate") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        _require_timescaledb(connection)
        missing = known[_applied(connection, known) :]
        for migration in missing:
            _apply(connection, migration)
        compress_market_data(connection)
        grant_readers(connection)
    return [migration.name for migration in missing]


def _require_timescaledb(connection: psycopg.Connection) -> None:
    connection.execute("SET client_min_messages = warning")
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except (errors.FeatureNotSupported, errors.UndefinedFile):
        raise MigrationRefused(
            f"{_place(connection)}: PostgreSQL has no extension timescaledb; install TimescaleDB for "
            f"PostgreSQL {connection.info.server_version // 10000} on that machine"
        ) from None
    except errors.InsufficientPrivilege:
        raise MigrationRefused(
            f"{_place(connection)}: user {connection.info.user} may not create the extension timescaledb; "
            "let a superuser run CREATE EXTENSION timescaledb there"
        ) from None


def _applied(connection: psycopg.Connection, known: Sequence[Migration]) -> int:
    """Count the applied migrations, after checking that they are the first ones of `known`, unchanged."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number integer PRIMARY KEY, name text NOT NULL, "
        "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    rows = connection.execute("SELECT number, name, checksum FROM schema_migrations ORDER BY number").fetchall()
    if len(rows) > len(known):
        raise MigrationRefused(
            f"{_place(connection)} is newer than this code: it has {rows[-1][1]}, this code ends with "
            f"{known[-1].name if known else 'nothing'}; run the code that migrated it, or a newer one"
        )
    for (number, name, checksum), migration in zip(rows, known, strict=False):
        if (number, checksum) != (migration.number, migration.checksum):
            raise MigrationRefused(
                f"{migration.name}.sql differs from {name}, which {_place(connection)} was made with; "
                "restore the file and write a new migration for the change"
            )
    return len(rows)


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    with connection.transaction():
        connection.execute(migration.statements)
        connection.execute(
            "INSERT INTO schema_migrations (number, name, checksum) VALUES (%s, %s, %s)",
            [migration.number, migration.name, migration.checksum],
        )


def _place(connection: psycopg.Connection) -> str:
    info = connection.info
    return f"database {info.dbname} at {info.host}:{info.port}"
