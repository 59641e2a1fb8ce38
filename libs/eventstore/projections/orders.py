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
    OrderUpdated,
    OrderUpdateRejected,
)
from contracts.ownership import ORDER_EVENTS, EventTypes
from contracts.recorded import Recorded
from contracts.types import Contingency, OrderStatus, OrderType, Side, TimeInForce, TrailKind, TriggerBy
from eventstore.instruments import venue_and_symbol
from eventstore.projections.projection import Key, Ledger

NOTHING = Decimal(0)
BASIS_POINTS = 10_000

_PENDING = (OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_UPDATE)
_WITH_REASON = (OrderDenied, OrderRejected, OrderCancelRejected, OrderUpdateRejected, OrderCanceled, OrderExpired)


@dataclass(slots=True)
class OrderRow:
    """The terms are None until the order was initialized: a denial may be the only thing ever said of it.

    `fees` are those in quote currency; others are with the fills. `slippage` is what the fills cost more than the price
    at which risk judged the order (quote currency; negative: less), over those fills that tell.
    """

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
    otherwise: OrderStatus | None = None
    """What a refused request leads back to; None unless a cancel or an update is pending."""
    venue_order_id: str | None = None
    filled_quantity: Decimal = NOTHING
    filled_value: Decimal = NOTHING
    fees: Decimal = NOTHING
    reason: str | None = None
    trigger_price: Decimal | None = None
    trigger_by: TriggerBy | None = None
    trail_offset: Decimal | None = None
    trail_kind: TrailKind | None = None
    expires_at: int | None = None
    post_only: bool | None = None
    display_quantity: Decimal | None = None
    list_id: str | None = None
    parent_id: str | None = None
    contingency: Contingency | None = None
    slippage: Decimal = NOTHING


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
        if _take_terms(row, event.order) if isinstance(event, OrderInitialized) else _take_step(row, event):
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


def _take_terms(row: OrderRow, order: OrderTerms) -> bool:
    """Say whether that was news."""
    if row.side is not None:
        return False
    row.side = order.side
    row.order_type = order.order_type
    row.quantity = order.quantity
    row.limit_price = order.limit_price
    row.time_in_force = order.time_in_force
    row.reduce_only = order.reduce_only
    row.trigger_price = order.trigger_price
    row.trigger_by = order.trigger_by
    row.expires_at = order.expires_at
    row.post_only = order.post_only
    row.display_quantity = order.display_quantity
    if order.trail is not None:
        row.trail_offset, row.trail_kind = order.trail.offset, order.trail.kind
    if order.link is not None:
        row.list_id, row.parent_id, row.contingency = order.link.list_id, order.link.parent, order.link.contingency
    return True


def _take_step(row: OrderRow, event: Event) -> bool:
    """Book a fill, which happened whatever the order's life says, and take the step if it can happen there."""
    if isinstance(event, OrderFilled):
        _take_fill(row, event)
    life = Life(row.status, row.otherwise or OrderStatus.INITIALIZED).after(event)
    if life is None:
        return isinstance(event, OrderFilled)
    row.status = life.status
    row.otherwise = life.otherwise if life.status in _PENDING else None
    if isinstance(event, OrderAccepted):
        row.venue_order_id = event.venue_order_id
    elif isinstance(event, OrderUpdated):
        row.quantity, row.limit_price = event.quantity, event.limit_price
        row.trigger_price = event.trigger_price
    elif isinstance(event, _WITH_REASON):
        row.reason = event.reason
    return True


def _take_fill(row: OrderRow, fill: OrderFilled) -> None:
    value = fill.price * fill.quantity
    row.filled_quantity += fill.quantity
    row.filled_value += value
    if fill.fee_currency in (None, fill.currency):
        row.fees += fill.fee
    if fill.slippage_bps is not None:
        row.slippage += value * Decimal(repr(fill.slippage_bps)) / BASIS_POINTS
