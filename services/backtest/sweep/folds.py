"""How the time of a sweep is cut: a beginning that only warms up, then stretches that count, with embargoes before.

One run goes through all of them in order, so whatever is trained or warmed up in it knows the past of each stretch and
nothing else (walk forward with a window that grows).
"""

from dataclasses import dataclass

from services.backtest.settings import Unusable

SECOND = 1_000_000_000
STEPS = tuple(
    SECOND * seconds
    for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400)
)
"""Distances of returns (ns): the finest that leaves at most `MOST_RETURNS`."""
MOST_RETURNS = 1_200
LEAST_RETURNS = 20
"""A stretch with fewer returns says nothing."""
MOST_FOLDS = 50


@dataclass(frozen=True, slots=True)
class Fold:
    """A stretch of time that counts (ns UTC, `ends_at` not included)."""

    begins_at: int
    ends_at: int


@dataclass(frozen=True, slots=True)
class Folds:
    """All stretches, and how far apart (ns) equity is looked at within them."""

    folds: tuple[Fold, ...]
    step: int

    @property
    def returns(self) -> int:
        return sum((fold.ends_at - fold.begins_at) // self.step for fold in self.folds)


def cut(first: int, last: int, count: int, warm_up: int | None, embargo: int) -> Folds:
    """Cut the time of the data; `warm_up` None: as long as a fold with its embargo. Raises `Unusable`."""
    assert 1 <= count <= MOST_FOLDS and embargo >= 0, "checked where they are asked for"
    span = last - first
    begin = span // (count + 1) if warm_up is None else warm_up
    each = (span - begin) // count
    counted = each - embargo
    step = step_for(counted * count)
    if begin >= span or counted < LEAST_RETURNS * step:
        parts = f"{count} folds, {_s(begin)} to warm up and an embargo of {_s(embargo)} before each"
        raise Unusable(
            f"the data is {_s(span)} long, and with {parts} a fold would have {_s(max(0, counted))}",
            f"at least {LEAST_RETURNS} s each: take less --folds, --warm-up or --embargo, or more data",
        )
    folds = []
    for number in range(count):
        ends = first + begin + (number + 1) * each
        begins = first + begin + number * each + embargo
        begins = -(-begins // step) * step
        folds.append(Fold(begins, begins + (ends - begins) // step * step))
    return Folds(tuple(folds), step)


def step_for(counted: int, most: int = MOST_RETURNS) -> int:
    """Give the finest distance (ns) that cuts so much time into at most so many periods."""
    finest = next((step for step in STEPS if counted // step <= most), STEPS[-1])
    while counted // finest > most:
        finest *= 2
    return finest


def _s(nanos: int) -> str:
    return f"{nanos / SECOND:,.0f} s"


def duration(option: str, text: str) -> int:
    """Read a length of time such as 0, 90s, 15m, 4h, 2d, into ns; raises `Unusable`."""
    units = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86_400 * SECOND}
    number, unit = (text[:-1], text[-1:]) if text[-1:] in units else (text, "")
    try:
        amount = float(number)
    except ValueError:
        raise Unusable(f"{option} {text}: no length of time", "for instance 90s, 15m, 4h, 2d") from None
    if not 0 <= amount <= 1e6 or (amount and not unit):
        raise Unusable(f"{option} {text}: no length of time", "for instance 90s, 15m, 4h, 2d")
    return int(amount * units.get(unit, SECOND))
