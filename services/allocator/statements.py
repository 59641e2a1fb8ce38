"""What the allocator says on the tape."""

from decimal import Decimal

from contracts.books import CapitalAllocated, CapitalProposed
from contracts.control import Alert
from contracts.event import Event
from contracts.types import MAX_TEXT, Severity
from services.allocator.purse import Proposal, Purse
from services.allocator.settings import Policy

NAME = "allocator"


def allocated(
    event: Event, name: str, purse: Purse, before: Decimal, policy: Policy, reason: str, proposal: int | None = None
) -> CapitalAllocated:
    return CapitalAllocated(
        ts_event=event.ts_event,
        ts_init=event.ts_init,
        strategy=name,
        capital=purse.bound,
        before=before,
        policy=policy.value,
        proposal=proposal,
        reason=reason[:MAX_TEXT],
    )


def proposed(
    event: Event, name: str, purse: Purse, target: Decimal, share: float, policy: Policy, reason: str
) -> Event:
    return CapitalProposed(
        ts_event=event.ts_event,
        ts_init=event.ts_init,
        strategy=name,
        capital=target,
        before=purse.bound,
        share=share,
        policy=policy.value,
        reason=reason[:MAX_TEXT],
    )


def alert(event: Event, severity: Severity, code: str, message: str) -> Alert:
    return Alert(
        ts_event=event.ts_event,
        ts_init=event.ts_init,
        component=NAME,
        severity=severity,
        code=code,
        message=message[:MAX_TEXT],
    )


def named(proposal: Proposal) -> str:
    where = "" if proposal.position is None else f" at {proposal.position}"
    return f"the proposal of {proposal.capital}{where}"
