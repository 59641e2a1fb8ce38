"""What is given to strategies, and how often somebody has to be asked."""

from prometheus_client import Counter, Gauge

from contracts.books import CapitalAllocated, CapitalProposed
from contracts.event import Event
from tape.blueprint import Observers

CAPITAL = Gauge("strategy_capital_usd", "Capital that a strategy may bind, in quote currency", ["strategy"])
PROPOSALS = Counter("capital_proposals_total", "Changes of capital that needed an approval", ["strategy"])


def observe() -> Observers:
    return {CapitalAllocated: _on_allocated, CapitalProposed: _on_proposed}


def _on_allocated(event: Event, _since_origin_ms: float | None) -> None:
    assert isinstance(event, CapitalAllocated)
    CAPITAL.labels(event.strategy).set(float(event.capital))


def _on_proposed(event: Event, _since_origin_ms: float | None) -> None:
    assert isinstance(event, CapitalProposed)
    PROPOSALS.labels(event.strategy).inc()
