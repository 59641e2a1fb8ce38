"""Put messages on the tape without waiting for each acknowledgement, and without losing one or changing their order."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from nats.aio.subscription import Subscription
from nats.errors import MaxPayloadError
from pydantic_core import from_json

from tape.headers import Fence, Headers
from tape.lease import WRONG_LAST_SEQUENCE
from tape.wire import Wire, header_lines

WINDOW = 512
"""How many messages may be on their way unacknowledged."""
RESEND_AFTER_S = 2.0
GIVE_UP_AFTER_S = 60.0
"""Well within the server's duplicate window: what is repeated later would be stored twice."""


class PublishFailed(RuntimeError):
    """The server refused a message or did not answer: nothing after it may be published."""


class Refused(PublishFailed):
    """Another instance writes under this name now."""


@dataclass(slots=True)
class _Sent:
    subject: str
    payload: bytes
    headers: Headers
    first_sent: float


class Publisher:
    """One writer's way onto the tape: pipelined, in order, each message until the server has acknowledged it.

    A message that was not acknowledged is sent again with the same `Nats-Msg-Id`, and so is everything after it, before
    anything new; the server drops what it has already. Behind a fence the server takes nothing from a writer that
    another instance has succeeded.
    """

    def __init__(self, wire: Wire, *, window: int = WINDOW) -> None:
        self._wire = wire
        self._nc = wire.nc
        self._window = window
        self._inbox = wire.nc.new_inbox()
        self._fence_lines = ""
        self._in_flight: dict[int, _Sent] = {}
        self._connection = 0
        self._next = 0
        self._held = False
        self._progress = asyncio.Event()
        self._failed: PublishFailed | None = None
        self._subscription: Subscription | None = None
        self._watch: asyncio.Task[None] | None = None
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.acknowledged = 0
        self.last_position = 0

    async def start(self) -> None:
        self._connection = self._nc.stats["reconnects"]
        self._subscription = await self._wire.subscribe(f"{self._inbox}.*", self._on_ack)
        self._watch = asyncio.create_task(self._watch_over())

    async def fence(self, fence: Fence) -> None:
        """Demand `fence` of the server for all that is said from now on; what was said before goes first."""
        await self.flush()
        self._fence_lines = header_lines(fence.headers)

    @property
    def room(self) -> int:
        """How many messages may be sent at once; 0 while the server is away, or a fence is being renewed."""
        return self._window - len(self._in_flight) if self._in_step and not self._held else 0

    @property
    def sent(self) -> int:
        """How many messages were handed over for sending, ever."""
        return self._next

    def has_all_until(self, sent: int) -> bool:
        """Say whether the first `sent` messages were sent and are on the tape."""
        return self._next >= sent and (not self._in_flight or next(iter(self._in_flight)) >= sent)

    def hold(self, *, held: bool) -> None:
        """Let nothing new go out while `held`: whoever publishes waits."""
        self._held = held
        self._progress.set()

    async def publish(self, subject: str, payload: bytes, headers: Headers) -> None:
        """Send a message; waits only when the window is full or the server is away. Raises `PublishFailed`."""
        while self.room <= 0 and self._failed is None:
            await self._wait_for_progress()
        self.send(subject, payload, headers)

    def send(self, subject: str, payload: bytes, headers: Headers) -> None:
        """Send a message for which there is `room`. Raises `PublishFailed`."""
        if self._failed is not None:
            raise self._failed
        number = self._next
        self._next += 1
        self._in_flight[number] = sent = _Sent(subject, payload, headers, time.monotonic())
        try:
            self._hand_over(number, sent)
        except MaxPayloadError:
            size, most = len(payload), self._nc.max_payload
            raise self._fail(
                PublishFailed(f"{subject} is too large for the tape: {size} bytes of {most} with headers")
            ) from None

    async def flush(self) -> None:
        """Wait until everything sent is on the tape. Raises `PublishFailed`."""
        while self._in_flight and self._failed is None:
            await self._wait_for_progress()
        if self._failed is not None:
            raise self._failed

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self._subscription is not None:
            await self._wire.unsubscribe(self._subscription)
        if self.failure.done():
            self.failure.exception()  # whoever wanted to hear it has
        else:
            self.failure.cancel()

    @property
    def _in_step(self) -> bool:
        """Whether what was sent before is on its way over the connection that there is."""
        nc = self._nc
        return nc.is_connected and nc.stats["reconnects"] == self._connection

    def _hand_over(self, number: int, sent: _Sent) -> None:
        self._wire.send(sent.subject, f"{self._inbox}.{number}", sent.headers, sent.payload, self._fence_lines)

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
            self._fail(_refusal(sent, error))
            return
        del self._in_flight[number]
        self.acknowledged += 1
        self.last_position = max(self.last_position, int(answer["seq"]))
        self._progress.set()

    def _fail(self, failure: PublishFailed) -> PublishFailed:
        if self._failed is None:
            self._failed = failure
            self.failure.set_exception(failure)
        self._progress.set()
        return failure

    async def _watch_over(self) -> None:
        """Send again what may have been lost."""
        sent_again = time.monotonic()
        while self._failed is None:
            await asyncio.sleep(0.1)
            now = time.monotonic()
            if self._nc.is_closed:
                self._fail(PublishFailed("the connection to the tape was closed"))
            elif not self._nc.is_connected:
                continue
            elif not self._in_step or max(self._waiting_since(now), sent_again) < now - RESEND_AFTER_S:
                self._send_again(now)
                sent_again = now

    def _waiting_since(self, now: float) -> float:
        return next(iter(self._in_flight.values())).first_sent if self._in_flight else now

    def _send_again(self, now: float) -> None:
        """Send all that is in flight once more, in order, and before anything new."""
        waiting = now - self._waiting_since(now)
        if waiting > GIVE_UP_AFTER_S:
            self._fail(PublishFailed(f"the tape did not acknowledge a message for {waiting:.0f} s"))
            return
        for number, sent in self._in_flight.items():
            self._hand_over(number, sent)
        self._connection = self._nc.stats["reconnects"]
        self._progress.set()


def _refusal(sent: _Sent, error: dict[str, Any]) -> PublishFailed:
    what = f"{sent.subject} ({sent.headers})"
    if error.get("err_code") == WRONG_LAST_SEQUENCE:
        return Refused(f"the tape refused {what}: another instance has taken over; this one ends and says nothing more")
    return PublishFailed(f"the tape refused {what}: {error.get('description')}")
