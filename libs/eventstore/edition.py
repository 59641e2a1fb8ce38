"""Which TimescaleDB this is, and the compression of market data that only its community edition has."""

from enum import Enum

import psycopg
from psycopg import sql

MARKET_TABLES = ("quotes", "trades", "bars")
"""The tables that may be compressed and may forget. Never `events`: they are what everything is rebuilt from."""

COMPRESS_AFTER = "1 day"

_COMPRESSED = "SELECT compression_enabled FROM timescaledb_information.hypertables WHERE hypertable_name = %s"


class Edition(Enum):
    APACHE = "apache"
    COMMUNITY = "timescale"


def edition_of(connection: psycopg.Connection) -> Edition:
    """Ask the server; it says so in its setting `timescaledb.license`."""
    row = connection.execute("SHOW timescaledb.license").fetchone()
    assert row is not None
    return Edition(row[0])


def compress_market_data(connection: psycopg.Connection) -> None:
    """Switch on columnstore compression where the licence allows it; repeating it changes nothing."""
    if edition_of(connection) is Edition.APACHE:
        return
    for table in MARKET_TABLES:
        if connection.execute(_COMPRESSED, [table]).fetchone() == (True,):
            continue
        for statement in compression(table):
            connection.execute(statement)


def compression(table: str) -> tuple[sql.Composed, sql.Composed]:
    """Give the statements that let old chunks of `table` become columns.

    Segments by instrument and ordered by position: what charts and the replay ask for.
    """
    columnstore = sql.SQL(
        "ALTER TABLE {} SET (timescaledb.enable_columnstore, "
        "timescaledb.segmentby = 'venue, symbol', timescaledb.orderby = 'seq')"
    ).format(sql.Identifier(table))
    policy = sql.SQL("CALL add_columnstore_policy({}, after => {}::interval, if_not_exists => true)").format(
        sql.Literal(table), sql.Literal(COMPRESS_AFTER)
    )
    return columnstore, policy
