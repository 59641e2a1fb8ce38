"""One probe under way: an order that a venue is tried with, from the wish to its end."""

from dataclasses import dataclass

from contracts.orders import OrderTerms
from services.probe.circuit import Outcome, Result
from services.probe.settings import ProbeSettings

MILLISECOND = 1_000_000


@dataclass(slots=True)
class Trial:
    """Times are ns of event time. `deadline` is when an answer is overdue, to the order or to its cancellation."""

    order: OrderTerms
    began_at: int
    deadline: int
    is_submitted: bool = False
    round_trip_ms: float | None = None
    slippage_bps: float | None = None
    overdue: int = 0
    """How often an answer was missed."""

    def submitted(self, now: int, settings: ProbeSettings) -> None:
        """Measure from here: before, the order waited for us and not for the venue."""
        self.is_submitted = True
        self.began_at = now
        self.wait(now, settings)

    def answered(self, now: int, settings: ProbeSettings) -> None:
        """Take the first answer that shows that the venue holds the order."""
        if self.round_trip_ms is None:
            self.round_trip_ms = max(now - self.began_at, 0) / MILLISECOND
        self.wait(now, settings)

    def wait(self, now: int, settings: ProbeSettings) -> None:
        """Give the venue time, and more of it each time that it has missed an answer."""
        wait_ms = min(settings.timeout_ms * 2 ** min(self.overdue, 20), settings.max_backoff_s * 1000)
        self.deadline = now + round(max(wait_ms, settings.timeout_ms) * MILLISECOND)

    def result(self, settings: ProbeSettings) -> Result:
        """Judge an order that has ended: one that the venue never held was rejected."""
        if self.round_trip_ms is None:
            return Result(Outcome.REJECTED)
        outcome = Outcome.SLOW if self.round_trip_ms > settings.slow_ms else Outcome.GOOD
        return Result(outcome, self.round_trip_ms, self.slippage_bps)
