"""One symbol as the public sees it: its book, last and mark price, trades, candles and funding."""

from collections import deque
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from venues.emulator.book import Book
from venues.emulator.candles import Candles
from venues.emulator.settings import Pair
from venues.emulator.words import Phase, Side

HOURS_8 = 8 * 3_600_000


@dataclass(frozen=True, slots=True)
class Print:
    """A public trade: `time` in ms, `aggressor` is the side that took."""

    id: int
    price: Decimal
    size: Decimal
    aggressor: Side
    time: int


@dataclass(frozen=True, slots=True)
class FundingPrint:
    """A funding that was settled."""

    rate: Decimal
    mark: Decimal
    time: int


class Market:
    """Public state of one symbol."""

    def __init__(self, pair: Pair, kept: int) -> None:
        self.pair = pair
        self.phase = Phase.TRADING
        self.book = Book()
        self.candles = Candles(kept)
        self.prints: deque[Print] = deque(maxlen=kept)
        self.fundings: list[FundingPrint] = []
        self.rate = Decimal("0.0001")
        self.next_funding: int | None = None
        self._next_id = 1
        self._mark: Decimal | None = None
        self._index: Decimal | None = None

    @property
    def mid(self) -> Decimal | None:
        bid, ask = self.book.best(Side.SELL), self.book.best(Side.BUY)
        return None if bid is None or ask is None else (bid[0] + ask[0]) / 2

    @property
    def last(self) -> Decimal | None:
        """The price of the last trade; before the first one, the middle of the quote."""
        return self.prints[-1].price if self.prints else self.mid

    @property
    def mark(self) -> Decimal | None:
        """The mark price: as it was set, else the middle of the quote."""
        return self._mark if self._mark is not None else (self.mid or self.last)

    @property
    def mark_follows(self) -> bool:
        """Say whether the mark price follows the quote."""
        return self._mark is None

    @property
    def index(self) -> Decimal | None:
        return self._index if self._index is not None else self.mark

    def set_mark(self, mark: Decimal, index: Decimal | None) -> None:
        self._mark, self._index = mark, index if index is not None else mark

    def funding_due(self, now: int) -> int:
        """Say when funding is due, in ms: as it was set, else at the next of the three times a day."""
        return self.next_funding if self.next_funding is not None else (now // HOURS_8 + 1) * HOURS_8

    def print(self, price: Decimal, size: Decimal, aggressor: Side, now: int) -> Print:
        """Add a trade to what everyone sees."""
        trade = Print(self._next_id, price, size, aggressor, now)
        self._next_id += 1
        self.prints.append(trade)
        self.candles.add(now, price, size, taker_buys=aggressor is Side.BUY)
        return trade

    def on_tick(self, price: float | Decimal) -> Decimal:
        """Bring a price to the nearest tick."""
        exact = price if isinstance(price, Decimal) else Decimal(repr(price))
        return (exact / self.pair.tick).to_integral_value(ROUND_HALF_EVEN) * self.pair.tick
