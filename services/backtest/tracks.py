"""Prices and sums over any length of time in bounded memory, to be read at even distances."""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.backtest.curves import DAY, STEPS, Candle, Candles, Point, step_after
from services.backtest.figures import Trade

MOST_KEPT = 4_000
"""Twice what curves keep: a market is seen for longer than it is traded."""
RECENT_CANDLES = 150
RECENT_TRADES = 150


@dataclass(slots=True)
class Track:
    """The last price of each stretch of time, and that of every day."""

    most: int = MOST_KEPT
    step: int = STEPS[0]
    begin: Point | None = None
    """When it was first known, and its price then."""
    closes: dict[int, Point] = field(default_factory=dict)
    days: dict[int, Point] = field(default_factory=dict)

    def mark(self, at: int, price: float) -> None:
        point = (at, price)
        if self.begin is None:
            self.begin = point
        self.closes[at // self.step] = point
        self.days[at // DAY] = point
        while len(self.closes) > self.most:
            self.step = step_after(self.step)
            self.closes = {moment // self.step: (moment, value) for moment, value in self.closes.values()}

    def at(self, moments: Sequence[int], *, daily: bool) -> list[float | None]:
        """Give the price at each of these moments: the last one known then; None before the first one."""
        known = sorted((self.days if daily else self.closes).values())
        if self.begin is not None:
            known.insert(0, self.begin)
        times = [moment for moment, _ in known]
        places = [bisect_right(times, moment) for moment in moments]
        return [known[place - 1][1] if place else None for place in places]


@dataclass(slots=True)
class Sums:
    """What was added in each of a bounded number of stretches."""

    most: int = 400
    step: int = STEPS[0]
    by: dict[int, float] = field(default_factory=dict)

    def add(self, at: int, value: float) -> None:
        number = at // self.step
        self.by[number] = self.by.get(number, 0.0) + value
        while len(self.by) > self.most:
            before, self.step = self.step, step_after(self.step)
            joined, self.by = self.by, {}
            for number, summed in joined.items():
                longer = number * before // self.step
                self.by[longer] = self.by.get(longer, 0.0) + summed

    def read(self) -> list[Point]:
        """Give where each stretch begins, and what was added in it."""
        return [(number * self.step, value) for number, value in sorted(self.by.items())]


@dataclass(slots=True)
class Chart:
    """A market as it is drawn: all of it in joined candles, its end in single bars, with what trades there brought."""

    step: int
    candles: Candles = field(init=False)
    track: Track | None = None
    recent: deque[Candle] = field(default_factory=lambda: deque(maxlen=RECENT_CANDLES))
    trades: deque[Trade] = field(default_factory=lambda: deque(maxlen=RECENT_TRADES))
    closed: Sums = field(default_factory=Sums)

    def __post_init__(self) -> None:
        self.candles = Candles(self.step)
