"""The cache of decoded events: what was read once is there, whole or as far as it goes, or it is as if it never was."""

import os
from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from contracts.event import Event
from eventstore.marketdata.decoded import AT_ONCE, Told
from eventstore.marketdata.decodedcache import DecodedCache
from services.backtest.kept import kept, key_of
from services.backtest.settings import BacktestSettings, DataKind, Unusable
from services.backtest.sources import Reading, within
from tests.builders import SECOND, quote, trade

BEGINS = quote(at=0.0).ts_init
EVERYTHING = BacktestSettings()


class Market:
    """A reading of quotes and trades, one of each a second; it counts how often it was asked."""

    def __init__(self, seconds: int, fails_at: int | None = None) -> None:
        self.given = 0
        self._seconds = seconds
        self._fails_at = fails_at

    def reading(self) -> Reading:
        return Reading(self._lists(), lambda: self.given * 2, lambda: {"rows": self.given // 2})

    def _lists(self) -> Generator[list[Event], None, None]:
        for second in range(self._seconds):
            if second == self._fails_at:
                raise Unusable("the file is bad")
            self.given += 1
            yield [quote(at=float(second)), trade(100.0, at=float(second))]


class Cached:
    """A cache in a folder; it keeps what it said."""

    def __init__(self, folder: Path, limit: int = 1 << 30) -> None:
        self.said: list[str] = []
        self.folder = folder
        self.cache = DecodedCache(folder, limit, self.said.append)

    def play(self, market: Market, asked: BacktestSettings = EVERYTHING, key: str = "key") -> list[Event]:
        reading = kept(market.reading(), self.cache, key, asked)
        try:
            return list(within(flat(reading.lists), asked))
        finally:
            reading.close()

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


def flat(lists: Iterable[list[Event]]) -> Iterator[Event]:
    for events in lists:
        yield from events


def until(seconds: float) -> BacktestSettings:
    return BacktestSettings(ends_at=BEGINS + round(seconds * SECOND))


@pytest.fixture
def cached(tmp_path: Path) -> Cached:
    return Cached(tmp_path / "cache")


def test_what_was_read_to_its_end_is_not_read_again(cached: Cached) -> None:
    first, second = Market(20), Market(20)
    assert cached.play(first) == cached.play(second)
    assert (first.given, second.given) == (20, 0)
    assert cached.files == ["key.events"]


def test_what_comes_from_the_cache_says_how_far_the_reading_was_and_what_was_repaired(cached: Cached) -> None:
    market = Market(4)
    cached.play(market)
    again = kept(Market(4).reading(), cached.cache, "key", EVERYTHING)
    seen = [(again.rows_done(), again.repairs()) for _ in again.lists]
    assert seen == [(2, {"rows": 0}), (4, {"rows": 1}), (6, {"rows": 1}), (8, {"rows": 2})]
    assert (again.rows_done(), again.repairs()) == (8, {"rows": 2})


def test_another_key_is_read_anew(cached: Cached) -> None:
    cached.play(Market(3))
    other = Market(3)
    cached.play(other, key="other")
    assert other.given == 3


def test_a_run_that_ended_early_leaves_what_serves_runs_that_end_no_later(cached: Cached) -> None:
    cached.play(Market(20), until(5))
    shorter, longer = Market(20), Market(20)
    assert len(cached.play(shorter, until(4))) == 8
    assert len(cached.play(longer, until(6))) == 12
    assert (shorter.given, longer.given) == (0, 7)


def test_a_run_that_was_stopped_sooner_does_not_take_the_place_of_one_that_went_further(cached: Cached) -> None:
    cached.play(Market(20), until(8))
    stopped = kept(Market(20).reading(), cached.cache, "key", EVERYTHING)
    list(islice(stopped.lists, 2))
    stopped.close()
    again = Market(20)
    cached.play(again, until(8))
    assert again.given == 0
    assert cached.files == ["key.events"]


def test_the_beginning_may_be_skipped_and_the_rest_is_the_same(cached: Cached) -> None:
    seconds = AT_ONCE // 2 + 200
    late = BacktestSettings(begins_at=BEGINS + (seconds - 100) * SECOND)
    whole = cached.play(Market(seconds))
    assert cached.play(Market(0), late) == whole[-200:]


def test_a_reading_that_fails_fails_every_time_and_leaves_nothing(cached: Cached) -> None:
    for _ in range(2):
        with pytest.raises(Unusable, match="the file is bad"):
            cached.play(Market(20, fails_at=7))
    assert cached.files == []


def test_a_damaged_file_is_named_and_made_anew(cached: Cached) -> None:
    whole = cached.play(Market(5))
    path = cached.folder / "key.events"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    anew = Market(5)
    assert cached.play(anew) == whole
    assert anew.given == 5
    assert cached.said == ["the cache file key.events is made anew: it is cut off"]
    assert cached.play(Market(0)) == whole


def test_a_file_under_the_name_of_another_is_not_taken_for_it(cached: Cached) -> None:
    cached.play(Market(5))
    (cached.folder / "key.events").rename(cached.folder / "other.events")
    other = Market(3)
    assert len(cached.play(other, key="other")) == 6
    assert "it is of other data" in cached.said[0]


def test_the_files_that_were_not_used_for_longest_go_when_there_is_no_room(tmp_path: Path) -> None:
    small = Cached(tmp_path)
    for age, key in enumerate(("third", "second", "first")):
        small.play(Market(50), key=key)
        os.utime(tmp_path / f"{key}.events", (1_000_000_000 - age, 1_000_000_000 - age))
    small.play(Market(0), key="first")
    size = (tmp_path / "first.events").stat().st_size
    tight = Cached(tmp_path, limit=int(size * 2.5))
    tight.play(Market(50), key="fourth")
    assert tight.files == ["first.events", "fourth.events"]


def test_what_is_larger_than_the_cache_is_played_and_not_kept(tmp_path: Path) -> None:
    tiny = Cached(tmp_path, limit=1_000)
    assert len(tiny.play(Market(AT_ONCE))) == 2 * AT_ONCE
    assert tiny.files == []
    assert tiny.said == ["nothing is kept in the cache: the events take more than 0 MB"]


def test_a_cache_that_cannot_be_written_is_said_and_does_without(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the directory should be")
    hindered = Cached(tmp_path / "cache")
    assert len(hindered.play(Market(3))) == 6
    assert "nothing is kept in the cache" in hindered.said[-1]


def test_two_runs_at_once_each_write_their_own_and_one_of_them_stays(cached: Cached) -> None:
    one = kept(Market(5).reading(), cached.cache, "key", EVERYTHING)
    other = kept(Market(5).reading(), cached.cache, "key", EVERYTHING)
    for _ in zip(one.lists, other.lists, strict=True):
        pass
    assert cached.files == ["key.events"]
    assert len(cached.play(Market(0))) == 10


def test_nothing_that_was_told_is_lost_where_the_key_is_new(cached: Cached) -> None:
    told = [Told([quote(at=1.0)], 1, {}), Told([], 2, {"bad": 1})]
    assert list(cached.cache.keeping("key", iter(told))) == told
    found = cached.cache.find("key", None)
    assert found is not None
    assert (found.rows, found.repairs) == (2, {"bad": 1})


@pytest.mark.parametrize(
    "other", [{"venue": "file"}, {"repair": True}, {"sizes": "quote"}, {"zone": "UTC"}, {"columns": {"time": "t"}}]
)
def test_what_changes_the_reading_changes_the_key(other: dict[str, object]) -> None:
    usual = key_of(DataKind.BARS, (), None, EVERYTHING)
    assert key_of(DataKind.BARS, (), None, BacktestSettings.model_validate(other)) != usual


@pytest.mark.parametrize("other", [{"capital": "5"}, {"ends_at": 7}, {"spread_bps": 9}, {"strategies": ("trend",)}])
def test_what_is_done_with_events_afterwards_leaves_the_key(other: dict[str, object]) -> None:
    usual = key_of(DataKind.BARS, (), None, EVERYTHING)
    assert key_of(DataKind.BARS, (), None, BacktestSettings.model_validate(other)) == usual
