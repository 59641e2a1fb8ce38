"""What risk shows: verdicts, refusals by rail, and locks."""

from prometheus_client import Counter

from contracts.event import Event
from contracts.orders import AmendApproved, AmendRejected, Denial, RiskApproved, RiskLocked, RiskRejected
from tape.blueprint import Observers

VERDICTS = Counter("risk_verdicts_total", "Verdicts on orders and amendments", ["verdict"])
DENIALS = Counter("risk_denials_total", "Failed checks, also of orders that were made smaller", ["rail"])
LOCKS = Counter("risk_locks_total", "Pauses that rails began or made longer", ["rail"])


def observe() -> Observers:
    def on_approved(event: Event, _since_origin_ms: float | None) -> None:
        assert isinstance(event, RiskApproved)
        VERDICTS.labels("resized" if event.resized else "approved").inc()
        _count(event.resized)

    def on_rejected(event: Event, _since_origin_ms: float | None) -> None:
        assert isinstance(event, RiskRejected)
        VERDICTS.labels("rejected").inc()
        _count(event.reasons)

    def on_amend_approved(_event: Event, _since_origin_ms: float | None) -> None:
        VERDICTS.labels("amend_approved").inc()

    def on_amend_rejected(event: Event, _since_origin_ms: float | None) -> None:
        assert isinstance(event, AmendRejected)
        VERDICTS.labels("amend_rejected").inc()
        _count(event.reasons)

    def on_locked(event: Event, _since_origin_ms: float | None) -> None:
        assert isinstance(event, RiskLocked)
        LOCKS.labels(event.rail.value).inc()

    return {
        RiskApproved: on_approved,
        RiskRejected: on_rejected,
        AmendApproved: on_amend_approved,
        AmendRejected: on_amend_rejected,
        RiskLocked: on_locked,
    }


def _count(denials: tuple[Denial, ...]) -> None:
    for denial in denials:
        DENIALS.labels(denial.rail.value).inc()
