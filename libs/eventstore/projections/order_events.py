"""order_events: every step in the life of an order, with its position and its cause."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from contracts.event import Event
from contracts.orders import (
    OrderAccepted,
    OrderEvent,
    OrderFilled,
    OrderInitialized,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderSubmitted,
    OrderTerms,
    OrderTriggered,
    OrderUpdated,
)
from contracts.ownership import ORDER_EVENTS, EventTypes
from contracts.recorded import Recorded
from eventstore.instruments import venue_and_symbol
from eventstore.projections.projection import Journal

Told = tuple[Decimal | None, Decimal | None, str | None]


class OrderEventRow(NamedTuple):
    """`price` and `quantity` are those of the step: of the trade, of the new terms, or the price that triggered."""

    position: int
    cause: int | None
    client_order_id: str
    strategy: str
    venue: str
    symbol: str
    step: str
    price: Decimal | None
    quantity: Decimal | None
    detail: str | None
    ts_event: int
    ts_init: int


class OrderEvents(Journal[OrderEventRow]):
    name = "order_events"
    row = OrderEventRow
    handles: ClassVar[EventTypes] = ORDER_EVENTS

    def row_of(self, recorded: Recorded) -> OrderEventRow:
        event: Any = recorded.event
        event_type = type(event)
        price, quantity, detail = _TOLD.get(event_type, _reason)(event)
        order: OrderTerms | OrderEvent = event.order if event_type is OrderInitialized else event
        venue, symbol = venue_and_symbol(order.instrument)
        return OrderEventRow(
            position=recorded.position,
            cause=recorded.cause,
            client_order_id=order.client_order_id,
            strategy=order.strategy,
            venue=venue,
            symbol=symbol,
            step=event_type.type_name,
            price=price,
            quantity=quantity,
            detail=detail,
            ts_event=event.ts_event,
            ts_init=event.ts_init,
        )


def _terms(begun: OrderInitialized) -> Told:
    order = begun.order
    return order.limit_price or order.trigger_price, order.quantity, order.order_type.value


_TOLD: dict[type[Event], Callable[[Any], Told]] = {
    OrderInitialized: _terms,
    OrderFilled: lambda fill: (fill.price, fill.quantity, fill.trade_id),
    OrderUpdated: lambda updated: (updated.limit_price or updated.trigger_price, updated.quantity, None),
    OrderTriggered: lambda triggered: (triggered.price, None, None),
    OrderAccepted: lambda accepted: (None, None, accepted.venue_order_id),
    **dict.fromkeys((OrderSubmitted, OrderPendingCancel, OrderPendingUpdate), lambda _: (None, None, None)),
}
"""What a step tells: its price, its quantity and its words. All others tell their reason."""


def _reason(event: Any) -> Told:  # noqa: ANN401 # of the types that are not above
    return None, None, event.reason
