"""What the router shows: orders by what happened to them, and how long the way from quote to order took."""

from prometheus_client import Counter

from contracts.event import Event
from contracts.orders import OrderFilled, OrderSubmitted
from contracts.ownership import ORDER_EVENTS
from tape.blueprint import Observer, Observers
from tape.metrics import TICK_TO_ORDER_MS

ORDERS = Counter("orders_total", "Steps in the lives of orders", ["state"])


def observe() -> Observers:
    return {event_type: _counter(event_type) for event_type in ORDER_EVENTS}


def _counter(event_type: type[Event]) -> Observer:
    state = event_type.subject_template.split(".")[1]

    def count(event: Event, since_origin_ms: float | None) -> None:
        partly = isinstance(event, OrderFilled) and event.leaves > 0
        ORDERS.labels("partially_filled" if partly else state).inc()
        if isinstance(event, OrderSubmitted) and since_origin_ms is not None:
            TICK_TO_ORDER_MS.labels(event.strategy).observe(since_origin_ms)

    return count
