"""The figures of a run: plain values that a report shows and a program reads (`asdict` makes JSON of them).

Money is in `currency` and rounded as floats are: what is exact is in the log. Times are ns UTC, shares 0..1.
"""

from dataclasses import dataclass, field

from quant.benchmark import Relation
from quant.honesty import Interval
from quant.performance import Drawdown, Month, Performance, TradeTally
from quant.tails import Tails


@dataclass(frozen=True, slots=True)
class Trades:
    """What closed positions brought, after fees and funding. None: nothing determines it."""

    count: int
    net: float
    win_rate: float | None
    profit_factor: float | None
    expectancy: float | None
    average_win: float | None
    average_loss: float | None
    best: float | None
    worst: float | None
    average_held: int | None
    longest_losing_streak: int

    @property
    def payoff(self) -> float | None:
        """The mean winner over the mean loser."""
        return self.average_win / self.average_loss if self.average_win is not None and self.average_loss else None

    @classmethod
    def of(cls, tally: TradeTally) -> "Trades":
        return cls(
            count=tally.count,
            net=tally.net,
            win_rate=tally.win_rate,
            profit_factor=tally.profit_factor,
            expectancy=tally.expectancy,
            average_win=tally.average_win,
            average_loss=tally.average_loss,
            best=tally.best,
            worst=tally.worst,
            average_held=tally.average_held,
            longest_losing_streak=tally.longest_losing_streak,
        )


@dataclass(slots=True)
class Execution:
    """What fills cost: `slippage` is money lost against the middle of the market when risk judged the order.

    `judged` is the notional of those fills whose slippage is known; `unvalued` counts fees in a coin without a price.
    """

    fills: int = 0
    notional: float = 0.0
    fees: float = 0.0
    slippage: float = 0.0
    judged: float = 0.0
    unvalued: int = 0

    @property
    def slippage_bps(self) -> float | None:
        return self.slippage / self.judged * 1e4 if self.judged else None

    @property
    def fee_bps(self) -> float | None:
        return self.fees / self.notional * 1e4 if self.notional else None


@dataclass(frozen=True, slots=True)
class Trade:
    """One closed position; both ends name the order that `hmm why` follows. `regime` is that at the entry."""

    strategy: str
    instrument: str
    long: bool
    quantity: str
    entry_price: float
    exit_price: float
    net: float
    fees: float
    opened_at: int
    closed_at: int
    entry_order: str
    exit_order: str
    stopped: bool
    regime: str | None
    adverse: float = 0.0
    """The farthest that the price went against it while it was held, as a share of the entry price."""
    favourable: float = 0.0
    """The farthest that the price went its way."""

    @property
    def change(self) -> float:
        """What the price brought from entry to exit, as a share of the entry price."""
        moved = self.exit_price / self.entry_price - 1
        return moved if self.long else -moved


@dataclass(frozen=True, slots=True)
class Strategy:
    """What one strategy added to the whole."""

    name: str
    capital: float
    net_pnl: float
    fees: float
    funding: float
    exposed: float
    """The share of the time in which it held something."""
    performance: Performance
    trades: Trades
    execution: Execution


@dataclass(frozen=True, slots=True)
class Traded:
    """What trades of one kind brought: of one instrument, or entered in one regime."""

    name: str
    trades: Trades


@dataclass(frozen=True, slots=True)
class Sides:
    """Closed positions by what they were and when: `hours` (0..23) and `weekdays` (0: Monday) of the entry, UTC."""

    sides: tuple[Traded, ...] = ()
    hours: tuple[Traded, ...] = ()
    weekdays: tuple[Traded, ...] = ()
    held: tuple[Traded, ...] = ()
    """By how long they were held."""
    ends: tuple[Traded, ...] = ()
    """By what closed them: a stop, or an order of the strategy."""


@dataclass(frozen=True, slots=True)
class Excursion:
    """How far prices went against trades of one kind, for them, and where they ended: means, as shares of the entry.

    J. Sweeney, Maximum Adverse Excursion (1997). Seen are the marks of the books and the bars within which it was held
    from end to end.
    """

    name: str
    count: int
    adverse: float
    favourable: float
    change: float


@dataclass(frozen=True, slots=True)
class Exposure:
    """What was held, in the mean over all the time and at most; `gross` all of it, `net` longs less shorts."""

    mean_gross: float
    mean_net: float
    most_gross: float


@dataclass(frozen=True, slots=True)
class Holding:
    """What it would have brought to hold `instruments`: equal parts of the capital in each, bought without costs."""

    instruments: tuple[str, ...]
    performance: Performance
    relation: Relation


@dataclass(frozen=True, slots=True)
class Scenario:
    """The same fills at other costs. What would have been decided otherwise is not in it."""

    name: str
    net_pnl: float
    total_return: float
    sharpe: float | None
    max_drawdown: float


@dataclass(slots=True)
class Verdicts:
    """How often a rail refused or made smaller; `order_id` and `detail` are of the first time."""

    rail: str
    order_id: str
    detail: str
    rejected: int = 0
    resized: int = 0


@dataclass(slots=True)
class Finding:
    """An alert, or an input that could not be taken: how often, and where on the tape first."""

    component: str
    code: str
    severity: str
    message: str
    position: int
    count: int = 0


@dataclass(frozen=True, slots=True)
class Repair:
    """What was done to the data before it was played, or what was missing from it."""

    what: str
    count: int


@dataclass(slots=True)
class Gap:
    """What the feed should have brought and did not; `missing` are trades, or ns of silence, added up."""

    instrument: str
    kind: str
    first: int
    missing: int = 0
    longest: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a run. `headline` is None where nothing was traded.

    `intervals` by the name of the figure: of one draw of many like this past (bootstrap). `remarks` are what a reader
    must know before he believes any of it.
    """

    currency: str | None
    first: int | None
    last: int | None
    events: int
    capital: float
    net_pnl: float
    fees: float
    funding: float
    slippage: float
    headline: Performance | None
    exposed: float
    turnover: float | None
    skill: float | None
    """The probability that the true Sharpe ratio is above zero (Bailey, Lopez de Prado 2012): of this one trial."""
    least_days: float | None
    """How long the run would have to be for that probability to reach 95 %, if it went on like this."""
    intervals: dict[str, Interval]
    months: tuple[Month, ...]
    trades: Trades
    strategies: tuple[Strategy, ...]
    instruments: tuple[Traded, ...]
    regimes: tuple[Traded, ...]
    execution: dict[str, Execution]
    """By maker and taker."""
    scenarios: tuple[Scenario, ...]
    approved: int
    rails: tuple[Verdicts, ...]
    orders: dict[str, int]
    """Orders by what became of them."""
    findings: tuple[Finding, ...]
    repairs: tuple[Repair, ...] = ()
    assumptions: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    dead_letters: int = 0
    drawdowns: tuple[Drawdown, ...] = ()
    """The worst five, the deepest first."""
    tails: Tails | None = None
    holding: Holding | None = None
    exposure: Exposure | None = None
    kinds: Sides = field(default_factory=Sides)
    excursions: tuple[Excursion, ...] = ()
    venues: dict[str, Execution] = field(default_factory=dict)
    """What fills cost, by instrument."""
    remarks: tuple[str, ...] = field(default=())
