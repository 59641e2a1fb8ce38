"""orders: each order from its first mention to its last fill, in one row."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from contracts.event import Event
from contracts.orders import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderPendingCancel,
    OrderRejected,
    OrderSubmitted,
    OrderTerms,
)
from contracts.ownership import ORDER_EVENTS, EventTypes
from contracts.recorded import Recorded
from contracts.types import OrderStatus, OrderType, Side, TimeInForce
from eventstore.instruments import venue_and_symbol
from eventstore.projections.projection import EXACT, Key, Ledger

ENDED = frozenset(
    {OrderStatus.DENIED, OrderStatus.REJECTED, OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED}
)

BEFORE_ACCEPTED = frozenset({OrderStatus.INITIALIZED, OrderStatus.SUBMITTED})

NOTHING = Decimal(0)


class OrderRow(NamedTuple):
    """The terms are None until the order was initialized: a denial may be the only thing ever said of it."""

    client_order_id: str
    strategy: str
    venue: str
    symbol: str
    status: OrderStatus
    created_position: int
    created_ts: int
    updated_position: int
    updated_ts: int
    side: Side | None = None
    order_type: OrderType | None = None
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    reduce_only: bool | None = None
    status_before_cancel: OrderStatus | None = None
    venue_order_id: str | None = None
    filled_quantity: Decimal = NOTHING
    filled_value: Decimal = NOTHING
    fees: Decimal = NOTHING
    reason: str | None = None


class Orders(Ledger[OrderRow]):
    name = "orders"
    row = OrderRow
    key: ClassVar[tuple[str, ...]] = ("client_order_id",)
    handles: ClassVar[EventTypes] = ORDER_EVENTS

    def keys(self, event: Event) -> Sequence[Key]:
        return ((_order_of(event).client_order_id,),)

    def fold(self, rows: Mapping[Key, OrderRow], recorded: Recorded) -> Mapping[Key, OrderRow]:
        event = recorded.event
        (key,) = self.keys(event)
        known = rows.get(key)
        row = known or _first_mention(event, recorded.position)
        changes = _CHANGES[type(event)](row, event)
        if known and not changes:
            return {}
        return {key: row._replace(updated_position=recorded.position, updated_ts=event.ts_init, **changes)}


def _order_of(event: Event) -> OrderTerms | OrderEvent:
    if isinstance(event, OrderInitialized):
        return event.order
    assert isinstance(event, OrderEvent)
    return event


def _first_mention(event: Event, position: int) -> OrderRow:
    order = _order_of(event)
    venue, symbol = venue_and_symbol(order.instrument)
    return OrderRow(
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        venue=venue,
        symbol=symbol,
        status=OrderStatus.INITIALIZED,
        created_position=position,
        created_ts=event.ts_init,
        updated_position=position,
        updated_ts=event.ts_init,
    )


Changes = dict[str, Any]


def _initialized(row: OrderRow, event: OrderInitialized) -> Changes:
    if row.side is not None:
        return {}
    order = event.order
    return {
        "side": order.side,
        "order_type": order.order_type,
        "quantity": order.quantity,
        "limit_price": order.limit_price,
        "time_in_force": order.time_in_force,
        "reduce_only": order.reduce_only,
    }


def _denied(row: OrderRow, event: OrderDenied) -> Changes:
    # The second use of an id is denied under the same id: that says nothing of the order which has it.
    if row.status is not OrderStatus.INITIALIZED:
        return {}
    return {"status": OrderStatus.DENIED, "reason": event.reason}


def _submitted(row: OrderRow, _event: OrderSubmitted) -> Changes:
    return {"status": OrderStatus.SUBMITTED} if row.status is OrderStatus.INITIALIZED else {}


def _accepted(row: OrderRow, event: OrderAccepted) -> Changes:
    changes: Changes = {"venue_order_id": event.venue_order_id}
    # A fill or a cancel may overtake the acceptance; the status is then further on already.
    if row.status in BEFORE_ACCEPTED:
        changes["status"] = OrderStatus.ACCEPTED
    if row.status_before_cancel in BEFORE_ACCEPTED:
        changes["status_before_cancel"] = OrderStatus.ACCEPTED
    return changes


def _rejected(row: OrderRow, event: OrderRejected) -> Changes:
    return _ended(row, OrderStatus.REJECTED, event.reason)


def _pending_cancel(row: OrderRow, _event: OrderPendingCancel) -> Changes:
    if row.status in ENDED or row.status is OrderStatus.PENDING_CANCEL:
        return {}
    return {"status": OrderStatus.PENDING_CANCEL, "status_before_cancel": row.status}


def _cancel_rejected(row: OrderRow, event: OrderCancelRejected) -> Changes:
    if row.status is not OrderStatus.PENDING_CANCEL:
        return {}
    return {"status": row.status_before_cancel, "status_before_cancel": None, "reason": event.reason}


def _filled(row: OrderRow, event: OrderFilled) -> Changes:
    """Book every fill, also one that comes after the end; only the last one can still change an ended order."""
    changes: Changes = {
        "filled_quantity": EXACT.add(row.filled_quantity, event.quantity),
        "filled_value": EXACT.add(row.filled_value, EXACT.multiply(event.price, event.quantity)),
        "fees": EXACT.add(row.fees, event.fee),
    }
    if event.leaves == 0:
        changes["status"] = OrderStatus.FILLED
        changes["status_before_cancel"] = None
    elif row.status not in ENDED:
        changes["status"] = OrderStatus.PARTIALLY_FILLED
        changes["status_before_cancel"] = None
    return changes


def _canceled(row: OrderRow, event: OrderCanceled) -> Changes:
    return _ended(row, OrderStatus.CANCELED, event.reason)


def _expired(row: OrderRow, event: OrderExpired) -> Changes:
    return _ended(row, OrderStatus.EXPIRED, event.reason)


def _ended(row: OrderRow, status: OrderStatus, reason: str) -> Changes:
    if row.status in ENDED:
        return {}
    return {"status": status, "status_before_cancel": None, "reason": reason}


_CHANGES: dict[type[Event], Callable[[OrderRow, Any], Changes]] = {
    OrderInitialized: _initialized,
    OrderDenied: _denied,
    OrderSubmitted: _submitted,
    OrderAccepted: _accepted,
    OrderRejected: _rejected,
    OrderPendingCancel: _pending_cancel,
    OrderCancelRejected: _cancel_rejected,
    OrderFilled: _filled,
    OrderCanceled: _canceled,
    OrderExpired: _expired,
}
assert set(_CHANGES) == set(ORDER_EVENTS)
