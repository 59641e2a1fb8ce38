"""The simulated server: in the same conversation it says word for word what a real nats-server says."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError, NotFoundError

from contracts.ownership import ROLES
from services.simulator.disguise import disguised
from services.simulator.loop import Domain, SimulatedLoop
from services.simulator.network import Latency
from services.simulator.plan import plan
from services.simulator.process import Process
from services.simulator.server import Server
from services.simulator.stream import Stored
from tape.consumers import consumers_of, deliver_subject, provision_consumers
from tape.host import HostState
from tape.wire import Wire
from tests.live import tape

pytestmark = pytest.mark.integration

Said = list[str]
Conversation = Callable[[Client], Awaitable[Said]]

QUOTES, LEASE = "md.quote.sim.BTCUSDT", "$KV.leases.trend"
WINDOW = 3
"""How many messages a consumer delivers before it wants to hear that they were handled."""
EXPECTED = "Nats-Expected-Last-Subject-Sequence"


async def published(nc: Client, subject: str, **headers: str) -> str:
    """Publish, and give what the server says to it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        ack = await nc.jetstream(timeout=5).publish(subject, b"{}", headers=named)
    except APIError as error:
        return f"{type(error).__name__} {error.code} {error.err_code} {error.description}"
    return f"{ack.stream} {ack.seq} {ack.duplicate}"


async def found(nc: Client, stream: str, subject: str) -> str:
    try:
        message = await nc.jetstream(timeout=5).get_msg(stream, subject=subject, direct=True)
    except NotFoundError:
        return "not found"
    assert message.headers is not None
    return f"{message.subject} {message.seq} {message.data!r} {message.headers.get('Nats-Msg-Id')}"


async def publishing(nc: Client) -> Said:
    """Numbers, repetitions, and what is refused: an expectation counts more than a repetition."""
    return [
        await published(nc, QUOTES, Nats_Msg_Id="feed/1"),
        await published(nc, QUOTES, Nats_Msg_Id="feed/1"),
        await published(nc, QUOTES, **{"Nats_Msg_Id": "feed/2", EXPECTED: "1"}),
        await published(nc, QUOTES, **{"Nats_Msg_Id": "feed/3", EXPECTED: "1"}),
        await published(nc, QUOTES, **{"Nats_Msg_Id": "feed/2", EXPECTED: "1"}),
        await published(nc, QUOTES, **{"Nats_Msg_Id": "feed/2", EXPECTED: "2"}),
        await published(nc, "clock.1s", **{EXPECTED: "2", f"{EXPECTED}-Subject": QUOTES}),
        await published(nc, "clock.1s", **{EXPECTED: "0", f"{EXPECTED}-Subject": "lease.taken.feed"}),
        await published(nc, "clock.1s", **{EXPECTED: "7", f"{EXPECTED}-Subject": "lease.taken.feed"}),
    ]


async def looking(nc: Client) -> Said:
    """The last message on a subject or a pattern, and how far the tape goes."""
    await publishing(nc)
    state = (await nc.jetstream(timeout=5).stream_info("TAPE")).state
    looked = [await found(nc, "TAPE", what) for what in (QUOTES, "md.quote.*.*", "md.trade.*.*", "clock.1s")]
    return [*looked, f"{state.first_seq} {state.last_seq} {state.messages}"]


async def leasing(nc: Client) -> Said:
    """A bucket keeps the last message, refuses who does not know it, and is heard by plain subscribers."""
    heard: Said = []

    async def hear(message: Msg) -> None:
        heard.append(f"{message.subject} {message.data!r}")

    await nc.subscribe(LEASE, cb=hear)
    said = [await found(nc, "KV_leases", LEASE)]
    said += [await published(nc, LEASE, **{EXPECTED: number}) for number in ("0", "0", "1", "5")]
    return [*said, await found(nc, "KV_leases", LEASE), *heard]


async def rewound(nc: Client, seq: int) -> str:
    request = json.dumps({"seq": seq}).encode()
    reply = await nc.request("$JS.API.CONSUMER.RESET.TAPE.trend", request, timeout=5)
    return f"num_pending {json.loads(reply.data)['num_pending']}"


def placed(reply: str) -> str:
    """What a reply subject says, but for the time."""
    *words, _, pending = reply.split(".")
    return ".".join([*words, pending])


async def reading(nc: Client) -> Said:
    """A consumer brings nothing to nobody, counts anew when it is rewound, and says how far it is when idle."""
    heard: Said = []

    async def hear(message: Msg) -> None:
        last = (message.headers or {}).get("Nats-Last-Consumer")
        heard.append(placed(message.reply) if message.reply else f"idle at {last}")

    for number in range(5):
        await published(nc, QUOTES if number % 2 else "clock.1s", Nats_Msg_Id=f"x/{number}")
    first = await rewound(nc, 3)
    await nc.subscribe(deliver_subject("trend"), cb=hear)
    await asyncio.sleep(0.5)
    await published(nc, QUOTES)
    await asyncio.sleep(2.6)
    second = await rewound(nc, 1)  # its answer may come before the first messages, or after them
    await asyncio.sleep(0.5)
    return [first, second, *heard]


