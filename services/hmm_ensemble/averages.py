"""What the closes of an instrument say by themselves: two averages and the range between them."""

import math
from dataclasses import dataclass

from contracts.market import Bar
from contracts.types import Interval
from quant.indicators import Atr, Ema
from services.hmm_ensemble.settings import HmmEnsembleSettings


@dataclass(slots=True)
class Averages:
    """Of bars of one length that follow each other without a gap; `closed_at` (ns) is the end of the last one."""

    interval: Interval
    fast: Ema
    slow: Ema
    atr: Atr
    closed_at: int = 0
    close: float = 0.0

    def fits(self, settings: HmmEnsembleSettings) -> bool:
        """Say whether it is of the bars and periods that `settings` look at."""
        own = (self.interval, self.fast.period, self.slow.period, self.atr.period)
        return own == (settings.interval, settings.fast, settings.slow, settings.atr)

    @property
    def warm(self) -> bool:
        return self.slow.warm and self.atr.warm

    def update(self, bar: Bar) -> None:
        self.fast.update(bar.close)
        self.slow.update(bar.close)
        self.atr.update(bar.high, bar.low, bar.close)
        self.closed_at = bar.ts_close
        self.close = bar.close

    def range(self, settings: HmmEnsembleSettings) -> float:
        """Give the average true range, or the least one that is believed (price units)."""
        return max(self.atr.value, self.close * settings.least_range_bps / 10_000)

    def cross(self, settings: HmmEnsembleSettings) -> float:
        """Say how far the fast average is above the slow one, -1..1: tanh of their distance in ranges."""
        unit = self.range(settings) * settings.cross_scale
        return math.tanh((self.fast.value - self.slow.value) / unit) if unit > 0 else 0.0


def new_averages(settings: HmmEnsembleSettings) -> Averages:
    return Averages(settings.interval, Ema(settings.fast), Ema(settings.slow), Atr(settings.atr))
