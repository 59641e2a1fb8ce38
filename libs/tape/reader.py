"""Read the tape strictly in order, from any position, under a name that others can watch."""

import asyncio
import json
import logging
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import StreamInfo

from contracts.codec import Undecodable, decode
from contracts.recorded import Recorded, Unreadable
from tape.consumers import deliver_subject
from tape.headers import CAUSE, MSG_ID, TRACE, TS, TYPE, Headers
from tape.provision import TAPE
from tape.tasks import end
from tape.wire import Wire, parse_headers

logger = logging.getLogger(__name__)

ACK_EVERY = 1024
ACK_AFTER_S = 0.1
LAST_SENT = "Nats-Last-Consumer"
SILENT_AFTER_S = 3.0
TRY_AGAIN_AFTER_S = 0.5
API_TIMEOUT_S = 10
REWIND_TIMEOUT_S = 2.0
BEGINS_WITHIN_S = 1.0
MISSED_AT_MOST = 3
"""So often may what should come first not come: then our subjects are others than they were, and it is none of ours."""
_NEVER = 2**62
"""Expected while the consumer is being rewound: no number is the right one yet."""

Handle = Callable[[Recorded | Unreadable, str], Awaitable[None] | None]
"""Takes a message and its trace; what it returns, if anything, is awaited before the next message."""

Permit = Callable[[], Awaitable[None]]
"""Returns when we may rewind the consumer; raises when it is no longer ours."""

_Raw = tuple[str, str, bytes, bytes | None]


class TapeCutOff(RuntimeError):
    """The tape is not the one that was read: it was made anew, or what comes next is no longer kept."""


class CannotRewind(NatsError):
    """The server does not let us begin where we want to; the text says why, and what to do."""


