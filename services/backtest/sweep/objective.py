"""What a sweep tries to make large: one figure of the returns of all stretches that count."""

from collections.abc import Sequence
from enum import Enum
from math import sqrt
from statistics import fmean

from quant.honesty import probabilistic_sharpe
from quant.performance import DAY, YEAR, deviation, kurtosis, sharpe, skewness, sortino, underwater


class Objective(Enum):
    SHARPE = "sharpe"
    """Mean of returns over their deviation."""
    SORTINO = "sortino"
    """Mean of returns over the root of the mean squared loss."""
    CALMAR = "calmar"
    """Return over the largest drawdown."""
    NET = "net"
    """Return after all costs, as a share of the capital."""
    SKILL = "skill"
    """The probability that the true Sharpe ratio is above zero: it knows skewness and kurtosis."""


def per_year(step: int, counted: int) -> float:
    """How many returns a year has at a distance of `step` ns; 1 where less than a day counts: that tells no year."""
    return YEAR / step if counted >= DAY else 1.0


def value_of(objective: Objective, returns: Sequence[float], scale: float) -> float:
    """Measure returns; `scale` is how many of them a year has. One that never traded is worth 0."""
    if deviation(returns) is None:
        return 0.0
    match objective:
        case Objective.SHARPE:
            return sharpe(returns, scale) or 0.0
        case Objective.SORTINO:
            found = sortino(returns, scale)
            return sqrt(scale) * 1e3 if found is None else found
        case Objective.CALMAR:
            return _calmar(returns)
        case Objective.NET:
            return total(returns)
        case Objective.SKILL:
            return skill_of(returns) or 0.0


def total(returns: Sequence[float]) -> float:
    """Compound returns."""
    return wealth(returns)[-1] - 1


def wealth(returns: Sequence[float]) -> list[float]:
    """Give what 1 became, from the beginning on."""
    held = [1.0]
    for change in returns:
        held.append(held[-1] * (1 + change))
    return held


def _calmar(returns: Sequence[float]) -> float:
    """Divide by a drawdown of a basis point at least: a curve that never fell would be worth infinitely much."""
    held = wealth(returns)
    return (held[-1] - 1) / max(1e-4, *underwater(held))


def skill_of(returns: Sequence[float], benchmark: float = 0.0) -> float | None:
    """Give the probability that the true ratio (per return) is above `benchmark`."""
    ratio, skew, tails = sharpe(returns, 1.0), skewness(returns), kurtosis(returns)
    if ratio is None or skew is None or tails is None:
        return None
    return probabilistic_sharpe(ratio, len(returns), skew, tails, benchmark)


def mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
