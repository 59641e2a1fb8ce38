"""What is to be done at a later event: alarms in the order of their time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from heapq import heapify, heappop, heappush

NEVER = 2**63
"""Later than any event."""


class Alarm(Enum):
    """What an alarm is for, and in brackets what its key names."""

    EXPIRY = "expiry"
    """An order's time is over (the order)."""
    SLICE = "slice"
    """The next part of an order is due (the order)."""
    SILENCE = "silence"
    """A venue should have answered (an order or a slice)."""
    PACE = "pace"
    """A venue may take commands again (the venue)."""
    RECOVERY = "recovery"
    """An instrument may be traded as usual again (the instrument)."""


OF_ORDERS = (Alarm.EXPIRY, Alarm.SLICE, Alarm.SILENCE)


@dataclass(slots=True)
class Timers:
    """An alarm is seldom taken back: whoever hears it looks whether it still means anything."""

    heap: list[tuple[int, int, Alarm, str]] = field(default_factory=list)
    """Time (ns), a number that tells equal times apart, and what for."""
    set_so_far: int = 0
    next_at: int = NEVER

    def add(self, at: int, alarm: Alarm, key: str) -> None:
        self.set_so_far += 1
        heappush(self.heap, (at, self.set_so_far, alarm, key))
        self.next_at = self.heap[0][0]

    def leave(self, order_id: str) -> None:
        """Take back an alarm of an order that ended, if that is cheap: it is when nothing was set since."""
        heap = self.heap
        if heap and heap[-1][3] == order_id and heap[-1][2] in OF_ORDERS:
            heap.pop()
            self.next_at = heap[0][0] if heap else NEVER

    def due(self, now: int) -> Iterator[tuple[Alarm, str]]:
        """Take out what is due, the earliest first; what is added meanwhile comes with the next event."""
        newest = self.set_so_far
        later = []
        while self.heap and self.heap[0][0] <= now:
            entry = heappop(self.heap)
            if entry[1] > newest:
                later.append(entry)
                continue
            self.next_at = self.heap[0][0] if self.heap else NEVER
            yield entry[2], entry[3]
        for entry in later:
            heappush(self.heap, entry)
        self.next_at = self.heap[0][0] if self.heap else NEVER

    def keep(self, means_something: Callable[[Alarm, str], bool]) -> None:
        """Drop the alarms that nobody needs to hear any more."""
        self.heap = [entry for entry in self.heap if means_something(entry[2], entry[3])]
        heapify(self.heap)
        self.next_at = self.heap[0][0] if self.heap else NEVER
