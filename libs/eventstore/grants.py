"""The role that may look and not touch: for `hmm sql` and Grafana."""

from contextlib import suppress

import psycopg
from psycopg import errors

READER_ROLE = "hmm_reader"

_MAY_CREATE = "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"
_EXISTS = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)"
_GRANTS = f"""
    GRANT USAGE ON SCHEMA public TO {READER_ROLE};
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER_ROLE};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {READER_ROLE};
"""


def grant_readers(connection: psycopg.Connection) -> bool:
    """Let `hmm_reader` read every table, now and later; False when the role is missing and we may not create it.

    Roles belong to the whole server, so another database's migration may be creating this one right now.
    """
    if not _one(connection, _EXISTS, [READER_ROLE]):
        if not _one(connection, _MAY_CREATE):
            return False
        with suppress(errors.DuplicateObject, errors.UniqueViolation):
            connection.execute(f"CREATE ROLE {READER_ROLE} NOLOGIN")
    with connection.transaction():
        connection.execute(_GRANTS)
    if not _one(connection, "SELECT pg_has_role(current_user, %s, 'MEMBER')", [READER_ROLE]):
        _join(connection)
    return True


def _join(connection: psycopg.Connection) -> None:
    """Let the current user take the role (`SET ROLE`), which `hmm sql` does to be harmless.

    We may not be allowed to, or another migration may be faster: the role is then of use to others only, or done.
    """
    with suppress(errors.InsufficientPrivilege, errors.UniqueViolation, errors.InternalError_):
        connection.execute(f"GRANT {READER_ROLE} TO CURRENT_USER")


def _one(connection: psycopg.Connection, query: str, values: list[str] | None = None) -> bool:
    row = connection.execute(query.encode(), values).fetchone()
    return row is not None and bool(row[0])
