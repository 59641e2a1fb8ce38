"""Parts: an order that goes to the venue in slices stays one order; what the venue says of a slice is said of it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from contracts.event import Event
from contracts.lifecycle import Life
from contracts.orders import (
    Amendment,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderHeld,
    OrderPendingCancel,
    OrderRejected,
    OrderSubmitted,
)
from contracts.types import OrderStatus
from contracts.venue import SubmitOrder
from services.router.book import Order, Slice, Slicing
from services.router.lists import lot_of
from services.router.pacing import Task
from services.router.slicing import (
    begun_slices,
    committed,
    ending,
    most_slices,
    next_quantity,
    slice_id,
    slice_terms,
    time_of,
)
from services.router.steps import Answer, at, illegal, of, said_by, tells_nothing_new, updated
from services.router.timers import Alarm

if TYPE_CHECKING:
    from services.router.desk import Desk


class Parts:
    def __init__(self, desk: "Desk") -> None:
        self.desk = desk

    def begin(self, order: Order, event: Event) -> Iterator[Event]:
        """Cut an order up and send its first slice."""
        count, most = most_slices(order.terms), self.desk.settings.max_slices
        if count > most:
            reason = f"it would take {count} slices, above max_slices {most}: show more, or cut it into fewer"
            yield from self.desk.step(order, OrderDenied(**of(order.terms, event), reason=reason))
            return
        order.slicing = Slicing(began_at=event.ts_init)
        yield from self.on_time(order, event)
        if order.life.status is OrderStatus.INITIALIZED:
            reason = "until a slice is worth a lot"
            yield from self.desk.step(order, OrderHeld(**of(order.terms, event), reason=reason))

    def on_time(self, order: Order, event: Event) -> Iterator[Event]:
        """Make the slice whose time has come, and see to the next."""
        slicing = order.slicing
        if slicing is None or slicing.stopped is not None:
            return
        if order.terms.twap is not None:
            begun = begun_slices(order.terms, slicing, event.ts_init)
            slicing.all_planned = begun == order.terms.twap.slices
            if not slicing.all_planned:
                self.desk.timers.add(time_of(order.terms, slicing, begun), Alarm.SLICE, order.id)
        yield from self._next(order, slicing, event)

    def _next(self, order: Order, slicing: Slicing, event: Event) -> Iterator[Event]:
        if order.life.closed:
            return
        lot = lot_of(order.terms, self.desk.listing)
        quantity = next_quantity(order, slicing, lot, event.ts_init)
        if quantity <= 0:
            yield from self._end_if_done(order, slicing, event)
            return
        while (name := slice_id(order.id, slicing.numbered)) in self.desk.book:
            slicing.numbered += 1
        slicing.numbered += 1
        part = slicing.parts[name] = Slice(slice_terms(order.terms, name, quantity))
        self.desk.book.add_slice(part)
        yield from self.desk.asking.request(Task.SUBMIT, part, event)

    def submit(self, part: Slice, event: Event) -> Iterator[Event]:
        order = self.desk.book.order_of(part)
        if part.sent or part.life.closed or order.life.closed:
            return
        if not order.sent:
            order.sent = True
            yield from self.desk.step(order, OrderSubmitted(**of(order.terms, event)))
        part.sent, part.life = True, Life(OrderStatus.SUBMITTED)
        part.terms = slice_terms(order.terms, part.id, part.terms.quantity)
        yield SubmitOrder(**at(event), order=part.terms)
        self.desk.asking.await_answer(part, event)

    def report(self, order: Order, part: Slice, report: Answer) -> Iterator[Event]:
        """Take a report on a slice: its own life is kept here, the order's is on the tape."""
        step = said_by(report, part.terms)
        if tells_nothing_new(step, part):
            return
        life = part.life.after(step) if part.sent else None
        if life is None:
            yield illegal(step, part)
            return
        part.life = life
        said = said_by(report, order.terms)
        assert order.slicing is not None
        if isinstance(said, OrderAccepted) and not order.slicing.accepted:
            order.slicing.accepted = True
            yield from self._if_possible(order, said)
        elif isinstance(said, OrderCancelRejected):
            part.cancel_asked = False
            yield from self._if_possible(order, said)
        elif isinstance(said, OrderRejected):
            yield from self.desk.judge_rejection(order.terms.instrument, report)
        if life.closed:
            yield from self._ended(order, part, report, report.reason if hasattr(report, "reason") else "")

    def _if_possible(self, order: Order, said: Event) -> Iterator[Event]:
        if order.life.after(said) is not None:
            yield from self.desk.step(order, said)

    def filled(self, order: Order, part: Slice, fill: OrderFilled) -> Iterator[Event]:
        """Book a fill of a slice, which the order's own fill was said for."""
        own = replace(fill, cumulative=part.filled, leaves=part.terms.quantity - part.filled)
        was_closed = part.life.closed
        part.life = part.life.after(own) or part.life
        if part.life.closed and not was_closed:
            yield from self._ended(order, part, fill, "")

    def _ended(self, order: Order, part: Slice, event: Event, reason: str) -> Iterator[Event]:
        slicing = order.slicing
        if order.life.closed or slicing is None:
            return
        yield from self.desk.changes.fit(order, event)
        if order.terms.twap is None and slicing.open_parts:
            return
        whole = part.life.status is OrderStatus.FILLED
        if order.terms.twap is None and not whole and not part.replaced and slicing.stopped is None:
            slicing.stopped = reason or f"its slice {part.id} ended"
        if slicing.stopped is None and (order.terms.twap is None or part.replaced):
            yield from self._next(order, slicing, event)
        else:
            yield from self._end_if_done(order, slicing, event)

    def _end_if_done(self, order: Order, slicing: Slicing, event: Event) -> Iterator[Event]:
        waits = slicing.stopped is None and (order.terms.twap is not None and not slicing.all_planned)
        if order.life.closed or waits or slicing.open_parts:
            return
        of_order, parts = of(order.terms, event), list(slicing.parts.values())
        if order.expiring:
            end: Event = OrderExpired(**of_order, reason=ending(slicing, parts))
        elif order.sent and not order.filled and all(part.life.status is OrderStatus.REJECTED for part in parts):
            end = OrderRejected(**of_order, reason=ending(slicing, parts))
        else:
            end = OrderCanceled(**of_order, reason=ending(slicing, parts))
        yield from self.desk.step(order, end)

    def stop(self, order: Order, reason: str, event: Event) -> Iterator[Event]:
        """Make no further slice, and take back those that are out."""
        slicing = order.slicing
        assert slicing is not None
        slicing.stopped = slicing.stopped or reason
        for part in slicing.open_parts:
            yield from self._take_back(part, event)
        yield from self._end_if_done(order, slicing, event)

    def _take_back(self, part: Slice, event: Event) -> Iterator[Event]:
        if not part.sent:
            part.life = Life(OrderStatus.CANCELED)
        elif not part.cancel_asked:
            part.cancel_asked = True
            yield from self.desk.asking.request(Task.CANCEL, part, event)

    def pending_cancel(self, part: Slice, pending: OrderPendingCancel, event: Event) -> Iterator[Event]:
        order = self.desk.book.order_of(part)
        part.life = part.life.after(pending) or part.life
        stopped = order.slicing is not None and order.slicing.stopped is not None
        if stopped and order.life.status is not OrderStatus.PENDING_CANCEL:
            yield from self._if_possible(order, OrderPendingCancel(**of(order.terms, event)))

    def change(self, order: Order, change: Amendment, event: Event) -> Iterator[Event]:
        """Go on under other terms: slices that are out at another limit are taken back and made anew."""
        slicing = order.slicing
        assert slicing is not None
        if change.quantity is not None and change.quantity < committed(order):
            yield from self._replace(slicing, event, drop=True)
            if change.quantity < committed(order):
                return
        order.terms = replace(
            order.terms,
            quantity=change.quantity or order.terms.quantity,
            limit_price=change.limit_price or order.terms.limit_price,
        )
        yield from self.desk.step(order, updated(order, order.terms, event))
        if change.limit_price is not None:
            yield from self._replace(slicing, event)
        if slicing.stopped is None and (slicing.all_planned or not slicing.open_parts):
            yield from self._next(order, slicing, event)

    def _replace(self, slicing: Slicing, event: Event, *, drop: bool = False) -> Iterator[Event]:
        """Take back what is out, to go on under other terms when it is gone; `drop` also what waits here."""
        for part in slicing.open_parts:
            if part.sent or drop:
                part.replaced = True
                yield from self._take_back(part, event)
