"""Provisioning: the declared streams come to be, stay as they are, and never lose anything."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from contracts.clock import ClockTick
from contracts.control import TradingStateSet
from contracts.orders import OrderSubmitted
from contracts.recorded import Recorded
from contracts.venue import SubmitOrder
from tape import streams
from tape.continuity import rescue
from tape.headers import MSG_ID, STREAM_SOURCE
from tape.ledger import LedgerWatch
from tape.provision import STREAMS_DIR, Outcome, declarations, provision
from tape.reader import received
from tape.streams import LEDGER, LEDGER_DOMAIN, TAPE, ProvisionRefused, Stored, source_position
from tests.live import Broker, api, client, messages, put, tape, until
from tests.recordings import example
from tests.servers import Ports, ledger_server, nats_server, scratch_directory, tape_server

pytestmark = pytest.mark.integration

DECLARED = declarations()


@pytest.fixture
async def server(fresh_nats_url: str) -> AsyncIterator[Client]:
    async with client(fresh_nats_url) as nc:
        yield nc


@pytest.fixture
async def nc(fresh_nats_url: str) -> AsyncIterator[Client]:
    async with tape(fresh_nats_url) as nc:
        yield nc


@pytest.fixture(scope="module")
def standing() -> Iterator[str]:
    """A server for all the tests after which it is as before."""
    with scratch_directory() as run, nats_server(run) as url:
        yield url


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """A copy of the declarations, to be changed."""
    return shutil.copytree(STREAMS_DIR, tmp_path / "streams")


def change(directory: Path, stream: str, **settings: object) -> None:
    path = directory / f"{stream}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


async def config_of(nc: Client, stream: str) -> dict[str, Any]:
    config: dict[str, Any] = (await api(nc, f"STREAM.INFO.{stream}"))["config"]
    return config


async def test_makes_every_declared_stream(server: Client) -> None:
    made = await provision(server, lambda: 0)
    assert {one.stream: one.outcome for one in made} == dict.fromkeys(DECLARED, Outcome.CREATED)
    there = [
        stream for domain in (None, LEDGER_DOMAIN) for stream in await server.jetstream(domain=domain).streams_info()
    ]
    assert {stream.config.name for stream in there} == set(DECLARED)


async def test_once_more_changes_nothing(nc: Client) -> None:
    before = [await config_of(nc, stream) for stream in DECLARED]
    again = await provision(nc, lambda: 0)
    assert {one.outcome for one in again} == {Outcome.UNCHANGED}
    assert [await config_of(nc, stream) for stream in DECLARED] == before


async def test_the_buckets_are_usable_as_such(nc: Client) -> None:
    js = nc.jetstream(timeout=30)
    for bucket in ("snapshots", "leases", "settings"):
        kv = await js.key_value(bucket)
        assert await kv.put("a", b"1") == 1
    for store in ("models", "chunks"):
        objects = await js.object_store(store)
        await objects.put("a", b"1")


async def test_the_ledger_is_on_a_server_of_its_own_and_nothing_else_is(nc: Client) -> None:
    on_its_server = await nc.jetstream(domain=LEDGER_DOMAIN).streams_info()
    assert [stream.config.name for stream in on_its_server] == [LEDGER]


async def test_nobody_can_take_anything_from_the_tape(nc: Client) -> None:
    await put(nc, example(ClockTick), "clock/1")
    for call, request in ((f"STREAM.PURGE.{TAPE}", {}), (f"STREAM.MSG.DELETE.{TAPE}", {"seq": 1})):
        with pytest.raises(AssertionError, match="not permitted"):
            await api(nc, call, request)


@pytest.mark.parametrize(
    ("stream", "settings", "what"),
    [
        (TAPE, {"max_age": 1_000_000_000}, "max_age from 604800000000000 to 1000000000"),
        (LEDGER, {"max_age": 1_000_000_000}, "max_age from 0 to 1000000000"),
        (TAPE, {"max_bytes": 1000}, "max_bytes from 20000000000 to 1000"),
        (LEDGER, {"max_bytes": 1000}, "max_bytes from -1 to 1000"),
        (TAPE, {"subjects": DECLARED[TAPE]["subjects"][1:]}, "subjects without md.>"),
        (TAPE, {"storage": "memory"}, "storage from 'file' to 'memory'"),
        (TAPE, {"persist_mode": "async"}, "persist_mode from 'default' to 'async'"),
        (LEDGER, {"persist_mode": "async"}, "persist_mode from 'default' to 'async'"),
        (TAPE, {"retention": "workqueue"}, "retention from 'limits' to 'workqueue'"),
    ],
)
async def test_what_would_lose_data_is_refused_in_words(
    standing: str, edited: Path, stream: str, settings: dict[str, Any], what: str
) -> None:
    change(edited, stream, **settings)
    async with tape(standing) as nc:
        before = await config_of(nc, stream)
        with pytest.raises(ProvisionRefused) as refusal:
            await provision(nc, lambda: 0, edited)
        assert await config_of(nc, stream) == before
    assert str(refusal.value) == (
        f"stream {stream}: changing {what} would lose data. Restore deploy/nats/streams/{stream}.json, "
        "or, if the loss is meant, edit the stream with the nats CLI first"
    )


async def test_what_loses_nothing_is_changed(nc: Client, edited: Path) -> None:
    await put(nc, example(ClockTick), "clock/1")
    subjects = [*DECLARED[TAPE]["subjects"], "weather.>"]
    change(edited, TAPE, max_age=DECLARED[TAPE]["max_age"] * 2, subjects=subjects)
    (changed,) = [one for one in await provision(nc, lambda: 0, edited) if one.outcome is not Outcome.UNCHANGED]
    assert (changed.stream, changed.outcome, changed.detail) == (TAPE, Outcome.UPDATED, "max_age, subjects")
    assert (await config_of(nc, TAPE))["subjects"] == subjects
    assert len(await messages(nc)) == 1


async def test_a_file_that_declares_no_stream_is_named(server: Client, edited: Path) -> None:
    (edited / "odd.json").write_text("{")
    with pytest.raises(ProvisionRefused, match=r"odd\.json is not JSON"):
        await provision(server, lambda: 0, edited)


async def test_what_the_server_will_not_have_is_said_in_its_words(server: Client, edited: Path) -> None:
    change(edited, TAPE, num_replicas=9)
    with pytest.raises(ProvisionRefused, match=r"the NATS server refused STREAM.CREATE.TAPE: .*replicas"):
        await provision(server, lambda: 0, edited)


async def test_without_the_server_of_the_ledger_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "JOIN_WITHIN_S", 0.5)
    with scratch_directory() as run, tape_server(run, ports := Ports()):
        async with client(f"nats://127.0.0.1:{ports.client}") as nc:
            with pytest.raises(ProvisionRefused, match="the server of LEDGER has not joined the NATS server within"):
                await provision(nc, lambda: 0)


# -- positions are never used twice -----------------------------------------------------------------------------------


async def test_a_new_tape_goes_on_behind_the_event_store(server: Client) -> None:
    made = await provision(server, lambda: 41)
    assert made[0].detail == "begins at position 42"
    assert await put(server, example(ClockTick), "clock/1") == 42


async def test_a_new_tape_goes_on_behind_what_only_the_ledger_holds(nc: Client) -> None:
    await put(nc, example(ClockTick), "clock/1")
    position = await put(nc, example(OrderSubmitted), "router/1/0")
    await until(lambda: holds(nc, 1))
    await nc.jetstream(timeout=30).delete_stream(TAPE)
    await provision(nc, lambda: position - 1)
    assert await put(nc, example(ClockTick), "clock/2") == position + 1


async def test_a_new_tape_goes_on_behind_what_a_snapshot_has_seen(server: Client) -> None:
    await provision(server, lambda: 0)
    await server.jetstream(timeout=30).publish("$KV.snapshots.risk", b'{"component": "risk", "position": 70}')
    await server.jetstream(timeout=30).publish("$KV.snapshots.risk.0-0", b"\x00 no JSON")
    await server.jetstream(timeout=30).publish("$KV.snapshots.trend", b"")
    await server.jetstream(timeout=30).delete_stream(TAPE)
    assert (await provision(server, lambda: 41))[0].detail == "begins at position 71"


async def test_the_ledger_follows_a_tape_that_was_made_anew_at_once(nc: Client) -> None:
    await put(nc, example(OrderSubmitted), "router/1/0")
    await until(lambda: holds(nc, 1))
    await nc.jetstream(timeout=30).delete_stream(TAPE)
    await provision(nc, lambda: 100)
    position = await put(nc, example(OrderSubmitted), "router/100/0")
    await until(lambda: holds(nc, 2), within_s=5)
    assert await positions_in_ledger(nc) == [1, position] == [1, 101]


async def test_it_follows_also_when_provisioning_was_killed_as_soon_as_the_tape_was_made(nc: Client) -> None:
    await put(nc, example(OrderSubmitted), "router/1/0")
    await until(lambda: holds(nc, 1))
    await nc.jetstream(timeout=30).delete_stream(TAPE)
    await api(nc, f"STREAM.CREATE.{TAPE}", {**DECLARED[TAPE], "first_seq": 101})
    assert (await provision(nc, lambda: 100))[0].outcome is Outcome.UNCHANGED
    position = await put(nc, example(OrderSubmitted), "router/100/0")
    await until(lambda: holds(nc, 2), within_s=5)
    assert await positions_in_ledger(nc) == [1, position]


@pytest.mark.parametrize("holder", ["the event store", LEDGER])
async def test_a_tape_that_ends_before_those_who_follow_it_is_refused(nc: Client, holder: str) -> None:
    for number in range(3):
        await put(nc, example(OrderSubmitted), f"router/{number}/0")
    await until(lambda: holds(nc, 3))
    await as_if_cut_off(nc)
    with pytest.raises(ProvisionRefused) as refusal:
        await provision(nc, lambda: 7 if holder == "the event store" else 0)
    seen = 7 if holder == "the event store" else 3
    assert str(refusal.value) == (
        f"TAPE ends at position 0, but {holder} holds positions up to {seen}: going on would use positions twice. "
        f"'hmm provision' archives what is left and continues at {seen + 1}"
    )


async def as_if_cut_off(nc: Client) -> None:
    """Leave a TAPE that has forgotten everything."""
    await nc.jetstream(timeout=30).delete_stream(TAPE)
    await api(nc, f"STREAM.CREATE.{TAPE}", DECLARED[TAPE])


# -- what is left of a broken tape is archived -------------------------------------------------------------------------


class Shelf:
    """An event store in memory, which can be told to fail."""

    def __init__(self, position: int = 0) -> None:
        self.behind = position
        self.kept: list[Stored] = []
        self.lost: list[tuple[int, str]] = []
        self.fails_after: int | None = None

    def position(self) -> int:
        return max([self.behind, *(one.position for one in self.kept), *(position for position, _ in self.lost)])

    def keep(self, messages: Sequence[Stored]) -> None:
        assert all(one.position > self.position() for one in messages)
        if self.fails_after is not None and len(self.kept) >= self.fails_after:
            raise ConnectionAbortedError
        self.kept += messages

    def note_loss(self, position: int, why: str) -> None:
        assert position > self.position()
        self.lost.append((position, why))


async def test_there_is_nothing_to_rescue_before_there_is_a_tape_and_while_it_is_whole(server: Client) -> None:
    assert await rescue(server, Shelf()) == []
    await provision(server, lambda: 0)
    assert await rescue(server, Shelf()) == []
    await put(server, example(ClockTick), "clock/1")
    assert await rescue(server, shelf := Shelf()) == []
    assert shelf.kept == []


async def test_what_only_the_ledger_holds_is_archived_with_its_tape_positions(nc: Client) -> None:
    await put(nc, example(ClockTick), "clock/1")
    events = [example(OrderSubmitted), example(SubmitOrder), example(TradingStateSet)]
    positions = [await put(nc, event, f"x/{number}/0", cause=1) for number, event in enumerate(events)]
    await until(lambda: holds(nc, 3))
    await as_if_cut_off(nc)
    shelf = Shelf(position=2)
    said = await rescue(nc, shelf)
    assert [one.position for one in shelf.kept] == positions[1:] == [3, 4]
    recorded = [received(one.position, one.subject, one.payload, one.headers) for one in shelf.kept]
    assert [one.event for one in recorded if isinstance(one, Recorded)] == events[1:]
    (line,) = said
    assert line == (
        "TAPE ended at 0 but LEDGER holds 4: positions 3 to 4 are lost, but for 2 events of LEDGER; "
        "2 events were archived from TAPE and LEDGER; TAPE continues at 5"
    )
    assert (await provision(nc, shelf.position))[0].detail == "begins at position 5"


async def test_what_the_tape_still_holds_is_archived_too_and_nothing_twice(nc: Client) -> None:
    for number in range(6):
        await put(nc, example(OrderSubmitted if number % 2 else ClockTick), f"x/{number}/0")
    await until(lambda: holds(nc, 3))
    shelf = Shelf(position=1)
    await nc.jetstream(timeout=30).publish("$KV.snapshots.risk", b'{"position": 9}')
    said = await rescue(nc, shelf)
    assert [one.position for one in shelf.kept] == [2, 3, 4, 5, 6]
    assert [position for position, _ in shelf.lost] == [9]
    assert "TAPE ended at 6 but the snapshot of risk holds 9: positions 7 to 9 are lost" in said[0]
    gone = await nc.jetstream(timeout=30).get_last_msg("KV_snapshots", "$KV.snapshots.risk", direct=True)
    assert not gone.data, "it knows what nobody has kept"
    assert (await provision(nc, shelf.position))[0].detail == "begins at position 10"


async def test_killed_at_any_point_and_run_again_it_comes_to_the_same(nc: Client) -> None:
    for number in range(2_500):
        await nc.jetstream(timeout=30).publish_async(
            "order.submitted.binance.BTCUSDT", b"x", headers={MSG_ID: f"x/{number}/0"}
        )
    await nc.jetstream(timeout=30).publish_async_completed()
    await until(lambda: holds(nc, 2_500), within_s=60)
    await as_if_cut_off(nc)
    shelf = Shelf(position=10)
    shelf.fails_after = 500
    with pytest.raises(ConnectionAbortedError):
        await rescue(nc, shelf)
    assert shelf.position() == 1_010
    assert (await nc.jetstream(timeout=30).stream_info(TAPE)).state.last_seq == 0, (
        "nothing is taken away before it is archived"
    )
    shelf.fails_after = None
    await rescue(nc, shelf)
    assert [one.position for one in shelf.kept] == list(range(11, 2_501))
    assert (await rescue(nc, shelf))[0].startswith("TAPE was gone but LEDGER holds 2,500: the event store has what")
    assert (await provision(nc, shelf.position))[0].detail == "begins at position 2501"
    assert await rescue(nc, shelf) == []
    assert len(shelf.kept) == 2_490


async def test_two_tapes_are_never_mixed(nc: Client) -> None:
    await put(nc, example(OrderSubmitted), "router/1/0")
    await put(nc, example(OrderSubmitted), "router/2/0")
    await until(lambda: holds(nc, 2))
    await as_if_cut_off(nc)
    await put(nc, example(ClockTick), "clock/1")
    with pytest.raises(ProvisionRefused, match=r"position 1 is clock\.1s on TAPE and order\.submitted\..* in LEDGER"):
        await rescue(nc, shelf := Shelf())
    assert shelf.kept == []
    assert (await nc.jetstream(timeout=30).stream_info(TAPE)).state.messages == 1


# -- the ledger -------------------------------------------------------------------------------------------------------


async def holds(nc: Client, count: int) -> bool:
    return (await nc.jetstream(domain=LEDGER_DOMAIN).stream_info(LEDGER)).state.messages == count


async def positions_in_ledger(nc: Client) -> list[int]:
    return [source_position(copy.headers[STREAM_SOURCE]) for copy in await messages(nc, stream=LEDGER)]


async def test_the_ledger_copies_what_must_not_be_lost_with_its_tape_position(nc: Client) -> None:
    await put(nc, example(ClockTick), "clock/1")
    kept = [example(OrderSubmitted), example(SubmitOrder), example(TradingStateSet)]
    positions = [await put(nc, event, f"x/{number}") for number, event in enumerate(kept)]
    await until(lambda: holds(nc, len(kept)))
    copies = await messages(nc, stream=LEDGER)
    assert [copy.event for copy in copies] == kept
    assert await positions_in_ledger(nc) == positions == [2, 3, 4]


async def test_a_message_is_waited_for_until_the_ledger_holds_it(nc: Client, caplog: pytest.LogCaptureFixture) -> None:
    watch, command = LedgerWatch(nc), example(SubmitOrder)
    subject = SubmitOrder.subject_of(command)
    first = await put(nc, command, "router/1/0")
    await asyncio.wait_for(watch.reached(subject, first), timeout=5)
    assert await holds(nc, 1)
    waiting = asyncio.create_task(watch.reached(subject, first + 2))
    await put(nc, example(ClockTick), "clock/1")
    await asyncio.sleep(2.3)
    assert not waiting.done()
    assert f"waiting for LEDGER to hold {subject} at position {first + 2}; it has got to {first}" in caplog.text
    await put(nc, command, "router/2/0")
    await asyncio.wait_for(waiting, timeout=5)


async def test_no_server_of_the_ledger_is_a_reason_to_wait_and_not_to_fail() -> None:
    command = example(SubmitOrder)
    with scratch_directory() as run, tape_server(run, ports := Ports()):
        async with client(f"nats://127.0.0.1:{ports.client}") as nc:
            with ledger_server(run, ports):
                await provision(nc, lambda: 0)
            waiting = asyncio.create_task(LedgerWatch(nc).reached(SubmitOrder.subject_of(command), 1))
            await put(nc, command, "router/1/0")
            await asyncio.sleep(0.3)
            assert not waiting.done()
            with ledger_server(run, ports):
                await asyncio.wait_for(waiting, timeout=10)


async def test_the_ledger_follows_again_at_once_when_the_server_of_the_tape_was_killed() -> None:
    command = example(SubmitOrder)
    with scratch_directory() as run, Broker(run) as broker:
        async with tape(broker.url) as nc:
            watch = LedgerWatch(nc)
            for number in range(4):
                if number:
                    broker.kill()
                    broker.start()
                position = await put(nc, command, f"router/{number}/0")
                await asyncio.wait_for(watch.reached(SubmitOrder.subject_of(command), position), timeout=5)
            assert await positions_in_ledger(nc) == [1, 2, 3, 4]
