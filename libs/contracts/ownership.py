"""Who may say what, and who hears it: the one table that permissions, documents and tests are made from."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from contracts.books import EquityMarked, PositionChanged
from contracts.clock import ClockTick
from contracts.control import Alert, DeadLetter, GuardSet, LeaseTaken, TradingStateSet
from contracts.event import EVENT_TYPES, Event, subject_pattern
from contracts.market import Bar, MarketGap, Quote, Trade
from contracts.orders import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderIntent,
    OrderPendingCancel,
    OrderRejected,
    OrderSubmitted,
    RiskApproved,
    RiskRejected,
)
from contracts.venue import (
    CancelOrder,
    SubmitOrder,
    VenueAccepted,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueRejected,
)

EventTypes = tuple[type[Event], ...]

ORDER_EVENTS: EventTypes = (
    OrderInitialized,
    OrderDenied,
    OrderSubmitted,
    OrderAccepted,
    OrderRejected,
    OrderPendingCancel,
    OrderCancelRejected,
    OrderFilled,
    OrderCanceled,
    OrderExpired,
)
VENUE_COMMANDS: EventTypes = (SubmitOrder, CancelOrder)
VENUE_REPORTS: EventTypes = (
    VenueAccepted,
    VenueRejected,
    VenueFilled,
    VenueCanceled,
    VenueExpired,
    VenueCancelRejected,
)
ORDER_ENDS: EventTypes = (OrderDenied, OrderRejected, OrderFilled, OrderCanceled, OrderExpired)


class Kind(Enum):
    COMPONENT = "component"
    STRATEGY = "strategy"
    EDGE = "edge"


@dataclass(frozen=True)
class Role:
    """One writer on the tape. Beyond `writes`, each takes its lease and writes alerts and dead letters of its own."""

    name: str
    kind: Kind
    writes: EventTypes
    reads: EventTypes

    @property
    def all_writes(self) -> EventTypes:
        return (*self.writes, Alert, DeadLetter, LeaseTaken)

    def subject(self, event_type: type[Event]) -> str:
        """Give the pattern of subjects that this role writes events of `event_type` to."""
        strategy = {"strategy": self.name} if self.kind is Kind.STRATEGY else {}
        return subject_pattern(event_type, component=self.name, guard=self.name, **strategy)

    def write_subjects(self) -> list[str]:
        return [self.subject(event_type) for event_type in self.all_writes]


def strategy(name: str, *reads: type[Event]) -> Role:
    """Declare a strategy: it may only wish for orders, never bring them to a venue."""
    return Role(name, Kind.STRATEGY, (OrderIntent,), (*reads, RiskRejected, *ORDER_ENDS))


ROLES: dict[str, Role] = {
    role.name: role
    for role in (
        Role("feed", Kind.EDGE, (Quote, Trade, MarketGap), ()),
        Role("clock", Kind.EDGE, (ClockTick,), (Quote, Trade)),
        Role("bars", Kind.COMPONENT, (Bar,), (Quote, Trade, ClockTick)),
        strategy("trend", Quote, Bar),
        Role(
            "risk",
            Kind.COMPONENT,
            (RiskApproved, RiskRejected),
            (OrderIntent, Quote, TradingStateSet, GuardSet, *ORDER_ENDS),
        ),
        Role(
            "router",
            Kind.COMPONENT,
            (*ORDER_EVENTS, *VENUE_COMMANDS),
            (RiskApproved, TradingStateSet, GuardSet, *VENUE_REPORTS),
        ),
        Role("gateway", Kind.EDGE, VENUE_REPORTS, (Quote, Trade, *VENUE_COMMANDS)),
        Role("portfolio", Kind.COMPONENT, (PositionChanged, EquityMarked), (OrderFilled, Quote, ClockTick)),
        Role("archive", Kind.EDGE, (GuardSet,), tuple(EVENT_TYPES.values())),
        Role("ops", Kind.EDGE, (TradingStateSet,), ()),
    )
}


def overlapping(patterns: Iterable[str]) -> list[tuple[str, str]]:
    """List the pairs of NATS patterns that some subject would match both of."""
    listed = list(patterns)
    return [(a, b) for i, a in enumerate(listed) for b in listed[i + 1 :] if _meet(a.split("."), b.split("."))]


def matches(subject: str, pattern: str) -> bool:
    """Say whether a NATS pattern holds this subject."""
    return _meet(subject.split("."), pattern.split("."))


def _meet(a: list[str], b: list[str]) -> bool:
    if not a or not b:
        return not a and not b
    if a[0] == ">" or b[0] == ">":
        return True
    return (a[0] == b[0] or "*" in (a[0], b[0])) and _meet(a[1:], b[1:])
