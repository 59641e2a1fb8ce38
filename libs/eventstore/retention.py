"""How long market data is kept; events are kept for ever."""

from datetime import timedelta

from psycopg import Connection, sql

from eventstore.edition import MARKET_TABLES, Edition, edition_of

_DROP = """
    SELECT drop_chunks({table}, older_than => least(now(), newest) - %s::interval)
    FROM (SELECT max(time) AS newest FROM {name}) AS latest
    WHERE newest IS NOT NULL
"""
_KEPT_BY_POLICY = """
    SELECT config ->> 'drop_after' FROM timescaledb_information.jobs
    WHERE proc_name = 'policy_retention' AND hypertable_name = %s
"""


def apply_retention(connection: Connection, keep: timedelta) -> int:
    """Let quotes, trades and bars be forgotten after `keep`; says how many chunks were dropped by this call.

    The community edition gets a policy and drops by itself. On the Apache edition each call drops what is old by then:
    older than `keep` before now, or before the newest row where a recording of the past is replayed.
    """
    assert keep > timedelta(), f"keep must be positive, not {keep}"
    if edition_of(connection) is Edition.APACHE:
        return sum(_drop(connection, table, keep) for table in MARKET_TABLES)
    for table in MARKET_TABLES:
        _set_policy(connection, table, keep)
    return 0


def _drop(connection: Connection, table: str, keep: timedelta) -> int:
    statement = sql.SQL(_DROP).format(table=sql.Literal(table), name=sql.Identifier(table))
    return len(connection.execute(statement, [keep]).fetchall())


def _set_policy(connection: Connection, table: str, keep: timedelta) -> None:
    kept = connection.execute(_KEPT_BY_POLICY, [table]).fetchone()
    if kept is not None:
        same = connection.execute("SELECT %s::interval = %s::interval", [kept[0], keep]).fetchone()
        if same == (True,):
            return
    with connection.transaction():
        connection.execute("SELECT remove_retention_policy(%s, if_exists => true)", [table])
        connection.execute("SELECT add_retention_policy(%s, drop_after => %s::interval)", [table, keep])
