"""The publisher: pipelined, in order, each message once, and loud when the tape does not take one."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from tape.headers import MSG_ID, Fence
from tape.publisher import Publisher, PublishFailed, Refused
from tape.wire import Wire
from tests.live import Broker, client, messages, tape, until
from tests.servers import scratch_directory

pytestmark = pytest.mark.integration

SUBJECT = "md.quote.binance.BTCUSDT"


@pytest.fixture
async def nc(fresh_nats_url: str) -> AsyncIterator[Client]:
    async with tape(fresh_nats_url) as nc:
        yield nc


@pytest.fixture
async def publisher(nc: Client) -> AsyncIterator[Publisher]:
    publisher = Publisher(Wire(nc))
    await publisher.start()
    yield publisher
    await publisher.stop()


async def say(publisher: Publisher, number: int) -> None:
    await publisher.publish(SUBJECT, str(number).encode(), {MSG_ID: f"test/{number}/0"})


async def said(nc: Client) -> list[int]:
    return [int(message.payload) for message in await messages(nc)]


async def test_what_is_flushed_is_on_the_tape_in_order(nc: Client, publisher: Publisher) -> None:
    for number in range(5_000):
        await say(publisher, number)
    await publisher.flush()
    assert (publisher.acknowledged, publisher.last_position) == (5_000, 5_000)
    assert await said(nc) == list(range(5_000))


async def test_a_message_that_is_there_already_is_not_stored_again(nc: Client, publisher: Publisher) -> None:
    for number in (1, 2, 1, 3):
        await say(publisher, number)
    await publisher.flush()
    assert await said(nc) == [1, 2, 3]


async def test_no_more_than_the_window_is_on_its_way(nc: Client) -> None:
    publisher = Publisher(Wire(nc), window=10)  # never started: it hears no acknowledgement
    for number in range(10):
        await say(publisher, number)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(say(publisher, 10), timeout=0.3)
    await until(lambda: has(nc, 10))


async def has(nc: Client, count: int) -> bool:
    return (await nc.jetstream(timeout=30).stream_info("TAPE")).state.messages == count


async def test_a_subject_that_no_stream_takes_fails_loudly_and_for_good(publisher: Publisher) -> None:
    await publisher.publish("nobody.hears", b"", {MSG_ID: "test/1/0"})
    with pytest.raises(PublishFailed, match=r"the tape refused nobody\.hears .*no stream takes it"):
        await asyncio.wait_for(publisher.flush(), timeout=5)
    with pytest.raises(PublishFailed):
        await say(publisher, 2)


async def test_a_message_that_is_too_large_fails_loudly_and_for_good(nc: Client, publisher: Publisher) -> None:
    await say(publisher, 1)
    with pytest.raises(
        PublishFailed, match=r"BTCUSDT is too large for the tape: 1048576 bytes of 1048576 with headers"
    ):
        await publisher.publish(SUBJECT, bytes(nc.max_payload), {MSG_ID: "test/2/0"})
    with pytest.raises(PublishFailed):
        await asyncio.wait_for(publisher.flush(), timeout=5)
    assert nc.is_connected


async def test_a_closed_connection_fails_loudly(fresh_nats_url: str) -> None:
    async with tape(fresh_nats_url) as nc:
        publisher = Publisher(Wire(nc))
        await publisher.start()
    with pytest.raises(PublishFailed, match="the connection to the tape was closed"):
        await asyncio.wait_for(say(publisher, 1), timeout=5)
    await publisher.stop()


# -- fenced -----------------------------------------------------------------------------------------------------------


async def lease(nc: Client, number: int) -> Fence:
    ack = await nc.jetstream(timeout=30).publish("lease.taken.test", b"{}", headers={MSG_ID: f"test/lease/{number}"})
    return Fence("lease.taken.test", ack.seq)


async def quotes(nc: Client) -> list[int]:
    return [int(message.payload) for message in await messages(nc, "md.>")]


async def test_behind_its_fence_a_writer_says_all_in_order_and_may_repeat_itself(
    nc: Client, publisher: Publisher
) -> None:
    await publisher.fence(await lease(nc, 1))
    for number in (*range(2_000), 1_999, 7):
        await say(publisher, number)
    await publisher.flush()
    assert await quotes(nc) == list(range(2_000))


async def test_a_writer_that_was_succeeded_is_refused_for_good(nc: Client, publisher: Publisher) -> None:
    await publisher.fence(await lease(nc, 1))
    await say(publisher, 1)
    await publisher.flush()
    await lease(nc, 2)
    for number in (2, 3, 4):
        await say(publisher, number)
    with pytest.raises(Refused, match=r"another instance has taken over; this one ends and says nothing more"):
        await asyncio.wait_for(asyncio.shield(publisher.failure), timeout=5)
    with pytest.raises(Refused):
        await say(publisher, 5)
    assert await quotes(nc) == [1]


async def test_nothing_goes_out_while_a_fence_is_renewed(nc: Client, publisher: Publisher) -> None:
    await publisher.fence(await lease(nc, 1))
    publisher.hold(held=True)
    waiting = asyncio.create_task(say(publisher, 1))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await publisher.fence(await lease(nc, 2))
    publisher.hold(held=False)
    await asyncio.wait_for(waiting, timeout=5)
    await publisher.flush()
    assert await quotes(nc) == [1]


@pytest.mark.parametrize("burst", [20, 100_000])
async def test_a_killed_broker_costs_no_message_no_order_and_doubles_none(burst: int) -> None:
    """In small bursts nearly all that is sent is acknowledged already, at full speed the window is full."""
    total = 20_000 if burst > 1000 else 6_000
    with scratch_directory() as run, Broker(run) as broker:
        async with tape(broker.url) as nc:
            publisher = Publisher(Wire(nc))
            await publisher.start()
            saying = asyncio.create_task(say_all(publisher, total, burst))
            for share in (0.2, 0.5, 0.8):
                await until(lambda share=share: publisher.acknowledged > share * total)
                broker.kill()
                broker.start()
            await asyncio.wait_for(saying, timeout=20)
            await publisher.stop()
        async with client(broker.url) as other:
            assert await said(other) == list(range(total))


async def say_all(publisher: Publisher, total: int, burst: int) -> None:
    for number in range(total):
        await say(publisher, number)
        if number % burst == 0:
            await asyncio.sleep(0.002)
    await publisher.flush()


async def test_what_is_said_while_the_broker_is_away_waits_for_it() -> None:
    with scratch_directory() as run, Broker(run) as broker:
        async with tape(broker.url) as nc:
            publisher = Publisher(Wire(nc))
            await publisher.start()
            await say(publisher, 0)
            await publisher.flush()
            broker.kill()
            await until(lambda: not nc.is_connected)
            waiting = [asyncio.create_task(say(publisher, number)) for number in (1, 2, 3)]
            await asyncio.sleep(0.3)
            assert not any(task.done() for task in waiting)
            broker.start()
            await asyncio.wait_for(asyncio.gather(*waiting), timeout=10)
            await asyncio.wait_for(publisher.flush(), timeout=10)
            assert await said(nc) == [0, 1, 2, 3]
            await publisher.stop()
