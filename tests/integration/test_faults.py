"""What the machine does to the servers: full disks, stalls, an archive that cannot write. Loud, and nothing lost."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psycopg
import pytest
from nats.aio.client import Client

from contracts.codec import encode
from contracts.control import Alert, GuardSet
from contracts.event import Event
from contracts.market import Quote
from contracts.types import TradingState
from eventstore.migrate import migrate
from eventstore.reader import read
from services.archive import app as archive_app
from services.archive import room
from services.archive.app import ArchiveEdge
from services.archive.room import Backlog, Limits, used, verdict
from services.archive.settings import ArchiveSettings
from tape import publisher as publisher_module
from tape.consumers import consumer_config, provision_consumers
from tape.headers import MSG_ID, new_trace, write_headers
from tape.publisher import Publisher, PublishFailed
from tape.reader import Reader
from tape.wire import Wire
from tests.builders import quote
from tests.live import Broker, client, messages, publishing, tape, until
from tests.servers import postgres_server, scratch_directory

pytestmark = pytest.mark.integration

SUBJECT = "md.quote.binance.BTCUSDT"


@contextmanager
def disk(size_mb: int) -> Iterator[Path]:
    """A disk of its own, that can really be full."""
    with scratch_directory() as directory:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=0711", "tmpfs", directory],
            capture_output=True,
            check=False,
        )
        if mounted.returncode != 0:
            pytest.skip(f"this user may not mount a small disk: {mounted.stderr.decode().strip()}")
        try:
            yield directory
        finally:
            subprocess.run(["umount", "-l", directory], check=True)


async def say(publisher: Publisher, number: int, ballast: bytes = b"") -> None:
    await publisher.publish(SUBJECT, ballast + str(number).zfill(10).encode(), {MSG_ID: f"test/{number}/0"})


async def test_a_full_disk_of_the_broker_is_loud_and_costs_nothing_that_was_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publisher_module, "GIVE_UP_AFTER_S", 3.0)
    with disk(24) as run:
        with Broker(run) as broker:
            async with tape(broker.url) as nc, publishing(nc) as publisher:
                with pytest.raises(PublishFailed, match=r"the tape (refused|did not acknowledge)"):
                    await asyncio.wait_for(_say_much(publisher), timeout=30)
                acknowledged = publisher.acknowledged
                assert 50 < acknowledged < 1_000
        _make_larger(run)
        with Broker(run) as broker:
            async with client(broker.url) as nc, publishing(nc) as publisher:
                kept = [int(message.payload[-10:]) for message in await messages(nc)]
                assert kept == list(range(len(kept)))
                assert len(kept) >= acknowledged
                await say(publisher, 99_999)
                await asyncio.wait_for(publisher.flush(), timeout=10)


async def _say_much(publisher: Publisher) -> None:
    for number in range(10_000):
        await say(publisher, number, os.urandom(40_000))


def _make_larger(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)


async def test_a_stalled_broker_is_waited_for_and_then_all_goes_on_in_order() -> None:
    positions: list[int] = []
    with scratch_directory() as run, Broker(run) as broker:
        async with tape(broker.url) as nc, client(broker.url) as other, publishing(other) as publisher:
            await nc.jetstream(timeout=30).add_consumer("TAPE", consumer_config("trend", [">"]))
            reader = Reader(Wire(nc), "trend", 1, lambda received, _trace: positions.append(received.position), _ours)
            await reader.start()
            saying = asyncio.create_task(_say_all(publisher, 20_000))
            assert broker._process is not None
            for share in (3_000, 12_000):
                await until(lambda share=share: len(positions) > share)
                os.kill(broker._process.pid, signal.SIGSTOP)
                await asyncio.sleep(4.0)  # longer than a reader waits before it looks for the server
                os.kill(broker._process.pid, signal.SIGCONT)
            await asyncio.wait_for(saying, timeout=30)
            await until(lambda: len(positions) == 20_000)
            await reader.stop()
            said = [int(message.payload) for message in await messages(other)]
    assert positions == list(range(1, 20_001))
    assert said == list(range(20_000))


async def _ours() -> None:
    """The consumer is ours."""


async def _say_all(publisher: Publisher, total: int) -> None:
    for number in range(total):
        await say(publisher, number)
        if number % 50 == 0:
            await asyncio.sleep(0.005)
    await publisher.flush()


# -- the archive cannot write -----------------------------------------------------------------------------------------


@asynccontextmanager
async def archiving(nc: Client, store: str, settings: ArchiveSettings) -> AsyncIterator[ArchiveEdge]:
    edge = ArchiveEdge(settings, store)
    await edge.start(Wire(nc))
    running = asyncio.create_task(edge.run())
    try:
        yield edge
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.wait_for(edge.stop(), timeout=10)


async def _quotes(publisher: Publisher, first: int, last: int) -> None:
    for number in range(first, last + 1):
        event = quote(at=number)
        headers = write_headers(event, f"feed/test/{number}", None, 1, new_trace(1, 1))
        await publisher.publish(Quote.subject_of(event), encode(event), headers)
    await publisher.flush()


async def test_a_full_disk_of_the_database_holds_the_archive_up_and_loses_nothing(fresh_nats_url: str) -> None:
    with disk(400) as run, postgres_server(run) as store:
        migrate(store)
        filler = run / "filler"
        async with tape(fresh_nats_url) as nc:
            await provision_consumers(nc)
            async with archiving(nc, store, ArchiveSettings(batch=2_000)) as edge, publishing(nc) as publisher:
                await _quotes(publisher, 1, 2_000)
                await until(lambda: edge.position > 2_000, within_s=30)
                _fill_up(filler)
                await _quotes(publisher, 2_001, 40_000)
                await asyncio.sleep(3.0)
                assert edge.position < 40_000, "the disk was not full"
                filler.unlink()
                await until(lambda: edge.position > 40_000, within_s=60)
        kept = [recorded.msg_id for recorded in read(store, types=(Quote,))]
    assert kept == [f"feed/test/{number}" for number in range(1, 40_001)]


def _fill_up(path: Path) -> None:
    with path.open("wb") as file:
        try:
            while True:
                file.write(bytes(1 << 20))
                file.flush()
        except OSError:
            return


async def test_an_archive_that_falls_behind_alerts_then_halts_trading_until_it_has_caught_up(
    fresh_nats_url: str, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tape keeps an hour; 2 seconds of it unarchived alert here, 4 halt."""
    monkeypatch.setattr(room, "LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(archive_app, "RETRY_AFTER_S", 0.1)
    migrate(fresh_database_url)
    settings = ArchiveSettings(alert_when_used=2 / 3600, halt_when_used=4 / 3600)
    async with tape(fresh_nats_url) as nc:
        config = (await nc.jetstream(timeout=30).stream_info("TAPE")).config
        config.max_age = 3600
        await nc.jetstream(timeout=30).update_stream(config)
        await provision_consumers(nc)
        async with archiving(nc, fresh_database_url, settings) as edge, publishing(nc) as publisher:
            await _quotes(publisher, 1, 10)
            await until(lambda: edge.position > 10)
            with psycopg.connect(fresh_database_url) as connection:
                connection.execute("SELECT 1 FROM checkpoints FOR UPDATE")
                await _quotes(publisher, 11, 20)
                await until(lambda: _said(nc, Alert, "alert.archive"))
                assert await messages(nc, "guard.archive") == []
                await until(lambda: _said(nc, GuardSet, "guard.archive"))
                connection.rollback()
            await until(lambda: _is(nc, TradingState.ACTIVE))
        alerts = [message.event for message in await messages(nc, "alert.archive")]
        guards = [message.event for message in await messages(nc, "guard.archive")]
    assert [alert.code for alert in alerts if isinstance(alert, Alert)] == ["archive_behind"]
    assert [guard.state for guard in guards if isinstance(guard, GuardSet)] == [
        TradingState.HALTED,
        TradingState.ACTIVE,
    ]


async def _said(nc: Client, event_type: type[Event], subject: str) -> bool:
    return any(isinstance(message.event, event_type) for message in await messages(nc, subject))


async def _is(nc: Client, state: TradingState) -> bool:
    last = (await messages(nc, "guard.archive"))[-1].event
    return isinstance(last, GuardSet) and last.state is state


@pytest.mark.parametrize(
    ("backlog", "share"),
    [
        (Backlog(0, 0), 0.0),
        (Backlog(3_600, 0), 0.5),
        (Backlog(720, 800), 0.8),
        (Backlog(7_200, 100), 1.0),
    ],
)
def test_the_nearer_limit_counts(backlog: Backlog, share: float) -> None:
    assert used(backlog, Limits(age_s=7_200, size=1_000)) == pytest.approx(share)
    assert used(backlog, Limits(age_s=None, size=None)) == 0.0


def test_trading_goes_on_again_only_below_the_share_that_alerts() -> None:
    settings, active, halted = ArchiveSettings(), TradingState.ACTIVE, TradingState.HALTED
    assert [verdict(share, settings, active) for share in (0.0, 0.5, 0.79, 0.8, 1.2)] == [active] * 3 + [halted] * 2
    assert [verdict(share, settings, halted) for share in (0.8, 0.79, 0.5, 0.49)] == [halted] * 3 + [active]


def test_the_alert_has_to_come_before_the_halt() -> None:
    with pytest.raises(ValueError, match=r"alert_when_used \(0\.9\) must be below halt_when_used \(0\.8\)"):
        ArchiveSettings(alert_when_used=0.9)
