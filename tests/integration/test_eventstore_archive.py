"""The archive: what is written is what is read, exactly once, whatever happens in between."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from threading import Thread
from time import monotonic, sleep

import psycopg
import pytest
from hypothesis import given

from contracts.books import EquityMarked
from contracts.codec import encode
from contracts.event import EVENT_TYPES, Event
from contracts.examples import examples
from contracts.market import Quote, Trade
from contracts.orders import OrderFilled, OrderRejected
from contracts.recorded import Recorded, Unreadable
from eventstore.archive import Archive, CheckpointMoved
from eventstore.migrate import migrate
from eventstore.projections import PROJECTIONS
from eventstore.reader import last_position, read
from eventstore.tables import TABLES
from tests.property.event_strategies import events, tapes
from tests.recordings import example, recording
from tests.servers import fresh_database

pytestmark = pytest.mark.integration

EXAMPLES = [Recorded(index, None, f"m/{index}", index, event) for index, event in enumerate(examples().values(), 1)]


@pytest.fixture
def store_url(fresh_database_url: str) -> str:
    migrate(fresh_database_url)
    return fresh_database_url


@pytest.fixture(scope="module")
def shared(database_url: str) -> Iterator[tuple[Archive, psycopg.Connection]]:
    """One store for all the examples of a property, which archive one after the other."""
    with fresh_database(database_url, "shared_store") as url:
        migrate(url)
        archive = Archive(url)
        with psycopg.connect(url, autocommit=True) as connection:
            yield archive, connection
        archive.close()


@pytest.fixture
def archive(store_url: str) -> Iterator[Archive]:
    archive = Archive(store_url)
    yield archive
    archive.close()


def rows(store_url: str) -> dict[str, int]:
    names = [table.name for table in TABLES] + ["unreadable", "orders", "fills", "positions", "equity"]
    with psycopg.connect(store_url) as connection:
        counts = {name: connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchone() for name in names}
    return {name: count[0] for name, count in counts.items() if count}


def test_one_event_of_each_type_comes_back_identical(archive: Archive, store_url: str) -> None:
    archive.write(EXAMPLES)
    assert list(read(store_url)) == EXAMPLES
    assert {type(recorded.event) for recorded in read(store_url)} == set(EVENT_TYPES.values())


def test_every_event_is_in_exactly_one_table(archive: Archive, store_url: str) -> None:
    archive.write(EXAMPLES)
    found = rows(store_url)
    assert sum(found[table.name] for table in TABLES) == len(EXAMPLES)
    assert (found["quotes"], found["trades"], found["bars"]) == (1, 1, 1)


@given(tape=tapes(events(), min_size=1, max_size=60))
def test_any_tape_comes_back_identical_and_in_order(
    shared: tuple[Archive, psycopg.Connection], tape: list[Recorded]
) -> None:
    archive, connection = shared
    start = archive.position()
    moved = [replace(recorded, position=start + recorded.position) for recorded in tape]
    archive.write(moved)
    back = list(read(connection, start + 1))
    assert back == moved
    assert written(back) == written(moved)


def written(tape: list[Recorded]) -> list[bytes]:
    """Events digit for digit: 0.10 is not 0.1."""
    return [encode(recorded.event) for recorded in tape]


def test_what_is_no_event_is_kept_as_it_came(archive: Archive, store_url: str) -> None:
    message = Unreadable(7, "md.quote.x.y", {"Hmm-Type": "Quote.v9", "odd": "\x00\udc80"}, b"\x00{", "unknown\x00type")
    archive.write([message])
    with psycopg.connect(store_url) as connection:
        found = connection.execute("SELECT seq, subject, headers, payload, reason FROM unreadable").fetchone()
    headers = {"Hmm-Type": "Quote.v9", "odd": "\N{REPLACEMENT CHARACTER}?"}
    assert found == (7, "md.quote.x.y", headers, b"\x00{", "unknown\N{REPLACEMENT CHARACTER}type")
    assert archive.position() == 7


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (example(Trade, trade_id="a\x00"), "Trade.trade_id: PostgreSQL keeps no U+0000"),
        (example(OrderRejected, reason="\x00"), "OrderRejected.reason: PostgreSQL keeps no U+0000"),
        (example(Quote, ts_event=2**63), "Quote.ts_event: 9223372036854775808 does not fit into 64 bits"),
        (example(OrderFilled, price=Decimal("1e200000")), "OrderFilled.price: 1E+200000 has more than"),
        (example(OrderFilled, price=Decimal("1e-20000")), "OrderFilled.price: 1E-20000 has more than"),
    ],
)
def test_an_event_that_postgresql_cannot_keep_is_set_aside_and_the_tape_goes_on(
    archive: Archive, store_url: str, event: Event, reason: str
) -> None:
    before, after = recording(3), recording(3, start=5)
    archive.write([*before, Recorded(4, 3, "m", 0, event), *after])
    assert list(read(store_url)) == [*before, *after]
    with psycopg.connect(store_url) as connection:
        found = connection.execute("SELECT seq, headers ->> 'Hmm-Cause', reason FROM unreadable").fetchone()
    assert found is not None
    assert found[:2] == (4, "3")
    assert found[2].startswith(reason)


def test_positions_come_once_and_in_order(archive: Archive) -> None:
    archive.write(EXAMPLES)
    for batch in (EXAMPLES[-1:], recording(2, start=100)[::-1]):
        with pytest.raises(AssertionError, match="the archive takes each position once, in order"):
            archive.write(batch)
    archive.write([])
    assert archive.position() == len(EXAMPLES)


def test_a_second_archive_is_found_out_and_writes_nothing(archive: Archive, store_url: str) -> None:
    second = Archive(store_url)
    archive.write(recording(10))
    with pytest.raises(CheckpointMoved, match="is at 10 and not where we left it, at 0"):
        second.write(recording(20))
    second.close()
    assert list(read(store_url)) == recording(10)


def test_a_backend_killed_between_the_copy_and_the_commit_loses_and_repeats_nothing(store_url: str) -> None:
    archive = Archive(store_url)
    first, second = recording(1_000), recording(1_000, start=1_001)
    archive.write(first)
    failures: list[psycopg.OperationalError] = []

    def write() -> None:
        try:
            archive.write(second)
        except psycopg.OperationalError as error:
            failures.append(error)

    with psycopg.connect(store_url, autocommit=True) as holder, holder.transaction():
        # The archive copies market data and events and then waits here for the projections.
        holder.execute("LOCK TABLE equity")
        writing = Thread(target=write)
        writing.start()
        kill_who_waits(holder)
        writing.join()
    archive.close()
    assert len(failures) == 1
    assert (last_position(store_url), list(read(store_url))) == (1_000, first)
    again = Archive(store_url)
    assert again.position() == 1_000
    again.write(second)
    again.close()
    assert list(read(store_url)) == [*first, *second]


def kill_who_waits(connection: psycopg.Connection) -> None:
    deadline = monotonic() + 20
    killed = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    while not connection.execute(killed).fetchall():
        assert monotonic() < deadline, "the archive did not come to wait"
        sleep(0.01)


def test_what_was_left_open_is_folded_on_in_the_next_batch(archive: Archive, store_url: str) -> None:
    tape = recording(1_000)
    for start in range(0, len(tape), 7):
        archive.write(tape[start : start + 7])
    at_sevens = projections(store_url)
    with psycopg.connect(store_url, autocommit=True) as connection:
        for name in PROJECTIONS:
            connection.execute(f"TRUNCATE {name}".encode())
        connection.execute("TRUNCATE events, quotes, trades, bars")
        connection.execute("UPDATE checkpoints SET position = 0")
    at_once = Archive(store_url)
    at_once.write(tape)
    at_once.close()
    assert projections(store_url) == at_sevens


def projections(store_url: str) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(store_url) as connection:
        return {
            name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2, 3".encode()).fetchall()
            for name in PROJECTIONS
        }


def test_positions_at_their_marks_and_cash_are_the_equity_to_the_last_digit(archive: Archive, store_url: str) -> None:
    tape = recording(1_000)
    last_mark = max(index for index, recorded in enumerate(tape) if isinstance(recorded.event, EquityMarked))
    archive.write(tape[: last_mark + 1])
    with psycopg.connect(store_url) as connection:
        difference = connection.execute(
            "SELECT equity - cash - balances - (SELECT sum(quantity * mark) FROM positions) "
            "FROM equity ORDER BY position DESC LIMIT 1"
        ).fetchone()
    assert difference == (0,)


def test_a_projection_that_is_behind_waits_for_its_rebuild(archive: Archive, store_url: str) -> None:
    with psycopg.connect(store_url) as connection:
        connection.execute("UPDATE checkpoints SET position = 0 WHERE name = 'fills'")
    archive.write(recording(1_000))
    with psycopg.connect(store_url) as connection:
        connection.execute("UPDATE checkpoints SET position = 0 WHERE name = 'fills'")
        connection.execute("TRUNCATE fills")
    archive.write(recording(1_000, start=1_001))
    assert rows(store_url)["fills"] == 0
    assert rows(store_url)["orders"] > 0


def test_texts_reach_the_projections_as_they_are(store_url: str, archive: Archive) -> None:
    reasons = ["a\tb\r\nc", "\\N", "\\", "C:\\temp\\.", "None", "", "\\.", "\u00e4\u2028"]
    tape = [
        Recorded(position, None, f"m/{position}", 0, event)
        for position, event in enumerate(
            (
                example(OrderFilled, client_order_id=f"o-{index}", trade_id=reason)
                for index, reason in enumerate(reasons)
            ),
            1,
        )
    ]
    archive.write(tape)
    with psycopg.connect(store_url) as connection:
        found = connection.execute("SELECT trade_id FROM fills ORDER BY position").fetchall()
    assert [trade_id for (trade_id,) in found] == reasons
