"""Bars: turn trades (or mid prices) into closed bars; an interval without trades repeats the last close."""

from collections.abc import Generator, Iterator
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

    def merge(self, finer: "OpenBar") -> None:
        """Take in a bar that lies within this one, after what it has taken in before."""
        if finer.trades == 0:
            return
        if self.trades == 0:
            self.open, self.high, self.low = finer.open, finer.high, finer.low
        else:
            self.high, self.low = max(self.high, finer.high), min(self.low, finer.low)
        self.close = finer.close
        self.volume += finer.volume
        self.trades += finer.trades


class Bars(Component):
    name = "bars"
    produces: ClassVar[tuple[type[Event], ...]] = (Bar,)

    def __init__(self, settings: BarsSettings) -> None:
        super().__init__("bars")
        self.settings = settings
        self._from_trades = settings.source is PriceSource.TRADES
        self._finest, *self._coarser = sorted(settings.intervals, key=lambda interval: interval.nanos)
        self._open: dict[InstrumentId, OpenBar] = {}
        self._wider: dict[InstrumentId, dict[Interval, OpenBar]] = {}

    @on(Trade)
    def on_trade(self, trade: Trade) -> Iterator[Bar] | None:
        if self._from_trades:
            return self._add(trade, trade.instrument, trade.price, trade.size)
        return self._look_at_the_time(trade, trade.instrument)

    @on(Quote)
    def on_quote(self, quote: Quote) -> Iterator[Bar] | None:
        if self._from_trades:
            return self._look_at_the_time(quote, quote.instrument)
        return self._add(quote, quote.instrument, (quote.bid + quote.ask) / 2, 0.0)

    @on(ClockTick)
    def on_clock(self, tick: ClockTick) -> Iterator[Bar] | None:
        due = [name for name, bar in self._open.items() if bar.ts_close <= tick.ts_init]
        return (bar for name in due for bar in self._close_due(tick, name)) if due else None

    def _add(self, event: Event, instrument: InstrumentId, price: float, size: float) -> Iterator[Bar] | None:
        bar = self._open.get(instrument)
        if bar is None:
            self._begin(instrument, event.ts_init, price)
            self._open[instrument].add(price, size)
            return None
        if event.ts_init < bar.ts_close:
            bar.add(price, size)
            return None
        closed = list(self._close_due(event, instrument))
        self._open[instrument].add(price, size)
        return iter(closed)

    def _look_at_the_time(self, event: Event, instrument: InstrumentId) -> Iterator[Bar] | None:
        bar = self._open.get(instrument)
        return None if bar is None or event.ts_init < bar.ts_close else self._close_due(event, instrument)

    def _begin(self, instrument: InstrumentId, now: int, price: float) -> None:
        def opened(interval: Interval) -> OpenBar:
            return OpenBar(now - now % interval.nanos + interval.nanos, price)

        self._open[instrument] = opened(self._finest)
        self._wider[instrument] = {interval: opened(interval) for interval in self._coarser}

    def _close_due(self, event: Event, instrument: InstrumentId) -> Iterator[Bar]:
        """Close every bar whose time is over, and the empty ones after it, up to the time of `event`.

        Only the finest bar sees prices; each interval is a multiple of the finest one, so the wider bars are made of
        closed fine ones.
        """
        finest, wider = self._open[instrument], self._wider[instrument]
        for bar in wider.values():
            bar.merge(finest)
        self._open[instrument] = yield from _close(event, instrument, self._finest, finest)
        for interval, bar in wider.items():
            if bar.ts_close <= event.ts_init:
                wider[interval] = yield from _close(event, instrument, interval, bar)


def _close(event: Event, instrument: InstrumentId, interval: Interval, bar: OpenBar) -> Generator[Bar, None, OpenBar]:
    """Say a bar whose time is over and the empty ones after it; gives the one that is open now."""
    yield _closed(event, instrument, interval, bar)
    silent = (event.ts_init - bar.ts_close) // interval.nanos
    for number in range(1, silent + 1 if silent <= MAX_FILLED else 0):
        yield _closed(event, instrument, interval, OpenBar(bar.ts_close + number * interval.nanos, bar.close))
    return OpenBar(bar.ts_close + (silent + 1) * interval.nanos, bar.close)


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
