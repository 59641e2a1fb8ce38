"""What the live gateway says, put on the tape in the order in which it was decided."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable

from contracts.event import Event
from tape.folding import sayable
from tape.headers import new_trace, same_trace, write_headers
from tape.publisher import Publisher

TRACES_KEPT = 10_000


class Voice:
    """Numbers what this instance says. Saying never waits; one task hands it to the publisher."""

    def __init__(self, publisher: Publisher, instance: str) -> None:
        self._publisher = publisher
        self._instance = instance
        self._waiting: deque[tuple[Event, int | None]] = deque()
        self._arrived = asyncio.Event()
        self._traces: dict[int, str] = {}
        self._said = 0

    @property
    def is_heard(self) -> bool:
        """Whether the tape has acknowledged all that was said."""
        return not self._waiting and self._publisher.has_all_until(self._publisher.sent)

    def remember_trace(self, position: int, trace: str) -> None:
        """Know the trace of a command: what follows from it carries it on."""
        self._traces[position] = trace
        while len(self._traces) > TRACES_KEPT:
            del self._traces[next(iter(self._traces))]

    def say(self, events: Iterable[Event], cause: int | None) -> None:
        """Say these, in this order, behind all that was said before."""
        self._waiting.extend((event, cause) for event in events)
        self._arrived.set()

    async def run(self) -> None:
        """Put on the tape what is said, for ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self._put(*self._waiting[0])
                self._waiting.popleft()

    async def _put(self, event: Event, cause: int | None) -> None:
        event, payload = sayable("gateway", cause or 0, event)
        now = time.time_ns()
        self._said += 1
        known = self._traces.get(cause or 0)
        trace = same_trace(known, self._said) if known else new_trace(now, self._said)
        msg_id = f"gateway/{self._instance}/say-{self._said}"
        headers = write_headers(event, msg_id, cause, now, trace)
        await self._publisher.publish(type(event).subject_of(event), payload, headers)
