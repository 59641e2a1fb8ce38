"""How instruments move together, and what that makes of positions in several of them."""

from collections.abc import Callable, Sequence
from math import sqrt


def correlation(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Pearson's coefficient of two series of the same length, -1..1; None when one of them does not move.

    K. Pearson, Notes on regression and inheritance in the case of two parents, Proc. R. Soc. 58 (1895).
    """
    assert len(xs) == len(ys), "one value for each value"
    if not xs or min(xs) == max(xs) or min(ys) == max(ys):
        return None
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    xx = sum((x - mean_x) ** 2 for x in xs)
    yy = sum((y - mean_y) ** 2 for y in ys)
    if xx <= 0 or yy <= 0:
        return None
    xy = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return max(-1.0, min(1.0, xy / sqrt(xx) / sqrt(yy)))


def joint_exposure(sizes: Sequence[float], correlated: Callable[[int, int], float]) -> float:
    """Give sqrt(w'Cw) of sizes w >= 0 and correlations C: the sum for C = 1, the length of the vector for C = 0.

    The standard deviation of a portfolio whose members each have a standard deviation of 1 per unit
    (H. Markowitz, Portfolio Selection, J. Finance 7, 1952).
    """
    square = joint_square(sizes, correlated)
    return 0.0 if square <= 0 else sqrt(square)


def joint_square(sizes: Sequence[float], correlated: Callable[[int, int], float]) -> float:
    """Give w'Cw."""
    total = sum(size * size for size in sizes)
    for i, size in enumerate(sizes):
        total += 2 * sum(size * sizes[j] * correlated(i, j) for j in range(i))
    return total
