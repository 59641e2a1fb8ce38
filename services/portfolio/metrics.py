"""What the books show: exposure by venue, drawdown from the peak, fees, funding, and trades that ended."""

from collections.abc import Callable
from decimal import Decimal

from prometheus_client import Counter, Gauge

from contracts.books import EquityMarked, PortfolioMarked, PositionChanged, PositionClosed
from contracts.event import Event
from contracts.types import venue_of
from tape.blueprint import Observers

FEES = Counter("fees_paid_total", "Fees, in quote currency", ["strategy"])
EXPOSURE = Gauge("venue_exposure_usd", "Sum of the absolute values of positions", ["venue", "strategy"])
EQUITY = Gauge("strategy_equity_usd", "Cash and positions at the mark", ["strategy"])
DRAWDOWN = Gauge("risk_equity_drawdown_pct", "Equity below its peak, percent", ["strategy"])
FUNDING = Gauge("strategy_funding_usd", "Funding received less funding paid, in quote currency", ["strategy"])
TRADES = Counter("trades_closed_total", "Positions that were left again", ["strategy", "outcome"])
PORTFOLIO_EQUITY = Gauge("portfolio_equity_usd", "All strategies together", ["currency"])
PORTFOLIO_DRAWDOWN = Gauge("portfolio_drawdown_pct", "Equity of all strategies below its peak, percent", ["currency"])
GROSS = Gauge("portfolio_gross_exposure_usd", "Sum of the absolute values of all positions", ["currency"])
NET = Gauge("portfolio_net_exposure_usd", "Sum of the values of all positions", ["currency"])


def observe() -> Observers:
    return {
        PositionChanged: _fee_counter(),
        PositionClosed: _on_closed,
        EquityMarked: _equity_gauges(),
        PortfolioMarked: _on_portfolio,
    }


def drawdown_pct(equity: Decimal, peak: Decimal) -> float:
    """Give how far equity is below its peak; books without capital have none."""
    return float((peak - equity) / peak * 100) if peak > 0 else 0.0


def _fee_counter() -> Callable[[Event, float | None], None]:
    booked: dict[tuple[str, ...], Decimal] = {}

    def on_position(event: Event, _since_origin_ms: float | None) -> None:
        assert isinstance(event, PositionChanged)
        key = (event.strategy, event.instrument, event.position_side.value)
        FEES.labels(event.strategy).inc(float(max(event.fees - booked.get(key, Decimal(0)), Decimal(0))))
        booked[key] = event.fees

    return on_position


def _equity_gauges() -> Callable[[Event, float | None], None]:
    shown: dict[str, set[str]] = {}

    def on_equity(event: Event, _since_origin_ms: float | None) -> None:
        assert isinstance(event, EquityMarked)
        EQUITY.labels(event.strategy).set(float(event.equity))
        FUNDING.labels(event.strategy).set(float(event.funding))
        DRAWDOWN.labels(event.strategy).set(drawdown_pct(event.equity, event.peak))
        venues = shown.setdefault(event.strategy, set())
        exposure = dict.fromkeys(venues, Decimal(0))
        for position in event.positions:
            venue = venue_of(position.instrument)
            exposure[venue] = exposure.get(venue, Decimal(0)) + abs(position.value)
        for venue, value in exposure.items():
            EXPOSURE.labels(venue, event.strategy).set(float(value))
        venues.update(exposure)

    return on_equity


def _on_closed(event: Event, _since_origin_ms: float | None) -> None:
    assert isinstance(event, PositionClosed)
    TRADES.labels(event.strategy, "won" if event.net_pnl > 0 else "lost").inc()


def _on_portfolio(event: Event, _since_origin_ms: float | None) -> None:
    assert isinstance(event, PortfolioMarked)
    PORTFOLIO_EQUITY.labels(event.currency).set(float(event.equity))
    PORTFOLIO_DRAWDOWN.labels(event.currency).set(drawdown_pct(event.equity, event.peak))
    GROSS.labels(event.currency).set(float(event.gross))
    NET.labels(event.currency).set(float(event.net))
