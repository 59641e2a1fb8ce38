"""Bars: turn trades (or mid prices) into closed bars; an interval without trades repeats the last close."""

from collections.abc import Iterator
from typing import ClassVar

from contracts.clock import ClockTick
from contracts.event import Event
from contracts.market import Bar, Quote, Trade
from contracts.types import InstrumentId, Interval
from services.bars.settings import BarsSettings, PriceSource
from tape.component import Component, on

MAX_FILLED = 1_000
"""A silence of more intervals than this is an outage: it is not filled with invented bars."""


class OpenBar:
    """The bar that is being built; time is `ts_init`, so that nothing that came late can change a closed bar."""

    __slots__ = ("close", "high", "low", "open", "trades", "ts_close", "volume")

    def __init__(self, ts_close: int, price: float) -> None:
        self.ts_close = ts_close
        self.open = self.high = self.low = self.close = price
        self.volume = 0.0
        self.trades = 0

    def add(self, price: float, size: float) -> None:
        if self.trades == 0:
            self.open = self.high = self.low = price
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.volume += size
        self.trades += 1


class Bars(Component):
    name = "bars"
    produces: ClassVar[tuple[type[Event], ...]] = (Bar,)

    def __init__(self, settings: BarsSettings) -> None:
        super().__init__("bars")
        self.settings = settings
        self._from_trades = settings.source is PriceSource.TRADES
        self._open: dict[InstrumentId, dict[Interval, OpenBar]] = {}
        self._next_close: dict[InstrumentId, int] = {}

    @on(Trade)
    def on_trade(self, trade: Trade) -> Iterator[Bar] | None:
        price, size = (trade.price, trade.size) if self._from_trades else (None, 0.0)
        return self._advance(trade, trade.instrument, price, size)

    @on(Quote)
    def on_quote(self, quote: Quote) -> Iterator[Bar] | None:
        price = None if self._from_trades else (quote.bid + quote.ask) / 2
        return self._advance(quote, quote.instrument, price, 0.0)

    @on(ClockTick)
    def on_clock(self, tick: ClockTick) -> Iterator[Bar] | None:
        due = [name for name, ts_close in self._next_close.items() if ts_close <= tick.ts_init]
        return (bar for name in due for bar in self._close_due(tick, name)) if due else None

    def _advance(
        self, event: Event, instrument: InstrumentId, price: float | None, size: float
    ) -> Iterator[Bar] | None:
        next_close = self._next_close.get(instrument)
        if next_close is None:
            if price is not None:
                self._begin(instrument, event.ts_init, price, size)
            return None
        if event.ts_init >= next_close:
            return self._close_then_add(event, instrument, price, size)
        if price is not None:
            for bar in self._open[instrument].values():
                bar.add(price, size)
        return None

    def _begin(self, instrument: InstrumentId, now: int, price: float, size: float) -> None:
        bars = {
            interval: OpenBar(now - now % interval.nanos + interval.nanos, price)
            for interval in self.settings.intervals
        }
        for bar in bars.values():
            bar.add(price, size)
        self._open[instrument] = bars
        self._next_close[instrument] = min(bar.ts_close for bar in bars.values())

    def _close_then_add(
        self, event: Event, instrument: InstrumentId, price: float | None, size: float
    ) -> Iterator[Bar]:
        closed = list(self._close_due(event, instrument))
        if price is not None:
            for bar in self._open[instrument].values():
                bar.add(price, size)
        return iter(closed)

    def _close_due(self, event: Event, instrument: InstrumentId) -> Iterator[Bar]:
        """Close every bar whose time is over, and the empty ones after it, up to the time of `event`."""
        bars = self._open[instrument]
        for interval in self.settings.intervals:
            filled = 0
            while (bar := bars[interval]).ts_close <= event.ts_init:
                if filled <= MAX_FILLED:
                    yield _closed(event, instrument, interval, bar)
                filled += 1
                bars[interval] = OpenBar(bar.ts_close + interval.nanos, bar.close)
        self._next_close[instrument] = min(bar.ts_close for bar in bars.values())


def _closed(event: Event, instrument: InstrumentId, interval: Interval, bar: OpenBar) -> Bar:
    return Bar(
        ts_event=bar.ts_close,
        ts_init=event.ts_init,
        instrument=instrument,
        interval=interval,
        ts_open=bar.ts_close - interval.nanos,
        ts_close=bar.ts_close,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume,
        trades=bar.trades,
    )