class Reader:
    """Delivers every message of a consumer from position `start` on, once, in order, to `handle`.

    The consumer `name` was provisioned and shows position and lag to any client; it is rewound to the start position.
    Messages that were lost on the way (a broken connection) are seen as a gap in the consumer's own numbers, in the
    next message or heartbeat, and reading starts again with the last handled position. That message has to come first:
    it proves that nobody else has rewound the consumer meanwhile, and that the tape has kept what comes next.
    """

    def __init__(
        self, wire: Wire, name: str, start: int, handle: Handle, permit: Permit, *, anchored: bool = False
    ) -> None:
        self._wire = wire
        self._nc = wire.nc
        self._js = wire.nc.jetstream(timeout=API_TIMEOUT_S)
        self._name = name
        self._handle = handle
        self._permit = permit
        self._subscription: Subscription | None = None
        self._waiting: deque[_Raw] = deque()
        self._answering: Awaitable[None] | None = None
        self._work = asyncio.Event()
        self._expected = 1
        self._lost = False
        self._anchored = anchored
        """Whether the message at `position` is one of ours: it will come first when we rewind to it."""
        self._missed = 0
        self._at_least_pending = 0
        self._rewound_at = 0.0
        self._tape_made: datetime | None = None
        self._last_heard = self._last_brought = time.monotonic()
        self._ack_to: str | None = None
        self._acked: str | None = None
        self._connection = wire.nc.stats["reconnects"]
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
        self._drain()
        self._tasks = [asyncio.create_task(self._wait_where_needed()), asyncio.create_task(self._tend())]

    async def stop(self) -> None:
        await end(self._tasks)
        if self._subscription is not None:
            await self._wire.unsubscribe(self._subscription)
            self._acknowledge()

    async def _begin(self) -> None:
        """Rewind the consumer to behind the last handled position. Raises `TapeCutOff`."""
        await self._permit()
        self._anchored = self._anchored and self._missed < MISSED_AT_MOST
        self._require_the_same_tape(await self._js.stream_info(TAPE))
        self._waiting.clear()
        self._expected = _NEVER
        self._ack_to = self._acked = None
        info = await self._rewind()
        self._at_least_pending = info["num_pending"] - 1
        self._forget_what_is_old()
        if not self._waiting:  # else messages came before this answer, and they know better
            self._pending = info["num_pending"]
        if self._subscription is None:  # last, so that nothing old is on its way to us
            self._subscription = await self._wire.subscribe(deliver_subject(self._name), self._on_message)
        self._lost = False
        self._last_heard = self._last_brought = self._rewound_at = time.monotonic()

    @property
    def _from(self) -> int:
        """Which position we rewind to."""
        return self.position if self._anchored else self.position + 1

    def _require_the_same_tape(self, info: StreamInfo) -> None:
        """Find the tape that we were reading, and on it what comes after our position."""
        state = info.state
        made = self._tape_made = self._tape_made or info.created
        if info.created != made or state.last_seq < self.position:
            raise TapeCutOff(f"{TAPE} was made anew since {self._name} has read it up to position {self.position}")
        if state.first_seq > self._from:
            what = f"{self._name} has to go on at {self._from}"
            raise TapeCutOff(f"{TAPE} begins at {state.first_seq}, but {what}")

    async def _rewind(self) -> dict[str, Any]:
        """Let the consumer begin behind our position; the server does not answer for one that it does not have."""
        request = json.dumps({"seq": self._from}).encode()
        subject, what = f"$JS.API.CONSUMER.RESET.{TAPE}.{self._name}", f"the consumer {self._name} of {TAPE}"
        try:
            reply = await self._nc.request(subject, request, timeout=REWIND_TIMEOUT_S)
        except NatsTimeoutError:
            raise CannotRewind(f"{what} is not there, or not ours: hmm provision makes what is missing") from None
        answer: dict[str, Any] = json.loads(reply.data)
        if error := answer.get("error"):
            raise CannotRewind(f"{what} is not rewound: {error.get('description')}")
        return answer

    async def _begin_again(self) -> None:
        """Rewind the consumer as soon as the server lets us."""
        self.restarts += 1
        while True:
            try:
                await self._begin()
                return
            except (NatsError, TimeoutError) as error:
                logger.warning("%s cannot reach the tape (%r): trying again", self._name, error)
            await asyncio.sleep(TRY_AGAIN_AFTER_S)

    def _on_message(self, subject: str, reply: str, payload: bytes, headers: bytes | None) -> None:
        self._last_heard = time.monotonic()
        if reply:
            self._last_brought = self._last_heard
            if self._expected == 1 and not self._waiting and not self._begins(reply):
                self._pass_over(reply)
                return
            self._waiting.append((subject, reply, payload, headers))
            if self._answering is None:
                self._drain()
        elif int(parse_headers(headers).get(LAST_SENT, 0)) >= self._expected + len(self._waiting):
            self._lose("messages on the way")

    def _forget_what_is_old(self) -> None:
        """Keep of what arrived before the server's answer what came after the rewinding: its numbers begin at 1."""
        kept: deque[_Raw] = deque()
        for raw in self._waiting:
            if self._begins(raw[1]):
                kept = deque([raw])
            elif kept:
                kept.append(raw)
        self._waiting = kept
        self._expected = 1

    def _begins(self, reply: str) -> bool:
        """Say whether this is the first message after we have rewound the consumer."""
        *_, position, number, _, pending = reply.split(".")
        if number != "1":
            return False
        if self._anchored:
            return int(position) == self.position
        return int(position) > self.position and int(pending) >= self._at_least_pending

    def _pass_over(self, reply: str) -> None:
        """Leave out what was on its way when the consumer was rewound, unless we have missed how it begins."""
        if reply.split(".")[-3] == "1" or time.monotonic() - self._rewound_at > BEGINS_WITHIN_S:
            self._missed += 1
            self._lose("what comes first")

    def _lose(self, what: str) -> None:
        """Let the reading start again behind the last handled position."""
        if not self._lost:
            logger.warning("%s lost %s: reading again behind position %s", self._name, what, self.position)
            self._lost = True
            self._ack_to = self._acked = None
            self._work.set()

    def _drain(self) -> None:
        """Handle what has arrived, up to the first message whose answer has to wait: mostly no task has to wake up."""
        if self._expected == _NEVER or self._answering is not None:
            return  # they wait for the server's word that they are the right ones, or for the one before them
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
        self._missed = 0
        self._ack_to = reply
        self._unacked += 1
        if self._unacked >= ACK_EVERY:
            self._acknowledge()
        if not self._waiting:
            self._pending = int(words[-1])
        if position <= self.position:
            return None
        self._anchored = True
        received, trace = _read(position, subject, payload, raw_headers)
        answering = self._handle(received, trace)
        self.position = position
        self.handled += 1
        return answering

    def _acknowledge(self) -> None:
        if self._ack_to is not None and self._nc.is_connected:
            self._wire.acknowledge(self._ack_to)
            self._acked, self._ack_to, self._unacked = self._ack_to, None, 0

    async def _tend(self) -> None:
        """Report progress, and start again when the server has fallen silent or was replaced."""
        while True:
            await asyncio.sleep(ACK_AFTER_S)
            if not self._nc.is_connected or self._waiting or self._lost:
                self._last_heard = self._last_brought = time.monotonic()
                continue
            if self._connection != (connection := self._nc.stats["reconnects"]):
                # What we said last may be lost, and the server may wait for it before it brings more.
                self._connection, self._ack_to = connection, self._ack_to or self._acked
            self._acknowledge()
            if time.monotonic() - self._last_heard > SILENT_AFTER_S:
                self._lose(f"sight of the server for {SILENT_AFTER_S:g} s")
                self._last_heard = time.monotonic()
            elif time.monotonic() - self._last_brought > SILENT_AFTER_S:
                await self._look_whether_it_stands()
                self._last_brought = time.monotonic()

    async def _look_whether_it_stands(self) -> None:
        """Start again when the server keeps from us what there is, though it is there and says so.

        It does so for ever once whoever was before us, and slept, acknowledges what it had read before we rewound the
        consumer: the server then takes all that we acknowledge for old, and waits.
        """
        position = self.position
        try:
            reply = await self._nc.request(f"$JS.API.CONSUMER.INFO.{TAPE}.{self._name}", timeout=REWIND_TIMEOUT_S)
        except (NatsError, TimeoutError):
            return
        held_back = json.loads(reply.data).get("num_pending", 0)
        if held_back and self.position == position and not self._waiting:
            self._lose(f"{held_back} messages that the server holds back")


