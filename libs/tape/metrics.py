"""What every process shows of itself, under the names that the field uses."""

import time
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from contracts.ownership import ROLES, Kind

if TYPE_CHECKING:
    from tape.service import Running

LATENCY_BUCKETS_MS = (0.25, 0.5, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 25, 50, 100, 250, 500, 1000, 5000)

EVENTS = Counter("component_events_total", "Events taken from the tape", ["component"])
POSITION = Gauge("component_position", "Last tape position handled", ["component"])
LAG = Gauge("component_lag", "Messages on the tape that are still to be handled", ["component"])
UPTIME = Gauge("engine_component_uptime_seconds", "Since the process began its work", ["component"])
HEALTH = Gauge("health_state", "1 while in this state, else 0", ["component", "state"])
NATS_ERRORS = Counter("nats_errors_total", "Errors that the NATS client reported", ["component"])

STRATEGY_TICKS = Counter("strategy_ticks_total", "Events a strategy has looked at", ["strategy"])
TICK_TO_ORDER_MS = Histogram(
    "strategy_tick_to_order_latency_ms",
    "From the market event coming onto the tape to the order it led to, wall clock",
    ["strategy"],
    buckets=LATENCY_BUCKETS_MS,
)


class ProcessMetrics:
    """The gauges of one process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._began = time.monotonic()
        self._is_strategy = name in ROLES and ROLES[name].kind is Kind.STRATEGY
        self.errors = NATS_ERRORS.labels(name)

    def update(self, running: "Running", handled: int) -> None:
        """Show the present state, after `handled` more events."""
        EVENTS.labels(self._name).inc(handled)
        if self._is_strategy:
            STRATEGY_TICKS.labels(self._name).inc(handled)
        POSITION.labels(self._name).set(running.position)
        LAG.labels(self._name).set(running.lag)
        UPTIME.labels(self._name).set(time.monotonic() - self._began)
        state = running.state
        for candidate in type(state):
            HEALTH.labels(self._name, candidate.value).set(candidate is state)
