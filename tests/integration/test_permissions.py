"""Nobody says or hears what is not its own: the whole matrix of roles and subjects, on the servers of the stack."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import nkeys
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import StreamState

from contracts.codec import encode
from contracts.event import EVENT_TYPES
from contracts.examples import examples
from contracts.ownership import ROLES, matches
from contracts.venue import SubmitOrder
from services.supervisor.model import HttpGet
from services.supervisor.probe import http_get
from tape.consumers import provision_consumers, standby
from tape.headers import MSG_ID, write_headers
from tape.ledger import LedgerWatch
from tape.permissions import OPERATOR, explain_denial, permissions_of
from tape.provision import provision
from tape.streams import LEDGER, TAPE, api
from tests.live import messages, until
from tests.recordings import example
from tests.servers import Secured, leaf_server, scratch_directory, secured_nats_server

pytestmark = pytest.mark.integration

SUBJECTS = {event_type: event_type.subject_of(examples()[event_type]) for event_type in EVENT_TYPES.values()}
READERS = [role.name for role in ROLES.values() if role.reads]
FOR_THE_OPERATOR = (
    f"$JS.API.STREAM.CREATE.{TAPE}",
    f"$JS.API.STREAM.UPDATE.{TAPE}",
    f"$JS.API.STREAM.DELETE.{TAPE}",
    f"$JS.API.STREAM.PURGE.{TAPE}",
    f"$JS.API.STREAM.SNAPSHOT.{TAPE}",
    f"$JS.API.STREAM.RESTORE.{TAPE}",
    f"$JS.API.STREAM.MSG.GET.{TAPE}",
    f"$JS.API.STREAM.MSG.DELETE.{TAPE}",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.INFO",
    f"$JS.API.CONSUMER.CREATE.{TAPE}",
    f"$JS.API.CONSUMER.CREATE.{TAPE}.mine",
    f"$JS.API.CONSUMER.CREATE.{TAPE}.mine.order.>",
    f"$JS.API.CONSUMER.DURABLE.CREATE.{TAPE}.mine",
    f"$JS.API.CONSUMER.DELETE.{TAPE}.risk",
    f"$JS.API.CONSUMER.MSG.NEXT.{TAPE}.risk",
    f"$JS.API.CONSUMER.RESET.{TAPE}.{LEDGER}",
    "$JS.API.DIRECT.GET.KV_snapshots",
    "$JS.API.DIRECT.GET.KV_leases",
    f"$JS.tape.API.STREAM.DELETE.{TAPE}",
    f"$JS.ledger.API.STREAM.DELETE.{LEDGER}",
    f"$JS.ledger.API.STREAM.UPDATE.{LEDGER}",
    f"$JS.ledger.API.DIRECT.GET.{LEDGER}",
    f"$JS.ledger.API.DIRECT.GET.{LEDGER}.order.filled.binance.BTCUSDT",
    f"$JS.ACK.{TAPE}.{LEDGER}.1.1.1.1.1",
    f"$JS.FC.{TAPE}.{LEDGER}.x",
    "$KV.settings.a",
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.USER.INFO",
)


KEEPERS = {"chunks": {"ingest", "backfill", "importer"}, "models": {"trainer"}}
"""Who may write into each bucket of objects."""


@pytest.fixture(scope="module")
def server() -> Iterator[Secured]:
    with scratch_directory() as run, secured_nats_server(run) as server:
        asyncio.run(_provision(server))
        yield server


async def _provision(server: Secured) -> None:
    async with connected(server, OPERATOR) as operator:
        await provision(operator.nc, lambda: 0)
        await provision_consumers(operator.nc)


class User:
    """A connection of one user, and what the server did not let it do."""

    def __init__(self, name: str, nc: Client, refused: list[str]) -> None:
        self.name = name
        self.nc = nc
        self.refused = refused

    async def try_to_publish(self, subjects: Iterable[str]) -> set[str]:
        """Publish to each of these subjects; gives those that were refused."""
        for subject in subjects:
            await self.nc.publish(subject, b"", headers={MSG_ID: f"{self.name} {subject}"})
        return await self._refusals("publish to")

    async def try_to_subscribe(self, subjects: Iterable[str]) -> set[str]:
        for subject in subjects:
            await self.nc.subscribe(subject)
        return await self._refusals("subscription to")

    async def _refusals(self, of: str) -> set[str]:
        """Wait until the server has told of everything: it answers in order, and this question comes last."""
        last = f"nobody.may.{len(self.refused)}"
        await self.nc.publish(last, b"")
        await until(lambda: any(last in said for said in self.refused))
        said, self.refused[:] = list(self.refused), []
        return {text.split('"')[1] for text in said if of in text and last not in text}


@asynccontextmanager
async def connected(server: Secured, name: str) -> AsyncIterator[User]:
    refused: list[str] = []

    async def remember(error: Exception) -> None:
        refused.append(str(error))

    nc = await nats.connect(
        server.url, nkeys_seed=str(server.key(name)), inbox_prefix=f"_INBOX.{name}", error_cb=remember
    )
    try:
        yield User(name, nc, refused)
    finally:
        await nc.close()


@pytest.fixture
async def users(server: Secured) -> AsyncIterator[dict[str, User]]:
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(connected(server, name)) for name in (*ROLES, OPERATOR)}


@pytest.fixture
async def operator(users: Mapping[str, User]) -> Client:
    return users[OPERATOR].nc


def small(subjects: Iterable[str]) -> set[str]:
    """As the client tells of them: in small letters."""
    return {subject.lower() for subject in subjects}


async def state_of_tape(operator: Client) -> StreamState:
    return (await operator.jetstream(timeout=30).stream_info(TAPE)).state


# -- what is said -----------------------------------------------------------------------------------------------------


async def test_each_role_puts_on_the_tape_what_it_owns_and_nothing_else(
    users: dict[str, User], operator: Client
) -> None:
    before = (await state_of_tape(operator)).last_seq
    expected = set()
    for role in ROLES.values():
        own = {subject for subject in SUBJECTS.values() if any(matches(subject, p) for p in role.write_subjects())}
        refused = await users[role.name].try_to_publish(SUBJECTS.values())
        assert refused == small(set(SUBJECTS.values()) - own), role.name
        expected |= {f"{role.name} {subject}" for subject in own}
    arrived = {message.msg_id for message in await messages(operator) if message.position > before}
    assert arrived == expected


async def test_alerts_dead_letters_and_leases_are_said_under_ones_own_name(users: dict[str, User]) -> None:
    kinds = ("alert", "dead", "lease.taken")
    for name in ROLES:
        theirs = [f"{kind}.{other}" for kind in kinds for other in ROLES if other != name]
        assert await users[name].try_to_publish(theirs) == small(theirs), name
        assert await users[name].try_to_publish([f"{kind}.{name}" for kind in kinds]) == set()


async def test_leases_and_snapshots_of_others_are_out_of_reach(users: dict[str, User], operator: Client) -> None:
    for name, user in users.items():
        if name == OPERATOR:
            continue
        theirs = [subject for other in ROLES if other != name for subject in of_one(other)]
        assert await user.try_to_publish(theirs) == small(theirs), name
        assert await user.try_to_publish(of_one(name)) == set(), name
    js = operator.jetstream(timeout=30)
    assert (await js.stream_info("KV_leases")).state.messages == 2 * len(ROLES)
    assert (await js.stream_info("KV_snapshots")).state.messages == 2 * len(ROLES)


def of_one(name: str) -> list[str]:
    leases = [f"$KV.leases.{name}", f"$KV.leases.{standby(name)}"]
    snapshots = [f"$KV.snapshots.{name}", f"$KV.snapshots.{name}.0-0"]
    asked = [f"$JS.API.DIRECT.GET.KV_leases.{lease}" for lease in leases]
    asked += [f"$JS.API.DIRECT.GET.KV_snapshots.{snapshot}" for snapshot in snapshots]
    return [*leases, *snapshots, *asked]


async def test_nobody_can_wipe_a_bucket_through_its_own_key(users: dict[str, User], operator: Client) -> None:
    for bucket in ("leases", "snapshots"):
        await operator.jetstream(timeout=30).publish(f"$KV.{bucket}.risk", b"x")
        before = (await operator.jetstream(timeout=30).stream_info(f"KV_{bucket}")).state.messages
        await users["feed"].nc.publish(f"$KV.{bucket}.feed", b"x", headers={"Nats-Rollup": "all"})
        await users["feed"].try_to_publish([])
        assert (await operator.jetstream(timeout=30).stream_info(f"KV_{bucket}")).state.messages >= before


# -- what is heard ----------------------------------------------------------------------------------------------------


async def test_nobody_hears_what_is_meant_for_another(users: dict[str, User]) -> None:
    for name in ROLES:
        theirs = [
            subject
            for other in (*(other for other in ROLES if other != name), OPERATOR)
            for subject in (
                f"_INBOX.{other}.>",
                f"deliver.{other}",
                f"deliver.{standby(other)}",
                f"$KV.leases.{other}",
                f"$KV.snapshots.{other}",
            )
        ]
        theirs += [
            ">",
            "*",
            "*.*.*.*",
            "_INBOX.>",
            "deliver.*",
            "$KV.leases.*",
            "$KV.>",
            "$JS.>",
            "$JS.API.>",
            "$SYS.>",
        ]
        theirs += [f"deliver.{LEDGER}", "$JSC.>", "_R_.>"]
        theirs += [f"{subject.partition('.')[0]}.>" for subject in SUBJECTS.values()]
        theirs += SUBJECTS.values()
        assert await users[name].try_to_subscribe(dict.fromkeys(theirs)) == small(theirs), name


async def test_each_may_listen_to_its_own(users: dict[str, User]) -> None:
    for name in ROLES:
        assert await users[name].try_to_subscribe(permissions_of(ROLES[name]).subscribe) == set(), name


async def test_only_ones_own_consumers_can_be_asked_for_rewound_and_acknowledged(users: dict[str, User]) -> None:
    for name in ROLES:
        theirs = [subject for other in READERS if other != name for subject in of_consumers(other)]
        assert await users[name].try_to_publish(theirs) == small(theirs), name


def of_consumers(name: str) -> list[str]:
    both = (name, standby(name))
    return [
        *(f"$JS.API.CONSUMER.RESET.{TAPE}.{consumer}" for consumer in both),
        *(f"$JS.API.CONSUMER.INFO.{TAPE}.{consumer}" for consumer in both),
        *(f"$JS.ACK.{TAPE}.{consumer}.1.1.1.1.1" for consumer in both),
    ]


async def test_the_last_message_of_a_subject_is_given_to_its_writer_alone(users: dict[str, User]) -> None:
    for role in ROLES.values():
        asked = {
            f"$JS.API.DIRECT.GET.{TAPE}.{pattern}": other
            for other in ROLES.values()
            for pattern in other.write_subjects()
        }
        refused = await users[role.name].try_to_publish(asked)
        assert refused == small(subject for subject, owner in asked.items() if owner is not role), role.name


@pytest.mark.parametrize("name", READERS)
async def test_a_reader_hears_its_role_and_no_more(name: str, users: dict[str, User], operator: Client) -> None:
    for event_type, subject in SUBJECTS.items():
        await operator.jetstream(timeout=30).publish(
            subject, b"", headers={MSG_ID: f"{name} hears {event_type.__name__}"}
        )
    first = (await state_of_tape(operator)).last_seq - len(SUBJECTS) + 1
    reader, role = users[name].nc, ROLES[name]
    arriving = await reader.subscribe(f"deliver.{name}")
    await request(reader, f"$JS.API.CONSUMER.RESET.{TAPE}.{name}", {"seq": first})
    own = [subject for subject in SUBJECTS.values() if any(matches(subject, p) for p in role.write_subjects())]
    expected = {*(SUBJECTS[event_type] for event_type in role.reads), *own}
    heard: dict[int, str] = {}
    while message := await next_of(arriving, patience_s=5 if len(heard) < len(expected) else 0.1):
        if message.metadata.sequence.stream >= first:
            heard[message.metadata.sequence.stream] = message.subject
    assert sorted(heard.values()) == sorted(expected)


async def next_of(arriving: Subscription, patience_s: float) -> Msg | None:
    try:
        return await arriving.next_msg(timeout=patience_s)
    except TimeoutError:
        return None


async def request(nc: Client, subject: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
    reply = await nc.request(subject, json.dumps(body or {}).encode(), timeout=5)
    answer: dict[str, Any] = json.loads(reply.data)
    assert "error" not in answer, answer
    return answer


# -- what needs the operator ------------------------------------------------------------------------------------------


async def test_nobody_but_the_operator_manages_streams_and_consumers(users: dict[str, User], operator: Client) -> None:
    for name in ROLES:
        assert await users[name].try_to_publish(FOR_THE_OPERATOR) == small(FOR_THE_OPERATOR), name
        by_body = f"$JS.API.DIRECT.GET.{TAPE}"
        assert bool(await users[name].try_to_publish([by_body])) == (name != "archive"), "which hears everything anyway"
    assert (await state_of_tape(operator)).consumer_count == 2 * len(READERS) - 1 + 1  # archive has one, LEDGER another
    assert (await request(operator, "$JS.API.STREAM.NAMES"))["total"] == 6


@pytest.mark.parametrize("bucket", KEEPERS)
async def test_an_object_is_stored_by_its_keepers_alone(users: dict[str, User], bucket: str) -> None:
    refused = {name for name in ROLES if await users[name].try_to_publish([f"$O.{bucket}.M.a"])}
    assert refused == set(ROLES) - KEEPERS[bucket]


async def test_what_a_role_asks_of_the_server_is_answered(users: dict[str, User]) -> None:
    command = example(SubmitOrder)
    subject = SubmitOrder.subject_of(command)
    headers = write_headers(command, "router/7/0", 7, 1, "00-0-0-01")
    position = (await users["router"].nc.jetstream(timeout=30).publish(subject, encode(command), headers=headers)).seq
    await asyncio.wait_for(LedgerWatch(users["gateway"].nc).reached(subject, position), timeout=5)
    assert await request(users["feed"].nc, f"$JS.API.CONSUMER.LIST.{TAPE}")
    for name in ROLES:
        assert (await request(users[name].nc, f"$JS.API.STREAM.INFO.{TAPE}"))["state"]
        if name in READERS:
            assert (await request(users[name].nc, f"$JS.API.CONSUMER.INFO.{TAPE}.{name}"))["name"] == name
    last = (
        await users["router"]
        .nc.jetstream(timeout=30)
        .get_last_msg(TAPE, subject.replace("binance.BTCUSDT", "*.*"), direct=True)
    )
    assert last.seq == position
    assert headers.items() <= (last.headers or {}).items()
    assert "Nats-Request-Info" not in (last.headers or {}), "who said it is in the message id; the server adds nothing"
    kv = users["risk"].nc.jetstream(timeout=30)
    revision = (await kv.publish("$KV.leases.risk", b"me")).seq
    found = await kv.get_msg("KV_leases", subject="$KV.leases.risk", direct=True)
    assert (found.seq, found.data) == (revision, b"me")


@pytest.mark.parametrize(
    "target",
    [
        "order.filled.binance.BTCUSDT",
        "risk.approved.binance.BTCUSDT",
        "$KV.leases.router",
        f"$JS.API.STREAM.DELETE.{TAPE}",
        f"$JS.API.STREAM.PURGE.{TAPE}",
        f"$JS.API.CONSUMER.CREATE.{TAPE}.mine",
        f"$JS.API.CONSUMER.DELETE.{TAPE}.risk",
        "_INBOX.risk.secret",
    ],
)
async def test_the_server_is_no_messenger_for_those_who_may_not(
    target: str, users: dict[str, User], operator: Client
) -> None:
    """Name a foreign subject for the reply: the answer, even a message of one's own making, must not get there."""
    config = {"name": "mine", "durable_name": "mine", "deliver_subject": "deliver.feed", "ack_policy": "none"}
    stored = json.dumps({"stream_name": TAPE, "config": config}).encode() if "CREATE" in target else b""
    before, leases = await state_of_tape(operator), await operator.jetstream(timeout=30).stream_info("KV_leases")
    feed, told = (
        users["feed"].nc,
        [await users[name].nc.subscribe(f"_INBOX.{name}.secret") for name in ("risk", OPERATOR)],
    )
    forged = {"Hmm-Type": "OrderFilled.v1", MSG_ID: f"router/1/0 {target}"}
    await feed.jetstream(timeout=30).publish("$KV.snapshots.feed", stored, headers=forged)
    await feed.publish("$JS.API.DIRECT.GET.KV_snapshots.$KV.snapshots.feed", b"", reply=target)
    await feed.publish(f"$JS.API.STREAM.INFO.{TAPE}", b"", reply=target)
    await feed.publish("md.quote.binance.BTCUSDT", b"x", reply=target, headers={MSG_ID: f"asks for {target}"})
    await users["feed"].try_to_publish([])
    await asyncio.sleep(0.2)
    after = await state_of_tape(operator)
    assert (after.last_seq, after.consumer_count) == (before.last_seq + 1, before.consumer_count)
    assert (await operator.jetstream(timeout=30).stream_info("KV_leases")).state.last_seq == leases.state.last_seq
    assert [heard.pending_msgs for heard in told] == [0, 0]


