"""What the times of a file mean: in which unit they count, in which zone dates are, and how far bars are apart."""

import math
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import Enum
from itertools import pairwise
from zoneinfo import ZoneInfo

from contracts.types import Interval
from eventstore.marketdata.forms import BadFile

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
EARLIEST = 1_230_940_800 * SECOND
"""2009-01-03: no coin had a price before."""
LATEST = 4_102_444_800 * SECOND
"""2100-01-01."""


class TimeUnit(Enum):
    """What the numbers of a time column count."""

    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    MICROSECONDS = "microseconds"
    NANOSECONDS = "nanoseconds"
    TEXT = "dates (ISO 8601)"

    @property
    def nanos(self) -> int:
        return _NANOS[self]


_NANOS = {
    TimeUnit.SECONDS: SECOND,
    TimeUnit.MILLISECONDS: 1_000_000,
    TimeUnit.MICROSECONDS: 1_000,
    TimeUnit.NANOSECONDS: 1,
    TimeUnit.TEXT: SECOND,
}


class AmbiguousTime(ValueError):
    """A local time that was there twice, or never, because the clocks were changed."""


def unit_of(cell: str | float | None) -> TimeUnit | None:
    """Find the unit in which a cell lies between 2009 and 2100; None if there is none."""
    try:
        value = float(cell if cell is not None else math.nan)
    except ValueError:
        return TimeUnit.TEXT
    for unit in TimeUnit:
        if unit is not TimeUnit.TEXT and EARLIEST <= value * unit.nanos < LATEST:
            return unit
    return None


def date_of(text: str, zone: ZoneInfo | None = None) -> tuple[int, bool]:
    """Read a date as ns, and say whether it told its time zone; one that does not is of `zone` (None: UTC).

    Raises `ValueError`; `AmbiguousTime` where a changed clock leaves open which time it is.
    """
    read = datetime.fromisoformat(text.strip())
    if read.tzinfo is not None:
        return _nanos(read), True
    if zone is None:
        return _nanos(read.replace(tzinfo=UTC)), False
    first, second = (read.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first != second:
        raise AmbiguousTime(f"{text.strip()} was there twice or never in {zone.key}: clocks were changed")
    return _nanos(first), False


def _nanos(moment: datetime) -> int:
    since = moment - datetime.fromtimestamp(0, UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1_000


def step_of(times: Iterable[int]) -> int | None:
    """Give the most common step (ns) between rising times; None if none rises."""
    steps = Counter(after - before for before, after in pairwise(times) if after > before)
    return steps.most_common(1)[0][0] if steps else None


def interval_of(times: Iterable[int], wanted: Interval | None, named: Interval | None) -> Interval:
    """Find the length of the bars from the steps between them, and hold it against what was said; raises `BadFile`."""
    step = step_of(times)
    if step is None:
        raise BadFile("every row has the same time: the first column has to say when a bar opens")
    found = next((interval for interval in Interval if interval.nanos == step), None)
    if found is None:
        known = ", ".join(interval.value for interval in Interval)
        raise BadFile(f"its bars are {step / SECOND:g} s apart, and bars are of {known}: fetch it at one of these")
    said = wanted or named
    if said is not None and said is not found:
        whose = "--interval" if wanted else "its name"
        raise BadFile(f"{whose} says {said.value}, but its bars are {found.value} apart: which one is right?")
    return found


def moment(nanos: int) -> str:
    """Write a time for people (UTC)."""
    return datetime.fromtimestamp(nanos / SECOND, UTC).isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")


def hint_of_zone(nanos: int) -> str:
    """Say of a distance between times that is of whole hours what it may come from; nothing of any other."""
    hours = round(abs(nanos) / HOUR)
    if not 1 <= hours <= 14 or abs(nanos) % HOUR:
        return ""
    return f" (whole hours, {hours}: is it local time, or of another time zone?)"
