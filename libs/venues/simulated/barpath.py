"""The path assumed inside a bar: quotes and trades that make a bar backtest an ordinary one, at the worst by default.

A bar tells four prices and no order between high and low. What is assumed, and what each assumption costs:

- **Order of the extremes** (`PathOrder`). Which of stop and target is met first depends on it.
- **Spread**. A quote stands around the price of the path, `spread_bps` wide and at least a tick; where that would leave
  the bar it is moved inside, so at the low the bid is the low and at the high the ask is the high. A bar narrower than
  the spread has its own range as spread (`QuoteBounds.BAR`), or the quote leaves the bar (`QuoteBounds.SPREAD`).
- **Jumps**. With `steps` 0 nothing is shown between two turning points: a stop that lies between them is filled at the
  far one.
- **Size**. `share` of the volume is displayed on each side, parted equally among the quotes; a trade prints as much as
  the quote before it displays, so that where the price only touches, a queue takes all. With `Prints.WHOLE` the whole
  volume is printed, so that bars that are made of the trades have the volume of the file, and a resting order may get
  more than the share, also where the price only touches.
- **Time**. The points stand at equal distances, the first when the bar opens, the last one distance before it closes.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import pairwise
from operator import attrgetter
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from contracts.event import Event
from contracts.market import Bar, Quote, Trade
from contracts.types import Interval, Side
from venues.instruments import Listing

Shown = Quote | Trade

PER_BPS = 1e-4

_known = attrgetter("ts_init")


class PathOrder(Enum):
    """Which extreme comes first."""

    OPEN_HIGH_LOW_CLOSE = "open_high_low_close"
    OPEN_LOW_HIGH_CLOSE = "open_low_high_close"
    ADVERSE = "adverse"
    """Against whoever holds. After the open one quote shows the whole bar, bid at the low and ask at the high: a stop
    of either side is met at its worst price, and no target is. Then come the extremes, in a falling bar the high first,
    in any other the low: what looks at trades meets first what is against the direction of the bar."""


class QuoteBounds(Enum):
    """What gives way when a bar is narrower than the spread."""

    BAR = "bar"
    """The spread: no price is outside the bar. Trading in such bars is cheaper than it was."""
    SPREAD = "spread"
    """The bar: quotes keep their spread and stand up to that far outside; trades stay inside."""


class Prints(Enum):
    """How much of the volume is printed as trades."""

    SHARE = "share"
    """Only what is displayed: bars made of the trades have no more than that share of the volume."""
    WHOLE = "whole"
    """All of it: bars have the volume of the file; what rests may be filled up to it."""


class BarPathSettings(BaseModel):
    """What is assumed inside a bar."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order: PathOrder = Field(default=PathOrder.ADVERSE, description="which extreme of a bar comes first")
    spread_bps: float = Field(default=2.0, ge=0, le=1_000, description="ask above bid, in bps of the price")
    bounds: QuoteBounds = Field(default=QuoteBounds.BAR, description="what gives way in a bar narrower than the spread")
    share: float = Field(default=0.1, gt=0, le=1, description="share of a bar's volume displayed in it per side")
    prints: Prints = Field(default=Prints.SHARE, description="how much of a bar's volume is printed as trades")
    steps: int = Field(default=0, ge=0, le=100, description="points shown between two turning points; 0: it jumps")

    def assumptions(self) -> tuple[str, ...]:
        """List for a report what is assumed, the optimistic with the word."""
        order = {
            PathOrder.OPEN_HIGH_LOW_CLOSE: "the high comes before the low (optimistic for longs)",
            PathOrder.OPEN_LOW_HIGH_CLOSE: "the low comes before the high (optimistic for shorts)",
            PathOrder.ADVERSE: "stops are met before targets, at the worst price of the bar",
        }[self.order]
        return (
            f"inside a bar {order}",
            f"the spread is {self.spread_bps:g} bps"
            + (", in narrower bars their range (optimistic there)" if self.bounds is QuoteBounds.BAR else ""),
            f"{self.share:.0%} of a bar's volume can be taken in it"
            + (", and all of it by resting orders (optimistic)" if self.prints is Prints.WHOLE else ""),
            f"between two turning points {self.steps} points are shown"
            if self.steps
            else "between two turning points the price jumps",
        )


