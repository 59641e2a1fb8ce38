"""Asking a venue: within its rate limit, what protects first, and again when it does not answer."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from contracts.event import Event, maker
from contracts.orders import OrderHeld, OrderPendingCancel, OrderSubmitted, OrderTerms
from contracts.types import OrderStatus, venue_of
from contracts.venue import CancelOrder, QueryOrder, SubmitOrder
from services.router.book import Order, Slice
from services.router.pacing import Pacing, Task, Urgency
from services.router.steps import alert, at, of
from services.router.timers import Alarm

if TYPE_CHECKING:
    from services.router.desk import Desk

MILLISECOND = 1_000_000
_submitted, _submit_order = maker(OrderSubmitted), maker(SubmitOrder)
_PROTECTS, _ADDS, _SILENCE = Urgency.PROTECTS, Urgency.ADDS, Alarm.SILENCE
"""Looked up here: to read a member of an `Enum` class costs CPython 3.11 a call."""


class Asking:
    """A step in an order's life that a command stands for is said when the command really goes out."""

    def __init__(self, desk: "Desk") -> None:
        self.desk = desk
        self.pacing = Pacing(desk.settings)
        self._patience = desk.settings.query_after_ms * MILLISECOND

    def request(self, task: Task, ticket: Order | Slice, event: Event) -> Iterable[Event]:
        """Ask a venue for something as soon as it takes commands."""
        venue = venue_of(ticket.terms.instrument)
        urgency = _urgency(task, ticket.terms)
        if self.pacing.may_pass(venue, urgency, event.ts_init):
            return self._perform(venue, task, ticket, event)
        return self._put_off(venue, urgency, task, ticket, event)

    def bring(self, order: Order, event: Event) -> Iterable[Event]:
        """Bring a plain order that was just taken to its venue, as soon as that takes commands."""
        terms = order.terms
        venue = terms.instrument.partition(".")[0]
        urgency = _PROTECTS if terms.reduce_only else _ADDS
        if self.pacing.may_pass(venue, urgency, event.ts_init):
            return self._submit(order, event, terms)
        return self._put_off(venue, urgency, Task.SUBMIT, order, event)

    def _put_off(
        self, venue: str, urgency: Urgency, task: Task, ticket: Order | Slice, event: Event
    ) -> Iterable[Event]:
        self.pacing.wait(venue, urgency, task, ticket.id)
        self._set_pace(venue)
        order = self.desk.book.order_of(ticket)
        if order.life.status is not OrderStatus.INITIALIZED:
            return ()
        reason = f"until {venue} takes commands again: its rate limit is used up"
        return self.desk.step(order, OrderHeld(**of(order.terms, event), reason=reason))

    def _perform(self, venue: str, task: Task, ticket: Order | Slice | None, event: Event) -> Iterable[Event]:
        """Do what was asked for, if it still makes sense; else the venue may take another command instead."""
        answers = () if ticket is None else tuple(self._command(task, ticket, event))
        if not answers:
            self.pacing.give_back(venue)
        return answers

    def _command(self, task: Task, ticket: Order | Slice, event: Event) -> Iterable[Event]:
        match task:
            case Task.SUBMIT:
                if isinstance(ticket, Order):
                    return self._submit(ticket, event, ticket.terms.at_venue)
                return self.desk.parts.submit(ticket, event)
            case Task.CANCEL:
                return self._ask_to_cancel(ticket, event)
            case Task.AMEND:
                return self.desk.changes.send(self.desk.book.order_of(ticket), event)
            case Task.QUERY:
                return self._query(ticket, event)

    def _submit(self, order: Order, event: Event, as_sent: OrderTerms) -> Iterable[Event]:
        if order.life.closed or order.sent:
            return ()
        order.sent = True
        terms, ts_event, ts_init = order.terms, event.ts_event, event.ts_init
        submitted = _submitted(
            ts_event=ts_event,
            ts_init=ts_init,
            client_order_id=terms.client_order_id,
            strategy=terms.strategy,
            instrument=terms.instrument,
        )
        said = self.desk.step(order, submitted)
        self.await_answer(order, event)
        return (*said, _submit_order(ts_event=ts_event, ts_init=ts_init, order=as_sent))

    def _ask_to_cancel(self, ticket: Order | Slice, event: Event) -> Iterator[Event]:
        if ticket.life.closed or not ticket.sent or ticket.life.status is OrderStatus.PENDING_CANCEL:
            return
        pending = OrderPendingCancel(**of(ticket.terms, event))
        if isinstance(ticket, Order):
            yield from self.desk.step(ticket, pending)
        else:
            yield from self.desk.parts.pending_cancel(ticket, pending, event)
        yield CancelOrder(**at(event), client_order_id=ticket.id, instrument=ticket.terms.instrument)
        self.await_answer(ticket, event)

    def _query(self, ticket: Order | Slice, event: Event) -> Iterator[Event]:
        if ticket.unanswered:
            yield QueryOrder(**at(event), client_order_id=ticket.id, instrument=ticket.terms.instrument)

    def await_answer(self, ticket: Order | Slice, event: Event) -> None:
        ticket.asked = 0
        self._listen(ticket, event)

    def _listen(self, ticket: Order | Slice, event: Event) -> None:
        ticket.ask_at = event.ts_init + (self._patience << ticket.asked)
        self.desk.timers.add(ticket.ask_at, _SILENCE, ticket.terms.client_order_id)

    def on_silence(self, ticket: Order | Slice, event: Event) -> Iterator[Event]:
        if not ticket.unanswered or event.ts_init < ticket.ask_at:
            return
        if ticket.asked == self.desk.settings.query_attempts:
            text = f"{ticket.id} in {ticket.terms.instrument} is {ticket.life.status.value}; the venue was asked"
            yield alert(
                event, "no_answer", f"{text} {ticket.asked} times and does not say what became of it: look there"
            )
            return
        ticket.asked += 1
        self._listen(ticket, event)
        yield from self.request(Task.QUERY, ticket, event)

    def on_pace(self, venue: str, event: Event) -> Iterator[Event]:
        self.pacing.awake(venue)
        while (ready := self.pacing.next_ready(venue, event.ts_init)) is not None:
            task, key = ready
            yield from self._perform(venue, task, self.desk.book.find(key), event)
        self._set_pace(venue)

    def _set_pace(self, venue: str) -> None:
        wakes_at = self.pacing.wake_up(venue)
        if wakes_at is not None:
            self.desk.timers.add(wakes_at, Alarm.PACE, venue)


def _urgency(task: Task, terms: OrderTerms) -> Urgency:
    """Questions stand in line with new orders: where a venue is slow, they would keep it busy with themselves."""
    if task is Task.CANCEL or (terms.reduce_only and task is not Task.QUERY):
        return Urgency.PROTECTS
    return Urgency.CHANGES if task is Task.AMEND else Urgency.ADDS
