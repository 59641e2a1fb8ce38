"""Stops: every open position has its protective stop, of the right size and side; what is missing is repaired.

A protective order counts by what is left of it, wherever it waits: at the venue, or held by the router. One whose
parent has not traded yet protects nothing, and one whose parent is gone is the router's to cancel. A cover that does
not fit is repaired when `grace_ms` have passed, and at the latest with the next tick of the clock: so within a second.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from contracts.books import EquityMarked, PositionChanged
from contracts.clock import ClockTick
from contracts.control import Alert, TradingStateSet
from contracts.event import Event
from contracts.orders import (
    AmendIntent,
    Amendment,
    AmendRejected,
    CancelIntent,
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
    ProtectiveIntent,
    RiskApproved,
    RiskRejected,
)
from contracts.types import MAX_TEXT, InstrumentId, PositionSide, Severity, Side, TradingState
from services.stops.cover import (
    AUTHOR,
    ZERO,
    Cover,
    Holding,
    Leg,
    Place,
    Remove,
    Repair,
    Resize,
    cover_of,
    covered,
    repairs,
)
from services.stops.orders import described, leaving, position_left_by, stop_price
from services.stops.settings import StopsSettings
from tape.component import Component, on
from venues.instruments import Listing

MILLISECOND = 1_000_000
BOOKED_WITHIN_NS = 1_000_000_000
"""How long the books may take to say what a fill made of a position; then the position is taken as it was said last."""


@dataclass(slots=True)
class StopsState:
    holdings: dict[str, dict[InstrumentId, Holding]]
    covers: dict[str, Cover]
    marks: dict[InstrumentId, Decimal]
    flattening: bool
    last_cause: int
    wishes: int


class Stops(Component):
    produces: ClassVar[tuple[type[Event], ...]] = (ProtectiveIntent, CancelIntent, AmendIntent, Alert)
    State = StopsState

    def __init__(self, settings: StopsSettings, listing: Listing) -> None:
        super().__init__("stops")
        self.settings = settings
        self.listing = listing
        self.holdings: dict[str, dict[InstrumentId, Holding]] = {}
        self.covers: dict[str, Cover] = {}
        self.marks: dict[InstrumentId, Decimal] = {}
        self.flattening = False
        self._last_cause = 0
        self._wishes = 0

    def state(self) -> StopsState:
        return StopsState(self.holdings, self.covers, self.marks, self.flattening, self._last_cause, self._wishes)

    def restore(self, state: StopsState) -> None:
        self.holdings, self.covers, self.marks = state.holdings, state.covers, state.marks
        self.flattening = state.flattening
        self._last_cause, self._wishes = state.last_cause, state.wishes

    # -- positions and time --------------------------------------------------------------------------------------------

    @on(PositionChanged)
    def on_position(self, changed: PositionChanged) -> Iterator[Event]:
        self.marks[changed.instrument] = changed.mark
        holding = self._holding(changed.strategy, changed.instrument)
        holding.unbooked_at = None
        for exit_side, leg in holding.legs.items():
            if changed.position_side in (PositionSide.NET, position_left_by(exit_side)):
                held = -exit_side.sign * changed.quantity
                leg.quantity = max(held, ZERO)
                leg.average = changed.average_price if held > 0 else None
        yield from self._judge(changed.strategy, changed.instrument, changed)

    @on(EquityMarked)
    def on_equity(self, marked: EquityMarked) -> None:
        for position in marked.positions:
            self.marks[position.instrument] = position.mark

    @on(ClockTick)
    def on_tick(self, tick: ClockTick) -> Iterator[Event]:
        for strategy, held in list(self.holdings.items()):
            for instrument in list(held):
                yield from self._judge(strategy, instrument, tick)

    @on(TradingStateSet)
    def on_control(self, control: TradingStateSet) -> Iterator[Event]:
        """Leave every position when the operator says so; a second halt changes nothing about that."""
        halted = control.state is TradingState.HALTED
        self.flattening = halted and (control.flatten or self.flattening)
        for strategy, held in list(self.holdings.items()):
            for instrument, holding in list(held.items()):
                for leg in holding.legs.values():
                    leg.since, leg.next_at = None, 0
                yield from self._judge(strategy, instrument, control)

    # -- orders --------------------------------------------------------------------------------------------------------

    @on(RiskApproved)
    def on_approval(self, approval: RiskApproved) -> None:
        """Expect what was approved: it is on its way, if the router is heard of it in time."""
        for terms in (approval.order, *approval.attached):
            if terms.is_protective or terms.client_order_id in self.covers:
                self._expect(terms, approval.ts_init)
                self._holding(terms.strategy, terms.instrument)

    def _expect(self, terms: OrderTerms, now: int) -> Cover:
        exits = terms.client_order_id.startswith(AUTHOR) and not terms.order_type.is_conditional
        cover = self.covers[terms.client_order_id] = cover_of(terms, exits=exits)
        cover.asked_at = now
        return cover

    @on(RiskRejected)
    def on_refusal(self, refusal: RiskRejected) -> Iterator[Event]:
        cover = self.covers.get(refusal.order.client_order_id)
        if cover is not None and cover.own and not cover.known:
            del self.covers[cover.client_order_id]
            reasons = "; ".join(f"{denial.rail.value}: {denial.detail}" for denial in refusal.reasons)
            yield from self._failed(cover, f"risk refuses {cover.client_order_id}: {reasons}", refusal)

    @on(AmendRejected)
    def on_amendment_refused(self, refusal: AmendRejected) -> Iterator[Event]:
        cover = self.covers.get(refusal.amendment.client_order_id)
        if cover is not None and cover.wanted is not None:
            cover.wanted, cover.asked_at, cover.fixed = None, None, True
            reasons = "; ".join(f"{denial.rail.value}: {denial.detail}" for denial in refusal.reasons)
            yield from self._failed(cover, f"risk does not let {cover.client_order_id} be changed: {reasons}", refusal)

    @on(OrderInitialized)
    def on_initialized(self, step: OrderInitialized) -> Iterator[Event]:
        terms = step.order
        if not terms.is_protective and terms.client_order_id not in self.covers:
            return
        cover = self._expect(terms, step.ts_init)
        cover.known, cover.asked_at = True, None
        yield from self._judge(terms.strategy, terms.instrument, step)

    @on(OrderFilled)
    def on_fill(self, fill: OrderFilled) -> None:
        holding = self.holdings.get(fill.strategy, {}).get(fill.instrument)
        if holding is not None:
            holding.unbooked_at = fill.ts_init
        for cover in self.covers.values():
            if cover.parent == fill.client_order_id:
                cover.parent = None
        filled = self.covers.get(fill.client_order_id)
        if filled is not None:
            filled.leaves = fill.leaves
            if fill.leaves == 0:
                del self.covers[fill.client_order_id]

    @on(OrderUpdated)
    def on_updated(self, step: OrderUpdated) -> Iterator[Event]:
        cover = self.covers.get(step.client_order_id)
        if cover is not None:
            cover.quantity, cover.leaves = step.quantity, step.leaves
            cover.wanted, cover.asked_at = None, None
        yield from self._judge(step.strategy, step.instrument, step)

    @on(OrderUpdateRejected)
    def on_update_rejected(self, step: OrderUpdateRejected) -> Iterator[Event]:
        cover = self.covers.get(step.client_order_id)
        if cover is not None and cover.wanted is not None:
            cover.wanted, cover.asked_at, cover.fixed = None, None, True
            yield from self._failed(cover, f"{cover.client_order_id} could not be changed: {step.reason}", step)

    @on(OrderTriggered, OrderPendingCancel, OrderCancelRejected)
    def on_turn(self, step: OrderTriggered | OrderPendingCancel | OrderCancelRejected) -> Iterator[Event]:
        cover = self.covers.get(step.client_order_id)
        if cover is None:
            return
        if isinstance(step, OrderTriggered):
            cover.triggered = True
        else:
            cover.going = isinstance(step, OrderPendingCancel)
            cover.asked_at = step.ts_init if cover.going else None
        yield from self._judge(step.strategy, step.instrument, step)

    @on(OrderDenied, OrderRejected, OrderCanceled, OrderExpired)
    def on_end(self, step: OrderDenied | OrderRejected | OrderCanceled | OrderExpired) -> Iterator[Event]:
        cover = self.covers.pop(step.client_order_id, None)
        if cover is None:
            return
        if cover.own and not cover.going and self._is_needed(cover):
            yield from self._failed(cover, f"{cover.client_order_id} ended: {step.reason}", step)
        yield from self._judge(step.strategy, step.instrument, step)

    def _is_needed(self, cover: Cover) -> bool:
        """Say whether what an order should have left is held, as far as the books have said."""
        holding = self.holdings.get(cover.strategy, {}).get(cover.instrument)
        return holding is not None and holding.unbooked_at is None and holding.legs[cover.side].quantity > 0

    @on(OrderHeld, OrderSubmitted, OrderAccepted, OrderPendingUpdate)
    def on_step(self, step: OrderEvent) -> Iterator[Event] | None:
        """Nothing has changed, but time has gone on."""
        return self._judge(step.strategy, step.instrument, step) if step.client_order_id in self.covers else None

    # -- judging -------------------------------------------------------------------------------------------------------

    def _judge(self, strategy: str, instrument: InstrumentId, event: Event) -> Iterator[Event]:
        holding = self._holding(strategy, instrument)
        covers = [one for one in self.covers.values() if (one.strategy, one.instrument) == (strategy, instrument)]
        if holding.is_flat and not covers:
            self._forget(strategy, instrument)
            return
        booking = holding.unbooked_at
        if booking is not None and event.ts_init - booking < BOOKED_WITHIN_NS:
            return
        for side, leg in holding.legs.items():
            mine = [one for one in covers if one.side is side]
            yield from self._give_up_waiting(leg, mine, event)
            mine = [one for one in mine if one.client_order_id in self.covers]
            if self.flattening:
                yield from self._leave(strategy, instrument, side, leg, mine, event)
            elif self._watches(strategy, instrument):
                yield from self._fit(strategy, instrument, side, leg, mine, event)

    def _holding(self, strategy: str, instrument: InstrumentId) -> Holding:
        held = self.holdings.setdefault(strategy, {})
        holding = held.get(instrument)
        if holding is None:
            holding = held[instrument] = Holding()
        return holding

    def _forget(self, strategy: str, instrument: InstrumentId) -> None:
        del self.holdings[strategy][instrument]
        if not self.holdings[strategy]:
            del self.holdings[strategy]

    def _watches(self, strategy: str, instrument: InstrumentId) -> bool:
        settings = self.settings
        return (
            settings.enabled
            and (not settings.strategies or strategy in settings.strategies)
            and (not settings.instruments or instrument in settings.instruments)
        )

    def _give_up_waiting(self, leg: Leg, covers: list[Cover], event: Event) -> Iterator[Event]:
        """Take what was not heard of for too long as not done."""
        for cover in covers:
            asked_at = cover.asked_at
            if asked_at is None or event.ts_init - asked_at < self.settings.answer_ms * MILLISECOND:
                continue
            cover.asked_at, cover.wanted, cover.going = None, None, False
            if not cover.known:
                del self.covers[cover.client_order_id]
            yield from self._failed(cover, f"nothing was heard of {cover.client_order_id}", event, leg)

    def _fit(
        self, strategy: str, instrument: InstrumentId, side: Side, leg: Leg, covers: list[Cover], event: Event
    ) -> Iterator[Event]:
        """Make the cover of a leg as large as what it holds."""
        if any(one.exits for one in covers):
            return
        excess = covered(covers) - leg.quantity
        if excess == 0:
            leg.since = None
            if all(one.asked_at is None for one in covers):
                leg.failures = 0
            return
        if leg.since is None:
            leg.since = event.ts_init
        places = strategy in self.settings.places_for
        ours = places if excess < 0 else leg.quantity == 0 and all(one.own for one in covers)
        if event.ts_init < leg.next_at or not (ours or self._is_due(leg.since, event)):
            return
        for repair in repairs(leg.quantity, covers):
            routine = (places and excess < 0) or (isinstance(repair, Resize | Remove) and repair.cover.own)
            if not routine or leg.failures:
                yield self._alert(event, "stop_repaired", described(repair, strategy, instrument, side, leg))
            yield from self._do(repair, strategy, instrument, side, leg, event)

    def _is_due(self, since: int, event: Event) -> bool:
        if isinstance(event, ClockTick) and event.ts_init > since:
            return True
        return event.ts_init - since >= self.settings.grace_ms * MILLISECOND

    def _do(
        self, repair: Repair, strategy: str, instrument: InstrumentId, side: Side, leg: Leg, event: Event
    ) -> Iterator[Event]:
        match repair:
            case Place(quantity=quantity):
                yield from self._place(strategy, instrument, side, leg, quantity, event)
            case Resize(cover=cover, leaves=leaves):
                cover.wanted, cover.asked_at = leaves, event.ts_init
                yield AmendIntent(
                    ts_event=event.ts_event,
                    ts_init=event.ts_init,
                    by=self.name,
                    amendment=Amendment(
                        client_order_id=cover.client_order_id,
                        instrument=instrument,
                        quantity=cover.quantity - cover.leaves + leaves,
                        limit_price=None,
                        trigger_price=None,
                    ),
                    reason=f"{leg.quantity} are held",
                )
            case Remove(cover=cover):
                yield self._remove(cover, f"it covers {cover.leaves}, and {abs(leg.quantity)} are held", event)

    def _remove(self, cover: Cover, reason: str, event: Event) -> CancelIntent:
        cover.going, cover.asked_at = True, event.ts_init
        return CancelIntent(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            by=self.name,
            instrument=cover.instrument,
            client_order_id=cover.client_order_id,
            reason=reason,
        )

    def _place(
        self, strategy: str, instrument: InstrumentId, side: Side, leg: Leg, quantity: Decimal, event: Event
    ) -> Iterator[Event]:
        trigger = stop_price(leg, side, self.marks.get(instrument), self.listing.get(instrument), self.settings)
        if trigger is None:
            text = (
                f"{strategy} holds {leg.quantity} {instrument}, which is not listed or has no price a stop could have"
            )
            yield self._alert(event, "no_stop", f"{text}: place it by hand", Severity.CRITICAL)
            self._wait(leg, event)
            return
        reason = f"{leg.quantity} are held without a stop"
        terms = leaving(self._next_id(), strategy, instrument, side, quantity, trigger, self.settings.trigger_by)
        yield self._wish(terms, reason, event)

    def _wish(self, terms: OrderTerms, reason: str, event: Event) -> ProtectiveIntent:
        self._expect(terms, event.ts_init)
        return ProtectiveIntent(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            by=self.name,
            order=terms,
            reference_price=float(self.marks[terms.instrument]),
            reason=reason,
        )

    def _leave(
        self, strategy: str, instrument: InstrumentId, side: Side, leg: Leg, covers: list[Cover], event: Event
    ) -> Iterator[Event]:
        """Leave a position at once: its stops go, for they would stand in the way of what they protect from."""
        for cover in covers:
            if not cover.exits and cover.known and not cover.going:
                yield self._remove(cover, "every position is left at once", event)
        missing = leg.quantity - covered(one for one in covers if one.exits)
        if missing <= 0 or event.ts_init < leg.next_at:
            return
        text = f"{strategy} leaves {missing} {instrument} at once: the operator halted trading and wants no position"
        yield self._alert(event, "flatten", text)
        terms = leaving(self._next_id(), strategy, instrument, side, missing)
        yield self._wish(terms, "every position is left at once", event)

    # -- failures ------------------------------------------------------------------------------------------------------

    def _failed(self, cover: Cover, text: str, event: Event, leg: Leg | None = None) -> Iterator[Event]:
        """Tell, and wait longer with each failure before the next try."""
        holding = self.holdings.get(cover.strategy, {}).get(cover.instrument)
        leg = leg or (None if holding is None else holding.legs[cover.side])
        if leg is not None:
            self._wait(leg, event)
        what = f"{cover.strategy} in {cover.instrument}: {text}"
        yield self._alert(event, "stop_failed", f"{what}; it is tried again", Severity.CRITICAL)

    def _wait(self, leg: Leg, event: Event) -> None:
        leg.failures += 1
        wait = min(self.settings.retry_ms * 2 ** min(leg.failures - 1, 20), self.settings.retry_max_ms)
        leg.next_at = event.ts_init + wait * MILLISECOND

    def _alert(self, event: Event, code: str, message: str, severity: Severity = Severity.WARNING) -> Alert:
        return Alert(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            component=self.name,
            severity=severity,
            code=code,
            message=message[:MAX_TEXT],
        )

    def _next_id(self) -> str:
        cause = self.moment.position
        self._wishes = self._wishes + 1 if cause == self._last_cause else 0
        self._last_cause = cause
        return f"{AUTHOR}{cause}-{self._wishes}"