class BarPath:
    """Shows what may have happened inside a bar. The same bar has always the same path; nothing is remembered.

    Of what is in `listing` the spread is at least a tick: the exchange books on ticks, and less would be none.
    """

    def __init__(self, settings: BarPathSettings, listing: Listing = MappingProxyType({})) -> None:
        self.settings = settings
        self._ticks = {name: float(instrument.tick) for name, instrument in listing.items()}

    def quotes(self, bar: Bar) -> tuple[Shown, ...]:
        """Give the path of `bar` in order of time: at each of its points a quote, and a trade at the price.

        Trades lie within the bar, the first at its open, the last at its close; so do quotes, but for
        `QuoteBounds.SPREAD`. The bar has to be free of contradictions.
        """
        assert bar.contradiction() is None, bar.contradiction()
        adverse = self.settings.order is PathOrder.ADVERSE
        prices = self._prices(bar)
        points = len(prices) + adverse
        displayed = bar.volume * self.settings.share / points
        printed = displayed if self.settings.prints is Prints.SHARE else bar.volume / len(prices)
        times = iter([bar.ts_open + bar.interval.nanos * at // points for at in range(points)])
        shown: list[Shown] = []
        side = _direction(prices)
        for number, (before, price) in enumerate(pairwise((prices[0], *prices))):
            side = side if price == before else Side.BUY if price > before else Side.SELL
            now = next(times)
            shown.append(_quote(bar, now, *self._around(bar, price), displayed))
            shown.append(_trade(bar, now, price, printed, side, number))
            if adverse and number == 0:
                shown.append(_quote(bar, next(times), bar.low, bar.high, displayed))
        return tuple(shown)

    def walk(self, events: Iterable[Event], longest: Interval) -> Iterator[Event]:
        """Put the path of each bar in its place, merged with the paths of others and with what is no bar.

        `events` come by `ts_init`, bars when they close; no bar is longer than `longest`. What is held back is at most
        twice as long, whatever comes.
        """
        waiting: list[Event] = []
        ready = -1
        for event in events:
            due = event.ts_init - longest.nanos
            if due >= ready + longest.nanos:
                waiting.sort(key=_known)
                cut = bisect_left(waiting, due, key=_known)
                yield from waiting[:cut]
                del waiting[:cut]
                ready = due
            if isinstance(event, Bar):
                waiting.extend(self.quotes(event))
            else:
                waiting.append(event)
        yield from sorted(waiting, key=_known)

    def _prices(self, bar: Bar) -> list[float]:
        """List the prices of the path: turning points, and what is shown between them."""
        turns = (
            (bar.open, bar.high, bar.low, bar.close)
            if self._is_high_first(bar)
            else (bar.open, bar.low, bar.high, bar.close)
        )
        parts = self.settings.steps + 1
        prices = [turns[0]]
        for before, after in pairwise(turns):
            between = (before + (after - before) * at / parts for at in range(1, parts))
            prices.extend(min(max(price, bar.low), bar.high) for price in between)
            prices.append(after)
        return prices

    def _is_high_first(self, bar: Bar) -> bool:
        match self.settings.order:
            case PathOrder.OPEN_HIGH_LOW_CLOSE:
                return True
            case PathOrder.OPEN_LOW_HIGH_CLOSE:
                return False
            case PathOrder.ADVERSE:
                return bar.close < bar.open

    def _around(self, bar: Bar, price: float) -> tuple[float, float]:
        """Give bid and ask around a price, moved into the bar as far as it holds them."""
        spread = max(price * self.settings.spread_bps * PER_BPS, self._ticks.get(bar.instrument, 0.0))
        room = bar.high - bar.low
        if spread >= room:
            if self.settings.bounds is QuoteBounds.BAR:
                return bar.low, bar.high
            return max(price - spread / 2, price / 2), price + spread / 2
        bid = min(max(price - spread / 2, bar.low), bar.high - spread)
        return max(bid, bar.low), min(max(bid, bar.low) + spread, bar.high)


def _direction(prices: list[float]) -> Side:
    """Say who took what was traded at the open: whoever drove the price on."""
    first = next((price for price in prices if price != prices[0]), prices[0])
    return Side.SELL if first < prices[0] else Side.BUY


def _quote(bar: Bar, now: int, bid: float, ask: float, size: float) -> Quote:
    return Quote(ts_event=now, ts_init=now, instrument=bar.instrument, bid=bid, bid_size=size, ask=ask, ask_size=size)


def _trade(bar: Bar, now: int, price: float, size: float, side: Side, number: int) -> Trade:
    return Trade(
        ts_event=now,
        ts_init=now,
        instrument=bar.instrument,
        price=price,
        size=size,
        aggressor=side,
        trade_id=f"{bar.ts_open}-{number}",
    )
