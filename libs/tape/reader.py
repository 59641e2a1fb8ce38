"""Read the tape strictly in order, from any position, under a name that others can watch."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from contracts.codec import Undecodable, decode
from contracts.recorded import Recorded, Unreadable
from tape.consumers import consumer_config
from tape.headers import CAUSE, MSG_ID, TS, TYPE, Headers
from tape.provision import TAPE
from tape.wire import Wire, parse_headers

logger = logging.getLogger(__name__)

ACK_EVERY = 1024
ACK_AFTER_S = 0.1
LAST_SENT = "Nats-Last-Consumer"
SILENT_AFTER_S = 3.0
TRY_AGAIN_AFTER_S = 0.5
WAIT_FOR_END_S = 10.0

Handle = Callable[[Recorded | Unreadable, Headers], Awaitable[None] | None]
"""Takes a message; what it returns, if anything, is awaited before the next message."""

_Raw = tuple[str, str, bytes, bytes | None]


class TapeCutOff(RuntimeError):
    """The tape is not the one that was read: its server was killed and forgot the end, or the stream was replaced."""


class Reader:
    """Delivers every message on `subjects` from position `start` on, once, in order, to `handle`.

    The durable consumer `name` is made anew at the start position; it shows position and lag to any client. Messages
    that were lost on the way (a broken connection) are seen as a gap in the consumer's own numbers, in the next message
    or heartbeat, and reading starts again behind the last handled position.
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
        self._answering: Awaitable[None] | None = None
        self._work = asyncio.Event()
        self._expected = 1
        self._lost = False
        self._last_id: str | None = None
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
        self._tasks = [asyncio.create_task(self._wait_where_needed()), asyncio.create_task(self._tend())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._subscription is not None:
            await self._wire.unsubscribe(self._subscription)
            self._acknowledge()

    async def _begin(self) -> None:
        """Make the consumer anew behind the last handled position. Raises `TapeCutOff`."""
        if self._subscription is not None:
            subscription, self._subscription = self._subscription, None
            await self._wire.unsubscribe(subscription)
        self._waiting.clear()
        self._expected = 1
        self._ack_to = None
        self._last_heard = time.monotonic()
        end = (await self._js.stream_info(TAPE)).state.last_seq
        if end < self.position:
            raise TapeCutOff(f"{TAPE} ends at position {end}, but {self._name} has read up to {self.position}")
        await self._require_the_same_tape()
        inbox = self._nc.new_inbox()
        self._subscription = await self._wire.subscribe(inbox, self._on_message)
        try:
            await self._js.delete_consumer(TAPE, self._name)
        except NotFoundError:
            logger.debug("consumer %s is new", self._name)
        info = await self._js.add_consumer(TAPE, consumer_config(self._name, self._subjects, self.position + 1, inbox))
        if self._expected == 1:  # else messages came before this answer, and they know better
            self._pending = info.num_pending or 0
        self._last_heard = time.monotonic()

    async def _require_the_same_tape(self) -> None:
        """Find at our position what we have read there."""
        if self._last_id is None:
            return
        try:
            found = await self._js.get_msg(TAPE, self.position, direct=True)
        except NotFoundError:
            return  # too old to be kept
        if (found.headers or {}).get(MSG_ID) != self._last_id:
            raise TapeCutOff(f"position {self.position} of {TAPE} is no longer what {self._name} has read there")

    async def _begin_again(self) -> None:
        """Make the consumer anew as soon as the server lets us.

        A server that was killed may have forgotten the end of the tape; its writers send it again.
        """
        self.restarts += 1
        began = time.monotonic()
        while True:
            try:
                await self._begin()
                self._lost = False
                return
            except TapeCutOff:
                if time.monotonic() - began > WAIT_FOR_END_S:
                    raise
            except (NatsError, TimeoutError) as error:
                logger.warning("%s cannot reach the tape (%r): trying again", self._name, error)
            await asyncio.sleep(TRY_AGAIN_AFTER_S)

    def _on_message(self, subject: str, reply: str, payload: bytes, headers: bytes | None) -> None:
        self._last_heard = time.monotonic()
        if reply:
            self._waiting.append((subject, reply, payload, headers))
            if self._answering is None:
                self._drain()
        elif int(parse_headers(headers).get(LAST_SENT, 0)) >= self._expected + len(self._waiting):
            self._lose("messages on the way")

    def _lose(self, what: str) -> None:
        """Let the reading start again behind the last handled position."""
        if not self._lost:
            logger.warning("%s lost %s: reading again behind position %s", self._name, what, self.position)
            self._lost = True
            self._work.set()

    def _drain(self) -> None:
        """Handle what has arrived, up to the first message whose answer has to wait: mostly no task has to wake up."""
        try:
            while self._waiting and not self._lost and not self.failure.done():
                self._answering = self._take(self._waiting.popleft())
                if self._answering is not None:
                    self._work.set()
                    return
        except Exception as error:  # noqa: BLE001 # it ends the reading, and whoever awaits `failure` hears it
            self.failure.set_exception(error)

    async def _wait_where_needed(self) -> None:
        """Await the answers that take time, and the way back to a tape that was lost."""
        try:
            while not self.failure.done():
                await self._work.wait()
                self._work.clear()
                if self._answering is not None:
                    await self._answering
                    self._answering = None
                if self._lost:
                    await self._begin_again()
                self._drain()
        except Exception as error:  # noqa: BLE001 # as above
            self.failure.set_exception(error)

    def _take(self, raw: _Raw) -> Awaitable[None] | None:
        subject, reply, payload, raw_headers = raw
        words = reply.split(".")
        position = int(words[-4])
        if int(words[-3]) != self._expected:
            self._lose("messages on the way")
            return None
        self._expected += 1
        self._ack_to = reply
        self._unacked += 1
        if self._unacked >= ACK_EVERY:
            self._acknowledge()
        if not self._waiting:
            self._pending = int(words[-1])
        if position <= self.position:
            return None
        headers = parse_headers(raw_headers)
        answering = self._handle(_received(position, subject, payload, headers), headers)
        self.position = position
        self._last_id = headers.get(MSG_ID)
        self.handled += 1
        return answering

    def _acknowledge(self) -> None:
        if self._ack_to is not None and self._nc.is_connected:
            self._wire.acknowledge(self._ack_to)
            self._ack_to, self._unacked = None, 0

    async def _tend(self) -> None:
        """Report progress, and start again when the server has fallen silent or was replaced."""
        while True:
            await asyncio.sleep(ACK_AFTER_S)
            if not self._nc.is_connected or self._waiting:
                self._last_heard = time.monotonic()
                continue
            self._acknowledge()
            if time.monotonic() - self._last_heard > SILENT_AFTER_S:
                self._lose(f"sight of the server for {SILENT_AFTER_S:g} s")
                self._last_heard = time.monotonic()


def _received(position: int, subject: str, payload: bytes, headers: Headers) -> Recorded | Unreadable:
    try:
        event = decode(headers.get(TYPE, ""), subject, payload)
        cause = headers.get(CAUSE)
        msg_id, ts = headers.get(MSG_ID, ""), int(headers[TS])
        return Recorded(position, None if cause is None else int(cause), msg_id, ts, event)
    except (Undecodable, KeyError, ValueError) as error:
        return Unreadable(position, subject, headers, payload, str(error))
