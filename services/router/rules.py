"""Router: bring approved orders to the venue and turn its reports into the one life of each order.

What a venue lacks is done here: conditions, trailing stops, times in force, lists, slices. A report that cannot happen
to an order that stands where it does becomes an alert: never an exception, never a silence.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

from contracts.clock import ClockTick
from contracts.control import Alert, GuardSet, TradingStateSet
from contracts.event import Event
from contracts.market import Funding, Quote, Trade
from contracts.orders import (
    AmendApproved,
    CancelIntent,
    ExecutionOverride,
    OrderAccepted,
    OrderExpired,
    OrderInitialized,
    OrderSubmitted,
    OrderTerms,
    RiskApproved,
)
from contracts.ownership import ORDER_EVENTS, VENUE_COMMANDS
from contracts.permission import Permission
from contracts.types import InstrumentId, OrderType, Severity, TimeInForce, TradingState
from contracts.venue import (
    VenueAccepted,
    VenueAmended,
    VenueAmendRejected,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueForeignOrder,
    VenueRejected,
    VenueReport,
    VenueTriggered,
)
from services.router.book import Order, Slice
from services.router.desk import PROTECTORS, Desk, survives_a_halt
from services.router.overrides import Quality
from services.router.pacing import Lane
from services.router.settings import RouterSettings
from services.router.steps import NAME, Answer, alert, at, filled, illegal, of, said_by, tells_nothing_new
from services.router.timers import Alarm, Timers
from services.router.triggers import Seen
from tape.component import Component, on
from tape.span import Span
from venues.instruments import Listing

MAY_CANCEL = PROTECTORS | {"ops"}
"""Who may cancel the orders of anybody."""
UNLISTED: Listing = {}
"""Without a listing, quantities come in units of the last digit of an order's own."""


@dataclass(slots=True)
class RouterState:
    trading: Permission
    orders: dict[str, Order]
    closed: dict[str, None]
    """Ids of orders, the first that was closed first."""
    seen: Seen
    timers: Timers
    lanes: dict[str, Lane]
    asked: int
    watched: dict[InstrumentId, dict[str, None]]
    quality: dict[InstrumentId, Quality]


