"""The archive edge: the tape arrives in the event store once and in order, whoever is killed meanwhile."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import psycopg
import pytest
from nats.aio.client import Client

from contracts.codec import encode
from contracts.control import LeaseTaken
from contracts.event import Event
from contracts.recorded import Recorded
from eventstore.migrate import migrate
from eventstore.reader import last_position, read
from services.archive import app as archive_app
from services.archive.app import ArchiveEdge, StoreWentBack
from services.archive.settings import ArchiveSettings
from tape.consumers import provision_consumers
from tape.headers import new_trace, write_headers
from tape.host import HostState
from tape.publisher import Publisher
from tape.wire import Wire
from tests.live import client, tape, until
from tests.recordings import recording
from tests.servers import ROOT, free_port, postgres_server, scratch_directory

pytestmark = pytest.mark.integration


@pytest.fixture
async def nc(fresh_nats_url: str) -> AsyncIterator[Client]:
    async with tape(fresh_nats_url) as nc:
        await provision_consumers(nc)
        yield nc


@pytest.fixture
def store(fresh_database_url: str) -> str:
    migrate(fresh_database_url)
    return fresh_database_url


@asynccontextmanager
async def archiving(
    nc: Client, store: str, *, batch: int = 500
) -> AsyncIterator[tuple[ArchiveEdge, asyncio.Task[None]]]:
    edge = ArchiveEdge(ArchiveSettings(batch=batch), store)
    await edge.start(Wire(nc))
    running = asyncio.create_task(edge.run())
    try:
        yield edge, running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.wait_for(edge.stop(), timeout=5)


async def say(nc: Client, told: Sequence[Recorded], *, pause_every: int = 0) -> None:
    """Put a recording on the tape, each event where it belongs."""
    publisher = Publisher(Wire(nc))
    await publisher.start()
    for number, one in enumerate(told):
        headers = write_headers(one.event, one.msg_id, one.cause, one.ts_recorded, new_trace(1, 1))
        await publisher.publish(type(one.event).subject_of(one.event), encode(one.event), headers)
        if pause_every and number % pause_every == 0:
            await asyncio.sleep(0.01)
    await publisher.flush()
    await publisher.stop()


Said = tuple[str, int | None, Event]


def kept(store: str) -> list[Said]:
    """What the event store holds, in order, but for the leases that archives took."""
    return [said for said in map(as_said, read(store)) if not isinstance(said[2], LeaseTaken)]


def as_said(recorded: Recorded) -> Said:
    return recorded.msg_id, recorded.cause, recorded.event


def expected(told: Sequence[Recorded]) -> list[Said]:
    return list(map(as_said, told))


async def test_everything_arrives_once_and_in_order(nc: Client, store: str) -> None:
    told = recording(20_000)
    async with archiving(nc, store) as (edge, _):
        await say(nc, told)
        await until(lambda: edge.position > len(told))
        assert (edge.lag, edge.handled, edge.state) == (0, len(told) + 1, HostState.LIVE)
    assert kept(store) == expected(told)


async def test_what_was_gathered_is_written_before_it_leaves(nc: Client, store: str) -> None:
    told = recording(3_000)
    async with archiving(nc, store, batch=100) as (edge, _):
        await say(nc, told)
        await until(lambda: edge.handled > 1_000)
    assert last_position(store) >= 1_000
    assert kept(store) == expected(told[: len(kept(store))])


async def test_what_is_no_event_is_kept_as_it_came_and_the_rest_arrives(nc: Client, store: str) -> None:
    before, after = recording(100), recording(100, start=104)
    async with archiving(nc, store) as (edge, _):
        await until(lambda: edge.state is HostState.LIVE)
        await say(nc, before)
        for payload, headers in ((b"{", {"Hmm-Type": "Quote.v1"}), (b"\x00\xff", {"Odd": "x"}), (b"", None)):
            await nc.jetstream(timeout=30).publish("md.quote.binance.BTCUSDT", payload, headers=headers)
        await say(nc, after)
        await until(lambda: edge.position == 204)
    assert kept(store) == expected([*before, *after])
    with psycopg.connect(store) as connection:
        rows = connection.execute("SELECT seq, headers, payload FROM unreadable ORDER BY seq").fetchall()
    assert rows == [(102, {"Hmm-Type": "Quote.v1"}, b"{"), (103, {"Odd": "x"}, b"\x00\xff"), (104, {}, b"")]


async def test_a_killed_database_loses_and_doubles_nothing_and_holds_the_tape_back(nc: Client) -> None:
    told = recording(30_000)
    port = free_port()
    with scratch_directory() as run, postgres_server(run, port) as store:
        migrate(store)
        async with archiving(nc, store) as (edge, running):
            saying = asyncio.create_task(say(nc, told))
            await until(lambda: edge.position > 3_000)
            os.kill(int((run / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
            await saying
            await until(lambda: len(edge._waiting) == 2 * edge.settings.batch)
            assert edge.lag > 2 * edge.settings.batch
            with postgres_server(run, port):
                await until(lambda: edge.position > len(told), within_s=30)
                assert not running.done()
                assert kept(store) == expected(told)


@contextmanager
def process(nats_url: str, store: str) -> Iterator[subprocess.Popen[bytes]]:
    """The archive as the stack runs it."""
    environment = {**os.environ, "HMM_NATS_URL": nats_url, "HMM_DATABASE_URL": store, "HMM_ARCHIVE_BATCH": "200"}
    command = [sys.executable, "-m", "services.archive.app"]
    started = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)
    try:
        yield started
    finally:
        started.kill()
        started.communicate(timeout=10)


async def test_an_archive_that_is_killed_goes_on_where_the_database_is(
    nc: Client, fresh_nats_url: str, store: str
) -> None:
    told = recording(20_000)
    saying = asyncio.create_task(say(nc, told, pause_every=100))
    for share in (1, 8_000):
        with process(fresh_nats_url, store):  # ends with kill -9, in the middle of its work
            await until(lambda share=share: last_position(store) > share, within_s=30)
    with process(fresh_nats_url, store):
        await asyncio.wait_for(saying, timeout=30)
        await until(lambda: last_position(store) > len(told), within_s=30)
    assert kept(store) == expected(told)


async def test_a_second_archive_waits_until_the_first_has_left(nc: Client, fresh_nats_url: str, store: str) -> None:
    told = recording(2_000)
    async with client(fresh_nats_url) as other, AsyncExitStack() as life_of_the_first:
        first, _ = await life_of_the_first.enter_async_context(archiving(nc, store))
        await say(nc, told[:1_000])
        await until(lambda: first.position > 1_000)
        async with archiving(other, store) as (second, waiting):
            await asyncio.sleep(0.3)
            assert (second.state, second.position) == (HostState.STANDBY, 0)
            await life_of_the_first.aclose()
            await say(other, told[1_000:])
            await until(lambda: second.position > 2_000)
            assert not waiting.done()
    assert kept(store) == expected(told)


async def test_a_database_that_forgot_what_it_confirmed_is_found_out(
    nc: Client, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_app, "RETRY_AFTER_S", 0.05)
    async with archiving(nc, store) as (edge, running):
        await say(nc, recording(100))
        await until(lambda: edge.position == 101)
        with psycopg.connect(store, autocommit=True) as connection:
            connection.execute("UPDATE checkpoints SET position = 50")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'hmm-archive' AND datname = current_database()"
            )
        await say(nc, recording(10, start=101))
        with pytest.raises(StoreWentBack, match="had confirmed position 101 and is back at 50"):
            await asyncio.wait_for(running, timeout=10)
