"""Migrations: applied once, in order, never changed afterwards; and the role that may only look."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from contracts.orders import OrderFilled, OrderInitialized
from contracts.recorded import Recorded
from eventstore.archive import Archive
from eventstore.edition import Edition, compression, edition_of
from eventstore.grants import READER_ROLE
from eventstore.migrate import MIGRATIONS, MigrationRefused, migrate, migrations
from eventstore.projections import PROJECTIONS
from eventstore.projections.shape import Shape
from eventstore.rebuild import rebuild
from eventstore.tables import TABLES
from tests.recordings import recording
from tests.servers import fresh_database

pytestmark = pytest.mark.integration

NAMES = [migration.name for migration in migrations()]
NEXT = f"{len(NAMES) + 1:04}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations that a test may change."""
    for path in MIGRATIONS.glob("*.sql"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_migrating_twice_changes_nothing_the_second_time(fresh_database_url: str) -> None:
    assert migrate(fresh_database_url) == NAMES
    assert migrate(fresh_database_url) == []


def test_two_that_migrate_at_once_apply_each_migration_once(fresh_database_url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        applied = [name for names in pool.map(migrate, [fresh_database_url] * 2) for name in names]
    assert sorted(applied) == NAMES


def test_a_new_migration_is_applied_to_a_database_with_the_old_ones(fresh_database_url: str, folder: Path) -> None:
    migrate(fresh_database_url)
    (folder / f"{NEXT}_more.sql").write_text("CREATE TABLE more (x integer);")
    assert migrate(fresh_database_url, folder) == [f"{NEXT}_more"]


def test_a_changed_migration_is_refused(fresh_database_url: str, folder: Path) -> None:
    migrate(fresh_database_url)
    with (folder / "0001_tape.sql").open("a") as file:
        file.write("-- an afterthought\n")
    with pytest.raises(MigrationRefused, match=r"0001_tape\.sql differs .* write a new migration"):
        migrate(fresh_database_url, folder)


def test_a_database_newer_than_the_code_is_refused(fresh_database_url: str, folder: Path) -> None:
    (folder / f"{NEXT}_future.sql").write_text("SELECT 1;")
    migrate(fresh_database_url, folder)
    with pytest.raises(MigrationRefused, match=f"is newer than this code: it has {NEXT}_future"):
        migrate(fresh_database_url)


def test_a_migration_that_fails_half_way_leaves_nothing_of_itself(fresh_database_url: str, folder: Path) -> None:
    (folder / f"{NEXT}_broken.sql").write_text("CREATE TABLE half (x integer); SELECT 1 / 0;")
    with pytest.raises(errors.DivisionByZero):
        migrate(fresh_database_url, folder)
    with psycopg.connect(fresh_database_url) as connection:
        assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)
    assert migrate(fresh_database_url) == []


def test_a_misnamed_migration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0002_second.sql").write_text("SELECT 1;")
    with pytest.raises(MigrationRefused, match=r"0002_second\.sql: expected the migration 0001_<name>\.sql"):
        migrations(tmp_path)


def test_every_table_has_the_columns_the_code_writes(fresh_database_url: str) -> None:
    migrate(fresh_database_url)
    written = {table.name: set(table.columns) for table in TABLES}
    written |= {name: set(Shape(projection.row).columns) for name, projection in PROJECTIONS.items()}
    with psycopg.connect(fresh_database_url) as connection:
        for table, columns in written.items():
            found = connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND attgenerated = ''",
                [table],
            )
            assert {name for (name,) in found} == columns


def test_what_was_folded_before_the_order_path_is_what_a_rebuild_finds(
    database_url: str, fresh_database_url: str, folder: Path
) -> None:
    for later in sorted(folder.glob("*.sql"))[2:]:
        later.unlink()
    migrate(fresh_database_url, folder)
    with fresh_database(database_url, "of_today") as today:
        migrate(today)
        archive = Archive(today)
        archive.write([without_news(recorded) for recorded in recording(1_000)])
        archive.close()
        copy_what_was_known(today, fresh_database_url)
    assert migrate(fresh_database_url)[0] == "0003_order_path"
    reports = {report.projection: report for report in rebuild(fresh_database_url)}
    for name in ("orders", "fills", "positions", "equity"):
        assert reports[name].rows_before > 0
        assert reports[name].equal, reports[name].sample
    assert (reports["order_events"].rows_before, reports["order_events"].rows_after > 0) == (0, True)
    assert all(report.equal for report in rebuild(fresh_database_url))


def without_news(recorded: Recorded) -> Recorded:
    """Give an event as it was before: orders had no lists, and fills did not tell their slippage."""
    event = recorded.event
    if isinstance(event, OrderFilled):
        return replace(recorded, event=replace(event, slippage_bps=None))
    if isinstance(event, OrderInitialized):
        return replace(recorded, event=replace(event, order=replace(event.order, link=None)))
    return recorded


def copy_what_was_known(today: str, before: str) -> None:
    """Give a database of before the rows that its code would have written."""
    renamed = {"status_before_cancel": "otherwise"}
    with psycopg.connect(today) as source, psycopg.connect(before) as target:
        for table in (*(table.name for table in TABLES), "orders", "fills", "positions", "equity"):
            columns = [
                name
                for (name,) in target.execute(
                    "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
                    "AND attgenerated = '' AND NOT attisdropped",
                    [table],
                )
            ]
            select = ", ".join(renamed.get(name, name) for name in columns)
            rows = source.execute(f"SELECT {select} FROM {table}".encode()).fetchall()
            with target.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row([Jsonb(value) if isinstance(value, dict) else value for value in row])
        target.execute("UPDATE checkpoints SET position = 1000")


def test_readers_may_look_and_not_touch(fresh_database_url: str) -> None:
    migrate(fresh_database_url)
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE later (x integer)")
        connection.execute(f"SET ROLE {READER_ROLE}")
        for table in [*PROJECTIONS, *(table.name for table in TABLES), "checkpoints", "unreadable", "later"]:
            connection.execute(f"SELECT FROM {table}".encode())
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("DELETE FROM orders")


def test_compression_is_left_alone_where_the_licence_does_not_have_it(fresh_database_url: str) -> None:
    migrate(fresh_database_url)
    with psycopg.connect(fresh_database_url) as connection:
        if edition_of(connection) is Edition.COMMUNITY:
            pytest.skip("this server is the community edition")
        compressed = connection.execute("SELECT bool_or(compression_enabled) FROM timescaledb_information.hypertables")
        assert compressed.fetchone() == (False,)


def test_the_community_edition_gets_columns_by_instrument_in_tape_order() -> None:
    columnstore, policy = (statement.as_string() for statement in compression("quotes"))
    assert "segmentby = 'venue, symbol', timescaledb.orderby = 'seq'" in columnstore
    assert policy == "CALL add_columnstore_policy('quotes', after => '1 day'::interval, if_not_exists => true)"