# -- who comes in -----------------------------------------------------------------------------------------------------


async def page(port: int, path: str) -> dict[str, Any]:
    answer = await http_get(HttpGet(port=port, path=path), 5.0)
    assert answer is not None
    document: dict[str, Any] = json.loads(answer.body)
    return document


def new_seed() -> str:
    seed: bytes = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    return seed.decode()


async def answer_to(seed: str | None, port: int) -> bytes:
    """What the server says to somebody who shows this key."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    info = json.loads((await reader.readline()).removeprefix(b"INFO "))
    options: dict[str, object] = {"verbose": False}
    if seed is not None:
        pair = nkeys.from_seed(seed.strip().encode())
        options |= {
            "nkey": pair.public_key.decode(),
            "sig": base64.b64encode(pair.sign(info["nonce"].encode())).decode(),
        }
    writer.write(b"CONNECT %b\r\nPING\r\n" % json.dumps(options).encode())
    answer = await reader.readline()
    writer.close()
    return answer.strip()


REFUSED = b"-ERR 'Authorization Violation'"


async def test_without_a_key_or_with_an_unknown_one_nobody_comes_in(server: Secured) -> None:
    assert await answer_to(server.key("feed").read_text(), server.ports.client) == b"PONG"
    assert await answer_to(None, server.ports.client) == REFUSED
    assert await answer_to(new_seed(), server.ports.client) == REFUSED


async def test_the_key_of_the_ledger_is_for_its_server_alone(server: Secured) -> None:
    assert await answer_to(server.key("ledger").read_text(), server.ports.client) == REFUSED


async def test_the_server_of_the_ledger_is_no_back_door(server: Secured) -> None:
    listens = await page(server.ledger_monitor, "/varz")
    assert listens["host"] == "127.0.0.1"
    assert await answer_to(server.key(OPERATOR).read_text(), listens["port"]) == b"PONG"
    assert await answer_to(None, listens["port"]) == REFUSED
    for seed in (new_seed(), *(server.key(user).read_text() for user in (*ROLES, "ledger"))):
        assert await answer_to(seed, listens["port"]) == REFUSED


@pytest.mark.parametrize("user", ["feed", "archive", OPERATOR, "nobody"])
async def test_no_other_key_joins_as_the_ledger_does(user: str, server: Secured, tmp_path: Path) -> None:
    seed = new_seed() if user == "nobody" else server.key(user).read_text()
    with leaf_server(tmp_path, server, seed) as log:
        await until(lambda: "Authorization Violation" in log.read_text())


async def test_the_ledger_may_do_what_it_needs_and_no_more(users: dict[str, User], server: Secured) -> None:
    """Its server can be joined only once: what its key may do is seen in what the server of TAPE lets through."""
    (leaf,) = (await page(server.ledger_monitor, "/leafz?subs=1"))["leafs"]
    heard = set(leaf["subscriptions_list"])
    assert not any(matches(subject, pattern) for pattern in heard for subject in SUBJECTS.values())
    assert (await users[OPERATOR].nc.request(api(LEDGER, f"STREAM.INFO.{LEDGER}"), timeout=5)).data


async def test_a_denial_is_explained(users: dict[str, User]) -> None:
    feed = users["feed"]
    await feed.nc.publish("risk.approved.binance.btcusdt", b"")
    await feed.nc.subscribe("deliver.risk")
    await until(lambda: len(feed.refused) == 2)
    written, listened = (explain_denial("feed", NatsError(text)) for text in feed.refused)
    assert written == (
        "feed may not write to risk.approved.binance.btcusdt: the server has refused it. What feed says and hears is "
        "declared in libs/contracts/ownership.py; after a change there: hmm schemas, and start the NATS server again"
    )
    assert listened is not None
    assert listened.startswith("feed may not listen to deliver.risk: ")
    assert explain_denial("feed", NatsError("nats: timeout")) is None
