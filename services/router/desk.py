"""The desk: what is done with an order from its approval to its end, and what that means for others of its list."""

from collections.abc import Iterable, Iterator
from itertools import chain

from contracts.event import Event, maker
from contracts.lifecycle import CLOSED, Life
from contracts.orders import (
    ExecutionOverride,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderHeld,
    OrderInitialized,
    OrderRejected,
    OrderTerms,
    OrderTriggered,
    RiskApproved,
)
from contracts.permission import Permission
from contracts.types import Contingency, InstrumentId, OrderStatus, TimeInForce, TradingState
from services.router import overrides
from services.router.asking import Asking
from services.router.book import ZERO, Book, Order
from services.router.changes import Changes
from services.router.lists import goes_when_it_triggers, granted, lot_of
from services.router.overrides import Quality
from services.router.pacing import Task
from services.router.parts import Parts
from services.router.plain import is_plain
from services.router.settings import RouterSettings
from services.router.slicing import is_sliced
from services.router.steps import alert, at, illegal, of
from services.router.timers import Alarm, Timers
from services.router.triggers import Seen, as_money, first_reached, reached, trailed
from tape.span import Span
from venues.instruments import Listing

DAY = 86_400_000_000_000
PROTECTORS = frozenset({"stops", "depeg", "funding"})
"""Who may reduce a position of any strategy, also while trading is halted."""
_ALARMS_KEPT = 64
LOOKED_AHEAD = 100
"""Quotes: an order seldom waits for as long as a span lasts."""
_NOT_OF_ORDERS = (Alarm.PACE, Alarm.RECOVERY)
_HALTED = TradingState.HALTED
_initialized = maker(OrderInitialized)
_CONCERNS_OTHERS = frozenset({OrderFilled, OrderTriggered, OrderRejected})
"""Steps that more may follow from, even if they do not end the order."""


