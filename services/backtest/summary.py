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
from services.backtest.conclusion import DEAD_LETTER, conclude
from services.backtest.curves import Candle, Curve, Level, Mark, Marks, Regimes
from services.backtest.figures import Execution, Figures, Finding, Gap, Trade, Verdicts
from services.backtest.tallies import (
    LEAST_STRETCHES,
    Books,
    Drawn,
    Entries,
    Extremes,
    Kinds,
    Shown,
    TradeTallies,
    add_cost,
)
from services.backtest.tracks import Chart, Track

MOST_FINDINGS = 200
MOST_TRACKS = 200
"""So many instruments have their prices kept, to say what holding them would have brought."""
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
        self.gaps: dict[tuple[str, str], Gap] = {}
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
        self.venues: dict[str, Execution] = {}
        self.slippages: Counter[int] = Counter()
        self.trades = TradeTally()
        self.by_strategy, self.by_instrument, self.by_regime = TradeTallies(), TradeTallies(), TradeTallies()
        self.kinds = Kinds()
        self.shown = Shown()
        self.drawn = Drawn(stream(seed, "trades"))
        self.charts: dict[InstrumentId, Chart] = {}
        self.marks: dict[InstrumentId, Marks] = {}
        self.regimes: dict[InstrumentId, Regimes] = {}
        self.approved = 0
        self.rails: dict[str, Verdicts] = {}
        self.orders: Counter[str] = Counter()
        self.findings: dict[tuple[str, str], Finding] = {}
        self._entries = Entries()
        self._extremes = Extremes()
        self._concluded: tuple[object, Figures] | None = None

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
        known = (self.events, sum(self.repairs.values()), tuple(self.remarks), len(self.assumptions))
        if self._concluded is None or self._concluded[0] != known:
            self._settle()
            self._concluded = known, conclude(self)
        return self._concluded[1]

    def _settle(self) -> None:
        """Bring the books of a currency to what its strategies said last: a fill is told before the next tick is."""
        for strategy in self.strategies.values():
            strategy.take_stock()
        for currency, books in self.books.items():
            own = [self.strategies[name] for name in self._in(currency)]
            books.pnl, books.fees = sum(one.pnl for one in own), sum(one.fees for one in own)
            books.capital, books.funding = sum(one.capital for one in own), sum(one.funding for one in own)
            for level in (self.gross.get(currency), self.net.get(currency)):
                if level is not None:
                    level.pass_time(self.last or 0)
            books.curve.mark(self.last or 0, books.pnl, (books.fees, self.slippage[currency]))

    # -- the books -----------------------------------------------------------------------------------------------------

    def _on_portfolio(self, _: Recorded, marked: PortfolioMarked) -> None:
        currency, at = marked.currency, marked.ts_init
        books = self.books.get(currency) or self._books_of(currency)
        books.mark(marked, self.slippage[currency])
        books.hold(at, held=bool(marked.gross))
        self.gross[currency].mark(at, float(marked.gross))
        self.net[currency].mark(at, float(marked.net))

    def _books_of(self, currency: str) -> Books:
        books = self.books.get(currency)
        if books is None:
            books = self.books[currency] = Books()
            self.gross[currency], self.net[currency] = Level(), Level()
        return books

    def _in(self, currency: str) -> list[str]:
        return [name for name, known in self.currencies.items() if known == currency]

    def _on_equity(self, _: Recorded, marked: EquityMarked) -> None:
        name, at = marked.strategy, marked.ts_init
        books = self.strategies.get(name)
        if books is None:
            books = self.strategies[name] = Books(Curve(most=LEAST_STRETCHES))
        self.currencies[name] = marked.currency
        books.mark(marked, self._execution_of(name).slippage)
        held = False
        for position in marked.positions:
            if position.quantity:
                held = True
                side = Side.BUY if position.quantity > 0 else Side.SELL
                self._extremes.see((name, position.instrument, side), float(position.mark))
        if held != books.held or books.marked_at is None:
            books.hold(at, held=held)
            whole = self._books_of(marked.currency)
            whole.hold(at, held=any(self.strategies[other].held for other in self._in(marked.currency)))

    def _on_position(self, _: Recorded, changed: PositionChanged) -> None:
        if changed.quantity:
            side = Side.BUY if changed.quantity > 0 else Side.SELL
            known = self.regimes.get(changed.instrument)
            self._entries.holds(changed.strategy, changed.instrument, side, known.now if known else None)

    def _on_closed(self, _: Recorded, closed: PositionClosed) -> None:
        holder = (closed.strategy, closed.instrument, closed.side)
        entry, regime = self._entries.closed(*holder)
        entry_price, exit_price = float(closed.entry_price), float(closed.exit_price)
        adverse, favourable = self._extremes.closed(holder, entry_price, exit_price)
        trade = Trade(
            strategy=closed.strategy,
            instrument=closed.instrument,
            long=closed.side is Side.BUY,
            quantity=f"{closed.quantity.normalize():f}",
            entry_price=entry_price,
            exit_price=exit_price,
            net=float(closed.net_pnl),
            fees=float(closed.fees),
            opened_at=closed.opened_at,
            closed_at=closed.closed_at,
            entry_order=entry,
            exit_order=closed.closed_by,
            stopped=closed.stopped,
            regime=regime,
            adverse=adverse,
            favourable=favourable,
        )
        self._count(trade)

    def _count(self, trade: Trade) -> None:
        net, held = trade.net, trade.closed_at - trade.opened_at
        self.trades.add(net, held)
        self.by_strategy.add(trade.strategy, net, held)
        self.by_instrument.add(trade.instrument, net, held)
        if trade.regime is not None:
            self.by_regime.add(trade.regime, net, held)
        self.kinds.add(trade)
        self.drawn.add(trade)
        self.shown.add(self.trades.count, trade)
        chart = self.charts.get(InstrumentId(trade.instrument))
        if chart is not None:
            chart.trades.append(trade)
            chart.closed.add(trade.closed_at, net)

    # -- orders --------------------------------------------------------------------------------------------------------

    def _on_fill(self, _: Recorded, fill: OrderFilled) -> None:
        self._entries.filled(fill)
        price, waited = float(fill.price), self.execution.setdefault(fill.liquidity.value, Execution())
        venue = self.venues.setdefault(fill.instrument, Execution())
        self.slippage[fill.currency] += add_cost(fill, price, waited, venue, self._execution_of(fill.strategy))
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
        chart, length = self.charts.get(bar.instrument), bar.interval.nanos
        if chart is None or length < chart.step:
            before, chart = chart, Chart(length)
            chart.track = before.track if before is not None else self._track(bar)
            self.charts[bar.instrument] = chart
        if length == chart.step:
            candle = Candle(bar.ts_open, bar.open, bar.high, bar.low, bar.close, bar.volume)
            chart.recent.append(candle)
            chart.candles.add(candle)
            if chart.track is not None:
                chart.track.mark(bar.ts_open + length, bar.close)

    def _track(self, bar: Bar) -> Track | None:
        if len(self.charts) >= MOST_TRACKS:
            return None
        track = Track()
        track.mark(bar.ts_open, bar.open)
        return track

    def _on_regime(self, _: Recorded, inferred: RegimeInferred) -> None:
        self.regimes.setdefault(inferred.instrument, Regimes()).tell(inferred.ts_init, inferred.regime)

    def _on_gap(self, _: Recorded, gap: MarketGap) -> None:
        key = (gap.instrument, gap.kind.value)
        found = self.gaps.get(key)
        if found is None:
            found = self.gaps[key] = Gap(*key, first=gap.ts_init)
        found.count += 1
        found.missing += gap.missing
        found.longest = max(found.longest, gap.missing)

    # -- what went wrong -----------------------------------------------------------------------------------------------

    def _on_alert(self, recorded: Recorded, alert: Alert) -> None:
        self._find(recorded, alert.component, alert.code, alert.severity, alert.message)

    def _on_dead(self, recorded: Recorded, dead: DeadLetter) -> None:
        self._find(recorded, dead.component, DEAD_LETTER, Severity.CRITICAL, f"{dead.source}: {dead.reason}")

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
