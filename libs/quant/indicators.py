"""Incremental indicators: each takes one value at a time and never looks ahead."""


class Ema:
    """Exponential moving average, `value` after n updates: a*x_n + (1-a)*value, a = 2/(period+1), seeded by x_1."""

    __slots__ = ("_rise", "_stay", "period", "updates", "value")

    def __init__(self, period: int) -> None:
        assert period >= 1, f"a period of {period} is no average"
        self.period = period
        self._rise = 2 / (period + 1)
        self._stay = 1 - self._rise
        self.updates = 0
        self.value = 0.0

    @property
    def warm(self) -> bool:
        return self.updates >= self.period

    def update(self, x: float) -> float:
        self.value = self._rise * x + self._stay * self.value if self.updates else x
        self.updates += 1
        return self.value


class _Wilder:
    """Wilder's smoothing: the mean of the first `period` values, then value + (x - value)/period."""

    __slots__ = ("period", "updates", "value")

    def __init__(self, period: int) -> None:
        assert period >= 1, f"a period of {period} is no average"
        self.period = period
        self.updates = 0
        self.value = 0.0

    def update(self, x: float) -> float:
        self.updates += 1
        self.value += (x - self.value) / min(self.updates, self.period)
        return self.value


class Rsi:
    """Relative strength index, 0..100 (J. W. Wilder, New Concepts in Technical Trading Systems, 1978)."""

    __slots__ = ("_falls", "_last", "_rises")

    def __init__(self, period: int) -> None:
        self._rises, self._falls = _Wilder(period), _Wilder(period)
        self._last: float | None = None

    @property
    def warm(self) -> bool:
        return self._rises.updates >= self._rises.period

    @property
    def value(self) -> float:
        """50 when nothing has moved yet."""
        moved = self._rises.value + self._falls.value
        return 100 * (self._rises.value / moved) if moved else 50.0

    def update(self, close: float) -> float:
        if self._last is not None:
            change = close - self._last
            self._rises.update(max(change, 0.0))
            self._falls.update(max(-change, 0.0))
        self._last = close
        return self.value


class Atr:
    """Average true range, in price units (Wilder, 1978)."""

    __slots__ = ("_last_close", "_range")

    def __init__(self, period: int) -> None:
        self._range = _Wilder(period)
        self._last_close: float | None = None

    @property
    def warm(self) -> bool:
        return self._range.updates >= self._range.period

    @property
    def value(self) -> float:
        return self._range.value

    def update(self, high: float, low: float, close: float) -> float:
        previous = close if self._last_close is None else self._last_close
        self._last_close = close
        return self._range.update(max(high - low, abs(high - previous), abs(low - previous)))
