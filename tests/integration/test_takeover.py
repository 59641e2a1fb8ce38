"""Who leads, who waits, and what becomes of one that slept: instances of one component on a real tape."""

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from contracts.control import LeaseTaken
from contracts.orders import RiskApproved
from contracts.ownership import EventTypes
from contracts.recorded import Recorded, Unreadable
from tape import host as host_module
from tape.blueprint import Blueprint
from tape.consumers import provision_consumers
from tape.history import History, HistoryMissing
from tape.host import Host, HostState
from tape.lease import LeaseLost
from tape.publisher import Refused
from tape.reader import received
from tape.replica import Deposed
from tape.wire import Wire
from tests.builders import approval, intent, terms
from tests.judge import JUDGE, JudgeSettings
from tests.live import Message, client, messages, put, tape, until
from tests.servers import ROOT

pytestmark = pytest.mark.integration

TWO_OUTPUTS = JudgeSettings(outputs=2)


@dataclass
class Running:
    """An instance with a connection of its own."""

    host: Host
    nc: Client
    work: asyncio.Task[None]

    async def die(self) -> None:
        """End as kill -9 does: nothing is said, given back or kept."""
        self.host._seat.lease.give_back = _nothing  # type: ignore[method-assign]
        self.work.cancel()
        await self.nc.close()
        await asyncio.gather(self.work, return_exceptions=True)
        reading = self.host.reader._tasks if self.host.reader else []
        for task in filter(None, (*self.host._seat._keeping, self.host._snapshot_due, *reading)):
            task.cancel()

    async def stop(self) -> None:
        self.work.cancel()
        await asyncio.gather(self.work, return_exceptions=True)
        if not self.nc.is_closed:
            await self.host.stop()
        await self.nc.close()

    async def live(self) -> None:
        await until(lambda: self.host.state is HostState.LIVE or self.work.done())
        assert not self.work.done(), self.work


async def _nothing() -> None: ...


