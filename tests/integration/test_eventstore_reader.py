"""Reading the tape back: which part, in which order, while the archive goes on; and what retention lets go."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from contracts.clock import ClockTick
from contracts.market import Bar, Quote, Trade
from contracts.orders import OrderFilled
from contracts.recorded import Recorded
from eventstore.archive import Archive
from eventstore.edition import Edition, edition_of
from eventstore.migrate import migrate
from eventstore.reader import last_position, position_at, read, read_again
from eventstore.retention import apply_retention
from tests.recordings import recording
from tests.servers import fresh_database

pytestmark = pytest.mark.integration

TAPE = recording(3_000)


@pytest.fixture
def store_url(fresh_database_url: str) -> str:
    migrate(fresh_database_url)
    return fresh_database_url


@pytest.fixture
def archive(store_url: str) -> Iterator[Archive]:
    archive = Archive(store_url)
    yield archive
    archive.close()


@pytest.fixture(scope="module")
def kept_url(database_url: str) -> Iterator[str]:
    """A store that holds `TAPE`, for tests that only read."""
    with fresh_database(database_url, "kept_store") as url:
        migrate(url)
        archive = Archive(url)
        archive.write(TAPE)
        archive.close()
        yield url


class TestReading:
    @pytest.mark.parametrize(("start", "stop"), [(1, None), (1, 1), (100, 200), (2_999, 9_999), (3_001, None), (5, 4)])
    def test_gives_the_positions_from_start_to_stop(self, kept_url: str, start: int, stop: int | None) -> None:
        assert list(read(kept_url, start, stop)) == TAPE[start - 1 : stop]

    @pytest.mark.parametrize(
        "types", [[Quote], [OrderFilled], [Bar, Trade], [ClockTick, Quote], [OrderFilled, ClockTick], []]
    )
    def test_gives_only_the_types_asked_for(self, kept_url: str, types: list[type]) -> None:
        assert list(read(kept_url, types=types)) == [told for told in TAPE if type(told.event) in types]

    def test_is_the_same_in_batches_of_any_size(self, kept_url: str) -> None:
        assert list(read(kept_url, batch=7)) == TAPE

    def test_leaves_a_given_connection_usable(self, kept_url: str) -> None:
        with psycopg.connect(kept_url, autocommit=True) as connection:
            reading = read(connection)
            assert next(reading) == TAPE[0]
            reading.close()
            assert list(read(connection)) == TAPE

    @pytest.mark.parametrize("types", [[OrderFilled], [OrderFilled, ClockTick], [Bar, OrderFilled], [Bar]])
    @pytest.mark.parametrize("batch", [7, 5_000])
    def test_reading_again_gives_the_same_in_lists(self, kept_url: str, types: list[type], batch: int) -> None:
        with psycopg.connect(kept_url, autocommit=True) as connection:
            lists = list(read_again(connection, 100, 2_900, types, batch))
        assert [told for of_list in lists for told in of_list] == list(read(kept_url, 100, 2_900, types))
        assert max(map(len, lists)) <= batch

    def test_holds_only_a_few_rows_at_a_time(self, kept_url: str) -> None:
        for _ in read(kept_url, batch=50):  # what is imported and cached once
            pass
        tracemalloc.start()
        for _ in read(kept_url, batch=50):
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000

    def test_translates_a_time_to_the_first_position_then(self, kept_url: str) -> None:
        assert position_at(kept_url, datetime(2000, 1, 1, tzinfo=UTC)) == 1
        assert position_at(kept_url, datetime(2100, 1, 1, tzinfo=UTC)) == 3_001
        tick = next(told for told in TAPE if isinstance(told.event, ClockTick))
        moment = datetime.fromtimestamp(tick.event.ts_init // 1_000 / 1e6, UTC)
        found = TAPE[position_at(kept_url, moment) - 1]
        assert abs(found.event.ts_init - tick.event.ts_init) < 1_000
        assert all(told.event.ts_init < found.event.ts_init for told in TAPE[: found.position - 1])


def test_ends_where_the_archive_was_when_it_began(store_url: str, archive: Archive) -> None:
    archive.write(TAPE)
    reading = read(store_url, batch=10)
    first = next(reading)
    archive.write(recording(3_000, start=3_001))
    assert [first, *reading] == TAPE


def test_an_empty_store_has_nothing_and_ends_at_0(store_url: str) -> None:
    assert list(read(store_url)) == []
    assert last_position(store_url) == 0
    assert position_at(store_url, datetime(2024, 1, 1, tzinfo=UTC)) == 1


DAY_NANOS = 86_400_000_000_000


def test_retention_lets_old_market_data_go_and_no_event(store_url: str) -> None:
    ticks = [told for told in TAPE if isinstance(told.event, Quote | ClockTick)][-100:]
    days = [on_day(told, index // 10) for index, told in enumerate(ticks)]
    archive = Archive(store_url)
    archive.write(days)
    archive.close()
    with psycopg.connect(store_url, autocommit=True) as connection:
        if edition_of(connection) is Edition.COMMUNITY:
            pytest.skip("the community edition drops by its own policy")
        # Ten days of the past, of which the newest three are kept: the day that the border is in stays whole.
        assert apply_retention(connection, timedelta(days=3)) == 6
        assert apply_retention(connection, timedelta(days=3)) == 0
    kept = list(read(store_url))
    assert kept == [told for told in days if isinstance(told.event, ClockTick) or told.position >= days[60].position]


def test_retention_of_an_empty_store_does_nothing(store_url: str) -> None:
    with psycopg.connect(store_url, autocommit=True) as connection:
        assert apply_retention(connection, timedelta(days=3)) == 0


def on_day(recorded: Recorded, day: int) -> Recorded:
    event = recorded.event
    ts = event.ts_init % DAY_NANOS + (20_000 + day) * DAY_NANOS
    return replace(recorded, event=replace(event, ts_event=ts, ts_init=ts))
