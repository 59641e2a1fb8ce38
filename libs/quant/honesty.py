"""How much of a good result is luck: of few observations, of many trials, and of choosing the best of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import e, floor, log, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from quant.chance import Chance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column = NDArray[np.float64]

EULER = 0.5772156649015329
_NORMAL = NormalDist()


def probabilistic_sharpe(
    sharpe: float, observations: int, skewness: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float | None:
    """Give the probability that the true Sharpe ratio is above `benchmark`; both per period, not annualised.

    D. Bailey, M. Lopez de Prado, The Sharpe Ratio Efficient Frontier, J. of Risk 15 (2012). None where the sample is
    too small or too skewed for the formula.
    """
    variance = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe * sharpe
    if observations < 2 or variance <= 0:
        return None
    return _NORMAL.cdf((sharpe - benchmark) * sqrt(observations - 1) / sqrt(variance))


def best_of_luck(trials: int, variance: float) -> float:
    """Expect the highest Sharpe ratio of so many trials without any skill, whose ratios vary by `variance`.

    D. Bailey, M. Lopez de Prado, The Deflated Sharpe Ratio, J. Portfolio Management 40 (2014), equation 1.
    """
    assert trials >= 1 and variance >= 0, "at least one trial, and no negative variance"
    if trials == 1:
        return 0.0
    high, higher = _NORMAL.inv_cdf(1 - 1 / trials), _NORMAL.inv_cdf(1 - 1 / (trials * e))
    return sqrt(variance) * ((1 - EULER) * high + EULER * higher)


def deflated_sharpe(
    sharpe: float, observations: int, trials: Sequence[float], skewness: float = 0.0, kurtosis: float = 3.0
) -> float | None:
    """Give the probability that the best of several trials is better than luck alone would make the best of them.

    `trials` are the Sharpe ratios (per period) of all that was tried, the chosen one among them: whoever leaves some
    out fools himself. Bailey, Lopez de Prado (2014), equation 2.
    """
    assert trials, "the chosen one is a trial too"
    mean = sum(trials) / len(trials)
    variance = sum((one - mean) ** 2 for one in trials) / (len(trials) - 1) if len(trials) > 1 else 0.0
    return probabilistic_sharpe(sharpe, observations, skewness, kurtosis, best_of_luck(len(trials), variance))


def least_track_record(
    sharpe: float, skewness: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0, confidence: float = 0.95
) -> float | None:
    """Give how many observations it takes to be so sure that the true Sharpe ratio is above `benchmark` (per period).

    Bailey, Lopez de Prado (2012), equation 11. None where it is not above it at all.
    """
    if sharpe <= benchmark:
        return None
    variance = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe * sharpe
    return 1 + variance * (_NORMAL.inv_cdf(confidence) / (sharpe - benchmark)) ** 2


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What became, out of sample, of the trial that was the best one in sample.

    `probability`: how often it was below the median (PBO). `logits` of its relative rank, one for each way to divide
    the time. `slope` of its ratio out of sample on that in sample: negative means that the better it looked, the worse
    it did. `loss`: how often it lost money out of sample.
    """

    probability: float
    logits: tuple[float, ...]
    slope: float | None
    loss: float


