"""Rebuilding projections: equal to what was there, or what was there was wrong; while readers and the archive go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from threading import Event, Thread
from time import sleep

import psycopg
import pytest

from contracts.examples import examples
from contracts.recorded import Recorded
from eventstore.archive import Archive
from eventstore.grants import READER_ROLE
from eventstore.migrate import LOCK, migrate
from eventstore.projections import PROJECTIONS
from eventstore.rebuild import SCHEMA, RebuildRefused, rebuild
from tests.recordings import recording

pytestmark = pytest.mark.integration


@pytest.fixture
def store_url(fresh_database_url: str) -> str:
    """A store with a stretch of tape in it."""
    migrate(fresh_database_url)
    archive = Archive(fresh_database_url)
    for start in range(1, 3_000, 500):
        archive.write(recording(500, start=start))
    archive.close()
    return fresh_database_url


def execute(store_url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(store_url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def contents(store_url: str) -> dict[str, list[tuple[object, ...]]]:
    return {name: execute(store_url, f"SELECT * FROM {name} ORDER BY 1, 2, 3") for name in PROJECTIONS}


def structure(store_url: str) -> list[tuple[object, ...]]:
    """Indexes, constraints and grants of the projections, by name."""
    return execute(
        store_url,
        "SELECT relname, relacl::text, CASE relkind WHEN 'i' THEN pg_get_indexdef(oid) END FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i') ORDER BY relname",
    )


def test_a_rebuild_equals_what_the_archive_wrote(store_url: str) -> None:
    before, shape = contents(store_url), structure(store_url)
    reports = rebuild(store_url)
    assert [report.projection for report in reports] == list(PROJECTIONS)
    assert all(report.equal for report in reports)
    assert {report.projection: report.rows_after for report in reports} == {
        name: len(rows) for name, rows in before.items()
    }
    assert contents(store_url) == before
    assert structure(store_url) == shape
    assert execute(store_url, f"SELECT FROM pg_namespace WHERE nspname = '{SCHEMA}'") == []


def test_what_the_order_path_says_is_folded_the_same(fresh_database_url: str) -> None:
    migrate(fresh_database_url)
    archive = Archive(fresh_database_url)
    told = [event for _ in range(3) for event in examples().values()]
    tape = [Recorded(position, None, f"m/{position}", 0, event) for position, event in enumerate(told, start=1)]
    for at in range(0, len(tape), 7):
        archive.write(tape[at : at + 7])
    archive.close()
    assert all(contents(fresh_database_url).values())
    assert [report.sample for report in rebuild(fresh_database_url)] == [()] * len(PROJECTIONS)


def test_a_rebuild_can_be_repeated_and_the_archive_goes_on(store_url: str) -> None:
    for start in (3_001, 3_501):
        assert all(report.equal for report in rebuild(store_url))
        archive = Archive(store_url)
        archive.write(recording(500, start=start))
        archive.close()
    assert all(report.equal for report in rebuild(store_url))


@pytest.mark.parametrize(
    ("name", "damage", "differing"),
    [
        ("orders", "UPDATE orders SET fees = fees + 0.00000000001 WHERE created_position < 200", None),
        ("fills", "DELETE FROM fills WHERE position = (SELECT min(position) FROM fills)", 1),
        (
            "positions",
            "INSERT INTO positions SELECT strategy, 'kraken', symbol, 1, 1, 1, 1, 1, 1, 1, 1, 1 FROM positions LIMIT 1",
            1,
        ),
        (
            "equity",
            "UPDATE equity SET position = position + 1 WHERE position = (SELECT max(position) FROM equity)",
            2,
        ),
    ],
)
def test_a_wrong_row_is_shown_and_put_right(store_url: str, name: str, damage: str, differing: int | None) -> None:
    right = contents(store_url)
    execute(store_url, damage)
    wrong = contents(store_url)
    reports = {report.projection: report for report in rebuild(store_url)}
    report = reports.pop(name)
    assert not report.equal
    assert differing in (None, report.differing)
    assert (report.rows_before, report.rows_after) == (len(wrong[name]), len(right[name]))
    assert report.sample[0].before != report.sample[0].after
    assert all(other.equal for other in reports.values())
    assert contents(store_url) == right


def test_a_difference_shows_both_values_to_the_last_digit(store_url: str) -> None:
    execute(store_url, "UPDATE positions SET fees = 12345678901234567890.000000000000000001 WHERE symbol = 'BTCUSDT'")
    (report,) = rebuild(store_url, ["positions"])
    (difference,) = report.sample
    assert difference.before is not None
    assert difference.after is not None
    assert difference.before["fees"] == Decimal("12345678901234567890.000000000000000001")
    assert difference.after["fees"] == Decimal("0.0989")


def test_only_the_named_projections_are_rebuilt(store_url: str) -> None:
    tables = execute(store_url, "SELECT 'orders'::regclass::oid, 'fills'::regclass::oid")
    assert [report.projection for report in rebuild(store_url, ["fills"])] == ["fills"]
    (orders, fills), (orders_after, fills_after) = (
        tables[0],
        execute(store_url, "SELECT 'orders'::regclass::oid, 'fills'::regclass::oid")[0],
    )
    assert orders == orders_after
    assert fills != fills_after


def test_an_unknown_projection_is_refused_with_the_known_ones(store_url: str) -> None:
    with pytest.raises(RebuildRefused, match="no projection oders; there are orders, order_events, fills, positions"):
        rebuild(store_url, ["oders"])


def test_a_second_rebuild_at_the_same_time_is_refused(store_url: str) -> None:
    with psycopg.connect(store_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        with pytest.raises(RebuildRefused, match="another rebuild or a migration is running"):
            rebuild(store_url)


def test_what_a_killed_rebuild_left_is_cleared_away(store_url: str) -> None:
    execute(store_url, f"CREATE SCHEMA {SCHEMA}")
    execute(store_url, f"CREATE TABLE {SCHEMA}.orders (x integer)")
    assert all(report.equal for report in rebuild(store_url))


def test_a_projection_that_was_behind_is_level_after_its_rebuild(store_url: str) -> None:
    execute(store_url, "TRUNCATE fills")
    execute(store_url, "UPDATE checkpoints SET position = 0 WHERE name = 'fills'")
    (report,) = rebuild(store_url, ["fills"])
    assert (report.equal, report.rows_before) == (False, 0)
    archive = Archive(store_url)
    archive.write(recording(500, start=3_001))
    archive.close()
    assert execute(store_url, "SELECT count(DISTINCT position) FROM checkpoints") == [(1,)]
    assert all(report.equal for report in rebuild(store_url))


def test_a_rebuild_while_the_archive_writes_and_others_read(store_url: str) -> None:
    with archiving(store_url), reading(store_url):
        for _ in range(3):
            assert all(report.equal for report in rebuild(store_url))
    assert all(report.equal for report in rebuild(store_url))


@contextmanager
def archiving(store_url: str) -> Iterator[None]:
    """Archive on, batch after batch, until the block ends; an error of it is the test's."""
    failures: list[Exception] = []
    done = Event()

    def archive_on() -> None:
        archive = Archive(store_url)
        try:
            while not done.is_set():
                archive.write(recording(200, start=archive.position() + 1))
        except Exception as error:  # noqa: BLE001 (it is raised below, in the test's own thread)
            failures.append(error)
        archive.close()

    with in_background(archive_on, done):
        yield
    assert failures == []


