"""What the router shows: what happens to orders, how well they trade, and how long the way from quote to order took."""

from prometheus_client import Counter, Gauge, Histogram

from contracts.event import Event
from contracts.orders import ExecutionOverride, OrderFilled, OrderSubmitted
from contracts.ownership import ORDER_EVENTS
from tape.blueprint import Observer, Observers
from tape.metrics import TICK_TO_ORDER_MS

ORDERS = Counter("orders_total", "Steps in the lives of orders", ["state"])
SLIPPAGE = Histogram(
    "order_slippage_bps",
    "How much worse fills were than the middle of the market when the order came to trade",
    ["strategy"],
    buckets=(-50, -20, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20, 50, 100, 200),
)
SIZE_FACTOR = Gauge("execution_size_factor", "Share of the usual order size, 0 while muted", ["instrument"])


def observe() -> Observers:
    steps = {event_type: _counter(event_type) for event_type in ORDER_EVENTS}
    return {**steps, ExecutionOverride: _on_override}


def _counter(event_type: type[Event]) -> Observer:
    state = event_type.subject_template.split(".")[1]

    def count(event: Event, since_origin_ms: float | None) -> None:
        partly = isinstance(event, OrderFilled) and event.leaves > 0
        ORDERS.labels("partially_filled" if partly else state).inc()
        if isinstance(event, OrderSubmitted) and since_origin_ms is not None:
            TICK_TO_ORDER_MS.labels(event.strategy).observe(since_origin_ms)
        if isinstance(event, OrderFilled) and event.slippage_bps is not None:
            SLIPPAGE.labels(event.strategy).observe(event.slippage_bps)

    return count


def _on_override(event: Event, _since_origin_ms: float | None) -> None:
    assert isinstance(event, ExecutionOverride)
    SIZE_FACTOR.labels(event.instrument).set(event.size_factor if event.muted_until is None else 0)
