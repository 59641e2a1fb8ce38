"""Put messages on the tape without waiting for each acknowledgement, and without losing one or changing their order."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from nats.aio.subscription import Subscription
from nats.errors import MaxPayloadError
from pydantic_core import from_json

from tape.headers import Headers
from tape.wire import Wire

WINDOW = 512
"""How many messages may be on their way unacknowledged."""
RESEND_AFTER_S = 2.0
GIVE_UP_AFTER_S = 60.0
"""Well within the server's duplicate window: what is repeated later would be stored twice."""
SETTLED_AFTER_S = 0.5
"""The server acknowledges a message of TAPE some ms before it writes it: a killed server forgets the last ones."""


class PublishFailed(RuntimeError):
    """The server refused a message or did not answer: nothing after it may be published."""


@dataclass(slots=True)
class _Sent:
    subject: str
    payload: bytes
    headers: Headers
    first_sent: float
    acknowledged: float = 0.0


class Publisher:
    """One writer's way onto the tape: pipelined, in order, each message until the server has acknowledged it.

    A message that was not acknowledged is sent again with the same `Nats-Msg-Id`, and so is everything after it, before
    anything new; the server drops what it has already. After a lost connection this includes what was acknowledged just
    before.
    """

    def __init__(self, wire: Wire, *, window: int = WINDOW) -> None:
        self._wire = wire
        self._nc = wire.nc
        self._window = window
        self._inbox = wire.nc.new_inbox()
        self._in_flight: dict[int, _Sent] = {}
        self._settling: deque[tuple[int, _Sent]] = deque()
        self._connection = 0
        self._last_connected = 0.0
        self._next = 0
        self._progress = asyncio.Event()
        self._failure: PublishFailed | None = None
        self._subscription: Subscription | None = None
        self._watch: asyncio.Task[None] | None = None
        self.acknowledged = 0
        self.last_position = 0

    async def start(self) -> None:
        self._connection = self._nc.stats["reconnects"]
        self._last_connected = time.monotonic()
        self._subscription = await self._wire.subscribe(f"{self._inbox}.*", self._on_ack)
        self._watch = asyncio.create_task(self._watch_over())

    @property
    def room(self) -> int:
        """How many messages may be sent at once; 0 while the server is away."""
        return self._window - len(self._in_flight) if self._in_step else 0

    async def publish(self, subject: str, payload: bytes, headers: Headers) -> None:
        """Send a message; waits only when the window is full or the server is away. Raises `PublishFailed`."""
        while self.room <= 0 and self._failure is None:
            await self._wait_for_progress()
        self.send(subject, payload, headers)

    def send(self, subject: str, payload: bytes, headers: Headers) -> None:
        """Send a message for which there is `room`. Raises `PublishFailed`."""
        if self._failure is not None:
            raise self._failure
        number = self._next
        self._next += 1
        self._in_flight[number] = _Sent(subject, payload, headers, time.monotonic())
        try:
            self._wire.send(subject, f"{self._inbox}.{number}", headers, payload)
        except MaxPayloadError:
            size, most = len(payload), self._nc.max_payload
            raise self._fail(f"{subject} is too large for the tape: {size} bytes of {most} with headers") from None

    async def flush(self) -> None:
        """Wait until everything sent is on the tape. Raises `PublishFailed`."""
        while self._in_flight and self._failure is None:
            await self._wait_for_progress()
        if self._failure is not None:
            raise self._failure

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self._subscription is not None:
            await self._wire.unsubscribe(self._subscription)

    @property
    def _in_step(self) -> bool:
        """Whether what was sent before is on its way over the connection that there is."""
        nc = self._nc
        return nc.is_connected and nc.stats["reconnects"] == self._connection

    async def _wait_for_progress(self) -> None:
        self._progress.clear()
        try:
            async with asyncio.timeout(0.1):
                await self._progress.wait()
        except TimeoutError:
            return

    def _on_ack(self, subject: str, _reply: str, payload: bytes, _headers: bytes | None) -> None:
        number = int(subject.rpartition(".")[2])
        sent = self._in_flight.get(number)
        if sent is None:
            return
        answer: dict[str, Any] = from_json(payload) if payload else {"error": {"description": "no stream takes it"}}
        if error := answer.get("error"):
            self._fail(f"the tape refused {sent.subject} ({sent.headers}): {error.get('description')}")
            return
        del self._in_flight[number]
        if not sent.acknowledged:
            self.acknowledged += 1
        self.last_position = max(self.last_position, int(answer["seq"]))
        now = sent.acknowledged = time.monotonic()
        settling = self._settling
        settling.append((number, sent))
        while settling[0][1].acknowledged < now - SETTLED_AFTER_S:
            settling.popleft()
        self._progress.set()

    def _fail(self, why: str) -> PublishFailed:
        self._failure = PublishFailed(why)
        self._progress.set()
        return self._failure

    async def _watch_over(self) -> None:
        """Send again what may have been lost."""
        sent_again = time.monotonic()
        while self._failure is None:
            await asyncio.sleep(0.1)
            now = time.monotonic()
            if self._nc.is_closed:
                self._fail("the connection to the tape was closed")
            elif not self._nc.is_connected:
                continue
            elif self._nc.stats["reconnects"] != self._connection:
                self._take_back_unsettled()
                self._send_again(now)
                sent_again = now
            elif self._waiting_since(now) < now - RESEND_AFTER_S and sent_again < now - RESEND_AFTER_S:
                self._send_again(now)
                sent_again = now
            self._last_connected = now

    def _waiting_since(self, now: float) -> float:
        return next(iter(self._in_flight.values())).first_sent if self._in_flight else now

    def _take_back_unsettled(self) -> None:
        since = self._last_connected - SETTLED_AFTER_S
        unsettled = {number: sent for number, sent in self._settling if sent.acknowledged > since}
        self._settling.clear()
        self._in_flight = dict(sorted({**unsettled, **self._in_flight}.items()))

    def _send_again(self, now: float) -> None:
        """Send all that is in flight once more, in order, and before anything new."""
        waiting = now - self._waiting_since(now)
        if waiting > GIVE_UP_AFTER_S:
            self._fail(f"the tape did not acknowledge a message for {waiting:.0f} s")
            return
        for number, sent in self._in_flight.items():
            self._wire.send(sent.subject, f"{self._inbox}.{number}", sent.headers, sent.payload)
        self._connection = self._nc.stats["reconnects"]
        self._progress.set()
