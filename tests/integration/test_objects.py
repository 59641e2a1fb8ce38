"""Objects in the store: what was put comes back to the byte, other tools see it, and damage is noticed."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import pytest
from nats.aio.client import Client

from tape.consumers import provision_consumers
from tape.objects import PART_BYTES, ObjectDamaged, ObjectMissing, Objects, ObjectsAway
from tape.provision import provision
from tests.live import Broker, tape, until
from tests.servers import Secured, scratch_directory, secured_nats_server

pytestmark = pytest.mark.integration

SMALL = b"twelve bytes"
LARGE = bytes(range(256)) * 3 * (PART_BYTES // 256) + b"and a little more"


@pytest.fixture
async def nc(fresh_nats_url: str) -> AsyncIterator[Client]:
    async with tape(fresh_nats_url) as nc:
        yield nc


def named(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def stored(nc: Client) -> int:
    return (await nc.jetstream().stream_info("OBJ_chunks")).state.messages


@pytest.mark.parametrize("data", [b"", SMALL, LARGE, LARGE[:PART_BYTES]], ids=["none", "small", "large", "one part"])
async def test_what_was_put_comes_back(nc: Client, data: bytes) -> None:
    objects = Objects(nc, "chunks")
    await objects.put(named(data), data, "some bytes")
    assert await objects.get(named(data)) == data


async def test_the_same_again_stores_nothing(nc: Client) -> None:
    objects = Objects(nc, "chunks")
    await objects.put(named(LARGE), LARGE)
    before = await stored(nc)
    await objects.put(named(LARGE), LARGE)
    assert await stored(nc) == before


async def test_a_name_that_is_no_hash_may_be_put_anew(nc: Client) -> None:
    objects = Objects(nc, "models")
    await objects.put("champion", SMALL)
    await objects.put("champion", LARGE)
    assert await objects.get("champion") == LARGE


async def test_many_objects_do_not_mix(nc: Client) -> None:
    objects = Objects(nc, "chunks")
    wanted = {named(data): data for data in (LARGE + bytes([number]) for number in range(8))}
    await asyncio.gather(*(objects.put(name, data) for name, data in wanted.items()))
    assert {name: await objects.get(name) for name in wanted} == wanted


async def test_other_tools_see_what_we_put_and_we_what_they_put(nc: Client) -> None:
    ours, theirs = Objects(nc, "chunks"), await nc.jetstream().object_store("chunks")
    await ours.put(named(LARGE), LARGE, "ours")
    await theirs.put("theirs", SMALL)
    found = await theirs.get(named(LARGE))
    assert (found.data, found.info.description, found.info.chunks) == (LARGE, "ours", 4)
    assert {info.name for info in await theirs.list()} == {named(LARGE), "theirs"}
    assert await ours.get("theirs") == SMALL


async def test_what_is_not_there_is_missing(nc: Client) -> None:
    objects = Objects(nc, "chunks")
    assert not await objects.has(named(SMALL))
    with pytest.raises(ObjectMissing, match=named(SMALL)):
        await objects.get(named(SMALL))


async def test_what_was_deleted_is_missing(nc: Client) -> None:
    objects, theirs = Objects(nc, "chunks"), await nc.jetstream().object_store("chunks")
    await objects.put("old", SMALL)
    await theirs.delete("old")
    assert not await objects.has("old")


async def meta_of(nc: Client, name: str) -> tuple[str, dict[str, object]]:
    subject = Objects(nc, "chunks")._meta(name)
    message = await nc.jetstream().get_last_msg("OBJ_chunks", subject)
    return subject, json.loads(message.data or b"")


async def test_a_part_that_is_gone_is_damage(nc: Client) -> None:
    objects = Objects(nc, "chunks")
    await objects.put(named(LARGE), LARGE)
    await nc.jetstream().delete_msg("OBJ_chunks", 2)
    with pytest.raises(ObjectDamaged, match="bytes of"):
        await objects.get(named(LARGE))


async def test_other_bytes_under_the_same_description_are_damage(nc: Client) -> None:
    objects = Objects(nc, "chunks")
    await objects.put(named(SMALL), SMALL)
    subject, meta = await meta_of(nc, named(SMALL))
    await nc.publish(f"$O.chunks.C.{meta['nuid']}-", b"Twelve bytes")
    await nc.jetstream().publish(subject, json.dumps({**meta, "nuid": f"{meta['nuid']}-"}).encode())
    with pytest.raises(ObjectDamaged, match="was changed"):
        await objects.get(named(SMALL))


async def test_another_object_under_a_hash_is_damage(nc: Client) -> None:
    objects, theirs = Objects(nc, "chunks"), await nc.jetstream().object_store("chunks")
    await theirs.put(named(SMALL), b"something else, with a digest of its own")
    with pytest.raises(ObjectDamaged, match="was replaced"):
        await objects.get(named(SMALL))
    await objects.put(named(SMALL), SMALL)
    assert await objects.get(named(SMALL)) == SMALL


async def test_a_description_that_cannot_be_read_is_damage(nc: Client) -> None:
    objects = Objects(nc, "chunks")
    await nc.jetstream().publish(objects._meta("odd"), b"[]")
    with pytest.raises(ObjectDamaged, match="cannot be read"):
        await objects.get("odd")


async def test_a_bucket_that_is_not_there_is_named(nc: Client) -> None:
    await nc.jetstream().delete_stream("OBJ_models")
    with pytest.raises(ObjectsAway, match=r"the bucket models .* hmm provision"):
        await Objects(nc, "models").get("any")


async def test_putting_outlasts_a_restart_of_the_server() -> None:
    with scratch_directory() as run, Broker(run) as broker:
        async with tape(broker.url) as nc:
            objects = Objects(nc, "chunks")
            putting = asyncio.create_task(objects.put(named(LARGE), LARGE))
            await until(lambda: has_some(nc))
            broker.kill()
            broker.start()
            await putting
            assert await objects.get(named(LARGE)) == LARGE


async def has_some(nc: Client) -> bool:
    return await stored(nc) >= 1


# -- by roles, on a server with keys ----------------------------------------------------------------------------------


@asynccontextmanager
async def user(server: Secured, name: str) -> AsyncIterator[Client]:
    inbox = {} if name == "operator" else {"inbox_prefix": f"_INBOX.{name}".encode()}
    nc = await nats.connect(server.url, nkeys_seed=str(server.key(name)), allow_reconnect=False, **inbox)
    try:
        yield nc
    finally:
        await nc.close()


async def test_each_role_does_with_objects_what_it_needs_and_no_more() -> None:
    with scratch_directory() as run, secured_nats_server(run) as server:
        async with user(server, "operator") as operator:
            await provision(operator, lambda: 0)
            await provision_consumers(operator)
        for name in ("ingest", "backfill", "importer"):
            async with user(server, name) as nc:
                data = LARGE + name.encode()
                await Objects(nc, "chunks").put(named(data), data)
                assert await Objects(nc, "chunks").get(named(data)) == data
        async with user(server, "trainer") as nc:
            await Objects(nc, "models").put(named(SMALL), SMALL)
            assert await Objects(nc, "models").get(named(SMALL)) == SMALL
            assert await Objects(nc, "chunks").has(named(LARGE + b"ingest"))
