"""What the router says: the steps in an order's life, and its alerts."""

from decimal import Decimal
from typing import TypedDict

from contracts.control import Alert
from contracts.event import Event, maker
from contracts.orders import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderTerms,
    OrderTriggered,
    OrderUpdated,
    OrderUpdateRejected,
)
from contracts.types import MAX_TEXT, InstrumentId, OrderStatus, Severity, Side
from contracts.venue import (
    VenueAccepted,
    VenueAmendRejected,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueRejected,
    VenueTriggered,
)
from services.router.book import Order, Ticket

NAME = "router"
Answer = (
    VenueAccepted
    | VenueRejected
    | VenueCanceled
    | VenueExpired
    | VenueCancelRejected
    | VenueTriggered
    | VenueAmendRejected
)


class Times(TypedDict):
    ts_event: int
    ts_init: int


class Of(Times):
    """What every order event says."""

    client_order_id: str
    strategy: str
    instrument: InstrumentId


def at(event: Event) -> Times:
    return {"ts_event": event.ts_event, "ts_init": event.ts_init}


def of(terms: OrderTerms, event: Event) -> Of:
    return {
        "ts_event": event.ts_event,
        "ts_init": event.ts_init,
        "client_order_id": terms.client_order_id,
        "strategy": terms.strategy,
        "instrument": terms.instrument,
    }


def alert(event: Event, code: str, message: str, severity: Severity = Severity.WARNING) -> Alert:
    return Alert(**at(event), component=NAME, severity=severity, code=code, message=message[:MAX_TEXT])


def illegal(event: Event, ticket: Ticket) -> Alert:
    """Call a person; a trade that we could not book is critical, for our books then differ from the venue's."""
    severity = Severity.CRITICAL if isinstance(event, OrderFilled) else Severity.WARNING
    text = f"{type(event).__name__} for {ticket.id}, which is {ticket.life.status.value}"
    return alert(event, "illegal_report", f"{text}; nothing was changed", severity)


_accepted, _filled = maker(OrderAccepted), maker(OrderFilled)


def said_by(report: Answer, terms: OrderTerms) -> Event:
    """Give the step in an order's life that a report other than a fill or an amendment stands for."""
    if isinstance(report, VenueAccepted):
        return _accepted(
            ts_event=report.ts_event,
            ts_init=report.ts_init,
            client_order_id=terms.client_order_id,
            strategy=terms.strategy,
            instrument=terms.instrument,
            venue_order_id=report.venue_order_id,
        )
    if isinstance(report, VenueTriggered):
        return OrderTriggered(**of(terms, report), price=report.price)
    return _STEPS[type(report)](**of(terms, report), reason=report.reason)


_Reasoned = type[OrderRejected | OrderCanceled | OrderExpired | OrderCancelRejected | OrderUpdateRejected]
_STEPS: dict[type[Event], _Reasoned] = {
    VenueRejected: OrderRejected,
    VenueCanceled: OrderCanceled,
    VenueExpired: OrderExpired,
    VenueCancelRejected: OrderCancelRejected,
    VenueAmendRejected: OrderUpdateRejected,
}
_TOLD: dict[type[Event], frozenset[OrderStatus]] = {
    OrderAccepted: frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.TRIGGERED}),
    OrderRejected: frozenset({OrderStatus.REJECTED}),
    OrderCanceled: frozenset({OrderStatus.CANCELED, OrderStatus.EXPIRED}),
    OrderExpired: frozenset({OrderStatus.EXPIRED}),
}


def tells_nothing_new(step: Event, ticket: Ticket) -> bool:
    """Say whether a venue that was asked only repeats what is known, or could not do what its end has overtaken."""
    if ticket.asked > 0 and ticket.life.status in _TOLD.get(type(step), ()):
        return True
    if isinstance(step, OrderCancelRejected):
        return ticket.life.closed and ticket.cancel_asked
    return isinstance(step, OrderUpdateRejected) and ticket.life.closed and ticket.change_asked


def filled(order: Order, report: VenueFilled, cumulative: Decimal) -> OrderFilled:
    """Give the fill of `order` that a trade at the venue stands for, with which `cumulative` is filled."""
    terms = order.terms
    fill = _filled(
        ts_event=report.ts_event,
        ts_init=report.ts_init,
        client_order_id=terms.client_order_id,
        strategy=terms.strategy,
        instrument=terms.instrument,
        trade_id=report.trade_id,
        side=report.side,
        price=report.price,
        quantity=report.quantity,
        cumulative=cumulative,
        leaves=terms.quantity - cumulative,
        fee=report.fee,
        currency=report.currency,
        liquidity=report.liquidity,
        slippage_bps=slippage_bps(order, report),
    )
    if report.fee_currency is not None:
        fill.fee_currency = report.fee_currency  # type: ignore[misc] # a sixteenth keyword costs more than all others
    return fill


def slippage_bps(order: Order, report: VenueFilled) -> float | None:
    """Say how much worse a trade is than the middle of the market when the order came to trade; None: not known."""
    if order.arrival is None:
        return None
    above = (float(report.price) / order.arrival - 1) * 10_000
    worse = above if report.side is _BUY else -above
    return round(worse, 6) if -_ABSURD < worse < _ABSURD else None


_ABSURD = 1e9
"""No market slips by so much: then the mark was none."""
_BUY = Side.BUY


def updated(order: Order, terms: OrderTerms, event: Event) -> OrderUpdated:
    return OrderUpdated(
        **of(terms, event),
        quantity=terms.quantity,
        limit_price=terms.limit_price,
        trigger_price=terms.trigger_price,
        leaves=terms.quantity - order.filled,
    )
