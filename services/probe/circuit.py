"""Whether a venue can be traded with, by its answers to the last probes: a circuit breaker."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from statistics import fmean, median

from contracts.types import CircuitState
from services.probe.settings import ProbeSettings

SECOND = 1_000_000_000


class Outcome(Enum):
    """How a probe went."""

    GOOD = "good"
    SLOW = "slow"
    REJECTED = "rejected"
    UNANSWERED = "unanswered"


@dataclass(slots=True)
class Result:
    """`round_trip_ms` until the venue held the order, None if it never did; `slippage_bps` of what was traded."""

    outcome: Outcome
    round_trip_ms: float | None = None
    slippage_bps: float | None = None


@dataclass(slots=True)
class Circuit:
    """Open: nothing is sent. After a while it is half open: probes find out, and their answers close or open it."""

    state: CircuitState = CircuitState.CLOSED
    results: list[Result] = field(default_factory=list)
    """Of the last probes, the oldest first."""
    good_in_a_row: int = 0
    openings: int = 0
    """Since it was last closed."""
    opens_until: int = 0
    """When an open one becomes half open (ns)."""

    def take(self, result: Result, settings: ProbeSettings, now: int) -> bool:
        """Take in how a probe went; say whether that changed the state."""
        self.results = [*self.results, result][-settings.window :]
        self.good_in_a_row = self.good_in_a_row + 1 if result.outcome is Outcome.GOOD else 0
        if self.state is CircuitState.HALF_OPEN and result.outcome is not Outcome.GOOD:
            return self._open(settings, now)
        if self.state is CircuitState.HALF_OPEN and self.good_in_a_row >= settings.close_after:
            self.state, self.openings = CircuitState.CLOSED, 0
            self.results = self.results[-self.good_in_a_row :]
            return True
        if self.state is CircuitState.CLOSED and self.failures >= settings.open_after:
            return self._open(settings, now)
        return False

    def half_open(self, now: int) -> bool:
        """Let probes through again when an open circuit was left alone for long enough; say whether it is."""
        if self.state is not CircuitState.OPEN or now < self.opens_until:
            return False
        self.state, self.good_in_a_row = CircuitState.HALF_OPEN, 0
        return True

    def _open(self, settings: ProbeSettings, now: int) -> bool:
        """Leave the venue alone, twice as long each time it fails again."""
        wait_s = min(settings.backoff_s * 2 ** min(self.openings, 20), settings.max_backoff_s)
        self.state = CircuitState.OPEN
        self.openings += 1
        self.opens_until = now + round(wait_s * SECOND)
        return True

    @property
    def failures(self) -> int:
        return sum(result.outcome is not Outcome.GOOD for result in self.results)

    @property
    def rejects(self) -> int:
        return sum(result.outcome is Outcome.REJECTED for result in self.results)

    @property
    def round_trip_ms(self) -> float:
        """The median of those that were answered; 0 if none was."""
        answered = [result.round_trip_ms for result in self.results if result.round_trip_ms is not None]
        return median(answered) if answered else 0.0

    @property
    def slippage_bps(self) -> float | None:
        traded = [result.slippage_bps for result in self.results if result.slippage_bps is not None]
        return fmean(traded) if traded else None

    def told(self) -> str:
        """Put the last probes into words."""
        counts = Counter(result.outcome for result in self.results)
        told = [f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome]]
        return f"of the last {len(self.results)} probes {', '.join(told)}"