class Desk:
    """Everything it yields is an event for the tape; the event in hand gives the time."""

    def __init__(self, settings: RouterSettings, listing: Listing) -> None:
        self.settings = settings
        self._execution = settings.execution
        self.listing = listing
        self.trading = Permission()
        self.book = Book(settings.remembered_orders)
        self.seen = Seen()
        self.timers = Timers()
        self.asking = Asking(self)
        self.watched: dict[InstrumentId, dict[str, None]] = {}
        """Ids of the orders that wait for a price there."""
        self.quality: dict[InstrumentId, Quality] = {}
        self.changes = Changes(self)
        self.parts = Parts(self)

    # -- from the approval to the venue --------------------------------------------------------------------------------

    def take(self, approval: RiskApproved) -> Iterable[Event]:
        """Take an approved order into the book, with those of its list; a plain one goes straight to its venue."""
        terms = approval.order
        if (
            approval.attached
            or self.trading.state is _HALTED
            or not is_plain(terms)
            or terms.client_order_id in self.book
        ):
            return self._take_list(approval)
        order = Order(terms)
        order.approved = order.full = order.granted = terms.quantity
        order.arrival = approval.mark
        self.book.add(order)
        initialized = _initialized(ts_event=approval.ts_event, ts_init=approval.ts_init, order=terms)
        return (initialized, *self.asking.bring(order, approval))

    def _take_list(self, approval: RiskApproved) -> Iterator[Event]:
        """Take all of them before the first one begins."""
        listed = {terms.client_order_id: terms for terms in (approval.order, *approval.attached)}
        taken = [name for name in listed if name in self.book]
        family = tuple(listed) if approval.attached else ()
        for name in taken:
            yield alert(approval, "duplicate_order", f"order {name} was approved before; it is not sent again")
        begun = []
        for name, terms in listed.items():
            if name not in taken:
                begun.append(order := _new_order(terms, approval, family))
                self.book.add(order)
                yield OrderInitialized(**at(approval), order=terms)
        for order in begun:
            yield from (
                self._deny(order, f"order {taken[0]} of its list exists already", approval)
                if taken
                else (self._begin(order, approval))
            )

    def _begin(self, order: Order, event: Event) -> Iterable[Event]:
        if self.trading.state is _HALTED and not survives_a_halt(order.terms):
            return self._deny(order, "trading was halted meanwhile", event)
        if order.expires_at is not None and order.expires_at <= event.ts_init:
            return self._deny(order, "its time was over before it could be sent", event)
        if order.parent is not None:
            parent = self.book.orders.get(order.parent)
            if parent is None or parent.life.closed:
                return self._deny(order, f"its parent {order.parent} has ended without a fill", event)
        if order.expires_at is not None:
            self.timers.add(order.expires_at, Alarm.EXPIRY, order.id)
        if order.released:
            return self._place(order, event)
        return self.step(order, OrderHeld(**of(order.terms, event), reason=f"until {order.parent} trades"))

    def _deny(self, order: Order, reason: str, event: Event) -> Iterable[Event]:
        return self.step(order, OrderDenied(**of(order.terms, event), reason=reason))

    def _place(self, order: Order, event: Event) -> Iterable[Event]:
        """Let an order trade, or wait for its price."""
        return self._wait(order, event) if order.terms.order_type.is_conditional else self._go(order, event)

    def _wait(self, order: Order, event: Event) -> Iterator[Event]:
        price = self.seen.price(order.terms)
        if order.terms.trail is not None and price is not None:
            order.trigger = trailed(order.terms.trail, order.terms.side, order.trigger, price)
        if order.life.status is OrderStatus.INITIALIZED:
            yield from self.step(order, OrderHeld(**of(order.terms, event), reason=_waits_for(order)))
        self.watched.setdefault(order.terms.instrument, {})[order.id] = None
        yield from self.look(order, event)

    def look(self, order: Order, event: Event) -> Iterator[Event]:
        """Trigger an order that waits if the price that it looks at is there."""
        terms, price = order.terms, self.seen.price(order.terms)
        if price is None or not self._is_watched(order):
            return
        if terms.trail is not None:
            order.trigger = trailed(terms.trail, terms.side, order.trigger, price)
        if order.trigger is None or not reached(terms, order.trigger, price):
            return
        self._unwatch(order)
        order.arrival = self.seen.mid(terms.instrument) or price
        yield from self.step(order, OrderTriggered(**of(terms, event), price=as_money(price)))
        yield from self._go(order, event)

    def look_around(self, instrument: InstrumentId, event: Event) -> Iterator[Event]:
        """Look at every order that waits for the price which `event` shows."""
        for name in list(self.watched.get(instrument, ())):
            order = self.book.orders.get(name)
            if order is not None and self.seen.moves(order.terms, event):
                yield from self.look(order, event)

    def quiet_to(self, span: Span, begin: int, end: int) -> int:
        """Say up to which of `quotes[begin:end]` no order that waits for a price has to be looked at."""
        for name in self.watched.get(span.instrument, ()):
            order = self.book.orders.get(name)
            if order is None or begin == end or not self.seen.shows(order.terms):
                continue
            if order.terms.trail is not None:
                return begin
            if order.trigger is not None:
                end = first_reached(order.terms, order.trigger, span, begin, min(begin + LOOKED_AHEAD, end))
        return end

    def _go(self, order: Order, event: Event) -> Iterable[Event]:
        if order.life.closed:
            return ()
        if is_sliced(order.terms):
            return self.parts.begin(order, event)
        return self.asking.request(Task.SUBMIT, order, event)

    # -- ending --------------------------------------------------------------------------------------------------------

    def cancel(self, order: Order, reason: str, event: Event, *, expiring: bool = False) -> Iterator[Event]:
        """Take back what is left of an order: here, or at the venue if that may know of it."""
        if order.life.closed or order.life.status is OrderStatus.INITIALIZED:
            return
        order.expiring = order.expiring or (expiring and not order.cancel_asked)
        if not order.sent:
            end = OrderExpired if expiring else OrderCanceled
            yield from self.step(order, end(**of(order.terms, event), reason=reason))
            return
        if order.slicing is not None:
            yield from self.parts.stop(order, reason, event)
        elif not order.cancel_asked:
            order.cancel_asked = True
            yield from self.asking.request(Task.CANCEL, order, event)

    def step(self, order: Order, event: Event) -> Iterable[Event]:
        """Say `event` if it can happen to the order, and what follows from it; an alert if it cannot."""
        life = order.life.after(event)
        return (illegal(event, order),) if life is None else self.move(order, life, event)

    def move(self, order: Order, life: Life, event: Event) -> Iterable[Event]:
        """Say `event`, which brings the order to where `life` says, and what follows from it."""
        ends = life.status in CLOSED and order.life.status not in CLOSED
        order.life = life
        if ends:
            self._close(order)
        elif type(event) not in _CONCERNS_OTHERS:
            return (event,)
        if isinstance(event, OrderFilled) and not order.family:
            return (event, *self._judge_fill(event))
        return chain((event,), self._follows(order, event, ends=ends))

    def _follows(self, order: Order, event: Event, *, ends: bool) -> Iterator[Event]:
        if isinstance(event, OrderFilled):
            yield from self._traded(order, event)
        elif isinstance(event, OrderTriggered):
            for other in list(self.book.siblings(order)):
                if goes_when_it_triggers(order.terms, other.terms):
                    yield from self.cancel(other, f"{order.id} of its list was triggered", event)
        elif isinstance(event, OrderRejected):
            yield from self.judge_rejection(order.terms.instrument, event)
        if ends and order.filled == 0:
            for child in list(self.book.children(order)):
                yield from self.cancel(child, f"its parent {order.id} ended without a fill", event)

    def _close(self, order: Order) -> None:
        if self.watched:
            self._unwatch(order)
        self.book.remember_closed(order)
        self.timers.leave(order.id)
        alarms = len(self.timers.heap) - _ALARMS_KEPT
        if alarms > 0 and alarms > 8 * (len(self.book.orders) - len(self.book.closed)):
            self.timers.keep(self._means_something)

    def _means_something(self, alarm: Alarm, key: str) -> bool:
        if alarm in _NOT_OF_ORDERS:
            return True
        ticket = self.book.find(key)
        return ticket is not None and not ticket.life.closed

    # -- order lists ---------------------------------------------------------------------------------------------------

    def _traded(self, order: Order, fill: OrderFilled) -> Iterator[Event]:
        yield from self._judge_fill(fill)
        for child in list(self.book.children(order)):
            yield from self._grant(child, order, fill)
        for other in list(self.book.siblings(order)):
            if other.life.closed or other.terms.link is None:
                continue
            if other.terms.link.contingency is Contingency.OCO:
                yield from self.cancel(other, f"{order.id} of its list has traded", fill)
            else:
                other.taken += fill.quantity
                yield from self.changes.fit(other, fill)
        yield from self.changes.fit(order, fill)

    def _grant(self, child: Order, parent: Order, fill: OrderFilled) -> Iterator[Event]:
        """Let a child have what its parent's fills allow; with the first of them it begins to trade."""
        if child.life.closed:
            if parent.life.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED) and child.filled == 0:
                text = f"{fill.quantity} of {parent.id} traded after its end, when {child.id} was gone already"
                yield alert(fill, "unprotected_fill", f"{text}: look after the position")
            return
        child.granted = granted(child, parent, lot_of(child.terms, self.listing))
        if child.released:
            yield from self.changes.fit(child, fill)
        elif child.wanted > 0:
            child.released = True
            child.arrival = self.seen.mid(child.terms.instrument) or child.arrival
            yield from self.changes.fit(child, fill)
            yield from self._place(child, fill)

    # -- execution -----------------------------------------------------------------------------------------------------

    def _judge_fill(self, fill: OrderFilled) -> Iterable[Event]:
        slippage_bps = fill.slippage_bps
        if slippage_bps is None:
            return ()
        quality = self.quality.get(fill.instrument) or self._quality_of(fill.instrument)
        reason = overrides.filled(quality, slippage_bps, fill.ts_init, self._execution)
        return () if reason is None else self._override(fill.instrument, quality, reason, fill)

    def judge_rejection(self, instrument: InstrumentId, event: Event) -> Iterator[Event]:
        quality = self._quality_of(instrument)
        reason = overrides.rejected(quality, event.ts_init, self.settings.execution)
        if reason is not None:
            yield from self._override(instrument, quality, reason, event)

    def _quality_of(self, instrument: InstrumentId) -> Quality:
        quality = self.quality.get(instrument)
        if quality is None:
            quality = self.quality[instrument] = Quality()
        return quality

    def _override(
        self, instrument: InstrumentId, quality: Quality, reason: str, event: Event
    ) -> Iterator[ExecutionOverride]:
        yield ExecutionOverride(
            **at(event),
            instrument=instrument,
            size_factor=quality.factor,
            muted_until=quality.muted_until,
            reason=reason,
        )
        if quality.muted_until is not None:
            self.timers.add(quality.muted_until, Alarm.RECOVERY, instrument)
        if quality.factor < 1:
            self.timers.add(overrides.recovers_at(quality, self.settings.execution), Alarm.RECOVERY, instrument)

    # -- time ----------------------------------------------------------------------------------------------------------

    def on_time(self, event: Event) -> Iterator[Event]:
        """Do what has become due."""
        for alarm, key in self.timers.due(event.ts_init):
            if self._means_something(alarm, key):
                yield from self._on_alarm(alarm, key, event)

    def _on_alarm(self, alarm: Alarm, key: str, event: Event) -> Iterator[Event]:
        if alarm is Alarm.PACE:
            yield from self.asking.on_pace(key, event)
        elif alarm is Alarm.RECOVERY:
            instrument = InstrumentId(key)
            quality = self.quality[instrument]
            reason = overrides.passed(quality, event.ts_init, self.settings.execution)
            if reason is not None:
                yield from self._override(instrument, quality, reason, event)
        elif (ticket := self.book.find(key)) is not None and not ticket.life.closed:
            if alarm is Alarm.SILENCE:
                yield from self.asking.on_silence(ticket, event)
            elif isinstance(ticket, Order):
                yield from self._on_due(alarm, ticket, event)

    def _on_due(self, alarm: Alarm, order: Order, event: Event) -> Iterator[Event]:
        if alarm is Alarm.EXPIRY:
            yield from self.cancel(order, "its time in force is over", event, expiring=True)
        else:
            yield from self.parts.on_time(order, event)

    def _is_watched(self, order: Order) -> bool:
        return order.id in self.watched.get(order.terms.instrument, ())

    def _unwatch(self, order: Order) -> None:
        waiting = self.watched.get(order.terms.instrument)
        if waiting is not None:
            waiting.pop(order.id, None)
            if not waiting:
                del self.watched[order.terms.instrument]


def survives_a_halt(terms: OrderTerms) -> bool:
    """Say whether a halt leaves an order alone: it ends a loss, or whoever watches over positions reduces one."""
    author = terms.client_order_id.partition("-")[0]
    return terms.is_protective or (terms.reduce_only and author in PROTECTORS)


def _new_order(terms: OrderTerms, approval: RiskApproved, family: tuple[str, ...]) -> Order:
    released = terms.link is None or terms.link.parent is None
    return Order(
        terms,
        approved=terms.quantity,
        full=terms.quantity,
        granted=terms.quantity if released else ZERO,
        released=released,
        family=family,
        arrival=approval.mark,
        trigger=None if terms.trigger_price is None else float(terms.trigger_price),
        expires_at=_end_of(terms, approval.ts_init),
    )


def _end_of(terms: OrderTerms, now: int) -> int | None:
    if terms.time_in_force is TimeInForce.DAY:
        return (now // DAY + 1) * DAY
    return terms.expires_at


def _waits_for(order: Order) -> str:
    looks_at = order.terms.trigger_by.value if order.terms.trigger_by else "the market"
    return (
        f"until {looks_at} shows a price" if order.trigger is None else f"until {looks_at} is at {order.trigger:.10g}"
    )