class Instances:
    """Starts instances of one blueprint and ends them all."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._all: list[Running] = []
        self._connections = AsyncExitStack()

    async def start(
        self, settings: JudgeSettings | None = None, history: History | None = None, blueprint: Blueprint = JUDGE
    ) -> Running:
        nc = await self._connections.enter_async_context(client(self._url))
        host = Host(blueprint, settings or TWO_OUTPUTS, Wire(nc), history)
        await host.start()
        running = Running(host, nc, asyncio.create_task(host.run()))
        self._all.append(running)
        return running

    async def lead(self, settings: JudgeSettings | None = None) -> Running:
        running = await self.start(settings)
        await running.live()
        return running

    async def stop(self) -> None:
        for running in self._all:
            await running.stop()
        await self._connections.aclose()


@pytest.fixture
async def nc(fresh_nats_url: str) -> AsyncIterator[Client]:
    async with tape(fresh_nats_url) as nc:
        await provision_consumers(nc)
        yield nc


@pytest.fixture
async def instances(nc: Client, fresh_nats_url: str) -> AsyncIterator[Instances]:
    assert nc.is_connected
    instances = Instances(fresh_nats_url)
    yield instances
    await instances.stop()


async def wish(nc: Client, number: int) -> int:
    return await put(nc, intent(terms(order_id=f"wish-{number}")), f"trend/{number}/0")


async def said(nc: Client) -> list[str]:
    events = [message.event for message in await messages(nc, "risk.approved.>")]
    return [event.order.client_order_id for event in events if isinstance(event, RiskApproved)]


async def has_said(nc: Client, count: int) -> bool:
    return len(await said(nc)) >= count


def expected(count: int, prefix: str = "seen") -> list[str]:
    return [f"{prefix}-{number}-{index}" for number in range(1, count + 1) for index in range(2)]


# -- one leads, one waits ---------------------------------------------------------------------------------------------


async def test_a_standby_takes_over_within_two_seconds_of_a_kill_and_nothing_is_lost_or_repeated(
    nc: Client, instances: Instances
) -> None:
    first = await instances.lead()
    second = await instances.start()
    await until(lambda: second.host.state is HostState.STANDBY)
    for number in range(1, 4):
        await wish(nc, number)
    await until(lambda: has_said(nc, 6))
    await first.die()
    killed = time.monotonic()
    for number in range(4, 7):
        await wish(nc, number)
    await second.live()
    taken_over_s = time.monotonic() - killed
    await until(lambda: has_said(nc, 12))
    await wish(nc, 7)
    await until(lambda: has_said(nc, 14))
    assert await said(nc) == expected(7)
    assert taken_over_s < 2.0


async def test_a_clean_hand_over_takes_less_than_a_fifth_of_a_second(nc: Client, instances: Instances) -> None:
    first = await instances.lead()
    second = await instances.start()
    await until(lambda: second.host.state is HostState.STANDBY)
    await wish(nc, 1)
    await until(lambda: has_said(nc, 2))
    began = time.monotonic()
    await first.stop()
    await second.live()
    assert time.monotonic() - began < 0.4  # the first one's last snapshot and the scheduling of both are in it
    await wish(nc, 2)
    await until(lambda: has_said(nc, 4))
    assert await said(nc) == expected(2)


async def test_a_third_instance_waits_for_the_place_of_the_one_who_waits(nc: Client, instances: Instances) -> None:
    first = await instances.lead()
    second = await instances.start()
    await until(lambda: second.host.state is HostState.STANDBY)
    third = await instances.start()
    await first.die()
    await second.live()
    await wish(nc, 1)
    await until(lambda: has_said(nc, 2))
    await second.die()
    await third.live()
    await wish(nc, 2)
    await until(lambda: has_said(nc, 4))
    assert await said(nc) == expected(2)


async def test_one_that_slept_through_its_lease_is_refused_says_so_and_ends(nc: Client, instances: Instances) -> None:
    first = await instances.lead()
    for task in first.host._seat._keeping:  # it sleeps: no heartbeat, but what it is about to say will come
        task.cancel()
    first.host._seat._keeping.clear()
    second = await instances.start()
    await second.live()
    assert first.host._replica.leads
    late = approval(terms(order_id="late"))
    first.host._publisher.send(
        RiskApproved.subject_of(late), b"{}", {"Nats-Msg-Id": "risk/1/0", "Hmm-Type": "RiskApproved.v1"}
    )
    with pytest.raises((Refused, Deposed, LeaseLost), match=r"another instance|writes as risk|holds the lease"):
        await asyncio.wait_for(first.work, timeout=5)
    await wish(nc, 1)
    await until(lambda: has_said(nc, 2))
    assert await said(nc) == expected(1)


async def test_the_tape_tells_who_wrote_from_where_on_and_by_which_settings(nc: Client, instances: Instances) -> None:
    first = await instances.lead()
    await first.stop()
    await instances.lead(JudgeSettings(outputs=2, prefix="other"))
    leases = [message.event for message in await messages(nc, "lease.>")]
    told = [(lease.component, json.loads(lease.settings)) for lease in leases if isinstance(lease, LeaseTaken)]
    assert told == [("risk", {"prefix": "seen", "outputs": 2}), ("risk", {"prefix": "other", "outputs": 2})]
    assert len({lease.instance for lease in leases if isinstance(lease, LeaseTaken)}) == 2


# -- what an instance knows at its start ------------------------------------------------------------------------------


async def snapshots(nc: Client) -> int:
    return (await nc.jetstream(timeout=30).stream_info("KV_snapshots")).state.messages


async def test_a_clean_stop_keeps_a_snapshot_and_the_next_start_reads_nothing_before_it(
    nc: Client, instances: Instances
) -> None:
    first = await instances.lead()
    for number in range(1, 4):
        await wish(nc, number)
    await until(lambda: has_said(nc, 6))
    await first.stop()
    second = await instances.lead()
    assert second.host.how_restored.startswith("goes on from its snapshot at position")
    assert second.host.reader is not None
    assert second.host.reader.handled <= 2
    await wish(nc, 4)
    await until(lambda: has_said(nc, 8))
    assert await said(nc) == expected(4)


async def test_snapshots_are_kept_on_the_way_and_only_when_all_is_said(
    nc: Client, instances: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "SNAPSHOT_EVERY", 5)
    first = await instances.lead()
    for number in range(1, 9):
        await wish(nc, number)
    await until(lambda: has_said(nc, 16))
    await until(lambda: _kept(nc))
    await first.die()
    second = await instances.lead()
    assert second.host.how_restored.startswith("goes on from its snapshot")
    await wish(nc, 9)
    await until(lambda: has_said(nc, 18))
    assert await said(nc) == expected(9)


async def _kept(nc: Client) -> bool:
    return await snapshots(nc) > 0


@pytest.mark.parametrize("what", ["deleted", "damaged", "of an older version", "of other fields"])
async def test_without_a_usable_snapshot_all_is_the_same_but_the_time_to_start(
    nc: Client, instances: Instances, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = await instances.lead()
    for number in range(1, 4):
        await wish(nc, number)
    await until(lambda: has_said(nc, 6))
    await first.stop()
    js = nc.jetstream(timeout=30)
    head = await js.get_last_msg("KV_snapshots", "$KV.snapshots.risk", direct=True)
    document = json.loads(head.data or b"")
    changed = {
        "deleted": b"",
        "damaged": (head.data or b"")[:-20],
        "of an older version": json.dumps(document | {"version": 0}).encode(),
        "of other fields": json.dumps(document | {"shape": "0"}).encode(),
    }[what]
    await js.publish("$KV.snapshots.risk", changed)
    with caplog.at_level(logging.WARNING):
        second = await instances.lead()
    assert second.host.how_restored.startswith("begins at position 1")
    assert ("is ignored" in caplog.text) == (what != "deleted")
    await wish(nc, 4)
    await until(lambda: has_said(nc, 8))
    assert await said(nc) == expected(4)


async def test_other_settings_hold_from_the_position_where_they_were_taken_up(nc: Client, instances: Instances) -> None:
    """And a fold from the beginning goes through the same settings at the same positions."""
    for prefix, number in (("seen", 1), ("other", 2), ("third", 3)):
        running = await instances.lead(JudgeSettings(outputs=2, prefix=prefix))
        await wish(nc, number)
        await until(lambda number=number: has_said(nc, 2 * number))
        await running.die()
    assert await said(nc) == [*expected(1), "other-2-0", "other-2-1", "third-3-0", "third-3-1"]


async def test_one_that_is_new_to_an_old_tape_learns_in_silence(nc: Client, instances: Instances) -> None:
    for number in range(1, 4):
        await wish(nc, number)
    await instances.lead()
    await wish(nc, 4)
    await until(lambda: has_said(nc, 2))
    assert await said(nc) == ["seen-4-0", "seen-4-1"]


# -- when the tape no longer reaches back -----------------------------------------------------------------------------


class Copied:
    """A history in memory: what another tape held."""

    def __init__(self, held: list[Message]) -> None:
        self._events = [
            received(message.position, message.subject, message.payload, dict(message.headers)) for message in held
        ]

    def last(self) -> int:
        return self._events[-1].position

    def read(self, start: int, stop: int, types: EventTypes) -> Iterator[Recorded | Unreadable]:
        for event in self._events:
            if start <= event.position <= stop and isinstance(event, Recorded) and isinstance(event.event, types):
                yield event

    def first_lease(self, name: str) -> LeaseTaken | None:
        leases = [event.event for event in self._events if isinstance(event, Recorded)]
        return next((lease for lease in leases if isinstance(lease, LeaseTaken) and lease.component == name), None)


@asynccontextmanager
async def tape_made_anew(nc: Client, url: str) -> AsyncIterator[Copied]:
    """Delete the streams with everything on them, and let the tape go on behind its last position."""
    held = await messages(nc)
    for stream in ("TAPE", "KV_snapshots", "KV_leases"):
        await nc.jetstream(timeout=30).delete_stream(stream)
    async with tape(url, last_known=held[-1].position) as again:
        await provision_consumers(again)
        yield Copied(held)


async def test_goes_on_from_the_event_store_when_the_tape_was_made_anew(
    nc: Client, instances: Instances, fresh_nats_url: str
) -> None:
    first = await instances.lead()
    for number in range(1, 4):
        await wish(nc, number)
    await until(lambda: has_said(nc, 6))
    await first.die()
    await wish(nc, 4)  # nobody answered it before the tape was lost
    async with tape_made_anew(nc, fresh_nats_url) as history:
        second = await instances.start(history=history)
        await second.live()
        assert "from the event store" in second.host.how_restored
        await wish(nc, 5)
        await until(lambda: has_said(nc, 4))
        assert await said(nc) == ["seen-4-0", "seen-4-1", "seen-5-0", "seen-5-1"]
        assert min(message.position for message in await messages(nc)) == history.last() + 1


async def test_a_tape_that_no_longer_reaches_back_is_an_error_without_an_event_store(
    nc: Client, instances: Instances, fresh_nats_url: str
) -> None:
    first = await instances.lead()
    await wish(nc, 1)
    await until(lambda: has_said(nc, 2))
    await first.die()
    async with tape_made_anew(nc, fresh_nats_url):
        second = await instances.start()
        with pytest.raises(HistoryMissing, match="set HMM_DATABASE_URL"):
            await asyncio.wait_for(second.work, timeout=5)


async def test_nobody_may_write_who_has_not_taken_the_lease(nc: Client) -> None:
    with pytest.raises(NotFoundError):
        await nc.jetstream(timeout=30).get_last_msg("TAPE", "lease.taken.risk", direct=True)


# -- as processes -----------------------------------------------------------------------------------------------------


@contextmanager
def router_process(url: str) -> Iterator[subprocess.Popen[str]]:
    """A router as the stack runs it."""
    environment = {**os.environ, "HMM_NATS_URL": url}
    environment.pop("HMM_DATABASE_URL", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "services.router.app"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)
        assert process.stderr is not None
        process.stderr.close()


async def test_a_router_that_is_woken_ten_seconds_after_its_standby_took_over_publishes_nothing(
    nc: Client, fresh_nats_url: str
) -> None:
    async def ordered(count: int) -> bool:
        return len(await messages(nc, "venue.command.submit.*.*")) >= count

    async def leases(count: int) -> bool:
        return len(await messages(nc, "lease.taken.router")) >= count

    with router_process(fresh_nats_url) as first:
        await until(lambda: leases(1))
        with router_process(fresh_nats_url) as second:
            for number in range(5):
                await put(nc, approval(terms(order_id=f"early-{number}")), f"risk/{number}/0")
            await until(lambda: ordered(5))
            await asyncio.sleep(2.0)  # the second one has come up
            first.send_signal(signal.SIGSTOP)
            for number in range(5):
                await put(nc, approval(terms(order_id=f"late-{number}")), f"risk/{10 + number}/0")
            await until(lambda: leases(2))
            await until(lambda: ordered(10))
            await asyncio.sleep(10.0)
            before = await messages(nc)
            first.send_signal(signal.SIGCONT)
            assert await asyncio.to_thread(first.wait, 10) == 1
            assert first.stderr is not None
            assert re.search("another instance|holds the lease|writes as router", first.stderr.read())
            assert second.poll() is None
            assert await messages(nc) == before
    ids = [message.msg_id for message in await messages(nc, "order.>")]
    assert len(ids) == len(set(ids)) == 20
