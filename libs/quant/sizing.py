"""How much: weights of a portfolio by risk, and the size of one position.

Plain Python, so that the same numbers come out on every machine: a replay must not depend on a linear algebra library.
"""

from collections.abc import Callable, Sequence
from math import inf, isfinite, log, sqrt

Vector = Sequence[float]
Matrix = Sequence[Sequence[float]]

YEAR_S = 365 * 86_400
"""Crypto markets have no holidays."""

_NEWTON_STEPS = 200
_NOTHING = 1e-12
"""A weight below this part of the largest is none."""
_EQUAL_TO = 1e-10
"""Contributions to risk that differ by less, relative to the risk, are equal."""


def covariance(series: Sequence[Vector]) -> list[list[float]]:
    """Give the sample covariances (divided by n - 1) of series of the same length of at least 2."""
    length = len(series[0]) if series else 0
    assert all(len(values) == length for values in series) and (not series or length >= 2), "2 or more values each"
    centered = []
    for values in series:
        mean = sum(values) / length
        centered.append([value - mean for value in values])
    return [[_dot(a, b) / (length - 1) for b in centered] for a in centered]


def shrunk_to_diagonal(covariances: Matrix, intensity: float) -> list[list[float]]:
    """Believe only 1 - `intensity` (0..1) of each covariance, and all of each variance.

    With few observations sample covariances are mostly noise; any intensity above 0 makes the matrix positive definite.
    O. Ledoit, M. Wolf, Honey, I Shrunk the Sample Covariance Matrix, J. Portfolio Management 30 (2004); the target here
    is the diagonal.
    """
    assert 0 <= intensity <= 1, f"an intensity of {intensity} is no part"
    return [
        [value if i == j else (1 - intensity) * value for j, value in enumerate(row)]
        for i, row in enumerate(covariances)
    ]


def inverse_volatility(volatilities: Vector) -> list[float]:
    """Give weights (sum 1) that are inverse to volatilities above 0: risk parity for equal correlations.

    S. Maillard, T. Roncalli, J. Teiletche, The Properties of Equally Weighted Risk Contribution Portfolios,
    J. Portfolio Management 36 (2010).
    """
    assert all(volatility > 0 and isfinite(volatility) for volatility in volatilities), "volatilities are above 0"
    if not volatilities:
        return []
    calmest = min(volatilities)
    return _normalized([calmest / volatility for volatility in volatilities])


def risk_contributions(weights: Vector, covariances: Matrix) -> list[float]:
    """Give the part of each weight in the variance: w_i (Cw)_i / w'Cw; they sum to 1. All 0 where there is no risk."""
    parts = [weight * _dot(row, weights) for weight, row in zip(weights, covariances, strict=True)]
    total = sum(parts)
    return [part / total for part in parts] if total > 0 else [0.0] * len(parts)


def risk_parity(covariances: Matrix) -> list[float] | None:
    """Give positive weights (sum 1) that each contribute the same to the variance.

    Minimizes x'Cx / 2 - sum(ln x_i) / n by Newton's method, whose minimum has equal x_i (Cx)_i: F. Spinu, An Algorithm
    for Computing Risk Parity Weights (2013, SSRN 2297383). It is done on correlations, so that units do not matter.
    None when a variance is not above 0, or holdings can cancel each other's risk: then there are no such weights.
    """
    n = len(covariances)
    variances = [row[i] for i, row in enumerate(covariances)]
    if not n or not all(variance > 0 and isfinite(variance) for variance in variances):
        return None
    deviations = [sqrt(variance) for variance in variances]
    correlations = [
        [value / deviations[i] / deviations[j] if i != j else 1.0 for j, value in enumerate(row)]
        for i, row in enumerate(covariances)
    ]
    spread = _equal_contributions(correlations)
    if spread is None:
        return None
    calmest = min(deviations)
    return _normalized([part * (calmest / deviation) for part, deviation in zip(spread, deviations, strict=True)])


def within_bounds(weights: Vector, least: Vector, most: Vector) -> list[float]:
    """Bring weights into bounds and keep their proportions where no bound is in the way.

    Gives clip(t w_i, least_i, most_i) for the t at which they sum to 1. What bounds do not let anybody have stays
    undivided (the sum is below 1); a weight of 0 gets its least. When the least alone sum to more than 1, each is
    lowered in the same proportion.
    """
    floor = sum(least)
    if floor >= 1:
        return [bound / floor for bound in least]
    largest = max(weights, default=0.0)
    wanted = [weight / largest if weight > largest * _NOTHING else 0.0 for weight in weights]

    def clipped(scale: float) -> list[float]:
        return [max(lo, min(scale * w, hi)) for w, lo, hi in zip(wanted, least, most, strict=True)]

    bounds = zip(wanted, least, most, strict=True)
    kinks = sorted(bound / weight for weight, *pair in bounds if weight > 0 for bound in pair)
    low, low_sum = 0.0, floor
    for kink in kinks:
        total = sum(clipped(kink))
        if total >= 1:
            # Between two kinks the sum is a straight line.
            share = (1 - low_sum) / (total - low_sum)
            return clipped(low + share * (kink - low))
        low, low_sum = kink, total
    return clipped(low)


def volatility_target(volatility: float, target: float, *, most: float) -> float:
    """Give the exposure, in equities, whose volatility is `target`; both over the same time. At most `most`.

    A. Moreira, T. Muir, Volatility-Managed Portfolios, J. Finance 72 (2017). What does not move at all gets `most`.
    """
    assert volatility >= 0 and target >= 0 and most >= 0, "no volatility and no exposure is negative"
    return most if volatility * most <= target else target / volatility


