"""Candles: kept by minute from the trades, with history put in from outside, and served at any interval."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

MINUTE = 60_000
INTERVALS = {
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": 60 * MINUTE,
    "2h": 120 * MINUTE,
    "4h": 240 * MINUTE,
    "6h": 360 * MINUTE,
    "8h": 480 * MINUTE,
    "12h": 720 * MINUTE,
    "1d": 1_440 * MINUTE,
    "3d": 4_320 * MINUTE,
    "1w": 10_080 * MINUTE,
}
"""Lengths in ms."""

MONDAY = 4 * 1_440 * MINUTE
"""The epoch was a Thursday; weeks open on Mondays."""


@dataclass(slots=True)
class Candle:
    """One candle: `open_time` in ms, prices and `quote_volume` in quote, volumes in base."""

    open_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    taker_volume: Decimal
    taker_quote_volume: Decimal

    def add(self, price: Decimal, size: Decimal, *, taker_buys: bool) -> None:
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += size
        self.quote_volume += price * size
        self.trades += 1
        if taker_buys:
            self.taker_volume += size
            self.taker_quote_volume += price * size


def opened(time: int, length: int) -> int:
    """Say when the candle opened that `time` lies in."""
    offset = MONDAY if length == INTERVALS["1w"] else 0
    return (time - offset) // length * length + offset


class Candles:
    """The candles of one symbol by minute, oldest first, at most `kept` of them."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._minutes: list[Candle] = []

    def add(self, time: int, price: Decimal, size: Decimal, *, taker_buys: bool) -> None:
        """Count a trade."""
        minute = opened(time, MINUTE)
        zero = Decimal(0)
        if not self._minutes or self._minutes[-1].open_time < minute:
            self._minutes.append(Candle(minute, price, price, price, price, zero, zero, 0, zero, zero))
            if len(self._minutes) > self._kept:
                del self._minutes[0]
        self._minutes[-1].add(price, size, taker_buys=taker_buys)

    def put(self, candles: Iterable[Candle]) -> None:
        """Put in history by minute; what is already known for a minute is replaced."""
        merged = {candle.open_time: candle for candle in self._minutes}
        for candle in candles:
            assert candle.open_time % MINUTE == 0, "history is put in by the minute"
            merged[candle.open_time] = candle
        self._minutes = sorted(merged.values(), key=lambda candle: candle.open_time)[-self._kept :]

    def read(self, interval: str, start: int | None, end: int | None, limit: int) -> list[Candle]:
        """Give candles that open in [start, end]: the first `limit` from `start`, or else the last `limit`."""
        length = INTERVALS[interval]
        found = self._joined(length, opened(start + length - 1, length) if start is not None else None, end)
        if start is None:
            return list(found)[-limit:]
        return [candle for candle, _ in zip(found, range(limit), strict=False)]

    def current(self, interval: str) -> Candle:
        """Give the candle of the last trade."""
        (candle,) = self.read(interval, opened(self._minutes[-1].open_time, INTERVALS[interval]), None, 1)
        return candle

    def _joined(self, length: int, start: int | None, end: int | None) -> Iterator[Candle]:
        first = 0 if start is None else bisect_left(self._minutes, start, key=lambda candle: candle.open_time)
        for open_time, group in groupby(self._minutes[first:], key=lambda candle: opened(candle.open_time, length)):
            if end is not None and open_time > end:
                return
            yield _join(open_time, list(group))


def _join(open_time: int, parts: list[Candle]) -> Candle:
    zero = Decimal(0)
    return Candle(
        open_time=open_time,
        open=parts[0].open,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=parts[-1].close,
        volume=sum((part.volume for part in parts), zero),
        quote_volume=sum((part.quote_volume for part in parts), zero),
        trades=sum(part.trades for part in parts),
        taker_volume=sum((part.taker_volume for part in parts), zero),
        taker_quote_volume=sum((part.taker_quote_volume for part in parts), zero),
    )
