"""How bad it gets when it goes badly: the ends of the distribution of returns.

Returns are simple ones of equal periods; what is given back is a return of the same kind (a loss is negative). A figure
that its input does not determine is None.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from statistics import NormalDist, fmean

from quant.performance import deviation

FEWEST = 20
"""With fewer returns there is none beyond the worst twentieth."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Tails:
    """The ends of a distribution of returns; `positive` is the share above zero of those that are not zero."""

    value_at_risk: float | None
    normal_value_at_risk: float | None
    expected_shortfall: float | None
    tail_ratio: float | None
    positive: float | None

    @classmethod
    def of(cls, changes: Sequence[float]) -> "Tails":
        return cls(
            value_at_risk=value_at_risk(changes),
            normal_value_at_risk=normal_value_at_risk(changes),
            expected_shortfall=expected_shortfall(changes),
            tail_ratio=tail_ratio(changes),
            positive=positive(changes),
        )


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value below which this share lies, between neighbours in a straight line.

    R. Hyndman, Y. Fan, Sample Quantiles in Statistical Packages, The American Statistician 50 (1996), definition 7.
    """
    assert values and 0 <= share <= 1, "something to look into, and a share of it"
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def value_at_risk(changes: Sequence[float], confidence: float = CONFIDENCE) -> float | None:
    """Give the return that so large a share of all returns was above."""
    return quantile(changes, 1 - confidence) if len(changes) >= FEWEST else None


def normal_value_at_risk(changes: Sequence[float], confidence: float = CONFIDENCE) -> float | None:
    """Give the same if returns were normally distributed: how much worse the past was tells of fat tails."""
    spread = deviation(changes)
    if spread is None or len(changes) < FEWEST:
        return None
    return NormalDist(fmean(changes), spread).inv_cdf(1 - confidence)


def expected_shortfall(changes: Sequence[float], confidence: float = CONFIDENCE) -> float | None:
    """Give the mean of the returns that are at the value at risk or below it.

    R. Rockafellar, S. Uryasev, Optimization of Conditional Value-at-Risk, J. of Risk 2 (2000).
    """
    border = value_at_risk(changes, confidence)
    return None if border is None else fmean([change for change in changes if change <= border])


def tail_ratio(changes: Sequence[float], cutoff: float = CONFIDENCE) -> float | None:
    """Give how far the good end lies out, over how far the bad end does."""
    if len(changes) < FEWEST:
        return None
    low = quantile(changes, 1 - cutoff)
    return abs(quantile(changes, cutoff) / low) if low else None


def positive(changes: Sequence[float]) -> float | None:
    """Give the share above zero of the returns that are not zero."""
    moved = [change for change in changes if change]
    return sum(change > 0 for change in moved) / len(moved) if moved else None