def overfitting(trials: Sequence[Sequence[float]], blocks: int = 10) -> Overfitting:
    """Cross-validate the choice of the best of several trials (CSCV).

    `trials` are series of returns over the same periods. Time is cut into `blocks` (even), and each half of them serves
    once to choose by the Sharpe ratio, the other half to judge. What does not fill a block at the end is left out.
    D. Bailey, J. Borwein, M. Lopez de Prado, Q. Zhu, The Probability of Backtest Overfitting, J. Computational
    Finance 20 (2016).
    """
    import numpy as np  # noqa: PLC0415 # slow to import

    assert len(trials) >= 2, "one trial is no choice"
    assert blocks >= 2 and blocks % 2 == 0, "an even number of blocks"
    length = min(map(len, trials)) // blocks
    assert length >= 2, f"{blocks} blocks need {2 * blocks} returns at least"
    cut = np.array([trial[: length * blocks] for trial in trials], dtype=np.float64).reshape(-1, blocks, length)
    sums, squares = cut.sum(axis=2), (cut * cut).sum(axis=2)
    choices = list(combinations(range(blocks), blocks // 2))
    seen = np.zeros((len(choices), blocks))
    for number, chosen in enumerate(choices):
        seen[number, list(chosen)] = 1
    count = length * blocks // 2
    inside = _ratios(seen @ sums.T, seen @ squares.T, count)
    outside = _ratios((1 - seen) @ sums.T, (1 - seen) @ squares.T, count)
    row = np.arange(len(choices))
    best = inside.argmax(axis=1)
    mine = outside[row, best]
    below = (outside < mine[:, None]).sum(axis=1) + ((outside == mine[:, None]).sum(axis=1) + 1) / 2
    rank = below / (len(trials) + 1)
    logits = np.log(rank / (1 - rank))
    chosen_inside = inside[row, best]
    spread = float(((chosen_inside - chosen_inside.mean()) ** 2).sum())
    covered = float(((chosen_inside - chosen_inside.mean()) * (mine - mine.mean())).sum())
    return Overfitting(
        probability=float((logits <= 0).mean()),
        logits=tuple(logits.tolist()),
        slope=covered / spread if spread > 0 else None,
        loss=float((mine < 0).mean()),
    )


def _ratios(sums: "Column", squares: "Column", count: int) -> "Column":
    import numpy as np  # noqa: PLC0415

    mean = sums / count
    spread = np.sqrt(np.maximum(squares / count - mean * mean, 1e-300))
    ratios: Column = mean / spread
    return ratios


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure, and where it lies with the probability `level` if the past was one draw of many like it."""

    value: float
    low: float
    high: float
    level: float


Statistic = Callable[["Column"], float | None]


def bootstrap(
    values: Sequence[float],
    statistics: Mapping[str, Statistic],
    chance: Chance,
    *,
    resamples: int = 500,
    mean_block: float | None = None,
    level: float = 0.9,
) -> dict[str, Interval]:
    """Give intervals (percentiles) of several statistics of one stationary series, all on the same resamples.

    Blocks of geometric length with the mean `mean_block` keep what neighbours have to do with each other; None: the
    cube root of the number of values; 1: values are independent. A statistic that is None for the series, or for more
    than half of the resamples, has no interval. D. Politis, J. Romano, The Stationary Bootstrap, JASA 89 (1994).
    """
    import numpy as np  # noqa: PLC0415

    assert 0 < level < 1 and resamples >= 10, "a level between 0 and 1, and enough resamples"
    series = np.asarray(values, dtype=np.float64)
    if len(series) < 2:
        return {}
    block = max(1.0, len(series) ** (1 / 3)) if mean_block is None else mean_block
    drawn: dict[str, list[float]] = {name: [] for name in statistics}
    for _ in range(resamples):
        sample = series[_indices(len(series), block, chance)]
        for name, statistic in statistics.items():
            found = statistic(sample)
            if found is not None:
                drawn[name].append(found)
    intervals: dict[str, Interval] = {}
    for name, statistic in statistics.items():
        value = statistic(series)
        if value is None or len(drawn[name]) * 2 < resamples:
            continue
        low, high = np.quantile(drawn[name], ((1 - level) / 2, (1 + level) / 2))
        intervals[name] = Interval(float(value), float(low), float(high), level)
    return intervals


def _indices(count: int, mean_block: float, chance: Chance) -> "NDArray[np.int64]":
    """Draw the places of one resample: blocks that begin anywhere and go on around the end."""
    import numpy as np  # noqa: PLC0415

    if mean_block <= 1:
        return (_words(chance, count) % count).astype(np.int64)
    ends, drawn = log(1 - 1 / mean_block), chance.drawn
    words = _words(chance, 2 * count)
    uniforms = ((words[1::2] >> np.uint64(12)).astype(np.float64) + 0.5) / 2**52
    starts, lengths, left = [], [], count
    for start, uniform in zip((words[::2] % count).tolist(), uniforms.tolist(), strict=True):
        lengths.append(min(left, 1 + floor(log(uniform) / ends)))
        starts.append(start)
        left -= lengths[-1]
        if not left:
            break
    chance.drawn = drawn + 2 * len(starts)
    into = np.arange(count) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return (np.repeat(np.array(starts, dtype=np.int64), lengths) + into) % count


def _words(chance: Chance, count: int) -> "NDArray[np.uint64]":
    """Draw many words at once: the same as `Chance.word` gives one by one, for a fiftieth of the time."""
    import numpy as np  # noqa: PLC0415

    places = np.arange(chance.drawn + 1, chance.drawn + count + 1, dtype=np.uint64)
    chance.drawn += count
    mixed = np.uint64(chance.seed) + places * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)
