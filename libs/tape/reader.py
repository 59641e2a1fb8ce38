"""Read the tape strictly in order, from any position, under a name that others can watch."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from contracts.codec import Undecodable, decode
from contracts.recorded import Recorded, Unreadable
from tape.headers import CAUSE, MSG_ID, TS, TYPE, Headers
from tape.provision import TAPE
from tape.wire import Wire, parse_headers

logger = logging.getLogger(__name__)

UNACKED = 8192
"""How far the server may run ahead of the reader: the most messages that wait in this process."""
BURST = 512
"""How many messages are handled before others (acknowledgements of our own outputs, health) get their turn."""
ACK_EVERY = 1024
ACK_AFTER_S = 0.1
HEARTBEAT_S = 1.0
SILENT_AFTER_S = 3.0
ACK_WAIT_S = 600.0
"""Redelivery is never needed: a reader that lost something starts again behind what it has handled."""

Handle = Callable[[Recorded | Unreadable, Headers], Awaitable[None] | None]
"""Takes a message; what it returns, if anything, is awaited before the next message."""

_Raw = tuple[str, str, bytes, bytes | None]


class Reader:
    """Delivers every message on `subjects` from position `start` on, once, in order, to `handle`.

    The durable consumer `name` is made anew at the start position; it shows position and lag to any client. Messages
    that were lost on the way (a broken connection) are seen as a gap in the consumer's own numbers, and reading starts
    again behind the last handled position.
    """

    def __init__(self, wire: Wire, name: str, subjects: Sequence[str], start: int, handle: Handle) -> None:
        self._wire = wire
        self._nc = wire.nc
        self._js = wire.nc.jetstream(timeout=10)
        self._name = name
        self._subjects = list(subjects)
        self._handle = handle
        self._subscription: Subscription | None = None
        self._waiting: deque[_Raw] = deque()
        self._arrived = asyncio.Event()
        self._expected = 1
        self._last_heard = time.monotonic()
        self._ack_to: str | None = None
        self._unacked = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.position = start - 1
        self.handled = 0
        self.restarts = 0
        self._pending = 0

    @property
    def lag(self) -> int:
        """How many messages are on the tape for us that were not handled yet."""
        return self._pending + len(self._waiting)

    async def start(self) -> None:
        await self._begin()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._tend())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._subscription is not None:
            await self._wire.unsubscribe(self._subscription)
            await self._acknowledge()

    async def _begin(self) -> None:
        """Make the consumer anew behind the last handled position."""
        if self._subscription is not None:
            await self._wire.unsubscribe(self._subscription)
        self._waiting.clear()
        self._expected = 1
        self._ack_to = None
        self._last_heard = time.monotonic()
        inbox = self._nc.new_inbox()
        self._subscription = await self._wire.subscribe(inbox, self._on_message)
        try:
            await self._js.delete_consumer(TAPE, self._name)
        except NotFoundError:
            logger.debug("consumer %s is new", self._name)
        info = await self._js.add_consumer(TAPE, consumer_config(self._name, self._subjects, self.position + 1, inbox))
        self._pending = info.num_pending or 0

    def _on_message(self, subject: str, reply: str, payload: bytes, headers: bytes | None) -> None:
        self._last_heard = time.monotonic()
        if reply:
            self._waiting.append((subject, reply, payload, headers))
            self._arrived.set()

    async def _read(self) -> None:
        waiting = self._waiting
        try:
            while True:
                self._arrived.clear()
                if not waiting:
                    await self._arrived.wait()
                for _ in range(min(len(waiting), BURST)):
                    if not waiting:
                        break
                    await self._take(waiting.popleft())
                if waiting:
                    await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 # it ends the reading, and whoever awaits `failure` hears it
            self.failure.set_exception(error)

    async def _take(self, raw: _Raw) -> None:
        subject, reply, payload, raw_headers = raw
        words = reply.split(".")
        position = int(words[-4])
        if int(words[-3]) != self._expected:
            logger.warning("%s lost messages behind position %s: reading again from there", self._name, self.position)
            self.restarts += 1
            await self._begin()
            return
        self._expected += 1
        if position > self.position:
            headers = parse_headers(raw_headers)
            answering = self._handle(_received(position, subject, payload, headers), headers)
            if answering is not None:
                await answering
            self.position = position
            self.handled += 1
        self._pending = int(words[-1]) if not self._waiting else self._pending
        self._ack_to = reply
        self._unacked += 1
        if self._unacked >= ACK_EVERY:
            await self._acknowledge()

    async def _acknowledge(self) -> None:
        if self._ack_to is not None and self._nc.is_connected:
            reply, self._ack_to, self._unacked = self._ack_to, None, 0
            await self._nc.publish(reply, b"")

    async def _tend(self) -> None:
        """Report progress, and start again when the server has fallen silent or was replaced."""
        while True:
            await asyncio.sleep(ACK_AFTER_S)
            if not self._nc.is_connected or self._waiting:
                self._last_heard = time.monotonic()
                continue
            try:
                await self._acknowledge()
                if time.monotonic() - self._last_heard > SILENT_AFTER_S:
                    logger.warning("%s has heard nothing for %s s: reading again", self._name, SILENT_AFTER_S)
                    self.restarts += 1
                    await self._begin()
            except (NatsError, TimeoutError) as error:
                logger.warning("%s cannot reach the tape (%r): trying again", self._name, error)
                self._last_heard = time.monotonic()


def consumer_config(name: str, subjects: Sequence[str], start: int, inbox: str) -> ConsumerConfig:
    """Describe the consumer of a component: durable and named, so that its lag is there for all to see."""
    return ConsumerConfig(
        durable_name=name,
        deliver_subject=inbox,
        filter_subjects=list(subjects),
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=start,
        ack_policy=AckPolicy.ALL,
        ack_wait=ACK_WAIT_S,
        max_ack_pending=UNACKED,
        idle_heartbeat=HEARTBEAT_S,
    )


def _received(position: int, subject: str, payload: bytes, headers: Headers) -> Recorded | Unreadable:
    try:
        event = decode(headers.get(TYPE, ""), subject, payload)
        cause = headers.get(CAUSE)
        msg_id, ts = headers.get(MSG_ID, ""), int(headers[TS])
        return Recorded(position, None if cause is None else int(cause), msg_id, ts, event)
    except (Undecodable, KeyError, ValueError) as error:
        return Unreadable(position, subject, headers, payload, str(error))
