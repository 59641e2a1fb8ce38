"""What one strategy may bind, what it is to have, and which of its changes somebody has to approve."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

ZERO = Decimal(0)


class Change(Enum):
    """How capital gets from what it is to what it should be."""

    NONE = "none"
    AT_ONCE = "at_once"
    PROPOSED = "proposed"


@dataclass(frozen=True)
class Steps:
    """Amounts of capital: changes below `least` are not made, `free` is the most in a day without approval."""

    least: Decimal
    free: Decimal


@dataclass(slots=True)
class Proposal:
    """Made at the time `at`; `position` is None until it was heard of on the tape. Approved, it waits for room."""

    capital: Decimal
    at: int
    position: int | None = None
    approved: bool = False


@dataclass(slots=True)
class Refusal:
    capital: Decimal
    until: int


@dataclass(slots=True)
class Purse:
    """`capital` is None before the first allocation; `anchor` is what the free changes of a day are counted from."""

    capital: Decimal | None = None
    anchor: Decimal = ZERO
    proposal: Proposal | None = None
    refusal: Refusal | None = None

    @property
    def bound(self) -> Decimal:
        return ZERO if self.capital is None else self.capital

    @property
    def promised(self) -> Decimal:
        """What was approved on top of that, and waits for room."""
        proposal = self.proposal
        return max(ZERO, proposal.capital - self.bound) if proposal is not None and proposal.approved else ZERO

    def change_to(self, target: Decimal, steps: Steps) -> Change:
        """Say how to get to `target`; a drift of many small steps is no way around an approval."""
        change = abs(target - self.bound)
        if change == 0 or change < steps.least:
            return Change.NONE
        return Change.AT_ONCE if abs(target - self.anchor) <= steps.free else Change.PROPOSED

    def is_proposed(self, target: Decimal, steps: Steps) -> bool:
        """Whether a proposal stands that is as good as one of `target`."""
        return self.proposal is not None and _alike(self.proposal.capital, target, steps)

    def is_refused(self, target: Decimal, steps: Steps, now: int) -> bool:
        refusal = self.refusal
        return refusal is not None and now < refusal.until and _alike(refusal.capital, target, steps)


def _alike(a: Decimal, b: Decimal, steps: Steps) -> bool:
    return a == b or abs(a - b) < steps.least
