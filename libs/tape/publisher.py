"""Put messages on the tape without waiting for each acknowledgement, and without losing one or changing their order."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

from nats.aio.subscription import Subscription

from tape.headers import Headers
from tape.wire import Wire

WINDOW = 1024
"""How many messages may be on their way unacknowledged."""
RESEND_AFTER_S = 2.0
GIVE_UP_AFTER_S = 60.0


class PublishFailed(RuntimeError):
    """The server refused a message or did not answer: nothing after it may be published."""


@dataclass(slots=True)
class _Sent:
    subject: str
    payload: bytes
    headers: Headers
    first_sent: float


class Publisher:
    """One writer's way onto the tape: pipelined, in order, each message until the server has acknowledged it.

    A message that was not acknowledged is sent again with the same `Nats-Msg-Id`, and so is everything after it; the
    server drops what it has already.
    """

    def __init__(self, wire: Wire, *, window: int = WINDOW) -> None:
        self._wire = wire
        self._nc = wire.nc
        self._window = window
        self._inbox = wire.nc.new_inbox()
        self._in_flight: dict[int, _Sent] = {}
        self._next = 0
        self._progress = asyncio.Event()
        self._failure: PublishFailed | None = None
        self._subscription: Subscription | None = None
        self._watch: asyncio.Task[None] | None = None
        self.acknowledged = 0
        self.last_position = 0

    async def start(self) -> None:
        self._subscription = await self._wire.subscribe(f"{self._inbox}.*", self._on_ack)
        self._watch = asyncio.create_task(self._resend_overdue())

    async def publish(self, subject: str, payload: bytes, headers: Headers) -> None:
        """Send a message; waits only when the window is full or the server is away. Raises `PublishFailed`."""
        while (len(self._in_flight) >= self._window or not self._nc.is_connected) and self._failure is None:
            await self._wait_for_progress()
        if self._failure is not None:
            raise self._failure
        number = self._next
        self._next += 1
        self._in_flight[number] = _Sent(subject, payload, headers, time.monotonic())
        await self._wire.publish(subject, f"{self._inbox}.{number}", headers, payload)

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
        answer: dict[str, Any] = json.loads(payload) if payload else {"error": {"description": "no stream takes it"}}
        if error := answer.get("error"):
            text = f"the tape refused {sent.subject} ({sent.headers}): {error.get('description')}"
            self._failure = PublishFailed(text)
        else:
            del self._in_flight[number]
            self.acknowledged += 1
            self.last_position = int(answer["seq"])
        self._progress.set()

    async def _resend_overdue(self) -> None:
        reconnects = self._nc.stats["reconnects"]
        last_sent = time.monotonic()
        while self._failure is None:
            await asyncio.sleep(0.1)
            if not self._in_flight or not self._nc.is_connected:
                continue
            now = time.monotonic()
            waiting = now - next(iter(self._in_flight.values())).first_sent
            reconnected = self._nc.stats["reconnects"] != reconnects
            if waiting > GIVE_UP_AFTER_S:
                self._failure = PublishFailed(f"the tape did not acknowledge a message for {waiting:.0f} s")
                self._progress.set()
            elif reconnected or (waiting > RESEND_AFTER_S and now - last_sent > RESEND_AFTER_S):
                reconnects = self._nc.stats["reconnects"]
                last_sent = now
                for number, sent in list(self._in_flight.items()):
                    await self._wire.publish(sent.subject, f"{self._inbox}.{number}", sent.headers, sent.payload)
