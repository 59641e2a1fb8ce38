"""Incremental indicators: each takes one value at a time and never looks ahead; its fields are all that it knows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice


@dataclass(slots=True)
class _Indicator:
    period: int
    updates: int = 0
    value: float = 0.0

    def __post_init__(self) -> None:
        assert self.period >= 1, f"a period of {self.period} is no average"

    @property
    def warm(self) -> bool:
        return self.updates >= self.period


@dataclass(slots=True)
class Ema(_Indicator):
    """Exponential moving average, `value` after n updates: a*x_n + (1-a)*value, a = 2/(period+1), seeded by x_1."""

    _rise: float = field(init=False, repr=False)
    _stay: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _Indicator.__post_init__(self)
        self._rise = 2 / (self.period + 1)
        self._stay = 1 - self._rise

    def update(self, x: float) -> float:
        if self.updates:
            x = self._rise * x + self._stay * self.value
        self.value = x
        self.updates += 1
        return x

    def ahead(self, xs: Iterable[float]) -> list[float]:
        """Give the values that these updates would lead to one after the other, and change nothing."""
        rise, stay, value, left = self._rise, self._stay, self.value, iter(xs)
        seed = [] if self.updates else list(islice(left, 1))
        value = seed[0] if seed else value
        return [*seed, *[value := rise * x + stay * value for x in left]]

    def skip_to(self, value: float, updates: int) -> None:
        """Be as after so many more updates, the last of which led to `value`."""
        self.value = value
        self.updates += updates


@dataclass(slots=True)
class Rsi(_Indicator):
    """Relative strength index, 0..100 (J. W. Wilder, New Concepts in Technical Trading Systems, 1978).

    Its updates are changes: the first close is none. 50 when nothing has moved yet.
    """

    value: float = 50.0
    rises: float = 0.0
    falls: float = 0.0
    last_close: float | None = None

    def update(self, close: float) -> float:
        if self.last_close is not None:
            change = close - self.last_close
            self.updates += 1
            self.rises = _smoothed(self.rises, max(change, 0.0), self)
            self.falls = _smoothed(self.falls, max(-change, 0.0), self)
            moved = self.rises + self.falls
            self.value = 100 * (self.rises / moved) if moved else 50.0
        self.last_close = close
        return self.value


@dataclass(slots=True)
class Atr(_Indicator):
    """Average true range, in price units (Wilder, 1978)."""

    last_close: float | None = None

    def update(self, high: float, low: float, close: float) -> float:
        previous = close if self.last_close is None else self.last_close
        self.last_close = close
        self.updates += 1
        self.value = _smoothed(self.value, max(high - low, abs(high - previous), abs(low - previous)), self)
        return self.value


def _smoothed(average: float, x: float, of: _Indicator) -> float:
    """Wilder's smoothing: the mean of the first `period` values, then average + (x - average)/period."""
    return average + (x - average) / min(of.updates, of.period)
