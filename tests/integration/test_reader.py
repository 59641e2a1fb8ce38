"""The reader: everything, once, in order, whatever happens to the connection, the server or the consumer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from contracts.codec import encode
from contracts.event import Event
from contracts.market import Quote
from contracts.recorded import Recorded, Unreadable
from tape import reader as reader_module
from tape.consumers import UNACKED, consumer_config
from tape.headers import new_trace, write_headers
from tape.publisher import Publisher
from tape.reader import CannotRewind, Reader, TapeCutOff
from tape.wire import Wire
from tests.builders import quote, tick, trade
from tests.live import Broker, api, client, publishing, tape, until
from tests.servers import scratch_directory

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has fallen silent is noticed sooner than in earnest."""
    monkeypatch.setattr("tape.consumers.HEARTBEAT_S", 0.3)
    monkeypatch.setattr(reader_module, "SILENT_AFTER_S", 1.0)


NAME = "trend"
PAYLOAD = encode(quote())
SUBJECT = Quote.subject_of(quote())


@pytest.fixture
async def nc(fresh_nats_url: str) -> AsyncIterator[Client]:
    async with tape(fresh_nats_url) as nc:
        yield nc


@dataclass
class Log:
    """A handler that remembers positions."""

    positions: list[int] = field(default_factory=list)
    odd: list[Unreadable] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    def __call__(self, received: Recorded | Unreadable, _trace: str) -> Awaitable[None] | None:
        self.positions.append(received.position)
        if isinstance(received, Unreadable):
            self.odd.append(received)
        return None if self.open.is_set() else self._held()

    async def _held(self) -> None:
        await self.open.wait()


async def nothing_to_ask() -> None:
    """The consumer is ours."""


async def provision(nc: Client, *subjects: str) -> None:
    """Make the consumer anew, as the provisioner does."""
    js = nc.jetstream(timeout=30)
    with suppress(NotFoundError):
        await js.delete_consumer("TAPE", NAME)
    await js.add_consumer("TAPE", consumer_config(NAME, list(subjects)))


@asynccontextmanager
async def reading(nc: Client, log: Log, *, start: int = 1, subjects: tuple[str, ...] = (">",)) -> AsyncIterator[Reader]:
    await provision(nc, *subjects)
    reader = Reader(Wire(nc), NAME, start, log, nothing_to_ask)
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


async def fill(publisher: Publisher, first: int, last: int) -> None:
    """Put quotes on an empty tape: their numbers are their positions."""
    trace = new_trace(1, 1)
    for number in range(first, last + 1):
        await publisher.publish(SUBJECT, PAYLOAD, write_headers(quote(), f"feed/test/{number}", None, 1, trace))
    await publisher.flush()


async def put(publisher: Publisher, event: Event, msg_id: str) -> None:
    headers = write_headers(event, msg_id, None, 1, new_trace(1, 1))
    await publisher.publish(type(event).subject_of(event), encode(event), headers)


async def test_reads_a_long_tape_in_order_from_any_position(nc: Client) -> None:
    async with publishing(nc) as publisher:
        await fill(publisher, 1, 50_000)
    for start in (1, 49_001, 31_415):
        log = Log()
        async with reading(nc, log, start=start) as reader:
            await until(lambda log=log: log.positions[-1:] == [50_000])
            assert log.positions == list(range(start, 50_001))
            assert (reader.position, reader.lag, reader.restarts) == (50_000, 0, 0)


async def test_reads_what_it_asked_for_and_what_comes_later(nc: Client) -> None:
    log = Log()
    async with publishing(nc) as publisher, reading(nc, log, subjects=("md.trade.*.*", "clock.1s")):
        for number, event in enumerate([tick(1), quote(), trade(1.0), quote(), trade(2.0), tick(2)]):
            await put(publisher, event, f"feed/test/{number}")
        await until(lambda: log.positions == [1, 3, 5, 6])


