"""The summary of a run: it hears every event once, and keeps in bounded memory what a report tells."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from contracts.books import EquityMarked, PortfolioMarked, PositionChanged, PositionClosed
from contracts.control import Alert, DeadLetter
from contracts.event import Event
from contracts.market import Bar, MarketGap
from contracts.orders import (
    Denial,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderRejected,
    RiskApproved,
    RiskRejected,
)
from contracts.recorded import Recorded
from contracts.regimes import RegimeInferred
from contracts.types import InstrumentId, Severity, Side
from quant.chance import stream
from quant.performance import TradeTally
from services.backtest.conclusion import conclude
from services.backtest.curves import Candle, Candles, Curve, Level, Mark, Marks, Regimes
from services.backtest.figures import Execution, Figures, Finding, Repair, Trade, Verdicts
from services.backtest.tallies import (
    LEAST_STRETCHES,
    Books,
    Drawn,
    Entries,
    Shown,
    TradeTallies,
    add_cost,
)

MOST_FINDINGS = 200
SLIPPAGE_EDGE = 20
"""Slippages beyond so many basis points are counted in the outermost bins of one basis point."""

Take = Callable[["Summary", Recorded, Any], None]


class Summary:
    """Folds the events of a run, in order; `figures` may be asked for at any time.

    `assumptions` are those that flatter the result, told as they are; `seed` that of the intervals.
    """

    def __init__(self, *, assumptions: Sequence[str] = (), seed: int = 0) -> None:
        self.assumptions = list(assumptions)
        self.remarks: list[str] = []
        self.repairs: Counter[str] = Counter()
        self.seed = seed
        self.events = 0
        self.first: int | None = None
        self.last: int | None = None
        self.books: dict[str, Books] = {}
        self.strategies: dict[str, Books] = {}
        self.currencies: dict[str, str] = {}
        self.gross: dict[str, Level] = {}
        self.net: dict[str, Level] = {}
        self.slippage: defaultdict[str, float] = defaultdict(float)
        self.execution: dict[str, Execution] = {}
        self.executions: dict[str, Execution] = {}
        self.slippages: Counter[int] = Counter()
        self.trades = TradeTally()
        self.by_strategy, self.by_instrument, self.by_regime = TradeTallies(), TradeTallies(), TradeTallies()
        self.shown = Shown()
        self.drawn = Drawn(stream(seed, "trades"))
        self.candles: dict[InstrumentId, Candles] = {}
        self.marks: dict[InstrumentId, Marks] = {}
        self.regimes: dict[InstrumentId, Regimes] = {}
        self.approved = 0
        self.rails: dict[str, Verdicts] = {}
        self.orders: Counter[str] = Counter()
        self.findings: dict[tuple[str, str], Finding] = {}
        self._bars: dict[InstrumentId, int] = {}
        self._entries = Entries()

    def hear(self, recorded: Recorded) -> None:
        """Take the next event."""
        event = recorded.event
        self.events += 1
        at = event.ts_init
        if self.first is None or self.last is None:
            self.first = self.last = at
        elif at > self.last:
            self.last = at
        take = self._TAKES.get(type(event))
        if take is not None:
            take(self, recorded, event)

    def repaired(self, what: str, count: int = 1) -> None:
        """Tell of something that was done to the data before it was played."""
        self.repairs[what] += count

    def remark(self, text: str) -> None:
        """Tell what a reader must know before he believes the rest: that the run was interrupted, for instance."""
        self.remarks.append(text)

    def figures(self) -> Figures:
        """Give all figures of what was heard so far."""
        self._settle()
        return conclude(self)

    def _settle(self) -> None:
        """Bring the books of a currency to what its strategies said last: a fill is told before the next tick is."""
        for currency, books in self.books.items():
            own = [self.strategies[name] for name in self._in(currency)]
            books.pnl, books.fees = sum(one.pnl for one in own), sum(one.fees for one in own)
            books.capital, books.funding = sum(one.capital for one in own), sum(one.funding for one in own)
            for level in (self.gross.get(currency), self.net.get(currency)):
                if level is not None:
                    level.pass_time(self.last or 0)
            books.curve.mark(self.last or 0, books.pnl, (books.fees, self.slippage[currency]))

    def told_repairs(self) -> tuple[Repair, ...]:
        return tuple(Repair(what, count) for what, count in sorted(self.repairs.items()))

    # -- the books -----------------------------------------------------------------------------------------------------

    def _on_portfolio(self, _: Recorded, marked: PortfolioMarked) -> None:
        currency, at = marked.currency, marked.ts_init
        books = self._books_of(currency)
        books.mark(marked, self.slippage[currency], held=marked.gross != 0)
        self.gross.setdefault(currency, Level()).mark(at, float(marked.gross))
        self.net.setdefault(currency, Level()).mark(at, float(marked.net))

    def _books_of(self, currency: str) -> Books:
        return self.books.setdefault(currency, Books())

    def _in(self, currency: str) -> list[str]:
        return [name for name, known in self.currencies.items() if known == currency]

    def _on_equity(self, _: Recorded, marked: EquityMarked) -> None:
        books = self.strategies.get(marked.strategy)
        if books is None:
            books = self.strategies[marked.strategy] = Books(Curve(most=LEAST_STRETCHES))
        self.currencies[marked.strategy] = marked.currency
        slippage = self._execution_of(marked.strategy).slippage
        books.mark(marked, slippage, held=any(position.quantity for position in marked.positions))
        whole = self._books_of(marked.currency)
        whole.pass_time(marked.ts_init)
        whole.held = any(self.strategies[name].held for name in self._in(marked.currency))

    def _on_position(self, _: Recorded, changed: PositionChanged) -> None:
        if changed.quantity:
            side = Side.BUY if changed.quantity > 0 else Side.SELL
            known = self.regimes.get(changed.instrument)
            self._entries.holds(changed.strategy, changed.instrument, side, known.now if known else None)

    def _on_closed(self, _: Recorded, closed: PositionClosed) -> None:
        entry, regime = self._entries.closed(closed.strategy, closed.instrument, closed.side)
        net, held = float(closed.net_pnl), closed.closed_at - closed.opened_at
        self.trades.add(net, held)
        self.by_strategy.add(closed.strategy, net, held)
        self.by_instrument.add(closed.instrument, net, held)
        if regime is not None:
            self.by_regime.add(regime, net, held)
        self.drawn.add(net)
        trade = Trade(
            strategy=closed.strategy,
            instrument=closed.instrument,
            long=closed.side is Side.BUY,
            quantity=f"{closed.quantity.normalize():f}",
            entry_price=float(closed.entry_price),
            exit_price=float(closed.exit_price),
            net=net,
            fees=float(closed.fees),
            opened_at=closed.opened_at,
            closed_at=closed.closed_at,
            entry_order=entry,
            exit_order=closed.closed_by,
            stopped=closed.stopped,
            regime=regime,
        )
        self.shown.add(self.trades.count, trade)

    # -- orders --------------------------------------------------------------------------------------------------------

    def _on_fill(self, _: Recorded, fill: OrderFilled) -> None:
        self._entries.filled(fill)
        price, waited = float(fill.price), self.execution.setdefault(fill.liquidity.value, Execution())
        self.slippage[fill.currency] += add_cost(fill, price, waited, self._execution_of(fill.strategy))
        if fill.slippage_bps is not None:
            self.slippages[max(-SLIPPAGE_EDGE, min(SLIPPAGE_EDGE, round(fill.slippage_bps)))] += 1
        mark = Mark(fill.ts_init, price, fill.side is Side.BUY, fill.client_order_id)
        self.marks.setdefault(fill.instrument, Marks()).add(mark)
        if fill.leaves == 0:
            self.orders["filled"] += 1

    def _execution_of(self, strategy: str) -> Execution:
        execution = self.executions.get(strategy)
        if execution is None:
            execution = self.executions[strategy] = Execution()
        return execution

    def _on_approved(self, _: Recorded, approved: RiskApproved) -> None:
        self.approved += 1
        for denial in approved.resized:
            self._verdicts(denial, approved.order.client_order_id).resized += 1

    def _on_rejected(self, _: Recorded, rejected: RiskRejected) -> None:
        for denial in rejected.reasons:
            self._verdicts(denial, rejected.order.client_order_id).rejected += 1

    def _verdicts(self, denial: Denial, order_id: str) -> Verdicts:
        return self.rails.setdefault(denial.rail.value, Verdicts(denial.rail.value, order_id, denial.detail))

    def _on_order(self, _: Recorded, event: Event) -> None:
        self.orders[type(event).type_name.removeprefix("Order").lower()] += 1

    # -- the market ----------------------------------------------------------------------------------------------------

    def _on_bar(self, _: Recorded, bar: Bar) -> None:
        """Keep the shortest bars of an instrument."""
        length, shortest = bar.interval.nanos, self._bars.get(bar.instrument)
        if shortest is None or length < shortest:
            self._bars[bar.instrument] = shortest = length
            self.candles[bar.instrument] = Candles(length)
        if length == shortest:
            candle = Candle(bar.ts_open, bar.open, bar.high, bar.low, bar.close, bar.volume)
            self.candles[bar.instrument].add(candle)

    def _on_regime(self, _: Recorded, inferred: RegimeInferred) -> None:
        self.regimes.setdefault(inferred.instrument, Regimes()).tell(inferred.ts_init, inferred.regime)

    def _on_gap(self, _: Recorded, gap: MarketGap) -> None:
        self.repairs[
            f"{gap.kind.value.replace('_', ' ')} of {gap.instrument}: a gap in the feed, played as it was"
        ] += 1

    # -- what went wrong -----------------------------------------------------------------------------------------------

    def _on_alert(self, recorded: Recorded, alert: Alert) -> None:
        self._find(recorded, alert.component, alert.code, alert.severity, alert.message)

    def _on_dead(self, recorded: Recorded, dead: DeadLetter) -> None:
        self._find(recorded, dead.component, "dead_letter", Severity.CRITICAL, f"{dead.source}: {dead.reason}")

    def _find(self, recorded: Recorded, component: str, code: str, severity: Severity, message: str) -> None:
        key = (component, code)
        if key not in self.findings and len(self.findings) >= MOST_FINDINGS:
            key, message = ("others", "others"), f"more than {MOST_FINDINGS} kinds of alerts: see the log"
            component = code = "others"
        finding = self.findings.setdefault(key, Finding(component, code, severity.value, message, recorded.position))
        finding.count += 1

    _TAKES: ClassVar[dict[type[Event], Take]] = {
        PortfolioMarked: _on_portfolio,
        EquityMarked: _on_equity,
        PositionChanged: _on_position,
        PositionClosed: _on_closed,
        OrderFilled: _on_fill,
        RiskApproved: _on_approved,
        RiskRejected: _on_rejected,
        OrderInitialized: _on_order,
        OrderDenied: _on_order,
        OrderRejected: _on_order,
        OrderCanceled: _on_order,
        OrderExpired: _on_order,
        Bar: _on_bar,
        MarketGap: _on_gap,
        RegimeInferred: _on_regime,
        Alert: _on_alert,
        DeadLetter: _on_dead,
    }
