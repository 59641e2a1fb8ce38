"""Ingestion of the tape, on a real one: every bar once, whatever happens, and a past for the simulated market."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator

import pytest
from nats.aio.client import Client

from contracts.control import LeaseTaken
from contracts.data import DataChunk
from contracts.event import Event
from contracts.market import Bar
from contracts.ownership import EventTypes
from contracts.recorded import Recorded, Unreadable
from contracts.types import Interval
from services.ingest.app import Ingest
from services.ingest.keeping import Keeper
from services.ingest.settings import IngestSettings, Source
from tape.consumers import provision_consumers
from tape.history import HistoryMissing
from tape.provision import provision
from tape.wire import Wire
from tests.ingested import BTC, MINUTE, START, chunks, covered, environment, has_bars, ingesting, ledger, stored
from tests.live import PATIENCE_S, client, put, tape, until
from tests.servers import ROOT, scratch_directory, secured_nats_server

pytestmark = pytest.mark.integration


@pytest.fixture
async def nc(fresh_nats_url: str) -> AsyncIterator[Client]:
    async with tape(fresh_nats_url) as nc:
        await provision_consumers(nc)
        yield nc


# -- the tape ---------------------------------------------------------------------------------------------------------


def live_bar(number: int, interval: Interval = Interval.M1) -> Bar:
    ts_open = START + number * interval.nanos
    close = 100.0 + number % 7
    return Bar(
        ts_event=ts_open + interval.nanos,
        ts_init=ts_open + interval.nanos,
        instrument=BTC,
        interval=interval,
        ts_open=ts_open,
        ts_close=ts_open + interval.nanos,
        open=close,
        high=close + 1,
        low=close - 1,
        close=close,
        volume=1.0,
        trades=3,
    )


async def say(nc: Client, bars: Iterable[Bar]) -> None:
    for bar in bars:
        await put(nc, bar, f"bars/{bar.interval.value}-{bar.ts_open}")


def of_tape() -> IngestSettings:
    return IngestSettings(source=Source.TAPE, chunk_s=600, intervals=(Interval.M1,))


async def test_closed_bars_of_the_tape_become_chunks(nc: Client, fresh_nats_url: str) -> None:
    async with ingesting(fresh_nats_url, of_tape()):
        await say(nc, map(live_bar, range(25)))
        await until(lambda: has_bars(nc, 20))
    assert await stored(nc) == [live_bar(number) for number in range(20)]
    assert {(chunk.by, chunk.source, chunk.rows) for chunk in await chunks(nc)} == {("ingest", "tape", 10)}


async def test_bars_that_were_there_before_are_taken_too(nc: Client, fresh_nats_url: str) -> None:
    await say(nc, map(live_bar, range(25)))
    async with ingesting(fresh_nats_url, of_tape()):
        await until(lambda: has_bars(nc, 20))
    assert await stored(nc) == [live_bar(number) for number in range(20)]


async def test_other_intervals_stay_out(nc: Client, fresh_nats_url: str) -> None:
    await say(nc, (live_bar(number, Interval.S5) for number in range(300)))
    async with ingesting(fresh_nats_url, of_tape()):
        await say(nc, map(live_bar, range(12)))
        await until(lambda: has_bars(nc, 10))
    assert {chunk.interval for chunk in await chunks(nc)} == {Interval.M1}


async def test_each_start_goes_on_behind_what_is_covered(nc: Client, fresh_nats_url: str) -> None:
    for begin in range(0, 60, 15):
        await say(nc, map(live_bar, range(begin, begin + 15)))
        async with ingesting(fresh_nats_url, of_tape()):
            await until(lambda begin=begin: has_bars(nc, (begin + 14) // 10 * 10))
    assert await stored(nc) == [live_bar(number) for number in range(50)]


async def test_a_crash_between_object_and_tale_loses_and_doubles_nothing(
    nc: Client, fresh_nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say(nc, map(live_bar, range(15)))

    async def crash(*_: object) -> None:
        raise ConnectionResetError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(Keeper, "_say", crash)
        async with client(fresh_nats_url) as other:
            ingest = Ingest(of_tape(), None)
            await ingest.start(Wire(other))
            with pytest.raises(ExceptionGroup):
                await asyncio.wait_for(ingest.run(), PATIENCE_S)
            await ingest.stop()
    assert await chunks(nc) == []
    objects = (await nc.jetstream().stream_info("OBJ_chunks")).state.messages
    assert objects == 2
    async with ingesting(fresh_nats_url, of_tape()):
        await until(lambda: has_bars(nc, 10))
    assert (await nc.jetstream().stream_info("OBJ_chunks")).state.messages == objects
    assert await stored(nc) == [live_bar(number) for number in range(10)]


async def test_what_others_have_covered_is_left_to_them(nc: Client, fresh_nats_url: str) -> None:
    async with client(fresh_nats_url) as other:
        others = DataChunk(
            ts_event=START,
            ts_init=START,
            by="backfill",
            instrument=BTC,
            interval=Interval.M1,
            first=START + 3 * MINUTE,
            last=START + 5 * MINUTE,
            rows=3,
            missing=0,
            repaired=0,
            sha256="0" * 64,
            source="test",
        )
        await put(other, others, "backfill/test")
    async with ingesting(fresh_nats_url, of_tape()):
        await say(nc, map(live_bar, range(30)))
        await until(lambda: has_bars(nc, 20))
    spans = (await ledger(nc)).coverage(BTC, Interval.M1)
    assert spans[0].start == START
    mine = [chunk for chunk in await chunks(nc) if chunk.by == "ingest"]
    assert not any(chunk.first <= START + at * MINUTE <= chunk.last for chunk in mine for at in (3, 4, 5))


class Kept:
    """What an event store holds of a tape that was cut off."""

    def __init__(self, *events: Event) -> None:
        self._events = events

    def last(self) -> int:
        return len(self._events)

    def read(self, start: int, stop: int, types: EventTypes) -> Iterator[Recorded | Unreadable]:
        for position, event in enumerate(self._events, start=1):
            if start <= position <= stop and isinstance(event, types):
                yield Recorded(position, None, "", 0, event)

    def first_lease(self, _name: str) -> LeaseTaken | None:
        return None


async def cut_off(url: str, kept: int) -> None:
    """Make a tape that begins after `kept` positions."""
    async with tape(url, kept) as nc:
        await provision_consumers(nc)


async def test_what_the_tape_has_lost_is_read_from_the_event_store(fresh_nats_url: str) -> None:
    kept = Kept(covered("backfill", START // MINUTE, START // MINUTE + 4), *map(live_bar, range(12)))
    await cut_off(fresh_nats_url, kept.last())
    async with client(fresh_nats_url) as nc, ingesting(fresh_nats_url, of_tape(), kept):
        await say(nc, map(live_bar, range(12, 30)))
        await until(lambda: has_bars(nc, 20))
        assert (await stored(nc))[:20] == [live_bar(number) for number in range(5, 25)]


async def test_without_an_event_store_a_tape_that_was_cut_off_is_an_error(fresh_nats_url: str) -> None:
    await cut_off(fresh_nats_url, 100)
    async with client(fresh_nats_url) as nc:
        ingest = Ingest(of_tape(), None)
        await ingest.start(Wire(nc))
        with pytest.raises(HistoryMissing, match=r"TAPE begins at position 101 .* set HMM_DATABASE_URL"):
            await asyncio.wait_for(ingest.run(), PATIENCE_S)
        await ingest.stop()


# -- the simulated market ---------------------------------------------------------------------------------------------


async def test_the_simulated_market_is_given_a_past_once(nc: Client, fresh_nats_url: str) -> None:
    settings = IngestSettings(source=Source.SIM, symbols=("BTCUSDT",), history_s=1800, quotes_per_s=5)
    async with ingesting(fresh_nats_url, settings):
        await until(lambda: has_bars(nc, 29, interval=Interval.M1))
    fine, coarse = await stored(nc, interval=Interval.S5), await stored(nc)
    assert 350 <= len(fine) <= 372
    assert fine[-1].ts_close == coarse[-1].ts_close
    assert fine[-1].close == coarse[-1].close == pytest.approx(60_000)
    before = len(await chunks(nc))
    async with ingesting(fresh_nats_url, settings):
        await asyncio.sleep(1)
    assert len(await chunks(nc)) == before


async def test_a_past_ends_where_the_bars_of_the_tape_begin(nc: Client, fresh_nats_url: str) -> None:
    await say(nc, (live_bar(number, Interval.S5) for number in range(24)))
    settings = IngestSettings(source=Source.SIM, symbols=("BTCUSDT",), history_s=600, chunk_s=60, quotes_per_s=5)
    async with ingesting(fresh_nats_url, settings):
        await until(lambda: has_bars(nc, 9, interval=Interval.M1))
    made = [bar for bar in await stored(nc, interval=Interval.S5) if bar.ts_open < START]
    assert (made[-1].ts_close, made[-1].close) == (START, live_bar(0).open)


# -- as a process -----------------------------------------------------------------------------------------------------


def start(**settings: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "services.ingest.app"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "libs")])
    return subprocess.Popen(
        command, env=environment(**settings) | {"PYTHONPATH": path}, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


async def test_killed_again_and_again_it_ends_with_every_bar_once(nc: Client, fresh_nats_url: str) -> None:
    settings = {"nats_url": fresh_nats_url, "ingest_chunk_s": "600", "ingest_intervals": '["1m"]'}
    for begin in range(0, 90, 30):
        process = start(**settings)
        try:
            await say(nc, map(live_bar, range(begin, begin + 30)))
            await until(lambda begin=begin: has_bars(nc, begin + 10))
        finally:
            process.kill()
            process.communicate()
    async with ingesting(fresh_nats_url, of_tape()):
        await until(lambda: has_bars(nc, 80))
    assert await stored(nc) == [live_bar(number) for number in range(80)]


async def test_as_the_role_it_is_it_may_do_all_it_needs() -> None:
    with scratch_directory() as run, secured_nats_server(run) as server:
        async with client(server.url, server.key("operator")) as nc:
            await provision(nc, lambda: 0)
            await provision_consumers(nc)
            process = start(nats_url=server.url, nkey_file=str(server.key("ingest")), ingest_chunk_s="600")
            try:
                await say(nc, map(live_bar, range(15)))
                await until(lambda: has_bars(nc, 10))
                assert await stored(nc) == [live_bar(number) for number in range(10)]
            finally:
                process.terminate()
                _, said = process.communicate(timeout=PATIENCE_S)
            assert "refused" not in said and "Traceback" not in said, said


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"ingest_source": "files"}, "ingest: HMM_INGEST_SOURCE: Input should be 'tape', 'sim' or 'ccxt'"),
        ({"ingest_chunk_bars": "3"}, "ingest: HMM_INGEST_CHUNK_BARS: Input should be greater than or equal to 10"),
        ({"ingest_emulator": "http://10.0.0.1"}, "ingest: HMM_INGEST_EMULATOR: Value error, only one on this machine"),
        ({"ingest_source": "sim", "ingest_symbols": '["XYZ"]'}, "ingest: HMM_INGEST_SYMBOLS: no XYZ of binance; "),
        ({"ingest_source": "ccxt", "ingest_venue": "nowhere"}, "ingest: HMM_INGEST_VENUE: ccxt knows no exchange now"),
    ],
)
def test_wrong_settings_are_one_line_errors(settings: dict[str, str], line: str) -> None:
    process = start(nats_url="nats://127.0.0.1:1", **settings)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert said.startswith(line), said
    assert said.count("\n") == 1
