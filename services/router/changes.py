"""Changes: an order goes on under other terms, because it was amended or because of what others of its list traded."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from contracts.event import Event
from contracts.orders import Amendment, OrderPendingUpdate, OrderTerms, OrderUpdateRejected
from contracts.types import OrderStatus, Severity
from contracts.venue import AmendOrder, VenueAmended, VenueAmendRejected
from services.router.book import Order
from services.router.lists import granted, lot_of
from services.router.pacing import Task
from services.router.slicing import committed
from services.router.steps import alert, at, illegal, of, updated

if TYPE_CHECKING:
    from services.router.desk import Desk

TRADED_IN_ITS_PLACE = "others of its list have traded in its place"
_PENDING = (OrderStatus.PENDING_UPDATE, OrderStatus.PENDING_CANCEL)


class Changes:
    """One change at a time is asked of a venue; what comes meanwhile waits and is asked for as one."""

    def __init__(self, desk: "Desk") -> None:
        self.desk = desk

    def amend(self, order: Order, amendment: Amendment, event: Event) -> Iterator[Event]:
        """Change an order as risk has approved."""
        objection = _objection(order, amendment)
        if objection is not None:
            yield from self._refuse(order, objection, event)
            return
        if amendment.quantity is not None:
            self._set_full(order, amendment.quantity)
            if order.released and order.wanted <= order.filled:
                yield from self.desk.cancel(order, TRADED_IN_ITS_PLACE, event)
                return
            amendment = replace(amendment, quantity=order.wanted if order.released else amendment.quantity)
        if not order.sent:
            yield from self._rewrite(order, amendment, event)
        elif order.slicing is not None:
            yield from self.desk.parts.change(order, amendment, event)
        else:
            yield from self._push(order, amendment, event)

    def _set_full(self, order: Order, quantity: Decimal) -> None:
        order.full = quantity
        parent = None if order.parent is None else self.desk.book.orders.get(order.parent)
        if parent is None:
            order.granted = quantity + order.taken
        elif order.released:
            order.granted = granted(order, parent, lot_of(order.terms, self.desk.listing))

    def _refuse(self, order: Order, reason: str, event: Event) -> Iterator[Event]:
        """Refuse a change; while the answer to another is awaited, a step would be taken for that answer."""
        if order.change_asked:
            yield alert(event, "amend_refused", f"{order.id} is not changed: {reason}", Severity.INFO)
        else:
            yield from self.desk.step(order, OrderUpdateRejected(**of(order.terms, event), reason=reason))

    def fit(self, order: Order, event: Event) -> Iterator[Event]:
        """Bring an order to the quantity that it should have by now."""
        if order.life.closed or not order.released or order.wanted == _target(order):
            return
        if order.wanted <= order.filled:
            yield from self.desk.cancel(order, TRADED_IN_ITS_PLACE, event)
            return
        change = Amendment(
            client_order_id=order.id,
            instrument=order.terms.instrument,
            quantity=order.wanted,
            limit_price=None,
            trigger_price=None,
        )
        if not order.sent:
            yield from self._rewrite(order, change, event)
        elif order.slicing is not None:
            yield from self.desk.parts.change(order, change, event)
        else:
            yield from self._push(order, change, event)

    def _rewrite(self, order: Order, change: Amendment, event: Event) -> Iterator[Event]:
        """Change an order that no venue knows of."""
        order.terms = _changed(order.terms, change)
        if change.trigger_price is not None:
            order.trigger = float(change.trigger_price)
        yield from self.desk.step(order, updated(order, order.terms, event))
        yield from self.desk.look(order, event)

    def _push(self, order: Order, change: Amendment, event: Event) -> Iterator[Event]:
        order.change = _merged(order.change, change)
        if _may_ask(order):
            order.change_waits = True
            yield from self.desk.asking.request(Task.AMEND, order, event)

    def send(self, order: Order, event: Event) -> Iterator[Event]:
        """Ask the venue for the change that waits, unless there is a request under way already."""
        order.change_waits = False
        change = order.change
        if change is None or order.life.closed or not _may_ask(order):
            return
        order.change = None
        if change.quantity is not None and change.quantity <= order.filled:
            if order.wanted <= order.filled:
                yield from self.desk.cancel(order, TRADED_IN_ITS_PLACE, event)
                return
            order.granted = order.terms.quantity + order.taken
            yield from self._refuse(order, f"{order.filled} are filled already", event)
            return
        order.change_asked, order.tried = True, change.quantity or order.terms.quantity
        yield from self.desk.step(order, OrderPendingUpdate(**of(order.terms, event)))
        yield AmendOrder(**at(event), amendment=change)
        self.desk.asking.await_answer(order, event)

    def amended(self, order: Order, report: VenueAmended) -> Iterator[Event]:
        """Take over the terms that the venue has changed an order to."""
        if report.quantity <= order.filled:
            text = f"the venue says that {order.id} is for {report.quantity} now, of which {order.filled} are filled"
            yield alert(report, "impossible_update", f"{text}; nothing was changed")
            return
        terms = replace(
            order.terms,
            quantity=report.quantity,
            limit_price=report.limit_price or order.terms.limit_price if order.terms.order_type.has_limit else None,
        )
        event = updated(order, terms, report)
        if order.life.after(event) is None:
            yield illegal(event, order)
            return
        if order.wanted in (order.tried, order.terms.quantity):
            order.granted = report.quantity + order.taken
        order.terms, order.change_asked = terms, False
        yield from self.desk.step(order, event)
        yield from self.settle(order, report)

    def refused(self, order: Order, report: VenueAmendRejected) -> Iterator[Event]:
        event = OrderUpdateRejected(**of(order.terms, report), reason=report.reason)
        if order.life.closed or not order.change_asked:
            yield illegal(event, order)
            return
        order.change_asked = False
        yield from self.desk.step(order, event)
        if order.wanted == order.tried != order.terms.quantity:
            if order.family:
                text = f"{order.id} stays at {order.terms.quantity}, its list would have it at {order.wanted}"
                yield alert(report, "list_not_adjusted", f"{text}: {report.reason}")
            order.granted = order.terms.quantity + order.taken
        yield from self.settle(order, report)

    def settle(self, order: Order, event: Event) -> Iterator[Event]:
        """Go on with what had to wait for a venue's answer."""
        if order.life.closed or not _may_ask(order):
            return
        if order.change is None:
            yield from self.fit(order, event)
        else:
            order.change_waits = True
            yield from self.desk.asking.request(Task.AMEND, order, event)


