"""Pacing: how many commands a venue takes, and which of those that wait go out first."""

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from heapq import heappop, heappush

from services.router.settings import Pace, RouterSettings
from services.router.timers import NEVER

SECOND = 1_000_000_000


class Task(Enum):
    """What is to be asked of a venue."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    AMEND = "amend"
    QUERY = "query"


class Urgency(IntEnum):
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


class _Way:
    """A lane and its venue's pace, whose numbers are at hand: they are asked for with every order."""

    __slots__ = ("burst", "lane", "needed", "per_s")

    def __init__(self, lane: Lane, pace: Pace) -> None:
        self.lane = lane
        self.per_s, self.burst = pace.per_s, float(pace.burst)
        self.needed = tuple(1.0 if urgency is Urgency.PROTECTS else 1.0 + pace.reserve for urgency in Urgency)
        """How many tokens must be there, by urgency."""

    def fill_up(self, now: int) -> None:
        lane = self.lane
        if now > lane.at:
            tokens = lane.tokens + (now - lane.at) / SECOND * self.per_s
            lane.tokens = tokens if tokens < self.burst else self.burst  # noqa: FURB136 # cheaper than the call
            lane.at = now


class Pacing:
    """A token bucket on event time for each venue.

    Everything costs one token. Some are kept in reserve for cancels and protective orders.
    """

    def __init__(self, settings: RouterSettings) -> None:
        self.settings = settings
        self.lanes: dict[str, Lane] = {}
        self.asked = 0
        self._ways: dict[str, _Way] = {}
        """By venue; made of the lanes and the settings."""

    def restore(self, lanes: dict[str, Lane], asked: int) -> None:
        self.lanes, self.asked, self._ways = lanes, asked, {}

    def may_pass(self, venue: str, urgency: Urgency, now: int) -> bool:
        """Take a token if there is one, and nothing as urgent waits already."""
        way = self._ways.get(venue) or self._find_way(venue, now)
        way.fill_up(now)
        lane = way.lane
        if lane.tokens < way.needed[urgency] or (lane.waiting and lane.waiting[0][0] <= urgency):
            return False
        lane.tokens -= 1
        return True

    def wait(self, venue: str, urgency: Urgency, task: Task, key: str) -> None:
        self.asked += 1
        heappush(self.lanes[venue].waiting, (urgency.value, self.asked, task, key))

    def next_ready(self, venue: str, now: int) -> tuple[Task, str] | None:
        """Take out what may go now, with its token; None when nothing may."""
        way = self._find_way(venue, now)
        way.fill_up(now)
        lane = way.lane
        if not lane.waiting or lane.tokens < way.needed[lane.waiting[0][0]]:
            return None
        lane.tokens -= 1
        _, _, task, key = heappop(lane.waiting)
        return task, key

    def give_back(self, venue: str) -> None:
        """Return the token of a command that was not needed any more."""
        self.lanes[venue].tokens += 1

    def wake_up(self, venue: str) -> int | None:
        """Give the time to look again at what waits; None if somebody will by then, or nothing waits."""
        lane = self.lanes[venue]
        if not lane.waiting:
            return None
        way = self._find_way(venue, lane.at)
        missing = max(0.0, way.needed[lane.waiting[0][0]] - lane.tokens)
        ready_at = lane.at + int(missing / way.per_s * SECOND) + 1
        if ready_at >= lane.wakes_at:
            return None
        lane.wakes_at = ready_at
        return ready_at

    def awake(self, venue: str) -> None:
        self.lanes[venue].wakes_at = NEVER

    def _find_way(self, venue: str, now: int) -> _Way:
        way = self._ways.get(venue)
        if way is None:
            pace, lane = self.settings.pace_of(venue), self.lanes.get(venue)
            if lane is None:
                lane = self.lanes[venue] = Lane(float(pace.burst), now)
            way = self._ways[venue] = _Way(lane, pace)
        return way