def annualized(volatility: float, interval_s: float) -> float:
    """Scale the volatility of returns over `interval_s` to a year, for returns that do not depend on each other."""
    return volatility * sqrt(YEAR_S / interval_s)


def fixed_fractional(equity: float, risk: float, entry: float, stop: float, *, max_leverage: float) -> float:
    """Give the quantity (base units) that loses the part `risk` of `equity` when it is left at `stop`.

    equity x risk / |entry - stop|: R. Vince, Portfolio Management Formulas (1990). A stop close to the entry would make
    it any size: its value at `entry` is at most `max_leverage` equities. Fees and gaps are not in it. 0 without equity.
    """
    assert entry > 0 and risk >= 0 and max_leverage >= 0, "an entry has a price, and nothing here is negative"
    if equity <= 0:
        return 0.0
    largest = equity * max_leverage / entry
    distance = abs(entry - stop)
    at_risk = equity * risk
    return largest if distance * largest <= at_risk else at_risk / distance


def kelly(wins: int, losses: int, payoff: float, *, prior_trades: float, most: float) -> float:
    """Give the part of the equity (0..`most`) to put at risk in one trade, from trades that were won and lost.

    `payoff` is the average win divided by the average loss. Kelly's share p - (1 - p) / payoff grows wealth fastest
    where p is known (J. L. Kelly, A New Interpretation of Information Rate, Bell System Technical Journal 35, 1956).
    Here p is estimated: it is drawn to the rate that breaks even, as if `prior_trades` more had been seen at that rate,
    which makes the share n / (n + prior_trades) of Kelly's. 0 where trading does not pay.
    """
    assert wins >= 0 and losses >= 0 and payoff > 0 and prior_trades >= 0 and most >= 0, "counts, and a payoff above 0"
    trades = wins + losses
    if not trades:
        return 0.0
    rate = wins / trades
    full = rate - (1 - rate) / payoff
    return max(0.0, min(full * trades / (trades + prior_trades), most))


def kelly_leverage(mean: float, variance: float, observations: int, *, prior: float, most: float) -> float:
    """Give the exposure, in equities (0..`most`), that grows wealth fastest: mean / variance of returns, shrunk.

    R. C. Merton, Lifetime Portfolio Selection under Uncertainty, Rev. Economics and Statistics 51 (1969); E. O. Thorp,
    The Kelly Criterion in Blackjack, Sports Betting, and the Stock Market (2006). The mean is drawn to 0 as if `prior`
    more returns of 0 had been seen.
    """
    assert variance >= 0 and observations >= 0 and prior >= 0 and most >= 0, "nothing here but the mean is negative"
    believed = mean * observations / (observations + prior) if observations else 0.0
    if believed <= 0:
        return 0.0
    return most if believed >= most * variance else believed / variance


def _equal_contributions(correlations: Matrix) -> list[float] | None:
    """Minimize x'Cx / 2 - sum(ln x_i) / n; steps are halved until they go down (Boyd and Vandenberghe, 9.5)."""
    n = len(correlations)
    whole = sum(map(sum, correlations))
    x = [1 / sqrt(whole) if whole > 0 else 1.0] * n
    for _ in range(_NEWTON_STEPS):
        slopes = [_dot(row, x) for row in correlations]
        if all(abs(value * slope * n - 1) <= _EQUAL_TO for value, slope in zip(x, slopes, strict=True)):
            return x
        gradient = [slope - 1 / (n * value) for value, slope in zip(x, slopes, strict=True)]
        hessian = [
            [value + 1 / (n * x[i] * x[i]) if i == j else value for j, value in enumerate(row)]
            for i, row in enumerate(correlations)
        ]
        step = _solved(hessian, gradient)
        if step is None:
            return None
        x = _descended(x, step, _dot(gradient, step), lambda point: _objective(correlations, point))
        if not all(map(isfinite, x)):
            return None
    return None


def _objective(correlations: Matrix, x: Vector) -> float:
    if min(x) <= 0:
        return inf
    quadratic = sum(value * _dot(row, x) for value, row in zip(x, correlations, strict=True))
    return quadratic / 2 - sum(map(log, x)) / len(x)


def _descended(x: Vector, step: Vector, decrement: float, objective: Callable[[list[float]], float]) -> list[float]:
    """Go along a Newton step; where nothing but rounding is left to gain, the whole of it."""
    start, scale = objective(list(x)), 1.0
    while True:
        point = [value - scale * move for value, move in zip(x, step, strict=True)]
        reached = objective(point)
        if reached <= start - scale * decrement / 4 or (scale * decrement < _EQUAL_TO**2 and reached < inf):
            return point
        scale /= 2


def _solved(matrix: Matrix, right: Vector) -> list[float] | None:
    """Solve a symmetric positive definite system (Cholesky); None when it is none."""
    n = len(right)
    lower: list[list[float]] = []
    y: list[float] = []
    for i in range(n):
        row: list[float] = []
        for j in range(i):
            row.append((matrix[i][j] - _dot(row, lower[j])) / lower[j][j])
        rest = matrix[i][i] - _dot(row, row)
        if not rest > 0:
            return None
        lower.append([*row, sqrt(rest)])
        y.append((right[i] - _dot(row, y)) / lower[i][i])
    x = [0.0] * n
    for i in reversed(range(n)):
        x[i] = (y[i] - sum(lower[k][i] * x[k] for k in range(i + 1, n))) / lower[i][i]
    return x


def _dot(a: Vector, b: Vector) -> float:
    """Sum products over the shorter of both."""
    return sum(x * y for x, y in zip(a, b, strict=False))


def _normalized(parts: Vector) -> list[float]:
    total = sum(parts)
    return [part / total for part in parts]
