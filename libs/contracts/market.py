"""Market data: what the exchange shows, and the bars made of it."""

from contracts.event import Event, event
from contracts.types import Count, GapKind, Instrument, Interval, Nanos, Price, Rate, Side, Size, Text


@event("md.quote.{instrument}")
class Quote(Event):
    """The best bid and ask with their displayed sizes (base units)."""

    instrument: Instrument
    bid: Price
    bid_size: Size
    ask: Price
    ask_size: Size

    @property
    def mid(self) -> float:
        return (self.bid + self.ask) / 2

    def contradiction(self) -> str | None:
        return f"bid: {self.bid} is above the ask {self.ask} (crossed book)" if self.bid > self.ask else None


@event("md.trade.{instrument}")
class Trade(Event):
    """A trade between others. `aggressor` is the side that took liquidity."""

    instrument: Instrument
    price: Price
    size: Size
    aggressor: Side
    trade_id: Text


@event("md.bar.{interval}.{instrument}")
class Bar(Event):
    """A closed bar over [`ts_open`, `ts_close`). Without trades it repeats the last close with zero `volume`."""

    instrument: Instrument
    interval: Interval
    ts_open: Nanos
    ts_close: Nanos
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Size
    trades: Count

    def contradiction(self) -> str | None:
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            return f"high: open, close and low do not lie within [{self.low}, {self.high}]"
        if self.ts_close - self.ts_open != self.interval.nanos:
            return f"ts_close: the bar does not last {self.interval.value}"
        return None


@event("md.funding.{instrument}")
class Funding(Event):
    """The mark price of a perpetual, and the funding ahead: at `next_at` longs pay `rate` of their value to shorts."""

    instrument: Instrument
    mark: Price
    index: Price
    rate: Rate
    next_at: Nanos


@event("md.gap.{instrument}")
class MarketGap(Event):
    """Something the feed should have brought did not come: trade ids were skipped, or nothing came for too long."""

    instrument: Instrument
    kind: GapKind
    missing: Count
    """Skipped trade ids, or the silence in ns."""
