"""Who may say what, and who hears it: the one table that permissions, documents and tests are made from."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from contracts.books import (
    CapitalAllocated,
    CapitalProposed,
    EquityMarked,
    PortfolioMarked,
    PositionChanged,
    PositionClosed,
)
from contracts.clock import ClockTick
from contracts.control import Alert, CapitalDecided, DeadLetter, GuardSet, LeaseTaken, LockLifted, TradingStateSet
from contracts.data import DataChunk
from contracts.event import EVENT_TYPES, Event, subject_pattern
from contracts.market import Bar, Funding, MarketGap, Quote, Trade
from contracts.models import (
    ModelDecided,
    ModelPromoted,
    ModelPublished,
    ModelRetired,
    TrainFailed,
    TrainRequested,
    TrainStarted,
)
from contracts.orders import (
    AmendApproved,
    AmendIntent,
    AmendRejected,
    CancelIntent,
    ExecutionOverride,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderHeld,
    OrderInitialized,
    OrderIntent,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderRejected,
    OrderSubmitted,
    OrderTriggered,
    OrderUpdated,
    OrderUpdateRejected,
    ProtectiveIntent,
    RiskApproved,
    RiskLocked,
    RiskRejected,
)
from contracts.presets import PresetPinned, PresetSelected
from contracts.regimes import CalibrationSet, DirectionInferred, DriftDetected, RegimeInferred, ShadowInferred
from contracts.signals import SignalGiven
from contracts.venue import (
    AmendOrder,
    CancelOrder,
    FundingPaid,
    InstrumentStatus,
    QueryOrder,
    Reconciled,
    SubmitOrder,
    VenueAccepted,
    VenueAmended,
    VenueAmendRejected,
    VenueBalance,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueForeignOrder,
    VenueHealth,
    VenuePosition,
    VenueRejected,
    VenueTriggered,
)

EventTypes = tuple[type[Event], ...]

ORDER_EVENTS: EventTypes = (
    OrderInitialized,
    OrderDenied,
    OrderHeld,
    OrderTriggered,
    OrderSubmitted,
    OrderAccepted,
    OrderRejected,
    OrderPendingUpdate,
    OrderUpdated,
    OrderUpdateRejected,
    OrderPendingCancel,
    OrderCancelRejected,
    OrderFilled,
    OrderCanceled,
    OrderExpired,
)
VENUE_COMMANDS: EventTypes = (SubmitOrder, CancelOrder, AmendOrder, QueryOrder)
VENUE_REPORTS: EventTypes = (
    VenueAccepted,
    VenueRejected,
    VenueFilled,
    VenueCanceled,
    VenueExpired,
    VenueCancelRejected,
    VenueTriggered,
    VenueAmended,
    VenueAmendRejected,
    VenueForeignOrder,
)
VENUE_ACCOUNT: EventTypes = (VenueBalance, VenuePosition, FundingPaid, Reconciled, InstrumentStatus)
"""What the gateway says of the account and the venue, beyond single orders."""
WISHES: EventTypes = (OrderIntent, CancelIntent, AmendIntent)
"""What a strategy may say."""
TRAININGS: EventTypes = (TrainStarted, TrainFailed, ModelPublished, ModelPromoted, ModelRetired)
"""What the trainer says: the registry of models."""
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
        return subject_pattern(event_type, component=self.name, guard=self.name, by=self.name, **strategy)

    def write_subjects(self) -> list[str]:
        return [self.subject(event_type) for event_type in self.all_writes]


def strategy(name: str, *reads: type[Event], also_writes: EventTypes = ()) -> Role:
    """Declare a strategy: it may only wish for orders, never bring them to a venue."""
    return Role(name, Kind.STRATEGY, (*WISHES, *also_writes), (*reads, RiskRejected, *ORDER_ENDS))


ROLES: dict[str, Role] = {
    role.name: role
    for role in (
        Role("feed", Kind.EDGE, (Quote, Trade, Funding, MarketGap), ()),
        Role("clock", Kind.EDGE, (ClockTick,), (Quote, Trade)),
        Role("bars", Kind.COMPONENT, (Bar,), (Quote, Trade, ClockTick)),
        strategy("trend", Quote, Bar, PresetSelected),
        Role(
            "risk",
            Kind.COMPONENT,
            (RiskApproved, RiskRejected, AmendApproved, AmendRejected, RiskLocked),
            (
                *(OrderIntent, ProtectiveIntent, AmendIntent),
                *(Quote, Funding, InstrumentStatus, VenueHealth, ExecutionOverride),
                *(TradingStateSet, GuardSet, LockLifted),
                *(OrderUpdated, OrderUpdateRejected),
                *ORDER_ENDS,
                *(PositionClosed, EquityMarked, CapitalAllocated),
            ),
        ),
        Role(
            "router",
            Kind.COMPONENT,
            (*ORDER_EVENTS, *VENUE_COMMANDS, ExecutionOverride),
            (
                *(RiskApproved, AmendApproved, CancelIntent, TradingStateSet, GuardSet),
                *(Quote, Trade, Funding, ClockTick),
                *VENUE_REPORTS,
            ),
        ),
        Role("gateway", Kind.EDGE, (*VENUE_REPORTS, *VENUE_ACCOUNT), (Quote, Trade, Funding, *VENUE_COMMANDS)),
        Role(
            "portfolio",
            Kind.COMPONENT,
            (PositionChanged, PositionClosed, EquityMarked, PortfolioMarked),
            (OrderInitialized, OrderFilled, FundingPaid, Quote, Funding, ClockTick),
        ),
        Role("archive", Kind.EDGE, (GuardSet,), tuple(EVENT_TYPES.values())),
        Role(
            "ops",
            Kind.EDGE,
            (
                *(TradingStateSet, LockLifted, CapitalDecided, CancelIntent),
                *(TrainRequested, ModelDecided, CalibrationSet, PresetPinned),
            ),
            (),
        ),
        Role(
            "stops",
            Kind.COMPONENT,
            (ProtectiveIntent, CancelIntent, AmendIntent),
            (
                *(PositionChanged, EquityMarked, ClockTick, TradingStateSet, RiskRejected, AmendRejected),
                RiskApproved,
                *ORDER_EVENTS,
            ),
        ),
        strategy("depeg", Bar, ClockTick, PositionChanged, also_writes=(GuardSet, ProtectiveIntent)),
        strategy("funding", Funding, ClockTick, PositionChanged, also_writes=(GuardSet, ProtectiveIntent)),
        strategy("probe", Bar, ClockTick, OrderSubmitted, OrderAccepted, also_writes=(VenueHealth,)),
        Role(
            "allocator",
            Kind.COMPONENT,
            (CapitalProposed, CapitalAllocated),
            (EquityMarked, PositionClosed, CapitalProposed, CapitalDecided, ClockTick),
        ),
        Role("ingest", Kind.EDGE, (DataChunk,), (Bar, DataChunk)),
        Role("backfill", Kind.EDGE, (DataChunk,), ()),
        Role("importer", Kind.EDGE, (DataChunk,), ()),
        Role("trainer", Kind.EDGE, TRAININGS, (DataChunk, TrainRequested, ModelDecided, *TRAININGS)),
        Role(
            "scheduler",
            Kind.COMPONENT,
            (TrainRequested,),
            (DataChunk, DriftDetected, ClockTick, TrainRequested, TrainStarted, TrainFailed, ModelPublished),
        ),
        Role(
            "regime",
            Kind.COMPONENT,
            (RegimeInferred, ShadowInferred, DirectionInferred),
            (Bar, ModelPublished, ModelPromoted, ModelRetired, CalibrationSet),
        ),
        Role("drift", Kind.COMPONENT, (DriftDetected,), (RegimeInferred, ModelPromoted)),
        Role("params", Kind.COMPONENT, (PresetSelected,), (PositionClosed, RegimeInferred, PresetPinned)),
        strategy(
            "hmm_ensemble",
            *(Bar, RegimeInferred, DirectionInferred, CalibrationSet, PresetSelected),
            also_writes=(SignalGiven,),
        ),
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
