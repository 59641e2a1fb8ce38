"""What is counted while a run goes on, each in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappush, heappushpop

from contracts.books import EquityMarked, PortfolioMarked
from contracts.orders import OrderFilled
from contracts.types import InstrumentId, Side
from quant.chance import Chance
from quant.performance import TradeTally
from services.backtest.curves import Curve
from services.backtest.figures import Execution, Trade

SHOWN_TRADES = 15
RESERVOIR = 2_000
LEAST_STRETCHES = 600


@dataclass(slots=True)
class Books:
    """What one currency, or one strategy, is worth over time.

    Equity grows by the capital of a strategy when that one first trades: so profits are kept, and capital apart.
    """

    curve: Curve = field(default_factory=Curve)
    capital: float = 0.0
    pnl: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    held: bool = False
    held_ns: int = 0
    marked_at: int | None = None

    def mark(self, marked: EquityMarked | PortfolioMarked, slippage: float, *, held: bool) -> None:
        earned = marked.realized_pnl + marked.unrealized_pnl - marked.fees + marked.funding
        self.capital, self.pnl = float(marked.equity - earned), float(earned)
        self.fees, self.funding = float(marked.fees), float(marked.funding)
        self.curve.mark(marked.ts_init, self.pnl, (self.fees, slippage))
        self.pass_time(marked.ts_init)
        self.held = held

    def pass_time(self, now: int) -> None:
        if self.marked_at is not None and self.held and now > self.marked_at:
            self.held_ns += now - self.marked_at
        self.marked_at = now if self.marked_at is None else max(now, self.marked_at)


def add_cost(fill: OrderFilled, price: float, *executions: Execution) -> float:
    """Add a fill to what execution cost; gives the slippage in money."""
    notional, worth = price * float(fill.quantity), _fee_worth(fill, price)
    known = fill.slippage_bps is not None
    lost = notional * fill.slippage_bps / 1e4 if fill.slippage_bps is not None else 0.0
    for into in executions:
        into.fills += 1
        into.notional += notional
        into.slippage += lost
        if known:
            into.judged += notional
        if worth is None:
            into.unvalued += 1
        else:
            into.fees += worth
    return lost


def _fee_worth(fill: OrderFilled, price: float) -> float | None:
    """Value a fee: as it is, or by the price of this fill where it was taken from what was traded."""
    if fill.fee == 0 or fill.fee_currency in (None, fill.currency):
        return float(fill.fee)
    traded_for = f"{fill.fee_currency}{fill.currency}"
    return float(fill.fee) * price if fill.instrument.partition(".")[2] == traded_for else None


@dataclass(slots=True)
class Shown:
    """The trades that a reader is shown: the best, the worst and the last ones."""

    best: list[tuple[float, int, Trade]] = field(default_factory=list)
    worst: list[tuple[float, int, Trade]] = field(default_factory=list)
    latest: list[Trade] = field(default_factory=list)

    def add(self, number: int, trade: Trade) -> None:
        for heap, rank in ((self.best, trade.net), (self.worst, -trade.net)):
            if len(heap) < SHOWN_TRADES:
                heappush(heap, (rank, -number, trade))
            else:
                heappushpop(heap, (rank, -number, trade))
        self.latest.append(trade)
        del self.latest[:-SHOWN_TRADES]

    @property
    def winners(self) -> list[Trade]:
        return [trade for _, _, trade in sorted(self.best, key=lambda one: one[:2], reverse=True) if trade.net > 0]

    @property
    def losers(self) -> list[Trade]:
        return [trade for _, _, trade in sorted(self.worst, key=lambda one: one[:2], reverse=True) if trade.net <= 0]


@dataclass(slots=True)
class Drawn:
    """A fair sample of all profits: each has the same chance to be in it.

    J. Vitter, Random Sampling with a Reservoir, ACM Trans. Math. Software 11 (1985), algorithm R.
    """

    chance: Chance
    heard: int = 0
    values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        self.heard += 1
        if len(self.values) < RESERVOIR:
            self.values.append(value)
        elif (place := self.chance.word() % self.heard) < RESERVOIR:
            self.values[place] = value


@dataclass(slots=True)
class TradeTallies:
    """Closed trades added up by one key each."""

    by: dict[str, TradeTally] = field(default_factory=dict)

    def add(self, key: str, net: float, held: int) -> None:
        self.by.setdefault(key, TradeTally()).add(net, held)

    def __iter__(self) -> Iterator[tuple[str, TradeTally]]:
        return iter(sorted(self.by.items(), key=lambda item: -item[1].net))


@dataclass(slots=True)
class Entries:
    """Which order opened the position that is held, and in which regime: found again when it closes."""

    last_fill: dict[tuple[str, InstrumentId], str] = field(default_factory=dict)
    opened: dict[tuple[str, InstrumentId, Side], tuple[str, str | None]] = field(default_factory=dict)

    def filled(self, fill: OrderFilled) -> None:
        self.last_fill[fill.strategy, fill.instrument] = fill.client_order_id

    def holds(self, strategy: str, instrument: InstrumentId, side: Side, regime: str | None) -> None:
        order_id = self.last_fill.get((strategy, instrument), "")
        self.opened.setdefault((strategy, instrument, side), (order_id, regime))

    def closed(self, strategy: str, instrument: InstrumentId, side: Side) -> tuple[str, str | None]:
        return self.opened.pop((strategy, instrument, side), ("", None))
