"""capital: what was proposed, decided and allocated to each strategy."""

from decimal import Decimal
from enum import Enum
from typing import ClassVar, NamedTuple

from contracts.books import CapitalAllocated, CapitalProposed
from contracts.control import CapitalDecided
from contracts.ownership import EventTypes
from contracts.recorded import Recorded
from eventstore.projections.projection import Journal


class CapitalStep(Enum):
    PROPOSED = "proposed"
    DECIDED = "decided"
    ALLOCATED = "allocated"


class CapitalRow(NamedTuple):
    """`proposal` is the position of the proposal that it is about; a decision names nothing else."""

    position: int
    cause: int | None
    step: CapitalStep
    proposal: int | None
    strategy: str | None
    capital: Decimal | None
    before: Decimal | None
    share: float | None
    policy: str | None
    approved: bool | None
    operator: str | None
    reason: str
    ts_init: int


class Capital(Journal[CapitalRow]):
    name = "capital"
    row = CapitalRow
    handles: ClassVar[EventTypes] = (CapitalProposed, CapitalDecided, CapitalAllocated)

    def row_of(self, recorded: Recorded) -> CapitalRow:
        event = recorded.event
        if isinstance(event, CapitalDecided):
            return _row(
                recorded, event, CapitalStep.DECIDED, event.proposal, approved=event.approved, operator=event.operator
            )
        if isinstance(event, CapitalProposed):
            return _row(recorded, event, CapitalStep.PROPOSED, recorded.position, share=event.share)
        assert isinstance(event, CapitalAllocated)
        return _row(recorded, event, CapitalStep.ALLOCATED, event.proposal)


def _row(
    recorded: Recorded,
    event: CapitalProposed | CapitalDecided | CapitalAllocated,
    step: CapitalStep,
    proposal: int | None,
    *,
    share: float | None = None,
    approved: bool | None = None,
    operator: str | None = None,
) -> CapitalRow:
    terms = None if isinstance(event, CapitalDecided) else event
    return CapitalRow(
        position=recorded.position,
        cause=recorded.cause,
        step=step,
        proposal=proposal,
        strategy=None if terms is None else terms.strategy,
        capital=None if terms is None else terms.capital,
        before=None if terms is None else terms.before,
        share=share,
        policy=None if terms is None else terms.policy,
        approved=approved,
        operator=operator,
        reason=event.reason,
        ts_init=event.ts_init,
    )
