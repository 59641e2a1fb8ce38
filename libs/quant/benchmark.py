"""What a result is worth beside something that anybody could have had."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

from quant.performance import deviation


@dataclass(frozen=True, slots=True)
class Relation:
    """How returns go with those of a benchmark, period by period; None where nothing determines it.

    `beta` is the share of its moves that they make too, `alpha` (a year) what they bring beyond that,
    `information_ratio` (a year) the mean of what they bring more over its deviation, `tracking_error` (a year) that
    deviation.
    """

    beta: float | None
    alpha: float | None
    correlation: float | None
    information_ratio: float | None
    tracking_error: float | None


def relation(changes: Sequence[float], benchmark: Sequence[float], per_year: float | None) -> Relation:
    """Compare returns of the same periods; what is annualised is None where `per_year` is.

    M. Jensen, The Performance of Mutual Funds, J. of Finance 23 (1968), riskless rate 0; R. Grinold, R. Kahn, Active
    Portfolio Management (2000), chapter 5.
    """
    pairs = list(zip(changes, benchmark, strict=False))
    mine, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    spread, their_spread = deviation(mine), deviation(theirs)
    if their_spread is None:
        return Relation(None, None, None, None, None)
    middle, their_middle = fmean(mine), fmean(theirs)
    shared = sum((one - middle) * (other - their_middle) for one, other in pairs) / (len(pairs) - 1)
    beta = shared / their_spread**2
    more = [one - other for one, other in pairs]
    error = deviation(more)
    annual = None if per_year is None else sqrt(per_year)
    return Relation(
        beta=beta,
        alpha=None if per_year is None else (middle - beta * their_middle) * per_year,
        correlation=None if spread is None else shared / (spread * their_spread),
        information_ratio=None if error is None or annual is None else fmean(more) / error * annual,
        tracking_error=None if error is None or annual is None else error * annual,
    )
