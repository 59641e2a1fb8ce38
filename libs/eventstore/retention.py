"""How long market data is kept; events are kept for ever."""

from datetime import timedelta

from psycopg import Connection

from eventstore.edition import MARKET_TABLES, Edition, edition_of

_BORDER = """
    SELECT least(now(), max(range_start)) - %s::interval
    FROM timescaledb_information.chunks WHERE hypertable_name = %s
"""
_KEPT_BY_POLICY = """
    SELECT config ->> 'drop_after' FROM timescaledb_information.jobs
    WHERE proc_name = 'policy_retention' AND hypertable_name = %s
"""


def apply_retention(connection: Connection, keep: timedelta) -> int:
    """Let quotes, trades and bars be forgotten after `keep`; says how many chunks were dropped by this call.

    The community edition gets a policy and drops by itself. On the Apache edition each call drops what is old by then:
    chunks that end `keep` before now, or before the newest chunk where a recording of the past is replayed.
    """
    assert keep > timedelta(), f"keep must be positive, not {keep}"
    if edition_of(connection) is Edition.APACHE:
        return sum(_drop(connection, table, keep) for table in MARKET_TABLES)
    for table in MARKET_TABLES:
        _set_policy(connection, table, keep)
    return 0


def _drop(connection: Connection, table: str, keep: timedelta) -> int:
    border = connection.execute(_BORDER, [keep, table]).fetchone()
    if border is None or border[0] is None:
        return 0
    return len(connection.execute("SELECT drop_chunks(%s, older_than => %s)", [table, border[0]]).fetchall())


def _set_policy(connection: Connection, table: str, keep: timedelta) -> None:
    kept = connection.execute(_KEPT_BY_POLICY, [table]).fetchone()
    if kept is not None:
        same = connection.execute("SELECT %s::interval = %s::interval", [kept[0], keep]).fetchone()
        if same == (True,):
            return
    with connection.transaction():
        connection.execute("SELECT remove_retention_policy(%s, if_exists => true)", [table])
        connection.execute("SELECT add_retention_policy(%s, drop_after => %s::interval)", [table, keep])
