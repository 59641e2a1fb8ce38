"""Router: bring approved orders to the venue and turn its reports into the one life of each order.

A report that cannot happen to an order that stands where it does becomes an alert: never an exception, never a silence.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, TypedDict

from contracts.control import Alert, GuardSet, TradingStateSet
from contracts.event import Event
from contracts.lifecycle import Life
from contracts.orders import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderPendingCancel,
    OrderRejected,
    OrderSubmitted,
    OrderTerms,
    RiskApproved,
)
from contracts.ownership import ORDER_EVENTS, VENUE_COMMANDS
from contracts.permission import Permission
from contracts.types import MAX_TEXT, InstrumentId, OrderStatus, Severity, TradingState
from contracts.venue import (
    CancelOrder,
    SubmitOrder,
    VenueAccepted,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueRejected,
    VenueReport,
)
from services.router.settings import RouterSettings
from tape.component import Component, on


class _Of(TypedDict):
    """What every order event says."""

    ts_event: int
    ts_init: int
    client_order_id: str
    strategy: str
    instrument: InstrumentId


Answer = VenueAccepted | VenueRejected | VenueCanceled | VenueExpired | VenueCancelRejected


@dataclass(slots=True)
class Order:
    """An order in the router's books."""

    terms: OrderTerms
    life: Life = field(default_factory=Life)
    filled: Decimal = Decimal(0)
    trades: dict[str, None] = field(default_factory=dict)
    """Ids of the fills that are booked."""

    def at(self, event: Event) -> _Of:
        return _Of(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            client_order_id=self.terms.client_order_id,
            strategy=self.terms.strategy,
            instrument=self.terms.instrument,
        )


@dataclass(slots=True)
class RouterState:
    trading: Permission
    orders: dict[str, Order]
    closed: dict[str, None]
    """Ids of orders, the first that was closed first."""


class Router(Component):
    produces: ClassVar[tuple[type[Event], ...]] = (*ORDER_EVENTS, *VENUE_COMMANDS, Alert)
    State = RouterState

    def __init__(self, settings: RouterSettings) -> None:
        super().__init__("router")
        self.settings = settings
        self.trading = Permission()
        self.orders: dict[str, Order] = {}
        self._closed: dict[str, None] = {}

    def state(self) -> RouterState:
        return RouterState(self.trading, self.orders, self._closed)

    def restore(self, state: RouterState) -> None:
        self.trading = state.trading
        self.orders = state.orders
        self._closed = state.closed
        self._forget_oldest()

    @on(RiskApproved)
    def on_approval(self, approval: RiskApproved) -> Iterator[Event]:
        terms = approval.order
        order = Order(terms)
        if terms.client_order_id in self.orders:
            yield self._alert(approval, "duplicate_order", f"order {terms.client_order_id} was approved before")
            return
        self.orders[terms.client_order_id] = order
        yield OrderInitialized(ts_event=approval.ts_event, ts_init=approval.ts_init, order=terms)
        if self.trading.state is TradingState.HALTED:
            yield from self._step(order, OrderDenied(**order.at(approval), reason="trading was halted meanwhile"))
            return
        yield from self._step(order, OrderSubmitted(**order.at(approval)))
        yield SubmitOrder(ts_event=approval.ts_event, ts_init=approval.ts_init, order=terms)

    @on(TradingStateSet, GuardSet)
    def on_control(self, control: TradingStateSet | GuardSet) -> Iterator[Event]:
        """A halt takes every open order from the venue, and what risk approved just before it stays here."""
        self.trading.hear(control)
        if control.state is not TradingState.HALTED:
            return
        for order in list(self.orders.values()):
            if order.life.closed or order.life.status is OrderStatus.PENDING_CANCEL:
                continue
            yield from self._step(order, OrderPendingCancel(**order.at(control)))
            yield CancelOrder(
                ts_event=control.ts_event,
                ts_init=control.ts_init,
                client_order_id=order.terms.client_order_id,
                instrument=order.terms.instrument,
            )

    @on(VenueAccepted, VenueRejected, VenueCanceled, VenueExpired, VenueCancelRejected)
    def on_report(self, report: Answer) -> Iterator[Event]:
        order = self.orders.get(report.client_order_id)
        return self._unknown(report) if order is None else self._step(order, _said_by(report, order.at(report)))

    @on(VenueFilled)
    def on_filled(self, report: VenueFilled) -> Iterator[Event]:
        order = self.orders.get(report.client_order_id)
        if order is None:
            yield from self._unknown(report)
            return
        if report.trade_id in order.trades:
            return
        terms = order.terms
        cumulative = order.filled + report.quantity
        if cumulative > terms.quantity or report.side is not terms.side or report.instrument != terms.instrument:
            been = f"{order.filled} of {terms.quantity} {terms.instrument} of {terms.client_order_id} are filled"
            text = f"{report.side.value} {report.quantity} {report.instrument} at {report.price}"
            yield self._alert(report, "impossible_fill", f"{been}; now {text}, trade {report.trade_id}")
            return
        fill = OrderFilled(
            **order.at(report),
            trade_id=report.trade_id,
            side=report.side,
            price=report.price,
            quantity=report.quantity,
            cumulative=cumulative,
            leaves=terms.quantity - cumulative,
            fee=report.fee,
            currency=report.currency,
            liquidity=report.liquidity,
        )
        if order.life.after(fill) is not None:
            order.filled = cumulative
            order.trades[report.trade_id] = None
        yield from self._step(order, fill)

    def _step(self, order: Order, event: Event) -> Iterator[Event]:
        """Say `event` if it can happen to the order, and an alert if it cannot."""
        life = order.life.after(event)
        if life is None:
            text = f"{type(event).__name__} for {order.terms.client_order_id}, which is {order.life.status.value}"
            yield self._alert(event, "illegal_report", text)
            return
        order.life = life
        if life.closed:
            self._remember_closed(order.terms.client_order_id)
        yield event

    def _unknown(self, report: VenueReport) -> Iterator[Event]:
        text = f"{type(report).__name__} for {report.client_order_id}, which nobody here sent"
        yield self._alert(report, "unknown_order", text)

    def _alert(self, event: Event, code: str, message: str) -> Alert:
        """Call a person; a trade that we could not book is critical, for our books then differ from the venue's."""
        return Alert(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            component=self.name,
            severity=Severity.CRITICAL if isinstance(event, VenueFilled | OrderFilled) else Severity.WARNING,
            code=code,
            message=message[:MAX_TEXT],
        )

    def _remember_closed(self, client_order_id: str) -> None:
        self._closed[client_order_id] = None
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self._closed) > self.settings.remembered_orders:
            oldest = next(iter(self._closed))
            del self._closed[oldest], self.orders[oldest]


def _said_by(report: Answer, of: _Of) -> Event:
    """Give the step in an order's life that a report other than a fill stands for."""
    match report:
        case VenueAccepted():
            return OrderAccepted(**of, venue_order_id=report.venue_order_id)
        case VenueRejected():
            return OrderRejected(**of, reason=report.reason)
        case VenueCanceled():
            return OrderCanceled(**of, reason=report.reason)
        case VenueExpired():
            return OrderExpired(**of, reason=report.reason)
        case VenueCancelRejected():
            return OrderCancelRejected(**of, reason=report.reason)