async def falling_behind(nc: Client) -> Said:
    """A consumer waits for acknowledgements, each of which covers what came before; nobody there, it waits too."""
    heard: Said = []
    replies: Said = []

    async def hear(message: Msg) -> None:
        if message.reply:
            heard.append(placed(message.reply))
            replies.append(message.reply)

    for number in range(10):
        await published(nc, QUOTES, Nats_Msg_Id=f"x/{number}")
    subscription = await nc.subscribe(deliver_subject("trend"), cb=hear)
    for handled in (1, 1, 4):
        await asyncio.sleep(0.4)
        heard.append(f"handled {handled}")
        await nc.publish(replies[handled], b"")
    await asyncio.sleep(0.4)
    await subscription.unsubscribe()
    await nc.publish(replies[-1], b"")
    await published(nc, QUOTES)
    await asyncio.sleep(0.4)
    heard.append("back again")
    await nc.subscribe(deliver_subject("trend"), cb=hear)
    await asyncio.sleep(0.4)
    return heard


async def going_deaf(nc: Client) -> Said:
    """What was handled before a rewinding is believed behind it: all that is handled from then on is taken for old."""
    heard: Said = []
    replies: Said = []

    async def hear(message: Msg) -> None:
        if message.reply:
            heard.append(placed(message.reply))
            replies.append(message.reply)

    for number in range(5):
        await published(nc, QUOTES, Nats_Msg_Id=f"x/{number}")
    await nc.subscribe(deliver_subject("trend"), cb=hear)
    await asyncio.sleep(0.4)
    await nc.publish(replies[-1], b"")
    await asyncio.sleep(0.4)
    late = replies[-1]
    heard.append(await rewound(nc, 5))
    await asyncio.sleep(0.4)
    for handled in (late, replies[-1]):
        await nc.publish(handled, b"")
    for number in range(5, 15):
        await published(nc, QUOTES, Nats_Msg_Id=f"x/{number}")
        await asyncio.sleep(0.1)
        await nc.publish(replies[-1], b"")
    await asyncio.sleep(0.4)
    reply = await nc.request("$JS.API.CONSUMER.INFO.TAPE.trend", timeout=5)
    return [*sorted(heard), f"num_pending {json.loads(reply.data)['num_pending']}"]


@pytest.mark.parametrize("conversation", [publishing, looking, leasing, reading, falling_behind, going_deaf])
async def test_says_what_a_real_server_says(fresh_nats_url: str, conversation: Conversation) -> None:
    async with tape(fresh_nats_url) as nc:
        await provision_consumers(nc)
        js = nc.jetstream(timeout=5)
        await js.delete_consumer("TAPE", "trend")
        await js.add_consumer("TAPE", replace(consumers_of(ROLES["trend"])[0], max_ack_pending=WINDOW))
        real = await conversation(nc)
    assert await asyncio.to_thread(simulated, conversation) == real


# -- the simulated side ------------------------------------------------------------------------------------------------


class Talk:
    """A program that does nothing but talk to the server."""

    state = HostState.LIVE

    def __init__(self, conversation: Conversation) -> None:
        self.said: Said | None = None
        self._conversation = conversation

    async def start(self, wire: Wire) -> None:
        self._nc = wire.nc

    async def run(self) -> None:
        self.said = await self._conversation(self._nc)

    async def stop(self) -> None: ...


class Unwatched:
    def stored(self, stream: str, message: Stored) -> None: ...

    def repeated(self, first: Stored, sender: str) -> None: ...


def simulated(conversation: Conversation) -> Said:
    loop = SimulatedLoop(100.0)  # type: ignore[abstract] # as in services/simulator/world.py
    swift = Latency(0.0001, 0.0001, rarely=0.0, late_s=0.0)
    calm = replace(plan(1), latency=swift, answers=swift, intake=swift, duplicates_within_s=120.0)
    random, talk = Random(1), Talk(conversation)  # noqa: S311 # the same each time
    with disguised(loop, {}), loop.running():
        server = Server(loop, random, calm, Unwatched())
        server.add_consumers((config for role in ROLES.values() for config in consumers_of(role)), WINDOW)
        process = Process(loop, random, Domain("talk"), talk, server.dial, lambda *_ended: None)
        while talk.said is None:
            loop.step()
        process.kill(server.lose)
    return talk.said
