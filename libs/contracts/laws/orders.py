"""The life of an order: what was approved becomes one, lives by the table of transitions, and is filled rightly."""

from dataclasses import dataclass, field, replace
from decimal import Decimal

from contracts.laws.law import Found, Group, Law
from contracts.laws.wishes import Wishes
from contracts.lifecycle import Life
from contracts.orders import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderHeld,
    OrderInitialized,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderRejected,
    OrderSubmitted,
    OrderTerms,
    OrderTriggered,
    OrderUpdated,
    OrderUpdateRejected,
)
from contracts.recorded import Recorded
from contracts.types import OrderStatus
from contracts.venue import (
    AmendOrder,
    CancelOrder,
    QueryOrder,
    SubmitOrder,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueForeignOrder,
    VenueRejected,
    VenueReport,
)

ZERO = Decimal(0)
CLOSED_KEPT = 20_000
"""Closed orders that are remembered, for the fills that come late: more than any router remembers."""


@dataclass(slots=True)
class _Slice:
    """A part of an order at the venue; `bound` is what it has filled and may still fill."""

    order_id: str
    quantity: Decimal
    bound: Decimal
    filled: Decimal = ZERO
    trades: set[str] = field(default_factory=set)
    cancels_left: int = 1


@dataclass(slots=True)
class _Order:
    terms: OrderTerms
    life: Life = field(default_factory=Life)
    filled: Decimal = ZERO
    trades: set[str] = field(default_factory=set)
    said_submitted: bool = False
    submitted: bool = False
    cancels_due: int = 0
    changes_due: int = 0
    slices: dict[str, _Slice] = field(default_factory=dict)

    @property
    def goes_out(self) -> bool:
        return self.said_submitted and not self.life.closed

    @property
    def may_be_sliced(self) -> bool:
        return self.terms.twap is not None or self.terms.display_quantity is not None

    @property
    def is_whole(self) -> bool:
        shown = self.terms.display_quantity or self.terms.quantity
        return self.terms.twap is None and shown >= self.terms.quantity and not self.slices


