"""The wire speaks NATS as the client library does: same headers read, same message written."""

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import MaxPayloadError
from nats.js.api import ConsumerConfig, DeliverPolicy

from contracts.orders import OrderSubmitted
from tape.headers import MSG_ID, STREAM_SOURCE, Headers
from tape.provision import LEDGER
from tape.streams import LEDGER_DOMAIN, source_position
from tape.wire import Wire, parse_headers
from tests.live import PATIENCE_S, client, heard, put, tape, until
from tests.recordings import example

pytestmark = pytest.mark.integration

STATUS = {"Status", "Description"}
"""What nats-py makes of a status line; the wire reads headers only."""

ODD = {
    "Nats-Msg-Id": "feed/frames-1/0",
    "traceparent": "00-0102-03-01",
    "Empty": "",
    "Colons": "a:b: c",
    "Accents": "\N{LATIN SMALL LETTER E WITH ACUTE}\N{SNOWMAN}",
    "X": "1" * 2000,
}

Heard = tuple[str, str, bytes, bytes | None]


@pytest.fixture
async def nc(nats_url: str) -> AsyncIterator[Client]:
    async with client(nats_url) as nc:
        yield nc


@pytest.fixture
async def other(nats_url: str) -> AsyncIterator[Client]:
    async with client(nats_url) as nc:
        yield nc


async def both_ways(nc: Client, other: Client, subject: str) -> tuple[list[Heard], list[Msg]]:
    """Listen on a subject with the wire and with a plain client."""
    raw: list[Heard] = []
    plain: list[Msg] = []

    async def keep(message: Msg) -> None:
        plain.append(message)

    await Wire(nc).subscribe(subject, lambda *message: raw.append(message))
    await other.subscribe(subject, cb=keep)
    await heard(nc)
    await heard(other)
    return raw, plain


@pytest.mark.parametrize("headers", [None, {"A": "b"}, ODD])
async def test_reads_what_a_client_wrote_as_the_library_does(
    nc: Client, other: Client, headers: Headers | None
) -> None:
    raw, plain = await both_ways(nc, other, "w.read.*")
    await other.publish("w.read.1", b"payload", reply="w.answer", headers=headers)
    await until(lambda: bool(raw and plain))
    ((subject, reply, payload, raw_headers),) = raw
    assert (subject, reply, payload) == (plain[0].subject, plain[0].reply, plain[0].data)
    assert parse_headers(raw_headers) == (plain[0].headers or {}) == (headers or {})


async def test_reads_headers_that_a_client_wrote_in_a_way_of_its_own(nc: Client, other: Client) -> None:
    raw, plain = await both_ways(nc, other, "w.odd")
    block = b"NATS/1.0\r\nTight:1\r\nWide:   2  \r\n\r\n"
    await other._send_command(b"HPUB w.odd %d %d\r\n%s\r\n" % (len(block), len(block), block))
    await heard(other)
    await until(lambda: bool(raw and plain))
    assert parse_headers(raw[0][3]) == plain[0].headers == {"Tight": "1", "Wide": "2"}


async def test_reads_that_nobody_was_there_to_answer(nc: Client, other: Client) -> None:
    raw, plain = await both_ways(nc, other, "w.nobody.*")
    await nc.publish("w.void", b"", reply="w.nobody.1")
    await heard(nc)
    await until(lambda: bool(raw))
    await other.publish("w.void", b"", reply="w.nobody.2")
    await until(lambda: bool(plain))
    assert raw[0][2] == b""
    assert (raw[0][3] or b"").startswith(b"NATS/1.0 503\r\n")
    assert parse_headers(raw[0][3]) == {
        name: value for name, value in (plain[0].headers or {}).items() if name not in STATUS
    }


async def test_reads_heartbeats_and_where_a_message_was_copied_from(fresh_nats_url: str) -> None:
    async with tape(fresh_nats_url) as nc, client(fresh_nats_url) as other:
        raw, plain = await both_ways(nc, other, "w.ledger")
        position = await put(nc, example(OrderSubmitted), "router/1/0")
        config = ConsumerConfig(deliver_subject="w.ledger", deliver_policy=DeliverPolicy.ALL, idle_heartbeat=0.2)
        await nc.jetstream(domain=LEDGER_DOMAIN).add_consumer(LEDGER, config)
        await until(lambda: len(raw) > 1 and len(plain) > 1)
        for hit, message in zip(raw, plain, strict=False):
            library = {name: value for name, value in (message.headers or {}).items() if name not in STATUS}
            assert parse_headers(hit[3]) == library
        copy, heartbeat = parse_headers(raw[0][3]), parse_headers(raw[1][3])
        assert source_position(copy[STREAM_SOURCE]) == position
        assert heartbeat["Nats-Last-Consumer"] == "1"


@pytest.mark.parametrize("payload", [b"", b"\r\n", b'{"a": 1}', bytes(range(256)) * 1000])
async def test_writes_what_a_client_reads(nc: Client, other: Client, payload: bytes) -> None:
    reading = await other.subscribe("w.write.>")
    await heard(other)
    Wire(nc).send("w.write.a.b", "w.reply.1", ODD, payload)
    message = await reading.next_msg(timeout=PATIENCE_S)
    assert (message.subject, message.reply, message.headers, message.data) == ("w.write.a.b", "w.reply.1", ODD, payload)


async def test_writes_many_in_order_among_what_the_client_writes(nc: Client, other: Client) -> None:
    reading = await other.subscribe("w.many", pending_msgs_limit=-1)
    await heard(other)
    wire = Wire(nc)
    for number in range(0, 20_000, 2):
        wire.send("w.many", "w.reply", {MSG_ID: f"x/{number}"}, str(number).encode())
        await nc.publish("w.many", str(number + 1).encode())
    numbers = [int((await reading.next_msg(timeout=PATIENCE_S)).data) for _ in range(20_000)]
    assert numbers == list(range(20_000))


async def test_refuses_what_is_too_large_for_the_server(nc: Client) -> None:
    with pytest.raises(MaxPayloadError):
        Wire(nc).send("w.large", "w.reply", {"A": "b"}, bytes(nc.max_payload - 10))
    await heard(nc)
    assert nc.is_connected


async def test_leaves_everybody_elses_messages_to_the_client(nc: Client, other: Client) -> None:
    Wire(nc)
    reading = await nc.subscribe("w.others")
    await heard(nc)
    await other.publish("w.others", b"x", headers={"A": "b"})
    message = await reading.next_msg(timeout=PATIENCE_S)
    assert (message.data, message.headers) == (b"x", {"A": "b"})


async def test_is_silent_after_unsubscribing(nc: Client, other: Client) -> None:
    subjects: list[str] = []
    wire = Wire(nc)
    subscription = await wire.subscribe("w.left", lambda subject, *_: subjects.append(subject))
    await heard(nc)
    await other.publish("w.left", b"")
    await until(lambda: len(subjects) == 1)
    await wire.unsubscribe(subscription)
    await heard(nc)
    await other.publish("w.left", b"")
    await heard(other)
    await heard(nc)
    assert subjects == ["w.left"]