async def test_what_is_no_event_is_handed_over_as_such(nc: Client) -> None:
    log = Log()
    async with reading(nc, log):
        js = nc.jetstream(timeout=30)
        await js.publish("md.quote.x.Y", b"{", headers={"Hmm-Type": "Quote.v1", "Hmm-Ts": "1"})
        await js.publish(SUBJECT, PAYLOAD, headers={"Hmm-Type": "Quote.v1"})
        await js.publish(SUBJECT, PAYLOAD)
        await js.publish("md.quote.x.Y", PAYLOAD, headers={"Hmm-Type": "Quote.v1", "Hmm-Ts": "1"})
        await until(lambda: len(log.odd) == 4)
    reasons = [odd.reason for odd in log.odd]
    assert reasons[0].startswith("Quote.v1: Invalid JSON")
    assert reasons[1:3] == ["'Hmm-Ts'", "Hmm-Type: '' is no event type that this code knows"]
    assert reasons[3].startswith("Quote.v1: subject 'md.quote.x.Y' is foreign to this event")
    assert log.positions == [1, 2, 3, 4]


# -- back-pressure and lag --------------------------------------------------------------------------------------------


async def test_a_slow_handler_holds_the_server_back(nc: Client) -> None:
    log = Log()
    log.open.clear()
    async with publishing(nc) as publisher, reading(nc, log) as reader:
        await fill(publisher, 1, 3 * UNACKED)
        await until(lambda: len(reader._waiting) >= UNACKED - 2)
        await asyncio.sleep(0.2)
        assert len(reader._waiting) <= UNACKED
        log.open.set()
        await until(lambda: len(log.positions) == 3 * UNACKED)
        assert log.positions == list(range(1, 3 * UNACKED + 1))
        assert reader.restarts == 0


async def test_anybody_can_see_position_and_lag(nc: Client, fresh_nats_url: str) -> None:
    log = Log()
    async with client(fresh_nats_url) as other, publishing(nc) as publisher:

        async def seen() -> tuple[int, int]:
            info = await other.jetstream(timeout=30).consumer_info("TAPE", NAME)
            assert info.ack_floor is not None
            return info.ack_floor.stream_seq, (info.num_pending or 0) + (info.num_ack_pending or 0)

        async def shows(position: int, lag: int) -> bool:
            return await seen() == (position, lag)

        async with reading(nc, log) as reader:
            await fill(publisher, 1, 3_000)
            await until(lambda: shows(3_000, 0))
            log.open.clear()
            await fill(publisher, 3_001, 3_500)
            assert await seen() == (3_000, 500)
            log.open.set()
            await until(lambda: shows(3_500, 0))
            assert reader.lag == 0
        await fill(publisher, 3_501, 3_510)
        assert await seen() == (3_500, 10)


# -- failures ---------------------------------------------------------------------------------------------------------


async def test_a_killed_broker_loses_and_doubles_nothing() -> None:
    log = Log()
    with scratch_directory() as run, Broker(run) as broker:
        async with (
            tape(broker.url) as nc,
            client(broker.url) as other,
            publishing(other) as publisher,
            reading(nc, log) as reader,
        ):
            filling = asyncio.create_task(fill(publisher, 1, 50_000))
            for share in (10_000, 30_000):
                await until(lambda share=share: len(log.positions) > share)
                broker.kill()
                broker.start()
            await asyncio.wait_for(filling, timeout=30)
            await until(lambda: log.positions[-1:] == [50_000])
            assert log.positions == list(range(1, 50_001))
            assert not reader.failure.done()


async def test_a_quiet_tape_is_read_on_within_seconds_after_a_crash() -> None:
    log = Log()
    with scratch_directory() as run, Broker(run) as broker:
        async with (
            tape(broker.url) as nc,
            client(broker.url) as other,
            publishing(other) as publisher,
            reading(nc, log),
        ):
            await fill(publisher, 1, 10)
            await until(lambda: len(log.positions) == 10)
            await asyncio.sleep(0.1)  # the server has it on disk
            broker.kill()
            broker.start()
            await fill(publisher, 11, 11)
            assert await until(lambda: len(log.positions) == 11) < 6
    assert log.positions == list(range(1, 12))


