"""The ledger in memory: it follows the tape with a delay, and tells how far it has got on a subject."""

from collections import deque
from random import Random

from contracts.ownership import matches
from services.simulator.loop import SimulatedLoop
from services.simulator.stream import Stored
from tape.headers import STREAM_SOURCE

FOLLOWED = ("order.>", "venue.>", "position.>", "control.>", "model.>")


class Ledger:
    def __init__(self, loop: SimulatedLoop, random: Random, lag_s: float) -> None:
        self.last_on: dict[str, Stored] = {}
        self.position = 0
        self._loop = loop
        self._random = random
        self._lag_s = lag_s
        self._coming: deque[Stored] = deque()
        self._held_until = 0.0

    def offer(self, stored: Stored) -> None:
        """Know of a message on the tape; it is kept a little later."""
        if any(matches(stored.subject, pattern) for pattern in FOLLOWED):
            self._coming.append(stored)
            if len(self._coming) == 1:
                self._loop.call_later(self._lag_s * 2 * self._random.random(), self._keep)

    def hold(self, until: float) -> None:
        """Keep nothing before that time."""
        self._held_until = max(self._held_until, until)

    def _keep(self) -> None:
        if self._loop.time() < self._held_until:
            self._loop.call_at(self._held_until, self._keep)
            return
        for _ in range(self._random.randint(1, len(self._coming))):
            stored = self._coming.popleft()
            self.last_on[stored.subject] = stored
            self.position = stored.seq
        if self._coming:
            self._loop.call_later(self._lag_s * 2 * self._random.random(), self._keep)

    def source_of(self, stored: Stored) -> dict[str, str]:
        return {STREAM_SOURCE: f"TAPE {stored.seq} order.> order.> {stored.subject}"}
