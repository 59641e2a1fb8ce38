"""What a training learns from: checked bars, their observations, and which of them fit, calibrate and score."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from contracts.market import Bar
from contracts.models import Feature, FeatureSpec, Scale, TrainFailure
from quant.features import MOST_SCALED, Features, observations
from quant.training.request import NoModel

Array = NDArray[np.float64]

_STILL = 1e-9
"""A feature that spreads less does not move."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Observations in order of time: when each window closed (ns), its close, and its features (n x features).

    `begins`: those that do not follow on the one before, because bars are missing in between. Filters begin anew there.
    `lively`: the feature that says how much moves, if one does.
    """

    closed_at: NDArray[np.int64]
    close: Array
    values: Array
    begins: NDArray[np.bool_]
    lively: int | None

    def __len__(self) -> int:
        return len(self.closed_at)

    def until(self, end: int) -> "Sample":
        """The first `end` observations."""
        return Sample(self.closed_at[:end], self.close[:end], self.values[:end], self.begins[:end], self.lively)

    def at(self, places: NDArray[np.int64]) -> "Sample":
        """Some of the observations."""
        return Sample(self.closed_at[places], self.close[places], self.values[places], self.begins[places], self.lively)

    def scaled(self, scaler: tuple[Scale, ...]) -> "Sample":
        """The same, its features as a model sees them."""
        centers = np.array([scale.center for scale in scaler])
        spreads = np.array([scale.spread for scale in scaler])
        seen = np.clip((self.values - centers) / spreads, -MOST_SCALED, MOST_SCALED)
        return Sample(self.closed_at, self.close, seen, self.begins, self.lively)


def sample(bars: Sequence[Bar], spec: FeatureSpec, least: int) -> Sample:
    """Observe checked bars; at least `least` observations are needed."""
    found = observed(bars, spec)
    if len(found) < least:
        raise NoModel(
            TrainFailure.TOO_LITTLE_DATA,
            f"{len(bars)} bars give {len(found)} observations of {spec.window} x {spec.interval.value}; "
            f"{least} are needed: about {Features(spec).warm_up + least * spec.window} bars without gaps",
        )
    finite = np.isfinite(found.values).all(axis=1)
    if not finite.all():
        at = int(found.closed_at[int(np.argmin(finite))])
        raise NoModel(TrainFailure.BAD_DATA, f"features of the window that closes at {at} ns are not finite")
    return found


def observed(bars: Sequence[Bar], spec: FeatureSpec) -> Sample:
    seen = observations(spec, bars)
    begins = np.diff(seen.closed_at, prepend=0) != spec.nanos
    begins[:1] = True
    lively = spec.features.index(Feature.VOLATILITY) if Feature.VOLATILITY in spec.features else None
    return Sample(seen.closed_at, seen.close, seen.values, begins, lively)


def checked(bars: Sequence[Bar], instrument: str) -> None:
    """Refuse bars that no market can have shown, or that are not one series; names the first."""
    if not bars:
        raise NoModel(TrainFailure.TOO_LITTLE_DATA, f"no bars of {instrument}: fetch or import some")
    for bar in bars:
        if wrong := _wrong(bar, instrument, bars[0]):
            raise NoModel(TrainFailure.BAD_DATA, f"bar that opens at {bar.ts_open} ns: {wrong}")
    for before, after in pairwise(bars):
        if after.ts_open <= before.ts_open:
            raise NoModel(
                TrainFailure.BAD_DATA,
                f"bar that opens at {after.ts_open} ns: comes after one of {before.ts_open}; sort them, each once",
            )
    if len(bars) > 1 and all(bar.close == bars[0].close for bar in bars):
        raise NoModel(TrainFailure.DEGENERATE, f"all {len(bars)} bars close at {bars[0].close:g}: nothing moves")


def scaler_of(values: Array, spec: FeatureSpec) -> tuple[Scale, ...]:
    """Give each feature's mean and standard deviation."""
    spreads = values.std(axis=0)
    for feature, spread in zip(spec.features, spreads, strict=True):
        if not spread > _STILL:
            raise NoModel(TrainFailure.DEGENERATE, f"{feature.value} does not move (standard deviation {spread:.1e})")
    return tuple(
        Scale(center=float(center), spread=float(spread))
        for center, spread in zip(values.mean(axis=0), spreads, strict=True)
    )


def _wrong(bar: Bar, instrument: str, first: Bar) -> str | None:
    prices = (bar.open, bar.high, bar.low, bar.close)
    if not all(isfinite(price) and price > 0 for price in prices):
        return f"prices {prices} are not all numbers above 0"
    if not isfinite(bar.volume) or bar.volume < 0:
        return f"volume {bar.volume} is no number from 0 on"
    if bar.instrument != instrument or bar.interval is not first.interval:
        return f"{bar.interval.value} of {bar.instrument} among {first.interval.value} of {instrument}"
    return bar.contradiction()
