"""What the ensemble thinks of each market, and what its dry run would have brought."""

from prometheus_client import Gauge

from contracts.event import Event
from contracts.signals import SignalGiven
from tape.blueprint import Observers

STRENGTH = Gauge("ensemble_strength", "Score of the last signal, -1 to 1", ["instrument"])
SHADOW_PNL = Gauge("ensemble_shadow_pnl", "Result of a dry run, in quote currency", ["instrument"])


def observe() -> Observers:
    return {SignalGiven: _on_signal}


def _on_signal(event: Event, _since_origin_ms: float | None) -> None:
    assert isinstance(event, SignalGiven)
    STRENGTH.labels(event.instrument).set(event.strength)
    if event.dry_run:
        SHADOW_PNL.labels(event.instrument).set(float(event.shadow_pnl))