class Router(Component):
    produces: ClassVar[tuple[type[Event], ...]] = (*ORDER_EVENTS, *VENUE_COMMANDS, ExecutionOverride, Alert)
    State = RouterState
    state_version = 2

    def __init__(self, settings: RouterSettings, listing: Listing = UNLISTED) -> None:
        super().__init__(NAME)
        self.desk = Desk(settings, listing)

    @property
    def orders(self) -> dict[str, Order]:
        return self.desk.book.orders

    def state(self) -> RouterState:
        desk = self.desk
        return RouterState(
            desk.trading,
            desk.book.orders,
            desk.book.closed,
            desk.seen,
            desk.timers,
            desk.asking.pacing.lanes,
            desk.asking.pacing.asked,
            desk.watched,
            desk.quality,
        )

    def restore(self, state: RouterState) -> None:
        desk = self.desk
        desk.trading = state.trading
        desk.book.restore(state.orders, state.closed)
        desk.seen, desk.timers = state.seen, state.timers
        desk.asking.pacing.restore(state.lanes, state.asked)
        desk.watched, desk.quality = state.watched, state.quality

    # -- the market and the time ---------------------------------------------------------------------------------------

    @on(Quote)
    def on_quote(self, quote: Quote) -> Iterator[Event] | None:
        """None when it concerns no order of ours: that is nearly always so, and has to be cheap."""
        desk, instrument = self.desk, quote.instrument
        desk.seen.quotes[instrument] = quote
        if instrument in desk.watched or quote.ts_init >= desk.timers.next_at:
            return self._on_market(quote)
        return None

    def quiet_to(self, span: Span, begin: int, end: int) -> int:
        return self.desk.quiet_to(span, begin, span.before(self.desk.timers.next_at, begin, end))

    def skim(self, span: Span, _begin: int, end: int) -> None:
        self.desk.seen.quotes[span.instrument] = span.quotes[end - 1]

    @on(Trade)
    def on_trade(self, trade: Trade) -> Iterator[Event] | None:
        self.desk.seen.trade(trade)
        return self._on_market(trade) if trade.instrument in self.desk.watched else None

    @on(Funding)
    def on_funding(self, funding: Funding) -> Iterator[Event] | None:
        self.desk.seen.funding(funding)
        return self._on_market(funding) if funding.instrument in self.desk.watched else None

    @on(ClockTick)
    def on_tick(self, tick: ClockTick) -> Iterator[Event] | None:
        return self.desk.on_time(tick) if tick.ts_init >= self.desk.timers.next_at else None

    def _on_market(self, shown: Quote | Trade | Funding) -> Iterator[Event]:
        """What is over by now is not triggered any more."""
        return chain(self.desk.on_time(shown), self.desk.look_around(shown.instrument, shown))

    # -- what is wanted ------------------------------------------------------------------------------------------------

    @on(RiskApproved)
    def on_approval(self, approval: RiskApproved) -> Iterable[Event]:
        return self.desk.take(approval)

    @on(AmendApproved)
    def on_amendment(self, approval: AmendApproved) -> Iterator[Event]:
        wanted = approval.amendment
        order = self.orders.get(wanted.client_order_id)
        objection = _objection(order, wanted.client_order_id, wanted.instrument)
        if order is None or objection is not None:
            yield alert(approval, "amend_refused", f"no amendment: {objection}", Severity.INFO)
        else:
            yield from self.desk.changes.amend(order, wanted, approval)

    @on(CancelIntent)
    def on_cancel(self, intent: CancelIntent) -> Iterator[Event]:
        order = self.orders.get(intent.client_order_id)
        objection = _objection(order, intent.client_order_id, intent.instrument)
        if order is None or objection is not None:
            yield alert(intent, "cancel_refused", f"no cancel by {intent.by}: {objection}", Severity.INFO)
        elif not _may_cancel(intent.by, order.terms):
            text = f"{intent.by} may not cancel {order.id}, which {order.terms.strategy} trades"
            yield alert(intent, "cancel_forbidden", f"{text}: its owner, its author or the operator may")
        else:
            yield from self.desk.cancel(order, f"canceled by {intent.by}: {intent.reason}", intent)

    @on(TradingStateSet, GuardSet)
    def on_control(self, control: TradingStateSet | GuardSet) -> Iterator[Event]:
        """A halt takes back every open order but those that end a loss."""
        self.desk.trading.hear(control)
        if control.state is not TradingState.HALTED:
            return
        for order in self.desk.book.open_orders():
            if not survives_a_halt(order.terms):
                yield from self.desk.cancel(order, "trading was halted", control)

    # -- what a venue says ---------------------------------------------------------------------------------------------

    @on(
        VenueAccepted,
        VenueRejected,
        VenueCanceled,
        VenueExpired,
        VenueCancelRejected,
        VenueTriggered,
        VenueAmendRejected,
    )
    def on_report(self, report: Answer) -> Iterable[Event]:
        ticket = self.desk.book.find(report.client_order_id)
        if ticket is None:
            return _unknown(report)
        if ticket.terms.instrument != report.instrument:
            return _elsewhere(report, ticket.terms)
        if isinstance(ticket, Slice):
            return self.desk.parts.report(self.desk.book.order_of(ticket), ticket, report)
        return self._on_answer(ticket, report)

    def _on_answer(self, order: Order, report: Answer) -> Iterable[Event]:
        step = said_by(report, order.terms)
        if tells_nothing_new(step, order):
            return ()
        if not order.sent or order.slicing is not None:
            return (illegal(step, order),)
        if isinstance(report, VenueAmendRejected):
            return self.desk.changes.refused(order, report)
        if order.expiring and isinstance(report, VenueCanceled):
            step = OrderExpired(**of(order.terms, report), reason="its time in force is over")
        life = order.life.after(step)
        if life is None:
            return (illegal(step, order),)
        said = self.desk.move(order, life, step)
        return chain(said, self._on_cancel_rejected(order, report)) if isinstance(report, VenueCancelRejected) else said

    def _on_cancel_rejected(self, order: Order, report: VenueCancelRejected) -> Iterator[Event]:
        order.cancel_asked = False
        if order.expiring and not order.life.closed:
            order.expiry_tries += 1
            if order.expiry_tries > self.desk.settings.query_attempts:
                text = f"{order.id} in {order.terms.instrument} is over, and the venue does not take it back"
                yield alert(report, "not_expired", f"{text}: {report.reason}; cancel it there")
            else:
                again = report.ts_init + self.desk.settings.query_after_ms * 1_000_000
                self.desk.timers.add(again, Alarm.EXPIRY, order.id)
        yield from self.desk.changes.settle(order, report)

    @on(VenueAmended)
    def on_amended(self, report: VenueAmended) -> Iterator[Event]:
        order = self.orders.get(report.client_order_id)
        if order is None:
            return _unknown(report)
        if order.terms.instrument != report.instrument or not order.sent or order.slicing is not None:
            return _elsewhere(report, order.terms)
        return self.desk.changes.amended(order, report)

    @on(VenueFilled)
    def on_filled(self, report: VenueFilled) -> Iterable[Event]:
        desk = self.desk
        ticket = desk.book.find(report.client_order_id)
        if ticket is None:
            return _unknown(report)
        order = ticket if isinstance(ticket, Order) else desk.book.order_of(ticket)
        if report.trade_id in order.trades:
            return ()
        cumulative, terms = order.filled + report.quantity, ticket.terms
        fits = cumulative <= order.terms.quantity
        if ticket is not order:
            fits = fits and ticket.filled + report.quantity <= terms.quantity
        if not fits or report.side is not terms.side or report.instrument != terms.instrument:
            return (alert(report, "impossible_fill", _impossible(report, ticket), Severity.CRITICAL),)
        fill = filled(order, report, cumulative)
        life = order.life.after(fill)
        if not ticket.sent or life is None:
            return (illegal(fill, ticket),)
        order.filled = cumulative
        order.trades[report.trade_id] = None
        if not isinstance(ticket, Slice):
            return desk.move(order, life, fill)
        ticket.filled += report.quantity
        return chain(desk.move(order, life, fill), desk.parts.filled(order, ticket, fill))

    @on(VenueForeignOrder)
    def on_foreign(self, report: VenueForeignOrder) -> Iterator[Event]:
        """Take an order that nobody here sent into the books of a strategy, if the gateway was told to adopt it."""
        what = f"{report.side.value} {report.quantity} {report.instrument} ({report.client_order_id})"
        known = self.desk.book.find(report.client_order_id)
        if known is not None:
            if (known.terms.side, known.terms.instrument) != (report.side, report.instrument):
                yield alert(report, "foreign_order", f"{what} has the id of another order of ours: {report.reason}")
        elif not report.adopted:
            yield alert(report, "foreign_order", f"{what} is not ours and stays alone: {report.reason}")
        else:
            yield from self._adopt(report)

    def _adopt(self, report: VenueForeignOrder) -> Iterator[Event]:
        terms = OrderTerms(
            client_order_id=report.client_order_id,
            strategy=report.strategy,
            instrument=report.instrument,
            side=report.side,
            quantity=report.quantity,
            order_type=OrderType.MARKET if report.limit_price is None else OrderType.LIMIT,
            limit_price=report.limit_price,
            time_in_force=TimeInForce.GTC,
            reduce_only=False,
        )
        order = Order(terms, approved=terms.quantity, full=terms.quantity, granted=terms.quantity, sent=True)
        self.desk.book.add(order)
        yield OrderInitialized(**at(report), order=terms)
        yield from self.desk.step(order, OrderSubmitted(**of(terms, report)))
        yield from self.desk.step(order, OrderAccepted(**of(terms, report), venue_order_id=report.venue_order_id))


