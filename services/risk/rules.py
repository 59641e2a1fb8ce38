"""Risk: judge every intent on the rails, and let through what none objects to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from contracts.books import CapitalAllocated, EquityMarked, PositionClosed
from contracts.control import Alert, GuardSet, LockLifted, TradingStateSet
from contracts.event import Event
from contracts.market import Funding, Quote
from contracts.orders import (
    AmendApproved,
    AmendIntent,
    AmendRejected,
    ExecutionOverride,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderIntent,
    OrderRejected,
    OrderUpdated,
    OrderUpdateRejected,
    ProtectiveIntent,
    RiskApproved,
    RiskLocked,
    RiskRejected,
)
from contracts.permission import Permission
from contracts.types import CircuitState, InstrumentId, InstrumentState, Severity
from contracts.venue import InstrumentStatus, VenueHealth
from services.risk.activity import Activity
from services.risk.amendments import judge_amendment
from services.risk.clear import Glance
from services.risk.correlations import Correlations, Samples
from services.risk.exposure import Exposure, ExposureState
from services.risk.locks import Lock, Locks
from services.risk.losses import Kept, Losses
from services.risk.protections import Protections
from services.risk.settings import RiskSettings
from services.risk.situation import Ground
from services.risk.verdict import approve_at, judge, judge_protective
from tape.component import Component, on
from venues.instruments import Listing


@dataclass(slots=True)
class RiskState:
    trading: Permission
    quotes: dict[InstrumentId, Quote]
    marks: dict[InstrumentId, float]
    statuses: dict[InstrumentId, InstrumentStatus]
    circuits: dict[str, CircuitState]
    overrides: dict[InstrumentId, ExecutionOverride]
    capital: dict[str, Decimal]
    exposure: ExposureState
    activity: Activity
    losses: Losses
    protections: Protections
    locks: Locks
    samples: Samples


class Risk(Component):
    produces: ClassVar[tuple[type[Event], ...]] = (
        RiskApproved,
        RiskRejected,
        AmendApproved,
        AmendRejected,
        RiskLocked,
        Alert,
    )
    State = RiskState
    state_version = 2

    def __init__(self, settings: RiskSettings, listing: Listing) -> None:
        super().__init__("risk")
        self.ground = Ground(settings, listing, Correlations(settings))
        self.glance, self.kept = Glance(self.ground), Kept.of(settings)
        self.protects = not settings.has_no_protections

    @property
    def exposure(self) -> Exposure:
        return self.ground.exposure

    def state(self) -> RiskState:
        ground = self.ground
        return RiskState(
            ground.trading,
            ground.quotes,
            ground.marks,
            ground.statuses,
            ground.circuits,
            ground.overrides,
            ground.capital,
            ground.exposure.state(),
            ground.activity,
            ground.losses,
            ground.protections,
            ground.locks,
            ground.correlations.samples,
        )

    def restore(self, state: RiskState) -> None:
        ground = self.ground
        ground.trading, ground.quotes, ground.marks = state.trading, state.quotes, state.marks
        ground.statuses, ground.circuits, ground.overrides = state.statuses, state.circuits, state.overrides
        ground.capital, ground.activity, ground.losses = state.capital, state.activity, state.losses
        ground.protections, ground.locks = state.protections, state.locks
        ground.exposure.restore(state.exposure)
        ground.correlations.restore(state.samples)

    # -- the market ----------------------------------------------------------------------------------------------------

    @on(Quote)
    def on_quote(self, quote: Quote) -> None:
        ground = self.ground
        if quote.ts_init >= ground.correlations.samples.next_at:
            ground.correlations.sample(ground.quotes, quote.ts_init)
        ground.quotes[quote.instrument] = quote

    def rests_until(self, _instrument: InstrumentId) -> int:
        return self.ground.correlations.samples.next_at

    @on(Funding)
    def on_funding(self, funding: Funding) -> None:
        self.ground.marks[funding.instrument] = funding.mark

    @on(InstrumentStatus)
    def on_status(self, status: InstrumentStatus) -> None:
        if status.state is InstrumentState.TRADING:
            self.ground.statuses.pop(status.instrument, None)
        else:
            self.ground.statuses[status.instrument] = status

    @on(VenueHealth)
    def on_health(self, health: VenueHealth) -> None:
        self.ground.circuits[health.venue] = health.state

    @on(ExecutionOverride)
    def on_override(self, override: ExecutionOverride) -> None:
        self.ground.overrides[override.instrument] = override

    # -- what is wanted ------------------------------------------------------------------------------------------------

    @on(OrderIntent)
    def on_intent(self, intent: OrderIntent) -> tuple[RiskApproved | RiskRejected]:
        if not intent.attached:
            mark = self.glance.mark_of(intent.order, intent.ts_init, intent.reference_price)
            if mark is not None:
                return (approve_at(self.ground, intent, mark),)
        return (judge(self.ground, self.glance, intent),)

    @on(ProtectiveIntent)
    def on_protective(self, intent: ProtectiveIntent) -> tuple[RiskApproved | RiskRejected]:
        return (judge_protective(self.ground, intent),)

    @on(AmendIntent)
    def on_amendment(self, intent: AmendIntent) -> tuple[AmendApproved | AmendRejected]:
        return (judge_amendment(self.ground, intent),)

    # -- what became of it ---------------------------------------------------------------------------------------------

    @on(OrderFilled)
    def on_fill(self, fill: OrderFilled) -> None:
        self.ground.exposure.filled(fill)

    @on(OrderDenied, OrderRejected, OrderCanceled, OrderExpired)
    def on_order_end(self, end: OrderDenied | OrderRejected | OrderCanceled | OrderExpired) -> None:
        self.exposure.released(end.client_order_id)

    @on(OrderUpdated)
    def on_update(self, update: OrderUpdated) -> None:
        self.exposure.updated(update)

    @on(OrderUpdateRejected)
    def on_update_refused(self, refusal: OrderUpdateRejected) -> None:
        self.exposure.not_updated(refusal.client_order_id)

    @on(EquityMarked)
    def on_equity(self, mark: EquityMarked) -> Iterator[RiskLocked] | None:
        locks = self.ground.losses.marked(mark, self.ground.settings, self.kept)
        return self._locked(locks, mark) if locks else None

    @on(PositionClosed)
    def on_closed(self, closed: PositionClosed) -> Iterator[RiskLocked] | None:
        ground = self.ground
        in_a_row = ground.losses.closed(closed, ground.settings)
        locks = [] if in_a_row is None else [in_a_row]
        if self.protects:
            equity = ground.losses.equity(closed.strategy, ground.settings)
            locks += ground.protections.closed(closed, equity, ground.settings)
        else:
            ground.protections.trades.clear()
        return self._locked(locks, closed) if locks else None

    def _locked(self, locks: Iterable[Lock], event: Event) -> Iterator[RiskLocked]:
        said = (self.ground.locks.add(lock, event) for lock in locks)
        return (locked for locked in said if locked is not None)

    # -- what people and guards say ------------------------------------------------------------------------------------

    @on(TradingStateSet, GuardSet)
    def on_control(self, control: TradingStateSet | GuardSet) -> None:
        self.ground.trading.hear(control)

    @on(CapitalAllocated)
    def on_capital(self, allocated: CapitalAllocated) -> None:
        self.ground.capital[allocated.strategy] = allocated.capital

    @on(LockLifted)
    def on_lifted(self, lifted: LockLifted) -> Iterator[Alert] | None:
        if self.ground.locks.lift(lifted):
            return None
        scope = f"{lifted.strategy or 'any strategy'}, {lifted.instrument or 'any instrument'}"
        return iter(
            (
                Alert(
                    ts_event=lifted.ts_event,
                    ts_init=lifted.ts_init,
                    component=self.name,
                    severity=Severity.INFO,
                    code="nothing_locked",
                    message=f"{lifted.operator} lifts {lifted.rail.value} of {scope}: nothing such is locked",
                ),
            )
        )