class Orders(Group):
    """Every order that is open, and the closed ones of late."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._orders: dict[str, _Order] = {}
        self._closed: dict[str, None] = {}
        self._slices: dict[str, _Slice] = {}
        self._foreign: dict[str, VenueForeignOrder] = {}
        steps = (
            *(OrderAccepted, OrderCanceled, OrderCancelRejected, OrderDenied, OrderExpired, OrderHeld),
            *(OrderPendingCancel, OrderPendingUpdate, OrderRejected, OrderSubmitted, OrderTriggered),
            OrderUpdateRejected,
        )
        self.checks = {
            VenueForeignOrder: self._on_foreign,
            OrderInitialized: self._on_initialized,
            OrderFilled: self._on_filled,
            OrderUpdated: self._on_updated,
            SubmitOrder: self._on_submit,
            CancelOrder: self._on_cancel,
            AmendOrder: self._on_amend,
            QueryOrder: self._on_query,
            VenueFilled: self._on_slice_filled,
            **dict.fromkeys((VenueCanceled, VenueExpired, VenueRejected), self._on_slice_ended),
            VenueCancelRejected: self._on_slice_kept,
            **dict.fromkeys(steps, self._on_step),
        }

    def _on_foreign(self, _recorded: Recorded, foreign: VenueForeignOrder) -> None:
        if foreign.adopted and foreign.client_order_id not in self._orders:
            self._foreign[foreign.client_order_id] = foreign

    def _on_initialized(self, _recorded: Recorded, begun: OrderInitialized) -> Found:
        terms = begun.order
        approved = self._wishes.approved.pop(terms.client_order_id, None)
        foreign = None if approved else self._foreign.pop(terms.client_order_id, None)
        if terms.client_order_id in self._orders:
            yield Law.LIFE, f"{terms.client_order_id} begins a second time"
        elif foreign is not None:
            brought = (foreign.strategy, foreign.instrument, foreign.side, foreign.quantity)
            if (terms.strategy, terms.instrument, terms.side, terms.quantity) != brought:
                yield Law.ROUTE, f"{terms.client_order_id} was brought up by the venue on other terms"
        elif approved is None:
            yield Law.ROUTE, f"{terms.client_order_id} was not approved"
        elif approved != terms:
            yield Law.ROUTE, f"{terms.client_order_id} was approved on other terms"
        self._orders.setdefault(terms.client_order_id, _Order(terms, submitted=foreign is not None))

    def _on_step(self, _recorded: Recorded, step: OrderEvent) -> Found:
        order = self._orders.get(step.client_order_id)
        if order is None:
            yield Law.LIFE, f"{type(step).__name__} for {step.client_order_id}, which never began"
            return
        if (step.strategy, step.instrument) != (order.terms.strategy, order.terms.instrument):
            yield Law.LIFE, f"{type(step).__name__} for {step.client_order_id} names another strategy or instrument"
        life = order.life.after(step)
        if life is None:
            yield Law.LIFE, f"{type(step).__name__} for {step.client_order_id}, which is {order.life.status.value}"
            return
        order.life = life
        if isinstance(step, OrderPendingCancel):
            order.cancels_due += 1
        elif isinstance(step, OrderPendingUpdate):
            order.changes_due += 1
        elif isinstance(step, OrderSubmitted):
            order.said_submitted = True
        if life.closed:
            self._close(step.client_order_id)

    def _on_updated(self, recorded: Recorded, step: OrderUpdated) -> Found:
        yield from self._on_step(recorded, step)
        order = self._orders.get(step.client_order_id)
        if order is None:
            return
        if step.leaves != step.quantity - order.filled or step.leaves <= 0:
            said = f"{step.leaves} left of {step.quantity}"
            yield Law.FILL, f"{step.client_order_id} goes on with {said}, {order.filled} are filled"
        order.terms = replace(
            order.terms, quantity=step.quantity, limit_price=step.limit_price, trigger_price=step.trigger_price
        )

    def _on_filled(self, recorded: Recorded, fill: OrderFilled) -> Found:
        order = self._orders.get(fill.client_order_id)
        yield from self._on_step(recorded, fill)
        if order is None:
            return
        if fill.trade_id in order.trades:
            yield Law.FILL, f"trade {fill.trade_id} of {fill.client_order_id} is booked a second time"
        order.trades.add(fill.trade_id)
        order.filled += fill.quantity
        of = f"{fill.client_order_id} with trade {fill.trade_id}"
        if fill.side is not order.terms.side:
            yield Law.FILL, f"{of}: {fill.side.value} for an order to {order.terms.side.value}"
        if order.filled > order.terms.quantity:
            yield Law.FILL, f"{of}: {order.filled} of {order.terms.quantity} are filled"
        if (fill.cumulative, fill.leaves) != (order.filled, order.terms.quantity - order.filled):
            yield Law.FILL, f"{of}: says {fill.cumulative} filled, {fill.leaves} left of {order.terms.quantity}"

    # What the venue is asked for.

    def _on_submit(self, _recorded: Recorded, command: SubmitOrder) -> Found:
        sent, order_id = command.order, command.order.client_order_id
        if sent.slice_of is not None:
            yield from self._on_submit_slice(sent, sent.slice_of)
            return
        order = self._orders.get(order_id)
        if order is None or not order.goes_out or not order.is_whole or order.terms.at_venue != sent:
            yield Law.COMMAND, f"{order_id} goes to the venue, and is not submitted as it is"
        elif order.submitted:
            yield Law.COMMAND, f"{order_id} goes to the venue a second time"
        if order is not None:
            order.submitted = True

    def _on_submit_slice(self, sent: OrderTerms, order_id: str) -> Found:
        name, order = sent.client_order_id, self._orders.get(order_id)
        if order is None or not order.goes_out or not order.may_be_sliced:
            yield Law.COMMAND, f"{name} goes to the venue, and {order_id} is not submitted in slices"
            return
        if name in self._slices or name in self._orders:
            yield Law.COMMAND, f"{name} goes to the venue a second time"
        if replace(order.terms.at_venue, client_order_id=name, quantity=sent.quantity, slice_of=order_id) != sent:
            yield Law.COMMAND, f"{name} goes to the venue on other terms than {order_id}, of which it is a slice"
        order.submitted = True
        self._slices[name] = order.slices[name] = _Slice(order_id, sent.quantity, sent.quantity)
        bound = sum((part.bound for part in order.slices.values()), ZERO)
        if bound > order.terms.quantity:
            yield Law.COMMAND, f"with {name}, {bound} of {order.terms.quantity} of {order_id} are at the venue"

    def _on_slice_filled(self, _recorded: Recorded, report: VenueFilled) -> None:
        """Count a trade once, and not at all if a slice cannot have made it: nobody books that."""
        part = self._slices.get(report.client_order_id)
        if part is None or report.trade_id in part.trades or part.filled + report.quantity > part.quantity:
            return
        part.trades.add(report.trade_id)
        part.filled += report.quantity
        part.bound = max(part.bound, part.filled)

    def _on_slice_ended(self, _recorded: Recorded, report: VenueReport) -> None:
        part = self._slices.get(report.client_order_id)
        if part is not None:
            part.bound = part.filled

    def _on_slice_kept(self, _recorded: Recorded, report: VenueReport) -> None:
        part = self._slices.get(report.client_order_id)
        if part is not None:
            part.cancels_left += 1

    def _on_cancel(self, _recorded: Recorded, command: CancelOrder) -> Found:
        order_id = command.client_order_id
        order, part = self._orders.get(order_id), self._slices.get(order_id)
        if part is not None:
            yield from self._on_cancel_slice(order_id, part)
        elif order is None or order.cancels_due == 0:
            yield Law.COMMAND, f"a cancel of {order_id} that is not due"
        else:
            order.cancels_due -= 1

    def _on_cancel_slice(self, name: str, part: _Slice) -> Found:
        order = self._orders.get(part.order_id)
        part.cancels_left -= 1
        if order is None or part.cancels_left < 0:
            yield Law.COMMAND, f"a cancel of {name} that is not due"
        else:
            order.cancels_due = 0

    def _on_amend(self, _recorded: Recorded, command: AmendOrder) -> Found:
        order_id = command.amendment.client_order_id
        order = self._orders.get(order_id)
        if order is None or order.changes_due == 0:
            yield Law.COMMAND, f"a change of {order_id} that is not due"
        else:
            order.changes_due -= 1

    def _on_query(self, _recorded: Recorded, command: QueryOrder) -> Found:
        order = self._orders.get(command.client_order_id)
        if command.client_order_id not in self._slices and (order is None or not order.submitted):
            yield Law.COMMAND, f"the venue is asked for {command.client_order_id}, which it was never told of"

    def _close(self, order_id: str) -> None:
        self._closed.pop(order_id, None)
        self._closed[order_id] = None
        if len(self._closed) > CLOSED_KEPT:
            oldest = next(iter(self._closed))
            del self._closed[oldest]
            for name in self._orders.pop(oldest).slices:
                self._slices.pop(name, None)

    def missing(self) -> Found:
        for order_id, order in self._orders.items():
            status = order.life.status
            if status is OrderStatus.INITIALIZED:
                yield Law.LIFE, f"{order_id} began, and nothing came of it"
            if order.said_submitted and not order.submitted:
                yield Law.COMMAND, f"{order_id} is {status.value}, and the venue was never told"
            if order.cancels_due:
                yield Law.COMMAND, f"the venue was not asked to cancel {order_id}"
            if order.changes_due:
                yield Law.COMMAND, f"the venue was not asked to change {order_id}"
