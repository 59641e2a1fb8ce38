"""How often models no longer fit their market."""

from prometheus_client import Counter, Gauge

from contracts.event import Event
from contracts.regimes import DriftDetected
from tape.blueprint import Observers

DETECTED = Counter("drift_detected_total", "Drifts that were told", ["instrument", "kind"])
STATISTIC = Gauge("drift_statistic", "Statistic of the last drift that was told", ["instrument", "kind"])


def observe() -> Observers:
    return {DriftDetected: _on_drift}


def _on_drift(event: Event, _since_origin_ms: float | None) -> None:
    assert isinstance(event, DriftDetected)
    DETECTED.labels(event.instrument, event.kind.value).inc()
    STATISTIC.labels(event.instrument, event.kind.value).set(event.statistic)
