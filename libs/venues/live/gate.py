"""Whose request goes to a venue next: what ends risk first, and no more than the venue bears."""

import asyncio
import heapq
import itertools
from enum import IntEnum


class Urgency(IntEnum):
    """Lower goes first."""

    PROTECT = 0
    """Cancels and orders that end a loss."""
    RESOLVE = 1
    """Finding out what became of an order."""
    TRADE = 2
    COMPARE = 3


class Gate:
    """Lets `per_s` requests pass on average and `burst` at once, the most urgent first; none while it is closed."""

    def __init__(self, per_s: float, burst: int) -> None:
        assert per_s > 0 and burst >= 1
        self._per_s = per_s
        self._burst = burst
        self._tokens = float(burst)
        self._counted_at = 0.0
        self._closed_until = 0.0
        self._numbers = itertools.count()
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def close_for(self, seconds: float) -> None:
        """Let nothing pass for so long: the venue wants to hear nothing."""
        self._closed_until = max(self._closed_until, _now() + seconds)

    async def passed(self, urgency: Urgency) -> None:
        """Wait for one's turn."""
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, next(self._numbers), turn))
        self._let_pass()
        await turn

    def _let_pass(self) -> None:
        now = _now()
        self._tokens = min(self._burst, self._tokens + (now - self._counted_at) * self._per_s)
        self._counted_at = now
        while self._waiting and self._tokens >= 1 and now >= self._closed_until:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.cancelled():
                turn.set_result(None)
                self._tokens -= 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            wait = max((1 - self._tokens) / self._per_s, self._closed_until - now, 0.001)
            self._timer = asyncio.get_running_loop().call_later(wait, self._let_pass)


def _now() -> float:
    return asyncio.get_running_loop().time()
