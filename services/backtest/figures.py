"""The figures of a run: plain values that a report shows and a program reads (`asdict` makes JSON of them).

Money is in `currency` and rounded as floats are: what is exact is in the log. Times are ns UTC, shares 0..1.
"""

from dataclasses import dataclass, field

from quant.honesty import Interval
from quant.performance import Month, Performance, TradeTally


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
    remarks: tuple[str, ...] = field(default=())
