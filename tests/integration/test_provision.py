"""Provisioning: the declared streams come to be, stay as they are, and never lose anything."""

import json
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from contracts.clock import ClockTick
from contracts.control import TradingStateSet
from contracts.orders import OrderSubmitted
from contracts.venue import SubmitOrder
from tape.headers import STREAM_SOURCE
from tape.provision import (
    LEDGER,
    STREAMS_DIR,
    TAPE,
    Outcome,
    ProvisionRefused,
    declarations,
    provision,
    source_position,
)
from tests.live import api, client, messages, put, tape, until
from tests.recordings import example
from tests.servers import nats_server, scratch_directory

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
    assert {stream.config.name for stream in await server.jetstream().streams_info()} == set(DECLARED)


async def test_once_more_changes_nothing(nc: Client) -> None:
    before = [await config_of(nc, stream) for stream in DECLARED]
    again = await provision(nc, lambda: 0)
    assert {one.outcome for one in again} == {Outcome.UNCHANGED}
    assert [await config_of(nc, stream) for stream in DECLARED] == before


async def test_the_buckets_are_usable_as_such(nc: Client) -> None:
    js = nc.jetstream()
    for bucket in ("snapshots", "leases", "settings"):
        kv = await js.key_value(bucket)
        assert await kv.put("a", b"1") == 1
    for store in ("models", "chunks"):
        objects = await js.object_store(store)
        await objects.put("a", b"1")


async def test_the_tape_is_fast_and_the_ledger_is_on_disk(nc: Client) -> None:
    assert (await config_of(nc, TAPE))["persist_mode"] == "async"
    assert (await config_of(nc, LEDGER)).get("persist_mode", "default") == "default"


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
        (TAPE, {"persist_mode": "default"}, "persist_mode from 'async' to 'default'"),
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


# -- positions are never used twice -----------------------------------------------------------------------------------


async def test_a_new_tape_goes_on_behind_the_event_store(server: Client) -> None:
    made = await provision(server, lambda: 41)
    assert made[0].detail == "begins at position 42"
    assert await put(server, example(ClockTick), "clock/1") == 42


async def test_a_new_tape_goes_on_behind_what_only_the_ledger_holds(nc: Client) -> None:
    await put(nc, example(ClockTick), "clock/1")
    position = await put(nc, example(OrderSubmitted), "router/1/0")
    await until(lambda: holds(nc, 1))
    await nc.jetstream().delete_stream(TAPE)
    await provision(nc, lambda: position - 1)
    assert await put(nc, example(ClockTick), "clock/2") == position + 1


async def test_the_ledger_follows_a_tape_that_was_made_anew(nc: Client) -> None:
    await put(nc, example(OrderSubmitted), "router/1/0")
    await until(lambda: holds(nc, 1))
    await nc.jetstream().delete_stream(TAPE)
    await provision(nc, lambda: 100)
    position = await put(nc, example(OrderSubmitted), "router/100/0")
    await until(lambda: holds(nc, 2))
    copies = await messages(nc, stream=LEDGER)
    assert [source_position(copy.headers[STREAM_SOURCE]) for copy in copies] == [1, position] == [1, 101]


async def test_a_tape_that_ends_before_the_event_store_is_refused(nc: Client) -> None:
    await put(nc, example(ClockTick), "clock/1")
    with pytest.raises(ProvisionRefused) as refusal:
        await provision(nc, lambda: 7)
    assert str(refusal.value) == (
        "TAPE ends at position 1, but the event store holds positions up to 7: going on would use positions twice. "
        "Delete the stream ('nats stream rm TAPE') to continue it at 8"
    )


async def test_a_tape_that_ends_before_the_ledger_is_refused(nc: Client) -> None:
    for number in range(3):
        await put(nc, example(OrderSubmitted), f"router/{number}/0")
    await until(lambda: holds(nc, 3))
    await nc.jetstream().delete_stream(TAPE)
    await api(nc, f"STREAM.CREATE.{TAPE}", DECLARED[TAPE])  # as if the server had lost the tape's end
    with pytest.raises(ProvisionRefused, match="TAPE ends at position 0, but LEDGER holds positions up to 3"):
        await provision(nc, lambda: 0)


# -- the ledger -------------------------------------------------------------------------------------------------------


async def holds(nc: Client, count: int) -> bool:
    return (await nc.jetstream().stream_info(LEDGER)).state.messages == count


async def test_the_ledger_copies_what_must_not_be_lost_with_its_tape_position(nc: Client) -> None:
    await put(nc, example(ClockTick), "clock/1")
    kept = [example(OrderSubmitted), example(SubmitOrder), example(TradingStateSet)]
    positions = [await put(nc, event, f"x/{number}") for number, event in enumerate(kept)]
    await until(lambda: holds(nc, len(kept)))
    copies = await messages(nc, stream=LEDGER)
    assert [copy.event for copy in copies] == kept
    assert [source_position(copy.headers[STREAM_SOURCE]) for copy in copies] == positions == [2, 3, 4]
