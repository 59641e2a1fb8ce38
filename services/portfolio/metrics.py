"""What the books show: exposure by venue, drawdown from the peak, fees."""

from decimal import Decimal

from prometheus_client import Counter, Gauge

from contracts.books import EquityMarked, PositionChanged
from contracts.event import Event
from contracts.types import venue_of
from tape.blueprint import Observers

FEES = Counter("fees_paid_total", "Fees, in quote currency", ["strategy"])
EXPOSURE = Gauge("venue_exposure_usd", "Sum of the absolute values of positions", ["venue", "strategy"])
EQUITY = Gauge("strategy_equity_usd", "Cash and positions at the mark", ["strategy"])
DRAWDOWN = Gauge("risk_equity_drawdown_pct", "Equity below its peak, percent", ["strategy"])


def observe() -> Observers:
    booked: dict[tuple[str, str], Decimal] = {}

    def on_position(event: Event, _since_origin_ms: float | None) -> None:
        assert isinstance(event, PositionChanged)
        key = (event.strategy, event.instrument)
        FEES.labels(event.strategy).inc(float(max(event.fees - booked.get(key, Decimal(0)), Decimal(0))))
        booked[key] = event.fees

    def on_equity(event: Event, _since_origin_ms: float | None) -> None:
        assert isinstance(event, EquityMarked)
        EQUITY.labels(event.strategy).set(float(event.equity))
        DRAWDOWN.labels(event.strategy).set(float((event.peak - event.equity) / event.peak * 100))
        exposure: dict[str, Decimal] = {}
        for position in event.positions:
            venue = venue_of(position.instrument)
            exposure[venue] = exposure.get(venue, Decimal(0)) + abs(position.value)
        for venue, value in exposure.items():
            EXPOSURE.labels(venue, event.strategy).set(float(value))

    return {PositionChanged: on_position, EquityMarked: on_equity}
