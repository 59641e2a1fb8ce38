"""How far a coin is from its peg, by most of its sources, and whether it has been so for long enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from contracts.types import InstrumentId
from services.depeg.settings import DepegSettings, Peg, PegSource

SECOND = 1_000_000_000
FARTHEST_BPS = 1e9
"""A price so absurd that it would be farther away is not told apart."""


@dataclass(slots=True)
class Seen:
    """The last price of a source, and when it was traded at (ns)."""

    price: float
    at: int


class Turn(Enum):
    """What a look at a peg has brought."""

    LEFT = "left"
    CAME_BACK = "came_back"
    OUT_OF_SIGHT = "out_of_sight"
    IN_SIGHT = "in_sight"


@dataclass(frozen=True, slots=True)
class Reading:
    """`deviation_bps` is None when too few sources are fresh."""

    deviation_bps: float | None
    fresh: int


def read(peg: Peg, seen: Mapping[InstrumentId, Seen], settings: DepegSettings, now: int) -> Reading:
    """Ask the sources of a coin that have traded lately."""
    oldest = now - settings.max_age_s * SECOND
    deviations = [
        deviation_bps(source, last.price, peg.parity)
        for source in peg.sources
        if (last := seen.get(source.instrument)) and last.at >= oldest
    ]
    judged = by_most(deviations) if len(deviations) >= settings.min_sources else None
    return Reading(judged, len(deviations))


def deviation_bps(source: PegSource, price: float, parity: float) -> float:
    """Give how far the coin is above (positive) or below its peg, by one source."""
    worth = 1 / price if source.inverted else price
    return min((worth / parity - 1) * 10_000, FARTHEST_BPS)


def by_most(deviations: Sequence[float]) -> float:
    """Give the deviation that more than half of the sources reach or exceed, on one side of the peg; 0 if none.

    It is the median, but of an even number the middle one that lies nearer to the peg: half of the sources alone never
    take a coin off it.
    """
    ordered = sorted(deviations)
    lower, upper = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    if lower <= 0 <= upper:
        return 0.0
    return lower if lower > 0 else upper


@dataclass(slots=True)
class Watch:
    """What is known of a peg. Times are ns; None: it is not so now."""

    is_off: bool = False
    fell: bool = False
    """Whether it was below its peg when it left it."""
    deviation_bps: float = 0.0
    turning_since: int | None = None
    """Since when it is beyond the threshold that would turn it: off its peg, or back."""
    blind_since: int | None = None
    is_blind: bool = False

    def look(self, reading: Reading, settings: DepegSettings, now: int) -> Turn | None:
        """Take in a reading. What cannot be judged stays as it is."""
        if reading.deviation_bps is None:
            return self._see_nothing(settings, now)
        self.blind_since = None
        self.deviation_bps = reading.deviation_bps
        turned = self._turn(settings, now)
        if self.is_blind:
            self.is_blind = False
            return turned or Turn.IN_SIGHT
        return turned

    def _see_nothing(self, settings: DepegSettings, now: int) -> Turn | None:
        self.turning_since = None
        if self.blind_since is None:
            self.blind_since = now
        if self.is_blind or now - self.blind_since < settings.max_age_s * SECOND:
            return None
        self.is_blind = True
        return Turn.OUT_OF_SIGHT

    def _turn(self, settings: DepegSettings, now: int) -> Turn | None:
        distance = abs(self.deviation_bps)
        turning = distance <= settings.leave_bps if self.is_off else distance >= settings.enter_bps
        if not turning:
            self.turning_since = None
            return None
        if self.turning_since is None:
            self.turning_since = now
        after_s = settings.leave_after_s if self.is_off else settings.enter_after_s
        if now - self.turning_since < after_s * SECOND:
            return None
        self.turning_since = None
        self.is_off = not self.is_off
        self.fell = self.is_off and self.deviation_bps < 0
        return Turn.LEFT if self.is_off else Turn.CAME_BACK