async def test_a_consumer_that_an_operator_deleted_is_read_on_as_soon_as_it_is_there(
    nc: Client, fresh_nats_url: str
) -> None:
    log = Log()
    async with publishing(nc) as publisher, reading(nc, log) as reader:
        await fill(publisher, 1, 100)
        await until(lambda: reader.position == 100)
        async with client(fresh_nats_url) as operator:
            await operator.jetstream(timeout=30).delete_consumer("TAPE", NAME)
            await fill(publisher, 101, 150)
            await until(lambda: reader.restarts > 0)
            await provision(operator, ">")
        await fill(publisher, 151, 200)
        assert await until(lambda: reader.position == 200) < 6
    assert log.positions == list(range(1, 201))


async def test_a_consumer_made_anew_while_the_handler_is_busy_is_rewound(nc: Client) -> None:
    """The handler's message is not handled twice, and its progress does not confuse the new consumer."""
    log = Log()
    async with publishing(nc) as publisher, reading(nc, log) as reader:
        await fill(publisher, 1, 2 * UNACKED)
        await until(lambda: reader.position == 2 * UNACKED)
        log.open.clear()
        await fill(publisher, 2 * UNACKED + 1, 2 * UNACKED + 1)
        await until(lambda: len(log.positions) == 2 * UNACKED + 1)
        await provision(nc, ">")
        log.open.set()
        await fill(publisher, 2 * UNACKED + 2, 5 * UNACKED)
        await until(lambda: len(log.positions) == 5 * UNACKED)
    assert log.positions == list(range(1, 5 * UNACKED + 1))


async def test_messages_that_were_lost_with_nothing_behind_them_are_noticed(nc: Client) -> None:
    """A broken connection takes what was on its way; the next heartbeat tells, before any new message comes."""
    log = Log()
    async with publishing(nc) as publisher, reading(nc, log) as reader:
        await fill(publisher, 1, 100)
        await until(lambda: reader.position == 100)
        assert reader._subscription is not None
        hear = reader._wire._listeners.pop(reader._subscription._id)
        await fill(publisher, 101, 110)
        await asyncio.sleep(0.1)
        reader._wire._listeners[reader._subscription._id] = hear
        assert await until(lambda: reader.position == 110) < 4
    assert log.positions == list(range(1, 111))


async def test_a_reader_cut_off_as_too_slow_recovers(nc: Client, fresh_nats_url: str) -> None:
    log = Log()
    async with client(fresh_nats_url) as other, publishing(other) as publisher, reading(nc, log) as reader:
        filling = asyncio.create_task(fill(publisher, 1, 20_000))
        await until(lambda: reader.position > 5_000)
        assert nc._transport is not None
        nc._transport._io_writer.transport.abort()  # type: ignore[attr-defined]  # as the server does with a slow one
        await asyncio.wait_for(filling, timeout=20)
        await until(lambda: reader.position == 20_000)
        assert nc.stats["reconnects"] == 1
    assert log.positions == list(range(1, 20_001))


async def test_a_handler_that_fails_ends_the_reading_and_says_why(nc: Client) -> None:
    def fail(_received: Recorded | Unreadable, _trace: str) -> None:
        raise RuntimeError("no more")

    async with publishing(nc) as publisher:
        await provision(nc, ">")
        reader = Reader(Wire(nc), NAME, 1, fail, nothing_to_ask)
        await reader.start()
        await fill(publisher, 1, 1)
        with pytest.raises(RuntimeError, match="no more"):
            await asyncio.wait_for(reader.failure, timeout=5)
        await reader.stop()


async def test_a_tape_that_ends_before_what_was_read_is_not_read(nc: Client) -> None:
    async with publishing(nc) as publisher:
        await fill(publisher, 1, 5)
    reader = Reader(Wire(nc), NAME, 8, Log(), nothing_to_ask)
    with pytest.raises(TapeCutOff, match="TAPE was made anew since trend has read it up to position 7"):
        await reader.start()
    await reader.stop()


@pytest.mark.parametrize("again", [3, 5, 10])
async def test_a_tape_that_was_made_anew_while_it_was_read_is_not_read_on(nc: Client, again: int) -> None:
    log = Log()
    async with publishing(nc) as publisher, reading(nc, log) as reader:
        await fill(publisher, 1, 5)
        await until(lambda: reader.position == 5)
        await nc.jetstream(timeout=30).delete_stream("TAPE")
        async with tape(nc.connected_url.geturl() if nc.connected_url else "") as other:
            await provision(other, ">")
            await fill(publisher, 101, 100 + again)
            with pytest.raises(TapeCutOff, match="TAPE was made anew since trend has read it up to position 5"):
                await asyncio.wait_for(reader.failure, timeout=10)


