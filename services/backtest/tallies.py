"""What is counted while a run goes on, each in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
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
    told: tuple[Decimal, ...] = ()

    def mark(self, marked: EquityMarked | PortfolioMarked, slippage: float) -> None:
        """Take what the books say; most of what they say is that nothing has changed."""
        told = (marked.equity, marked.realized_pnl, marked.unrealized_pnl, marked.fees, marked.funding)
        if told == self.told:
            return
        self.told = told
        self.pnl = float(marked.realized_pnl + marked.unrealized_pnl - marked.fees + marked.funding)
        self.fees = float(marked.fees)
        self.curve.mark(marked.ts_init, self.pnl, (self.fees, slippage))

    def take_stock(self) -> None:
        """Work out what need not be known at every mark."""
        if self.told:
            equity, realized, unrealized, fees, funding = self.told
            self.capital = float(equity - (realized + unrealized - fees + funding))
            self.funding = float(funding)

    def hold(self, now: int, *, held: bool) -> None:
        """Begin to hold something, or hold nothing any more."""
        if held != self.held or self.marked_at is None:
            self.pass_time(now)
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
    """A fair sample of all trades: each has the same chance to be in it.

    J. Vitter, Random Sampling with a Reservoir, ACM Trans. Math. Software 11 (1985), algorithm R.
    """

    chance: Chance
    heard: int = 0
    trades: list[Trade] = field(default_factory=list)

    def add(self, trade: Trade) -> None:
        self.heard += 1
        if len(self.trades) < RESERVOIR:
            self.trades.append(trade)
        elif (place := self.chance.word() % self.heard) < RESERVOIR:
            self.trades[place] = trade

    @property
    def values(self) -> list[float]:
        """Their profits."""
        return [trade.net for trade in self.trades]


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


Holder = tuple[str, InstrumentId, Side]
"""Whose position in what, and which way."""


@dataclass(slots=True)
class Extremes:
    """The lowest and the highest price that was seen of each position while it is held."""

    open: dict[Holder, list[float]] = field(default_factory=dict)

    def see(self, holder: Holder, price: float) -> None:
        seen = self.open.get(holder)
        if seen is None:
            self.open[holder] = [price, price]
        elif price < seen[0]:
            seen[0] = price
        elif price > seen[1]:
            seen[1] = price

    def closed(self, holder: Holder, entry: float, end: float) -> tuple[float, float]:
        """Give how far the price went against it and for it, as shares of the entry; its ends were seen too."""
        low, high = self.open.pop(holder, [entry, entry])
        down, up = 1 - min(low, entry, end) / entry, max(high, entry, end) / entry - 1
        return (down, up) if holder[2] is Side.BUY else (up, down)


LENGTHS = tuple(
    (name, seconds * 1_000_000_000)
    for name, seconds in (
        ("up to 1 min", 60),
        ("up to 5 min", 300),
        ("up to 15 min", 900),
        ("up to 1 h", 3600),
        ("up to 4 h", 14_400),
        ("up to 1 d", 86_400),
        ("up to 1 week", 604_800),
    )
)
LONGER = "longer"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_HOUR = 3600 * 1_000_000_000
_EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday."""


@dataclass(slots=True)
class Moved:
    """Excursions of trades of one kind, added up."""

    count: int = 0
    adverse: float = 0.0
    favourable: float = 0.0
    change: float = 0.0

    def add(self, trade: Trade) -> None:
        self.count += 1
        self.adverse += trade.adverse
        self.favourable += trade.favourable
        self.change += trade.change


@dataclass(slots=True)
class Kinds:
    """Closed trades added up by what they were and when."""

    sides: TradeTallies = field(default_factory=TradeTallies)
    hours: TradeTallies = field(default_factory=TradeTallies)
    weekdays: TradeTallies = field(default_factory=TradeTallies)
    held: TradeTallies = field(default_factory=TradeTallies)
    ends: TradeTallies = field(default_factory=TradeTallies)
    moved: dict[str, Moved] = field(default_factory=dict)

    def add(self, trade: Trade) -> None:
        net, held, hour = trade.net, trade.closed_at - trade.opened_at, trade.opened_at // _HOUR
        self.sides.add("long" if trade.long else "short", net, held)
        self.hours.add(f"{hour % 24:02}:00", net, held)
        self.weekdays.add(WEEKDAYS[(hour // 24 + _EPOCH_WEEKDAY) % 7], net, held)
        self.held.add(next((name for name, most in LENGTHS if held <= most), LONGER), net, held)
        self.ends.add("a protective stop" if trade.stopped else "an order", net, held)
        for kind in ("all", "winners" if net > 0 else "losers", "long" if trade.long else "short"):
            self.moved.setdefault(kind, Moved()).add(trade)
