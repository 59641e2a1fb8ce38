"""Figures out of curves: equity as if all capital had been there from the beginning, at these costs or others."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from quant.chance import Chance
from quant.honesty import Interval, bootstrap
from quant.performance import (
    Performance,
    deepest_drawdown,
    performance,
    periods_per_year,
    returns,
    sharpe,
    total_return,
    underwater,
    volatility,
)
from services.backtest.curves import DAY, STEPS, Curve, step_after
from services.backtest.figures import Scenario
from services.backtest.tracks import Track

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DAILY_FROM = 60 * DAY
"""A run of so many days is measured by its days, a shorter one by the finest stretches that memory has."""
MOST_SAMPLES = 2_000
LEAST_ROLLED = 20
"""Fewer returns have no deviation worth telling."""
MOST_ROLLED = 300
"""So many points of a rolling figure are drawn."""
RESAMPLES = 400
LEVEL = 0.9


@dataclass(frozen=True, slots=True)
class Samples:
    """A curve at even distances: profits and the costs within them, each summed up since the beginning."""

    at: list[int]
    pnl: list[float]
    fees: list[float]
    slippage: list[float]

    def equity(self, capital: float, fees: float = 1.0, slippage: float = 1.0) -> list[float]:
        """Give equity if fees and slippage had been so many times what they were."""
        costs = zip(self.pnl, self.fees, self.slippage, strict=True)
        return [capital + pnl + (1 - fees) * fee + (1 - slippage) * slip for pnl, fee, slip in costs]


def sampled(curve: Curve, first: int, last: int) -> Samples:
    """Read a curve at even distances from `first` to `last`; where nothing was marked it stayed as it was."""
    span = last - first
    if span >= DAILY_FROM:
        step, known = DAY, sorted((point[0], point[1], costs) for point, costs in curve.days.values())
    else:
        step = max(curve.step, STEPS[0])
        while span // step > MOST_SAMPLES:
            step = step_after(step)
        known = [(one.last[0], one.last[1], one.costs) for one in curve.stretches]
    ends = [*range((first // step + 1) * step, last, step), last]
    moments = [moment for moment, *_ in known]
    samples = Samples([first], [0.0], [0.0], [0.0])
    for end in ends:
        place = bisect_right(moments, end)
        _, pnl, (fees, slippage) = known[place - 1] if place else (0, 0.0, (0.0, 0.0))
        if end > samples.at[-1]:
            samples.at.append(end)
            samples.pnl.append(pnl)
            samples.fees.append(fees)
            samples.slippage.append(slippage)
    return samples


def every_point(curve: Curve, first: int, capital: float) -> tuple[list[int], list[float]]:
    """Give the moments and the equity of everything that is remembered."""
    moments, values = [first], [capital]
    for moment, pnl in curve.points():
        moments.append(moment)
        values.append(capital + pnl)
    return moments, values


def measured(curve: Curve, samples: Samples, capital: float) -> Performance:
    """Measure returns on even samples, and the deepest drawdown on everything that is remembered."""
    deepest = deepest_drawdown(*every_point(curve, samples.at[0], capital))
    return performance(samples.at, samples.equity(capital), deepest)


def held_instead(tracks: Sequence[Track], samples: Samples, capital: float) -> list[float]:
    """Give equity if equal parts of the capital had bought each of these at its first price; before that it is cash."""
    daily = samples.at[-1] - samples.at[0] >= DAILY_FROM
    worth = [0.0] * len(samples.at)
    for track in tracks:
        first = track.begin[1] if track.begin is not None else 1.0
        for number, price in enumerate(track.at(samples.at, daily=daily)):
            worth[number] += 1.0 if price is None else price / first
    return [capital * one / len(tracks) for one in worth]


@dataclass(frozen=True, slots=True)
class Rolling:
    """Volatility and Sharpe ratio (a year) of the last `window` ns, at each moment `at`."""

    window: int
    at: list[int]
    volatility: list[float | None]
    sharpe: list[float | None]


def rolling(samples: Samples, capital: float) -> Rolling | None:
    """Measure over and over again: a month of daily returns, else a tenth of the run; None where that says nothing."""
    changes, per_year = returns(samples.equity(capital)), periods_per_year(samples.at)
    daily = samples.at[-1] - samples.at[0] >= DAILY_FROM
    count = 30 if daily else max(LEAST_ROLLED, len(changes) // 10)
    if per_year is None or len(changes) < 2 * count:
        return None
    ends = range(count, len(changes) + 1, max(1, len(changes) // MOST_ROLLED))
    windows = [changes[end - count : end] for end in ends]
    return Rolling(
        window=samples.at[count] - samples.at[0],
        at=[samples.at[end] for end in ends],
        volatility=[volatility(window, per_year) for window in windows],
        sharpe=[sharpe(window, per_year) for window in windows],
    )


def scenarios(samples: Samples, capital: float) -> tuple[Scenario, ...]:
    """Give the result of the same fills at no, single and double costs."""
    asked = (
        ("as it was", 1.0, 1.0),
        ("no fees", 0.0, 1.0),
        ("double fees", 2.0, 1.0),
        ("no spread or slippage", 1.0, 0.0),
        ("double spread and slippage", 1.0, 2.0),
        ("no costs at all", 0.0, 0.0),
        ("everything doubled", 2.0, 2.0),
    )
    return tuple(_scenario(name, samples, samples.equity(capital, fees, slip)) for name, fees, slip in asked)


def _scenario(name: str, samples: Samples, equity: Sequence[float]) -> Scenario:
    return Scenario(
        name=name,
        net_pnl=equity[-1] - equity[0],
        total_return=total_return(equity),
        sharpe=sharpe(returns(equity), periods_per_year(samples.at)),
        max_drawdown=max(underwater(equity)),
    )


def of_returns(changes: Sequence[float], per_year: float | None, chance: Chance) -> dict[str, Interval]:
    """Give intervals of the headline figures; neighbouring returns stay together."""
    import numpy as np  # noqa: PLC0415 # slow to import

    scale = None if per_year is None else sqrt(per_year)

    def spread_of(sample: "NDArray[np.float64]") -> float | None:
        return None if scale is None else float(sample.std(ddof=1)) * scale

    def ratio(sample: "NDArray[np.float64]") -> float | None:
        spread = float(sample.std(ddof=1))
        return float(sample.mean()) / spread * scale if spread > 0 and scale is not None else None

    def deepest(sample: "NDArray[np.float64]") -> float:
        worth = np.concatenate(([1.0], np.cumprod(1 + sample)))
        return float((1 - worth / np.maximum.accumulate(worth)).max())

    return bootstrap(
        changes,
        {
            "total_return": lambda sample: float(np.prod(1 + sample)) - 1,
            "volatility": spread_of,
            "sharpe": ratio,
            "max_drawdown": deepest,
        },
        chance,
        resamples=RESAMPLES,
        level=LEVEL,
    )


def of_trades(nets: Sequence[float], chance: Chance) -> dict[str, Interval]:
    """Give intervals of what trades bring; one trade has nothing to do with the next."""

    def factor(sample: "NDArray[np.float64]") -> float | None:
        lost = -float(sample[sample < 0].sum())
        return float(sample[sample > 0].sum()) / lost if lost > 0 else None

    return bootstrap(
        nets,
        {
            "win_rate": lambda sample: float((sample > 0).mean()),
            "expectancy": lambda sample: float(sample.mean()),
            "profit_factor": factor,
        },
        chance,
        resamples=RESAMPLES,
        mean_block=1,
        level=LEVEL,
    )
