"""Curves and candles of any length in bounded memory: when there are too many points, neighbours become one.

What is kept of a stretch of time: its last value, its extremes with their moments, and its deepest fall. So the largest
loss since a peak is found exactly, however much is joined.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
STEPS = tuple(SECOND * seconds for seconds in (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400))
"""Lengths of stretches (ns), each a multiple of the one before; beyond a day they double."""
MOST_STRETCHES = 2_000
"""Two points of each are drawn, its lowest and its highest: at most 4,000."""

Point = tuple[int, float]
"""A moment (ns UTC) and a value."""


def step_after(step: int) -> int:
    return next((longer for longer in STEPS if longer > step), step * 2)


@dataclass(slots=True)
class Stretch:
    """What was marked within a stretch of time; `costs` are (fees, slippage) summed up until its end."""

    number: int
    last: Point
    low: Point
    high: Point
    fall: tuple[Point, Point]
    """The peak and the trough of its deepest fall."""
    costs: tuple[float, float]

    def mark(self, point: Point, costs: tuple[float, float]) -> None:
        """Go on with a single value."""
        value = point[1]
        if self.high[1] - value > self.fall[0][1] - self.fall[1][1]:
            self.fall = self.high, point
        if value < self.low[1]:
            self.low = point
        elif value > self.high[1]:
            self.high = point
        self.last, self.costs = point, costs

    def take(self, later: "Stretch") -> None:
        """Go on with what follows."""
        falls = (self.fall, later.fall, (self.high, later.low))
        self.fall = max(falls, key=lambda fall: fall[0][1] - fall[1][1])
        self.low = min(self.low, later.low, key=lambda point: point[1])
        self.high = max(self.high, later.high, key=lambda point: point[1])
        self.last, self.costs = later.last, later.costs

    @property
    def points(self) -> list[Point]:
        """Everything that is remembered of it, in order of time."""
        return sorted({self.low, self.high, *self.fall, self.last})


@dataclass(slots=True)
class Curve:
    """A value over time, and what of it costs have taken."""

    most: int = MOST_STRETCHES
    step: int = STEPS[0]
    stretches: list[Stretch] = field(default_factory=list)
    days: dict[int, tuple[Point, tuple[float, float]]] = field(default_factory=dict)
    """The last value of every day (UTC), whole."""

    def mark(self, at: int, value: float, costs: tuple[float, float] = (0.0, 0.0)) -> None:
        """Go on. What is not later than the last mark counts as a nanosecond after it: marks keep their order."""
        if self.stretches:
            before, last = self.stretches[-1].last
            if at <= before:
                if (value, costs) == (last, self.stretches[-1].costs):
                    return
                at = before + 1
        point, number = (at, value), at // self.step
        self.days[at // DAY] = point, costs
        if self.stretches and self.stretches[-1].number == number:
            self.stretches[-1].mark(point, costs)
            return
        self.stretches.append(Stretch(number, point, point, point, (point, point), costs))
        while len(self.stretches) > self.most:
            self._join()

    def _append(self, stretch: Stretch) -> None:
        if self.stretches and self.stretches[-1].number == stretch.number:
            self.stretches[-1].take(stretch)
        else:
            self.stretches.append(stretch)

    def _join(self) -> None:
        before, self.step = self.step, step_after(self.step)
        joined, self.stretches = self.stretches, []
        for stretch in joined:
            stretch.number = stretch.number * before // self.step
            self._append(stretch)

    def points(self) -> Iterator[Point]:
        """Give what is remembered, in order of time."""
        for stretch in self.stretches:
            yield from stretch.points

    def outline(self) -> Iterator[Point]:
        """Give what is to be drawn: of every stretch the lowest and the highest, in order of time."""
        for stretch in self.stretches:
            yield from sorted({stretch.low, stretch.high})
        if self.stretches and self.stretches[-1].last not in (self.stretches[-1].low, self.stretches[-1].high):
            yield self.stretches[-1].last

    @property
    def begin(self) -> Point | None:
        return self.stretches[0].points[0] if self.stretches else None


@dataclass(slots=True)
class Level:
    """A value that holds until it changes: its mean over each of a bounded number of stretches."""

    most: int = 400
    step: int = STEPS[0]
    now: float = 0.0
    since: int | None = None
    sums: dict[int, float] = field(default_factory=dict)
    """Value times ns by the number of the stretch."""
    highest: float = 0.0

    def mark(self, at: int, value: float) -> None:
        """Let the value change at a moment (ns); while it stays the same, time need not be told."""
        if value == self.now and self.since is not None:
            return
        self.pass_time(at)
        self.now = value
        self.highest = max(self.highest, value)

    def pass_time(self, at: int) -> None:
        """Let the value hold until a moment."""
        if self.since is None:
            self.since = at
        if at <= self.since:
            return
        while at // self.step - next(iter(self.sums), self.since // self.step) >= self.most:
            self._join()
        begin = self.since
        while begin < at:
            number = begin // self.step
            end = min(at, (number + 1) * self.step)
            self.sums[number] = self.sums.get(number, 0.0) + self.now * (end - begin)
            begin = end
        self.since = at

    def _join(self) -> None:
        before, self.step = self.step, step_after(self.step)
        joined, self.sums = self.sums, {}
        for number, value in joined.items():
            longer = number * before // self.step
            self.sums[longer] = self.sums.get(longer, 0.0) + value

    def mean(self, span: int) -> float:
        """Give the mean over so many ns: before the first mark it was nothing."""
        return sum(self.sums.values()) / span if span > 0 else 0.0

    def means(self) -> list[Point]:
        """Give where each stretch begins, and the mean of the value within it."""
        return [(number * self.step, value / self.step) for number, value in self.sums.items()]


@dataclass(slots=True)
class Candle:
    """Prices over a stretch that begins at `at` (ns)."""

    at: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(slots=True)
class Candles:
    """Closed bars, joined to longer ones when there are too many."""

    step: int
    most: int = 400
    candles: list[Candle] = field(default_factory=list)

    def add(self, candle: Candle) -> None:
        self._append(candle)
        if len(self.candles) > self.most:
            self._join()

    def _append(self, candle: Candle) -> None:
        at = candle.at // self.step * self.step
        last = self.candles[-1] if self.candles else None
        if last is None or last.at != at:
            self.candles.append(replace(candle, at=at))
            return
        last.high, last.low = max(last.high, candle.high), min(last.low, candle.low)
        last.close, last.volume = candle.close, last.volume + candle.volume

    def _join(self) -> None:
        self.step = step_after(self.step)
        joined, self.candles = self.candles, []
        for candle in joined:
            self._append(candle)


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time [`start`, `end`) in ns with one regime."""

    regime: str
    start: int
    end: int


