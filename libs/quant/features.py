"""Features: what a window of closed bars shows, one bar at a time, the same live and in training.

Windows do not overlap and are aligned to the clock (they begin at whole multiples of their length since the epoch), so
that it does not matter where a history begins. An observation is of one window, in the order of `FeatureSpec.features`:

- LOG_RETURN: ln(close / close of the window before).
- VOLATILITY: ln of realised volatility, sqrt(sum of squared log returns of the window's bars) (T. Andersen,
  T. Bollerslev, Answering the Skeptics, Int. Econ. Rev. 39, 1998). A window of one bar: from its range,
  ln(high/low) / sqrt(4 ln 2) (M. Parkinson, The Extreme Value Method for Estimating the Variance of the Rate of Return,
  J. Business 53, 1980).
- VOLUME: z-score of ln(1 + volume) against mean and deviation over the windows before, within +-`MOST_VOLUME`.
- IMBALANCE: (bought - sold) / volume, -1..1, by bulk volume classification: of a bar with log return r, the share
  Phi(r / deviation of returns) was bought (D. Easley, M. Lopez de Prado, M. O'Hara, Flow Toxicity and Liquidity in a
  High-Frequency World, Rev. Financial Studies 25, 2012).
- TREND: sqrt(lookback) times the mean log return of a window over its root mean square: about standard normal where
  there is no trend, within +-sqrt(lookback) always.

Means are exponential with a = 2 / (lookback + 1), and plain as long as fewer values are there. They are of the windows
(for IMBALANCE: of the bars of as many windows) since the last break: a missing bar, or a step back in time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import erf, hypot, log, log1p, sqrt
from typing import TYPE_CHECKING

from contracts.market import Bar
from contracts.models import Feature, FeatureSpec, Scale, Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_VOLATILITY = 1e-5
"""Realised volatility below this, a tenth of a basis point, is no movement but the size of a tick."""
LEAST_DEVIATION = 1e-9
"""The deviation of log returns of a price that stands still, so that the next move is a sure one."""
LEAST_VOLUME_DEVIATION = 0.05
"""What ln(1 + volume) is off anyhow: constant volume must not make a surprise of a few percent more."""
MOST_VOLUME = 10.0
LARGEST_VOLUME = 1e200
"""Of one bar: more would not add up to a finite number."""
MOST_SCALED = 1e6
"""A scaled feature lies within so many spreads; beyond, nothing is told apart."""

_RANGE = sqrt(4 * log(2))
_ROOT_2 = sqrt(2)
_ORDER = (Feature.LOG_RETURN, Feature.VOLATILITY, Feature.VOLUME, Feature.IMBALANCE, Feature.TREND)
_AVERAGING = {Feature.VOLUME, Feature.IMBALANCE, Feature.TREND}


@dataclass(slots=True)
class Running:
    """Exponentially weighted mean and variance (T. Finch, Incremental Calculation of Weighted Mean and Variance, 2009).

    The weight of a value is `rise`; that of the n-th one at least 1/n, which makes a plain mean of the first ones.
    """

    updates: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def update(self, x: float, rise: float) -> None:
        self.updates += 1
        weight = max(rise, 1 / self.updates)
        off = x - self.mean
        step = weight * off
        self.mean += step
        self.variance = (1 - weight) * (self.variance + off * step)


@dataclass(slots=True)
class FeaturesState:
    """All that `Features` know: since when bars follow each other, the window in hand, and the averages.

    Prices are natural logarithms. `counted` bars of the window have a bar before them, `windows` are whole ones.
    """

    since: int = -1
    until: int = -1
    close: float = 0.0
    base: float = 0.0
    counted: int = 0
    squares: float = 0.0
    volume: float = 0.0
    bought: float = 0.0
    windows: int = 0
    bar_returns: Running = field(default_factory=Running)
    returns: Running = field(default_factory=Running)
    volumes: Running = field(default_factory=Running)


class Features:
    """Makes observations of bars of one instrument and of the interval of `spec`."""

    def __init__(self, spec: FeatureSpec) -> None:
        assert spec.features, "no features, no observation"
        self.spec = spec
        self._nanos = spec.nanos
        self._places = [_ORDER.index(feature) for feature in spec.features]
        self._settled = spec.lookback if _AVERAGING.intersection(spec.features) else 0
        self._rise = 2 / (spec.lookback + 1)
        self._bar_rise = 2 / (spec.lookback * spec.window + 1)
        self._root = sqrt(spec.lookback)
        self._state = FeaturesState()

    @property
    def warm_up(self) -> int:
        """So many bars in a row are enough for an observation, wherever they begin; fewer may be."""
        return self.spec.window * (self._settled + 2)

    @property
    def since(self) -> int:
        """When the first bar opened after which none was missing (ns); -1 before any bar."""
        return self._state.since

    def state(self) -> FeaturesState:
        return self._state

    def restore(self, state: FeaturesState) -> None:
        self._state = state

    def update(self, bar: Bar) -> Vector | None:
        """Give the observation of the window that `bar` closes: raw, finite; None if it closes none, or before warm-up.

        A bar that was there already (the last one) is ignored.
        """
        assert bar.interval is self.spec.interval, f"{bar.interval.value} bars among {self.spec.interval.value} ones"
        now = self._state
        if bar.ts_close == now.until:
            return None
        close = log(bar.close)
        if bar.ts_open != now.until:
            now = self._state = FeaturesState(since=bar.ts_open)
        else:
            self._count(now, bar, close - now.close)
        now.until = bar.ts_close
        now.close = close
        if bar.ts_close // self._nanos == bar.ts_open // self._nanos:
            return None
        shown = self._observe(now) if now.counted == self.spec.window else None
        now.base = close
        now.counted = 0
        now.squares = now.volume = now.bought = 0.0
        return shown

    def _count(self, now: FeaturesState, bar: Bar, change: float) -> None:
        now.counted += 1
        moved = (log(bar.high) - log(bar.low)) / _RANGE if self.spec.window == 1 else change
        now.squares += moved * moved
        volume = min(bar.volume, LARGEST_VOLUME)
        now.volume += volume
        deviation = max(sqrt(now.bar_returns.variance), LEAST_DEVIATION)
        now.bought += volume * erf(change / deviation / _ROOT_2)
        now.bar_returns.update(change, self._bar_rise)

    def _observe(self, now: FeaturesState) -> Vector | None:
        change = now.close - now.base
        volume = log1p(now.volume)
        surprise = (volume - now.volumes.mean) / hypot(sqrt(now.volumes.variance), LEAST_VOLUME_DEVIATION)
        now.returns.update(change, self._rise)
        now.volumes.update(volume, self._rise)
        now.windows += 1
        if now.windows <= self._settled:
            return None
        size = hypot(now.returns.mean, sqrt(now.returns.variance), LEAST_DEVIATION)
        all_ = (
            change,
            log(max(sqrt(now.squares), LEAST_VOLATILITY)),
            max(-MOST_VOLUME, min(MOST_VOLUME, surprise)),
            now.bought / now.volume if now.volume else 0.0,
            self._root * now.returns.mean / size,
        )
        return tuple([all_[place] for place in self._places])


def scaled(observation: Vector, scaler: tuple[Scale, ...]) -> Vector:
    """See each feature as (value - center) / spread, within +-`MOST_SCALED`."""
    return tuple(
        [
            max(-MOST_SCALED, min(MOST_SCALED, (value - scale.center) / scale.spread))
            for value, scale in zip(observation, scaler, strict=True)
        ]
    )


@dataclass(frozen=True)
class Observations:
    """The observations of a history: when each window closed (ns), its close, and its raw features (n x features)."""

    closed_at: "NDArray[np.int64]"
    close: "NDArray[np.float64]"
    values: "NDArray[np.float64]"

    def __len__(self) -> int:
        return len(self.closed_at)


def observations(spec: FeatureSpec, bars: Iterable[Bar]) -> Observations:
    """Run `Features` over a history, for training."""
    import numpy as np  # noqa: PLC0415 # a component that filters online needs none

    features = Features(spec)
    shown = [(bar.ts_close, bar.close, made) for bar in bars if (made := features.update(bar)) is not None]
    return Observations(
        closed_at=np.array([at for at, _, _ in shown], dtype=np.int64),
        close=np.array([close for _, close, _ in shown], dtype=np.float64),
        values=np.array([made for _, _, made in shown], dtype=np.float64).reshape(len(shown), len(spec.features)),
    )