@contextmanager
def reading(store_url: str) -> Iterator[None]:
    """Read the projections as a reader may, again and again: there must be rows at any moment."""
    failures: list[object] = []
    done = Event()
    filled = [name for name, rows in contents(store_url).items() if rows]

    def read_on() -> None:
        with psycopg.connect(store_url, autocommit=True) as connection:
            connection.execute(f"SET ROLE {READER_ROLE}")
            while not done.is_set():
                for name in filled:
                    try:
                        if connection.execute(f"SELECT FROM {name} LIMIT 1".encode()).rowcount != 1:
                            failures.append(f"{name} was empty")
                    except psycopg.Error as error:
                        failures.append(error)

    with in_background(read_on, done):
        yield
    assert failures == []


@contextmanager
def in_background(work: object, done: Event) -> Iterator[None]:
    assert callable(work)
    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_reader_who_stays_delays_the_swap_and_nobody_else(store_url: str) -> None:
    execute(store_url, "UPDATE positions SET fees = 1")
    reports = []
    with psycopg.connect(store_url) as reader:
        reader.execute("SELECT FROM positions")
        rebuilding = Thread(target=lambda: reports.extend(rebuild(store_url, ["positions"])))
        rebuilding.start()
        sleep(1.0)
        archive = Archive(store_url)
        archive.write(recording(100, start=3_001))
        archive.close()
        assert rebuilding.is_alive()
        reader.rollback()
        rebuilding.join()
    (report,) = reports
    assert not report.equal
    assert all(report.equal for report in rebuild(store_url))


def test_progress_says_where_it_is_and_where_it_goes(store_url: str) -> None:
    steps: list[tuple[int, int]] = []
    rebuild(store_url, progress=lambda reached, target: steps.append((reached, target)))
    assert steps[-1] == (3_000, 3_000)
    assert steps == sorted(steps)