def _read(position: int, subject: str, payload: bytes, raw: bytes | None) -> tuple[Recorded | Unreadable, str]:
    """Read a message and its trace; headers in the order in which our publishers write them are read at one glance."""
    glance = _OUR_HEADERS(raw or b"")
    if glance is None:
        headers = parse_headers(raw)
        return received(position, subject, payload, headers), headers.get(TRACE, "")
    msg_id, type_name, ts, trace, cause = [word.decode(errors="replace") for word in glance.groups(b"")]
    try:
        event = decode(type_name, subject, payload)
    except Undecodable as error:
        return Unreadable(position, subject, parse_headers(raw), payload, str(error)), trace
    return Recorded(position, int(cause) if cause else None, msg_id, int(ts), event), trace


def received(position: int, subject: str, payload: bytes, headers: Headers) -> Recorded | Unreadable:
    """Read a message of the tape; what is no event stays as it is, with the reason."""
    try:
        event = decode(headers.get(TYPE, ""), subject, payload)
        cause = headers.get(CAUSE)
        msg_id, ts = headers.get(MSG_ID, ""), int(headers[TS])
        return Recorded(position, None if cause is None else int(cause), msg_id, ts, event)
    except (Undecodable, KeyError, ValueError) as error:
        return Unreadable(position, subject, headers, payload, str(error))


_OUR_HEADERS = re.compile(
    rb"NATS/1\.0\r\n"
    + f"{MSG_ID}: ([^\r]*)\r\n{TYPE}: ([^\r]*)\r\n{TS}: ([0-9]{{1,19}})\r\n{TRACE}: ([^\r]*)\r\n".encode()
    + f"(?:{CAUSE}: ([0-9]{{1,19}})\r\n)?".encode()
).match
