"""Pacing: how many commands a venue takes, and which of those that wait go out first."""

import heapq
from dataclasses import dataclass, field
from enum import Enum

from services.router.settings import Pace, RouterSettings
from services.router.timers import NEVER

SECOND = 1_000_000_000


class Task(Enum):
    """What is to be asked of a venue."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    AMEND = "amend"
    QUERY = "query"


class Urgency(Enum):
    """What goes out first: what takes risk away, then what changes it, then what adds to it."""

    PROTECTS = 0
    CHANGES = 1
    ADDS = 2


Waiting = tuple[int, int, Task, str]
"""Urgency, number in the order of asking, and what for which order or slice."""


@dataclass(slots=True)
class Lane:
    """The way to one venue: a bucket of `tokens`, filled up to `at` (ns), and what waits for one."""

    tokens: float
    at: int
    waiting: list[Waiting] = field(default_factory=list)
    wakes_at: int = NEVER
    """When somebody will look whether what waits may go."""


class Pacing:
    """A token bucket on event time for each venue.

    Everything costs one token. Some are kept in reserve for cancels and protective orders.
    """

    def __init__(self, settings: RouterSettings) -> None:
        self.settings = settings
        self.lanes: dict[str, Lane] = {}
        self.asked = 0

    def may_pass(self, venue: str, urgency: Urgency, now: int) -> bool:
        """Take a token if there is one, and nothing as urgent waits already."""
        pace, rank = self.settings.pace_of(venue), urgency.value
        lane = self._lane(venue, pace, now)
        if lane.tokens < _needed(pace, rank) or (lane.waiting and lane.waiting[0][0] <= rank):
            return False
        lane.tokens -= 1
        return True

    def wait(self, venue: str, urgency: Urgency, task: Task, key: str) -> None:
        self.asked += 1
        heapq.heappush(self.lanes[venue].waiting, (urgency.value, self.asked, task, key))

    def next_ready(self, venue: str, now: int) -> tuple[Task, str] | None:
        """Take out what may go now, with its token; None when nothing may."""
        pace = self.settings.pace_of(venue)
        lane = self._lane(venue, pace, now)
        if not lane.waiting or lane.tokens < _needed(pace, lane.waiting[0][0]):
            return None
        lane.tokens -= 1
        _, _, task, key = heapq.heappop(lane.waiting)
        return task, key

    def give_back(self, venue: str) -> None:
        """Return the token of a command that was not needed any more."""
        self.lanes[venue].tokens += 1

    def wake_up(self, venue: str) -> int | None:
        """Give the time to look again at what waits; None if somebody will by then, or nothing waits."""
        lane, pace = self.lanes[venue], self.settings.pace_of(venue)
        if not lane.waiting:
            return None
        missing = max(0.0, _needed(pace, lane.waiting[0][0]) - lane.tokens)
        ready_at = lane.at + int(missing / pace.per_s * SECOND) + 1
        if ready_at >= lane.wakes_at:
            return None
        lane.wakes_at = ready_at
        return ready_at

    def awake(self, venue: str) -> None:
        self.lanes[venue].wakes_at = NEVER

    def _lane(self, venue: str, pace: Pace, now: int) -> Lane:
        lane = self.lanes.get(venue)
        if lane is None:
            lane = self.lanes[venue] = Lane(float(pace.burst), now)
        if now > lane.at:
            lane.tokens = min(float(pace.burst), lane.tokens + (now - lane.at) / SECOND * pace.per_s)
            lane.at = now
        return lane


def _needed(pace: Pace, urgency: int) -> float:
    return 1.0 if urgency == _PROTECTS else 1.0 + pace.reserve


_PROTECTS = Urgency.PROTECTS.value