def _objection(order: Order | None, client_order_id: str, instrument: InstrumentId) -> str | None:
    if order is None:
        return f"{client_order_id} is not known here, or was closed long ago"
    if order.terms.instrument != instrument:
        return f"{client_order_id} trades {order.terms.instrument}, not {instrument}"
    return f"{client_order_id} is {order.life.status.value} already" if order.life.closed else None


def _may_cancel(by: str, terms: OrderTerms) -> bool:
    return by in MAY_CANCEL or by == terms.strategy or terms.client_order_id.startswith(f"{by}-")


def _impossible(report: VenueFilled, ticket: Order | Slice) -> str:
    """Say why a trade cannot be one of this order, with both sides of it."""
    terms = ticket.terms
    been = f"{ticket.filled} of {terms.side.value} {terms.quantity} {terms.instrument} of {ticket.id} are filled"
    now = f"{report.side.value} {report.quantity} {report.instrument} at {report.price}"
    return f"{been}; now {now}, trade {report.trade_id}; it is not booked: compare with the venue"


def _unknown(report: VenueReport) -> Iterator[Event]:
    text = f"{type(report).__name__} for {report.client_order_id}, which nobody here sent"
    severity = Severity.CRITICAL if isinstance(report, VenueFilled) else Severity.WARNING
    yield alert(report, "unknown_order", text, severity)


def _elsewhere(report: VenueReport, terms: OrderTerms) -> Iterator[Event]:
    text = f"{type(report).__name__} in {report.instrument} for {terms.client_order_id} in {terms.instrument}"
    yield alert(report, "illegal_report", f"{text}, of which the venue knows nothing such; nothing was changed")