def _may_ask(order: Order) -> bool:
    """Say whether a change can be asked for now: not while it is being canceled, nor before the last was answered."""
    return not (order.change_waits or order.change_asked or order.life.status in _PENDING)


def _target(order: Order) -> Decimal:
    """Give the quantity that an order has, or will have when what was asked for is done."""
    if order.change is not None and order.change.quantity is not None:
        return order.change.quantity
    return order.tried if order.change_asked else order.terms.quantity


def _merged(waiting: Amendment | None, newer: Amendment) -> Amendment:
    if waiting is None:
        return newer
    return replace(
        newer,
        quantity=newer.quantity or waiting.quantity,
        limit_price=newer.limit_price or waiting.limit_price,
        trigger_price=newer.trigger_price or waiting.trigger_price,
    )


def _changed(terms: OrderTerms, change: Amendment) -> OrderTerms:
    return replace(
        terms,
        quantity=change.quantity or terms.quantity,
        limit_price=change.limit_price or terms.limit_price,
        trigger_price=change.trigger_price or terms.trigger_price,
    )


def _objection(order: Order, amendment: Amendment) -> str | None:
    """Say why an order cannot be changed so, if it cannot."""
    return next(_objections(order, amendment), None)


def _objections(order: Order, amendment: Amendment) -> Iterator[str]:
    kind, quantity = order.terms.order_type, amendment.quantity
    if order.cancel_asked or order.life.status is OrderStatus.PENDING_CANCEL:
        yield "it is being canceled"
    if quantity is not None and quantity <= order.filled:
        yield f"quantity {quantity} is not above the {order.filled} that are filled"
    if order.slicing is not None and quantity is not None and quantity < committed(order):
        yield f"quantity {quantity} is below the {committed(order)} that are filled or at the venue"
    if amendment.limit_price is not None and not kind.has_limit:
        yield f"a {kind.value} order has no limit_price"
    if amendment.trigger_price is not None and not kind.is_conditional:
        yield f"a {kind.value} order has no trigger_price"
    if amendment.trigger_price is not None and (order.sent or order.life.status is OrderStatus.TRIGGERED):
        yield "it was triggered already"