async def test_a_tape_that_begins_after_what_is_to_be_read_next_is_not_read(fresh_nats_url: str) -> None:
    async with tape(fresh_nats_url, last_known=10) as nc:
        reader = Reader(Wire(nc), NAME, 8, Log(), nothing_to_ask)
        with pytest.raises(TapeCutOff, match="TAPE begins at 11, but trend has to go on at 8"):
            await reader.start()
        await reader.stop()


async def test_somebody_elses_rewinding_of_our_consumer_costs_no_message(nc: Client, fresh_nats_url: str) -> None:
    """A process that slept through the loss of its lease may still do so once."""
    log = Log()
    async with client(fresh_nats_url) as other, publishing(other) as publisher, reading(nc, log) as reader:
        filling = asyncio.create_task(fill(publisher, 1, 20_000))
        for share, seq in ((3_000, 1_000), (9_000, 20_000)):
            await until(lambda share=share: reader.position > share)
            await api(other, f"CONSUMER.RESET.TAPE.{NAME}", {"seq": seq})
        await asyncio.wait_for(filling, timeout=20)
        await until(lambda: reader.position == 20_000)
    assert log.positions == list(range(1, 20_001))


async def test_a_late_acknowledgement_of_who_was_before_us_does_not_leave_us_deaf(
    nc: Client, fresh_nats_url: str
) -> None:
    """The server takes all that we acknowledge for old then, and holds everything back."""
    log = Log()
    async with client(fresh_nats_url) as other, publishing(other) as publisher:
        async with reading(nc, Log()) as before:
            await fill(publisher, 1, 2 * UNACKED)
            await until(lambda: before.position == 2 * UNACKED and before._ack_to is None)
            late = str(before._acked)
        reader = Reader(Wire(nc), NAME, 2 * UNACKED, log, nothing_to_ask)
        await reader.start()
        await until(lambda: bool(log.positions))
        await other.publish(late)
        await fill(publisher, 2 * UNACKED + 1, 4 * UNACKED)
        await until(lambda: reader.position == 4 * UNACKED)
        await reader.stop()
    assert log.positions == list(range(2 * UNACKED, 4 * UNACKED + 1))
    assert reader.restarts == 1


async def test_a_consumer_is_not_touched_by_who_may_not(nc: Client) -> None:
    async def refuse() -> None:
        raise RuntimeError("another holds the lease")

    await provision(nc, ">")
    reader = Reader(Wire(nc), NAME, 1, Log(), refuse)
    with pytest.raises(RuntimeError, match="another holds the lease"):
        await reader.start()
    await reader.stop()


async def test_a_stopped_reader_leaves_its_consumer_to_be_seen_and_goes_on_where_it_is_told(nc: Client) -> None:
    first, second = Log(), Log()
    async with publishing(nc) as publisher:
        async with reading(nc, first):
            await fill(publisher, 1, 10)
            await until(lambda: len(first.positions) == 10)
        assert (await nc.jetstream(timeout=30).consumer_info("TAPE", NAME)).name == NAME
        await fill(publisher, 11, 20)
        async with reading(nc, second, start=8):
            await until(lambda: second.positions == list(range(8, 21)))


async def test_a_tape_that_is_not_there_is_an_error_at_once(fresh_nats_url: str) -> None:
    async with client(fresh_nats_url) as nc:
        reader = Reader(Wire(nc), NAME, 1, Log(), nothing_to_ask)
        with pytest.raises(NotFoundError, match="stream not found"):
            await reader.start()
        await reader.stop()


async def test_a_consumer_that_nobody_provisioned_is_an_error_that_says_what_to_do(nc: Client) -> None:
    reader = Reader(Wire(nc), NAME, 1, Log(), nothing_to_ask)
    with pytest.raises(CannotRewind, match="consumer trend of TAPE is not there, or not ours: hmm provision makes"):
        await reader.start()
    await reader.stop()
