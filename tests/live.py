"""A real tape in the hands of a test: a broker that can be killed, plain clients, waits that end."""

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import nats
from nats.aio.client import Client
from nats.errors import TimeoutError as NothingCame
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from contracts.codec import decode, encode
from contracts.event import Event
from tape.headers import CAUSE, MSG_ID, TYPE, new_trace, write_headers
from tape.provision import provision
from tape.publisher import Publisher
from tape.streams import LEDGER, LEDGER_DOMAIN, TAPE
from tape.streams import api as subject_of_api
from tape.wire import Wire
from tests.servers import Ports, ledger_server, tape_server

PATIENCE_S = 90.0


class Broker:
    """A pair of nats-servers on one directory; that of TAPE can be killed and started again."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._ports = Ports()
        self._tape = ExitStack()
        self._ledger = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"nats://127.0.0.1:{self._ports.client}"

    def start(self) -> None:
        self._process = self._tape.enter_context(tape_server(self._run, self._ports))

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._tape.close()

    def __enter__(self) -> Self:
        self.start()
        self._ledger.enter_context(ledger_server(self._run, self._ports))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ledger.close()
        self._tape.close()


@dataclass(frozen=True)
class Message:
    """What a plain client sees of a message on a stream."""

    position: int
    subject: str
    headers: Mapping[str, str]
    payload: bytes

    @property
    def msg_id(self) -> str:
        return self.headers.get(MSG_ID, "")

    @property
    def cause(self) -> int | None:
        return int(self.headers[CAUSE]) if CAUSE in self.headers else None

    @property
    def event(self) -> Event:
        return decode(self.headers[TYPE], self.subject, self.payload)


async def _quiet(_error: Exception) -> None:
    """A broken connection is what these tests are about; nats-py would print each."""


@asynccontextmanager
async def client(url: str, key: Path | None = None) -> AsyncIterator[Client]:
    """A plain nats-py client that finds a restarted server at once; with the seed in `key` where that wants one."""
    nc = await nats.connect(
        url,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.05,
        error_cb=_quiet,
        nkeys_seed=None if key is None else str(key),
    )
    try:
        yield nc
    finally:
        await nc.close()


@asynccontextmanager
async def tape(url: str, last_known: int = 0) -> AsyncIterator[Client]:
    """A client of a server that has its streams."""
    async with client(url) as nc:
        await provision(nc, lambda: last_known)
        yield nc


@asynccontextmanager
async def publishing(nc: Client) -> AsyncIterator[Publisher]:
    """A publisher that nobody has given a fence."""
    publisher = Publisher(Wire(nc))
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.stop()


async def heard(nc: Client) -> None:
    """Return when the server has taken all that this client sent; nats-py's `flush` now and then returns too early."""
    await nc.request("$JS.API.INFO", timeout=PATIENCE_S)


async def put(nc: Client, event: Event, msg_id: str, cause: int | None = None) -> int:
    """Put an event on the tape as an edge would, also while the server is being restarted; gives its position."""
    now = time.time_ns()
    subject, headers = type(event).subject_of(event), write_headers(event, msg_id, cause, now, new_trace(now, 1))
    while True:
        try:
            return (await nc.jetstream().publish(subject, encode(event), timeout=1, headers=headers)).seq
        except NothingCame:
            assert time.time_ns() - now < PATIENCE_S * 1e9, f"{subject} is not taken"


async def messages(nc: Client, subject: str = ">", stream: str = "TAPE") -> list[Message]:
    """List what a stream holds."""
    inbox = nc.new_inbox()
    arriving = await nc.subscribe(inbox, pending_msgs_limit=-1, pending_bytes_limit=-1)
    config = ConsumerConfig(
        deliver_subject=inbox,
        filter_subject=subject,
        ack_policy=AckPolicy.NONE,
        deliver_policy=DeliverPolicy.ALL,
        mem_storage=True,
    )
    js = nc.jetstream(domain=LEDGER_DOMAIN if stream == LEDGER else None)
    info = await js.add_consumer(stream, config)
    found = []
    for _ in range(info.num_pending or 0):
        message = await arriving.next_msg(timeout=PATIENCE_S)
        position = message.metadata.sequence.stream
        found.append(Message(position, message.subject, message.headers or {}, message.data))
    await arriving.unsubscribe()
    await js.delete_consumer(stream, info.name)
    return found


async def api(nc: Client, call: str, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Ask JetStream as the nats tool does, on the server that has the stream which `call` ends with."""
    subject = subject_of_api(LEDGER if call.endswith(f".{LEDGER}") and TAPE not in call else TAPE, call)
    reply = await nc.request(subject, json.dumps(request or {}).encode(), timeout=PATIENCE_S)
    answer: dict[str, Any] = json.loads(reply.data)
    assert "error" not in answer, answer
    return answer


async def until(condition: Callable[[], bool] | Callable[[], Awaitable[bool]], within_s: float = PATIENCE_S) -> float:
    """Wait until `condition` holds; gives how long that took."""
    began = time.monotonic()
    while True:
        held = condition()
        if held if isinstance(held, bool) else await held:
            return time.monotonic() - began
        assert time.monotonic() - began < within_s, f"still not so after {within_s} s"
        await asyncio.sleep(0.01)