@dataclass(slots=True)
class Regimes:
    """Which regime it was when. Of too many changes the shortest stays are forgotten: they join what was before."""

    most: int = 2_000
    changes: list[tuple[int, str]] = field(default_factory=list)
    until: int = 0

    @property
    def now(self) -> str | None:
        return self.changes[-1][1] if self.changes else None

    def tell(self, at: int, regime: str) -> None:
        self.until = max(at, self.until)
        if self.now != regime:
            self.changes.append((at, regime))
        if len(self.changes) > self.most:
            self._forget_shortest()

    def _forget_shortest(self) -> None:
        """Forget the shorter half, but neither the first nor the last."""
        inner = range(1, len(self.changes) - 1)
        by_length = sorted(inner, key=lambda number: self.changes[number + 1][0] - self.changes[number][0])
        forgotten = set(by_length[: (len(inner) + 1) // 2])
        kept = [change for number, change in enumerate(self.changes) if number not in forgotten]
        self.changes = [next(group) for _, group in groupby(kept, key=lambda change: change[1])]

    def periods(self) -> list[Period]:
        ends = [at for at, _ in self.changes[1:]] + [self.until]
        return [Period(regime, at, end) for (at, regime), end in zip(self.changes, ends, strict=True)]


def prevailing(periods: Sequence[Period], bins: int) -> list[Period]:
    """Divide the time of these periods into so many equal ones, each with the regime that held for the most of it."""
    if not periods or periods[-1].end <= periods[0].start:
        return []
    first, width = periods[0].start, max(1, -(-(periods[-1].end - periods[0].start) // bins))
    held: dict[int, Counter[str]] = {}
    for period in periods:
        at = period.start
        while at < period.end:
            number = (at - first) // width
            end = min(period.end, first + (number + 1) * width)
            held.setdefault(number, Counter())[period.regime] += end - at
            at = end
    shown = [(number, held[number].most_common(1)[0][0]) for number in sorted(held)]
    joined: list[Period] = []
    for regime, group in groupby(shown, key=lambda one: one[1]):
        numbers = [number for number, _ in group]
        end = min(first + (numbers[-1] + 1) * width, periods[-1].end)
        joined.append(Period(regime, first + numbers[0] * width, end))
    return joined


@dataclass(frozen=True, slots=True)
class Mark:
    """A fill as it is drawn; `bought` or sold."""

    at: int
    price: float
    bought: bool
    order_id: str


@dataclass(slots=True)
class Marks:
    """Fills over time: when there are too many, every second one stays."""

    most: int = 800
    every: int = 1
    heard: int = 0
    marks: list[Mark] = field(default_factory=list)

    def add(self, mark: Mark) -> None:
        if self.heard % self.every == 0:
            self.marks.append(mark)
        self.heard += 1
        if len(self.marks) > self.most:
            self.marks, self.every = self.marks[::2], self.every * 2

    @property
    def in_order(self) -> list[Mark]:
        return sorted(self.marks, key=attrgetter("at"))
