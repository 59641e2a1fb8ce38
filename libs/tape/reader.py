"""Read the tape strictly in order, from any position, under a name that others can watch."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from contracts.codec import Undecodable, decode
from contracts.recorded import Recorded, Unreadable
from tape.headers import CAUSE, MSG_ID, TS, TYPE, Headers
from tape.provision import TAPE

logger = logging.getLogger(__name__)

UNACKED = 8192
"""How far the server may run ahead of the reader."""
ACK_EVERY = 1024
ACK_AFTER_S = 0.1
HEARTBEAT_S = 1.0
SILENT_AFTER_S = 3.0
ACK_WAIT_S = 600.0
"""Redelivery is never needed: a reader that lost something starts again behind what it has handled."""

Handle = Callable[[Recorded | Unreadable, Headers], Awaitable[None]]


class Reader:
    """Delivers every message on `subjects` from position `start` on, once, in order, to `handle`.

    The durable consumer `name` is made anew at the start position; it shows position and lag to any client. Messages
    that were lost on the way (a full buffer, a broken connection) are seen as a gap in the consumer's own numbers, and
    reading starts again behind the last handled position.
    """

    def __init__(self, nc: Client, name: str, subjects: Sequence[str], start: int, handle: Handle) -> None:
        self._nc = nc
        self._js = nc.jetstream(timeout=10)
        self._name = name
        self._subjects = list(subjects)
        self._handle = handle
        self._subscription: Subscription | None = None
        self._generation = 0
        self._expected = 1
        self._last_heard = time.monotonic()
        self._unacked: Msg | None = None
        self._unacked_count = 0
        self._watch: asyncio.Task[None] | None = None
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.position = start - 1
        self.lag = 0
        self.handled = 0
        self.restarts = 0

    async def start(self) -> None:
        await self._begin()
        self._watch = asyncio.create_task(self._tend())

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self._subscription is not None and not self._nc.is_closed:
            await self._subscription.unsubscribe()
            await self._acknowledge()

    async def _begin(self) -> None:
        """Make the consumer anew behind the last handled position."""
        if self._subscription is not None:
            await self._subscription.unsubscribe()
        inbox = self._nc.new_inbox()
        self._generation += 1
        generation = self._generation

        async def on_message(message: Msg) -> None:
            if generation == self._generation and not self.failure.done():
                await self._on_message(message)

        self._expected = 1
        self._unacked = None
        self._last_heard = time.monotonic()
        self._subscription = await self._nc.subscribe(
            inbox,
            cb=on_message,
            pending_msgs_limit=2 * UNACKED + 1024,
            pending_bytes_limit=256 * 1024 * 1024,
        )
        try:
            await self._js.delete_consumer(TAPE, self._name)
        except NotFoundError:
            logger.debug("consumer %s is new", self._name)
        info = await self._js.add_consumer(
            TAPE,
            ConsumerConfig(
                durable_name=self._name,
                deliver_subject=inbox,
                filter_subjects=self._subjects,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self.position + 1,
                ack_policy=AckPolicy.ALL,
                ack_wait=ACK_WAIT_S,
                max_ack_pending=UNACKED,
                idle_heartbeat=HEARTBEAT_S,
            ),
        )
        self.lag = info.num_pending or 0

    async def _on_message(self, message: Msg) -> None:
        self._last_heard = time.monotonic()
        if not message.reply:
            return
        try:
            await self._deliver(message)
        except Exception as error:  # noqa: BLE001 # it ends the reading, and whoever awaits `failure` hears it
            self.failure.set_exception(error)

    async def _deliver(self, message: Msg) -> None:
        words = message.reply.split(".")
        position, number, pending = int(words[-4]), int(words[-3]), int(words[-1])
        if number != self._expected:
            logger.warning("%s lost messages behind position %s: reading again from there", self._name, self.position)
            self.restarts += 1
            await self._begin()
            return
        self._expected += 1
        if position > self.position:
            await self._handle(_received(message, position), message.headers or {})
            self.position = position
            self.handled += 1
        self.lag = pending
        self._unacked = message
        self._unacked_count += 1
        if self._unacked_count >= ACK_EVERY:
            await self._acknowledge()

    async def _acknowledge(self) -> None:
        if self._unacked is not None and self._nc.is_connected:
            await self._nc.publish(self._unacked.reply, b"")
            self._unacked = None
            self._unacked_count = 0

    async def _tend(self) -> None:
        """Report progress, and start again when the server has fallen silent or was replaced."""
        while True:
            await asyncio.sleep(ACK_AFTER_S)
            if not self._nc.is_connected:
                self._last_heard = time.monotonic()
                continue
            try:
                await self._acknowledge()
                if time.monotonic() - self._last_heard > SILENT_AFTER_S and not self._busy:
                    logger.warning("%s has heard nothing for %s s: reading again", self._name, SILENT_AFTER_S)
                    self.restarts += 1
                    await self._begin()
            except NatsError as error:
                logger.warning("%s cannot reach the tape (%r): trying again", self._name, error)
                self._last_heard = time.monotonic()

    @property
    def _busy(self) -> bool:
        return self._subscription is not None and self._subscription.pending_msgs > 0


def _received(message: Msg, position: int) -> Recorded | Unreadable:
    headers = message.headers or {}
    try:
        event = decode(headers.get(TYPE, ""), message.subject, message.data)
        cause = headers.get(CAUSE)
        return Recorded(
            position, int(cause) if cause is not None else None, headers.get(MSG_ID, ""), int(headers[TS]), event
        )
    except (Undecodable, KeyError, ValueError) as error:
        return Unreadable(position, message.subject, headers, message.data, str(error))
