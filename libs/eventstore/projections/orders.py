"""orders: each order from its first mention to its last fill, in one row."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from contracts.event import Event
from contracts.lifecycle import Life
from contracts.orders import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderRejected,
    OrderTerms,
)
from contracts.ownership import ORDER_EVENTS, EventTypes
from contracts.recorded import Recorded
from contracts.types import OrderStatus, OrderType, Side, TimeInForce
from eventstore.instruments import venue_and_symbol
from eventstore.projections.projection import Key, Ledger

NOTHING = Decimal(0)


@dataclass(slots=True)
class OrderRow:
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
    """What a refused cancel leads back to; None unless a cancel is pending."""
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

    def fold(self, rows: dict[Key, OrderRow], recorded: Recorded) -> None:
        event = recorded.event
        order = _order_of(event)
        key = (order.client_order_id,)
        row = rows.get(key)
        if row is None:
            row = rows[key] = _first_mention(order, event.ts_init, recorded.position)
        if _take_terms(row, event) if isinstance(event, OrderInitialized) else _take_step(row, event):
            row.updated_position = recorded.position
            row.updated_ts = event.ts_init


def _order_of(event: Event) -> OrderTerms | OrderEvent:
    if isinstance(event, OrderInitialized):
        return event.order
    assert isinstance(event, OrderEvent)
    return event


def _first_mention(order: OrderTerms | OrderEvent, ts: int, position: int) -> OrderRow:
    venue, symbol = venue_and_symbol(order.instrument)
    return OrderRow(
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        venue=venue,
        symbol=symbol,
        status=OrderStatus.INITIALIZED,
        created_position=position,
        created_ts=ts,
        updated_position=position,
        updated_ts=ts,
    )


def _take_terms(row: OrderRow, event: OrderInitialized) -> bool:
    """Say whether that was news."""
    if row.side is not None:
        return False
    order = event.order
    row.side = order.side
    row.order_type = order.order_type
    row.quantity = order.quantity
    row.limit_price = order.limit_price
    row.time_in_force = order.time_in_force
    row.reduce_only = order.reduce_only
    return True


def _take_step(row: OrderRow, event: Event) -> bool:
    """Book a fill, which happened whatever the order's life says, and take the step if it can happen there."""
    if isinstance(event, OrderFilled):
        row.filled_quantity += event.quantity
        row.filled_value += event.price * event.quantity
        row.fees += event.fee
    life = Life(row.status, row.status_before_cancel or OrderStatus.INITIALIZED).after(event)
    if life is None:
        return isinstance(event, OrderFilled)
    row.status = life.status
    row.status_before_cancel = life.before_cancel if life.status is OrderStatus.PENDING_CANCEL else None
    if isinstance(event, OrderAccepted):
        row.venue_order_id = event.venue_order_id
    elif isinstance(event, OrderDenied | OrderRejected | OrderCancelRejected | OrderCanceled | OrderExpired):
        row.reason = event.reason
    return True
