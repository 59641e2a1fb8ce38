"""What an equity curve and the trades behind it are worth: the figures that traders compare.

A curve is given as times (ns UTC, rising) and equities (one currency). A year has 365 days, for crypto never closes.
How many returns a year has is read from the curve itself. A figure that its input does not determine is None.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import nlargest
from itertools import pairwise
from math import sqrt
from statistics import fmean, median

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
YEAR = 365 * DAY
SHORTEST_COMPOUNDED = 14 * DAY
"""Below that a return says too little of a year to be compounded to one."""
SHORTEST_ANNUALISED = DAY
"""Below that nothing is annualised: the ratios of a few hours are noise, however large they look."""
ROUNDING = 1e-12
"""A deviation so much smaller than its mean is the rounding of equal numbers."""


@dataclass(frozen=True, slots=True)
class Drawdown:
    """A fall from a peak: `depth` is the share lost (0..1), `loss` the money; `recovered` is None while it lasts."""

    depth: float
    loss: float
    peak_at: int
    trough_at: int
    recovered: int | None
    until: int
    """When the curve ended, or it had recovered."""

    @property
    def length(self) -> int:
        """From the peak until it was reached again, or until the curve ended (ns)."""
        return self.until - self.peak_at


@dataclass(frozen=True, slots=True)
class Performance:
    """The figures of a curve. Ratios are annualised; `period` is how far its points are apart (ns, the median)."""

    start_equity: float
    end_equity: float
    span: int
    period: int
    observations: int
    total_return: float
    annual_return: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    skewness: float | None
    kurtosis: float | None
    ulcer_index: float
    best: float | None
    worst: float | None
    drawdown: Drawdown | None


def performance(at: Sequence[int], equity: Sequence[float], worst: Drawdown | None = None) -> Performance:
    """Measure a curve of at least one point; `worst` is its deepest drawdown where a finer curve knows it better."""
    assert len(at) == len(equity) and at, "a time for each equity"
    changes, span = returns(equity), at[-1] - at[0]
    per_year = periods_per_year(at)
    total = total_return(equity)
    annual = annual_return(total, span)
    deepest = worst or deepest_drawdown(at, equity)
    return Performance(
        start_equity=equity[0],
        end_equity=equity[-1],
        span=span,
        period=int(median([after - before for before, after in pairwise(at)])) if len(at) > 1 else 0,
        observations=len(changes),
        total_return=total,
        annual_return=annual,
        volatility=volatility(changes, per_year),
        sharpe=sharpe(changes, per_year),
        sortino=sortino(changes, per_year),
        calmar=None if annual is None or deepest is None or not deepest.depth else annual / deepest.depth,
        skewness=skewness(changes),
        kurtosis=kurtosis(changes),
        ulcer_index=ulcer_index(equity),
        best=max(changes, default=None),
        worst=min(changes, default=None),
        drawdown=deepest,
    )


def returns(equity: Sequence[float]) -> list[float]:
    """Give the simple return of each step, up to the one that leaves nothing: from there on there are none."""
    changes: list[float] = []
    for before, after in pairwise(equity):
        if before <= 0:
            break
        changes.append(after / before - 1)
    return changes


def periods_per_year(at: Sequence[int]) -> float | None:
    """Count the returns a year has at the mean distance of these times; None where they are too short for a year."""
    span = at[-1] - at[0] if at else 0
    return (len(at) - 1) * YEAR / span if span >= SHORTEST_ANNUALISED else None


def total_return(equity: Sequence[float]) -> float:
    return equity[-1] / equity[0] - 1 if equity[0] > 0 else 0.0


def annual_return(total: float, span: int) -> float | None:
    """Compound a return over `span` ns to a year; None where it is too short, or where nothing was left."""
    if span < SHORTEST_COMPOUNDED or total <= -1:
        return None
    exponent = YEAR / span
    return float((1 + total) ** exponent - 1)


def deviation(values: Sequence[float]) -> float | None:
    """Estimate the standard deviation (n - 1); None for fewer than two values, or for equal ones."""
    if len(values) < 2:
        return None
    mean = fmean(values)
    found = sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return found if found > abs(mean) * ROUNDING else None


def volatility(changes: Sequence[float], per_year: float | None) -> float | None:
    """Annualise the deviation of returns: that of a year grows with the square root of time."""
    found = deviation(changes)
    return None if found is None or per_year is None else found * sqrt(per_year)


def sharpe(changes: Sequence[float], per_year: float | None, risk_free: float = 0.0) -> float | None:
    """Give mean excess return over deviation, annualised; `risk_free` per period.

    W. Sharpe, The Sharpe Ratio, J. Portfolio Management 21 (1994).
    """
    found = deviation(changes)
    if found is None or per_year is None:
        return None
    return (fmean(changes) - risk_free) / found * sqrt(per_year)


def sortino(changes: Sequence[float], per_year: float | None, target: float = 0.0) -> float | None:
    """Give mean return above the target over the root of mean squared shortfall below it, annualised.

    F. Sortino, L. Price, Performance Measurement in a Downside Risk Framework, J. of Investing 3 (1994).
    """
    if not changes or per_year is None:
        return None
    shortfall = sqrt(fmean([min(0.0, change - target) ** 2 for change in changes]))
    return (fmean(changes) - target) / shortfall * sqrt(per_year) if shortfall > 0 else None


def skewness(values: Sequence[float]) -> float | None:
    """Give the third standardised moment (of the sample, divided by n)."""
    return _moment(values, 3)


def kurtosis(values: Sequence[float]) -> float | None:
    """Give the fourth standardised moment (of the sample, divided by n): 3 for the normal distribution."""
    return _moment(values, 4)


def _moment(values: Sequence[float], order: int) -> float | None:
    if deviation(values) is None:
        return None
    mean = fmean(values)
    variance = fmean([(value - mean) ** 2 for value in values])
    return fmean([((value - mean) / sqrt(variance)) ** order for value in values])


def underwater(equity: Sequence[float]) -> list[float]:
    """Give at each point the share lost since the highest one so far: 0 at a peak."""
    peak, lost = equity[0] if equity else 0.0, []
    for value in equity:
        peak = max(peak, value)
        lost.append(1 - value / peak if peak > 0 else 0.0)
    return lost


def deepest_drawdown(at: Sequence[int], equity: Sequence[float]) -> Drawdown | None:
    """Find the fall that lost the largest share; None where the curve never fell."""
    return max(drawdowns(at, equity), key=lambda fall: fall.depth, default=None)


def drawdowns(at: Sequence[int], equity: Sequence[float]) -> Iterator[Drawdown]:
    """Give every fall from a peak until it was reached again, in order of time; the last one may last."""
    peak, trough = 0, 0
    for number, value in enumerate(equity):
        if value >= equity[peak]:
            if trough > peak:
                yield _drawdown(at, equity, peak, trough, at[number])
            peak = trough = number
        elif trough == peak or value < equity[trough]:
            trough = number
    if trough > peak:
        yield _drawdown(at, equity, peak, trough, None)


def _drawdown(at: Sequence[int], equity: Sequence[float], peak: int, trough: int, recovered: int | None) -> Drawdown:
    depth = 1 - equity[trough] / equity[peak] if equity[peak] > 0 else 0.0
    until = at[-1] if recovered is None else recovered
    return Drawdown(depth, equity[peak] - equity[trough], at[peak], at[trough], recovered, until)


def worst_drawdowns(at: Sequence[int], equity: Sequence[float], count: int = 5) -> list[Drawdown]:
    """Give the falls that lost the largest shares, the deepest first."""
    return nlargest(count, drawdowns(at, equity), key=lambda fall: fall.depth)


def ulcer_index(equity: Sequence[float]) -> float:
    """Give the root of the mean squared drawdown (shares).

    P. Martin, B. McCann, The Investor's Guide to Fidelity Funds, 1989.
    """
    lost = underwater(equity)
    return sqrt(fmean([one * one for one in lost])) if lost else 0.0


@dataclass(frozen=True, slots=True)
class Month:
    """The return of a calendar month (UTC), `year` and `month` counted from 1."""

    year: int
    month: int
    change: float


def monthly(at: Sequence[int], equity: Sequence[float]) -> list[Month]:
    """Give the return of every month from its last point before to its last point within; the first from the start."""
    closes: dict[tuple[int, int], float] = {}
    for moment, value in zip(at, equity, strict=True):
        day = datetime.fromtimestamp(moment // SECOND, UTC)
        closes[day.year, day.month] = value
    months, before = [], equity[0] if equity else 0.0
    for (year, month), value in closes.items():
        months.append(Month(year, month, value / before - 1 if before > 0 else 0.0))
        before = value
    return months


@dataclass(slots=True)
class TradeTally:
    """Adds up closed trades one by one: `net` profits after costs (one currency), `held` times in ns."""

    count: int = 0
    wins: int = 0
    won: float = 0.0
    lost: float = 0.0
    held: int = 0
    best: float | None = None
    worst: float | None = None
    losing_streak: int = 0
    longest_losing_streak: int = 0

    def add(self, net: float, held: int) -> None:
        self.count += 1
        self.held += held
        self.best = net if self.best is None else max(self.best, net)
        self.worst = net if self.worst is None else min(self.worst, net)
        if net > 0:
            self.wins += 1
            self.won += net
            self.losing_streak = 0
            return
        self.lost -= net
        self.losing_streak += 1
        self.longest_losing_streak = max(self.longest_losing_streak, self.losing_streak)

    @property
    def net(self) -> float:
        return self.won - self.lost

    @property
    def win_rate(self) -> float | None:
        """The share that ended above nothing."""
        return self.wins / self.count if self.count else None

    @property
    def profit_factor(self) -> float | None:
        """What winners won over what losers lost; None before anything was lost."""
        return self.won / self.lost if self.lost > 0 else None

    @property
    def expectancy(self) -> float | None:
        """The mean profit of a trade."""
        return self.net / self.count if self.count else None

    @property
    def average_win(self) -> float | None:
        return self.won / self.wins if self.wins else None

    @property
    def average_loss(self) -> float | None:
        return self.lost / (self.count - self.wins) if self.count > self.wins else None

    @property
    def average_held(self) -> int | None:
        return self.held // self.count if self.count else None


def tally(trades: Iterable[tuple[float, int]]) -> TradeTally:
    """Add up trades of (net profit, time held in ns)."""
    added = TradeTally()
    for net, held in trades:
        added.add(net, held)
    return added


def turnover(traded: float, equity: Sequence[float], span: int) -> float | None:
    """Give how often a year the mean equity was traded: `traded` is the sum of all notionals."""
    mean = fmean(equity) if equity else 0.0
    return traded / mean * YEAR / span if mean > 0 and span >= SHORTEST_ANNUALISED else None
