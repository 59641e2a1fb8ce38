"""Bars: turn trades (or mid prices) into closed bars; an interval without trades repeats the last close."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from pydantic import ConfigDict

from contracts.clock import ClockTick
from contracts.event import Event, maker
from contracts.market import Bar, Quote, Trade
from contracts.types import InstrumentId, Interval
from services.bars.settings import BarsSettings, PriceSource
from tape.component import Component, on
from tape.span import Span

_bar = maker(Bar)
MAX_FILLED = 1_000
"""A silence of more intervals than this is an outage: it is not filled with invented bars."""


@dataclass(slots=True)
class OpenBar:
    """The bar that is being built; time is `ts_init`, so that nothing that came late can change a closed bar."""

    ts_close: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    trades: int = 0

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

    def add_all(self, prices: Sequence[float]) -> None:
        """Add prices without size."""
        if self.trades == 0:
            self.open = self.high = self.low = prices[0]
        self.high, self.low = max(self.high, *prices), min(self.low, *prices)
        self.close = prices[-1]
        self.trades += len(prices)

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

    def begin(self, ts_close: int) -> None:
        """Be a new bar, empty and at the last close."""
        self.ts_close = ts_close
        self.open = self.high = self.low = self.close
        self.volume = 0.0
        self.trades = 0


OpenBars = dict[Interval, OpenBar]
"""The open bars of one instrument, the finest first.

Only the finest one sees prices. Each interval is a multiple of the one before, so a bar is made of closed finer ones.
"""


@dataclass(slots=True)
class BarsState:
    __pydantic_config__ = ConfigDict(ser_json_inf_nan="constants")  # volumes may add up to more than a float holds

    source: PriceSource
    open: dict[InstrumentId, OpenBars]


class Bars(Component):
    name = "bars"
    produces: ClassVar[tuple[type[Event], ...]] = (Bar,)
    State = BarsState

    def __init__(self, settings: BarsSettings) -> None:
        super().__init__("bars")
        self.settings = settings
        self._from_trades = settings.source is PriceSource.TRADES
        self._intervals = sorted(set(settings.intervals), key=lambda interval: interval.nanos)
        self._open: dict[InstrumentId, OpenBars] = {}
        self._finest: dict[InstrumentId, OpenBar] = {}

    def state(self) -> BarsState:
        return BarsState(self.settings.source, self._open)

    def restore(self, state: BarsState) -> None:
        """Go on with the open bars, as far as their intervals are still made of such prices; others begin anew."""
        self._open, self._finest = {}, {}
        for instrument, bars in state.open.items() if state.source is self.settings.source else ():
            if kept := self._still_made(bars):
                self._open[instrument] = kept
            if finest := kept.get(self._intervals[0]):
                self._begin(instrument, finest.ts_close - 1, finest.open)

    def _still_made(self, bars: OpenBars) -> OpenBars:
        """Leave out the bars that are not made any more; what they took in is not lost to the wider ones."""
        for (interval, bar), (_, wider) in pairwise(bars.items()):
            if interval not in self._intervals:
                wider.merge(bar)
        return {interval: bar for interval, bar in bars.items() if interval in self._intervals}

    @on(Trade)
    def on_trade(self, trade: Trade) -> list[Bar] | None:
        if self._from_trades:
            return self._add(trade, trade.instrument, trade.price, trade.size)
        return self._look_at_the_time(trade, trade.instrument)

    @on(Quote)
    def on_quote(self, quote: Quote) -> list[Bar] | None:
        instrument = quote.instrument
        bar = self._finest.get(instrument)
        if bar is not None and quote.ts_init < bar.ts_close:
            if not self._from_trades:
                bar.add((quote.bid + quote.ask) / 2, 0.0)
            return None
        if self._from_trades:
            return self._look_at_the_time(quote, instrument)
        return self._add(quote, instrument, (quote.bid + quote.ask) / 2, 0.0)

    def quiet_to(self, span: Span, begin: int, end: int) -> int:
        bar = self._finest.get(span.instrument)
        if bar is None:
            return end if self._from_trades else begin
        return span.before(bar.ts_close, begin, end)

    def skim(self, span: Span, begin: int, end: int) -> None:
        if not self._from_trades:
            self._finest[span.instrument].add_all(span.mids[begin:end])

    @on(ClockTick)
    def on_clock(self, tick: ClockTick) -> list[Bar] | None:
        due = [name for name, bars in self._open.items() if next(iter(bars.values())).ts_close <= tick.ts_init]
        return [bar for name in due for bar in self._close_due(tick, name)] if due else None

    def _add(self, event: Event, instrument: InstrumentId, price: float, size: float) -> list[Bar] | None:
        bar = self._finest.get(instrument)
        if bar is not None and event.ts_init < bar.ts_close:
            bar.add(price, size)
            return None
        closed = self._close_due(event, instrument)
        if bar is None:
            bar = self._begin(instrument, event.ts_init, price)
        bar.add(price, size)
        return closed

    def _look_at_the_time(self, event: Event, instrument: InstrumentId) -> list[Bar] | None:
        bar = self._finest.get(instrument)
        return None if bar is None or event.ts_init < bar.ts_close else self._close_due(event, instrument)

    def _begin(self, instrument: InstrumentId, now: int, price: float) -> OpenBar:
        """Begin the bars that are not open, all or some of them; gives the finest."""
        open_ = self._open.get(instrument, {})
        bars = {interval: open_.get(interval) or _opened(interval, now, price) for interval in self._intervals}
        self._open[instrument] = bars
        self._finest[instrument] = bars[self._intervals[0]]
        return self._finest[instrument]

    def _close_due(self, event: Event, instrument: InstrumentId) -> list[Bar]:
        """Close every bar whose time is over, and the empty ones after it, up to the time of `event`."""
        bars = self._open.get(instrument, {})
        finer: OpenBar | None = None
        for bar in bars.values():
            if finer is not None:
                bar.merge(finer)
            if bar.ts_close > event.ts_init:
                break
            finer = bar
        closed: list[Bar] = []
        for interval, bar in bars.items():
            if bar.ts_close > event.ts_init:
                break
            _close(event, instrument, interval, bar, closed)
        return closed


def _opened(interval: Interval, now: int, price: float) -> OpenBar:
    return OpenBar(now - now % interval.nanos + interval.nanos, price, price, price, price)


def _close(event: Event, instrument: InstrumentId, interval: Interval, bar: OpenBar, closed: list[Bar]) -> None:
    """Say a bar whose time is over and the empty ones after it; then it is the one that is open now."""
    nanos = interval.nanos
    closed.append(_closed(event, instrument, interval, bar, nanos))
    silent = (event.ts_init - bar.ts_close) // nanos
    over = bar.ts_close + silent * nanos
    while bar.ts_close < over and silent <= MAX_FILLED:
        bar.begin(bar.ts_close + nanos)
        closed.append(_closed(event, instrument, interval, bar, nanos))
    bar.begin(over + nanos)


def _closed(event: Event, instrument: InstrumentId, interval: Interval, bar: OpenBar, nanos: int) -> Bar:
    return _bar(
        ts_event=bar.ts_close,
        ts_init=event.ts_init,
        instrument=instrument,
        interval=interval,
        ts_open=bar.ts_close - nanos,
        ts_close=bar.ts_close,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume,
        trades=bar.trades,
    )
