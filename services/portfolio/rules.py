"""Portfolio: book every fill twice, and say what each strategy holds and is worth."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from contracts.books import EquityMarked, MarkedPosition, PositionChanged
from contracts.clock import ClockTick
from contracts.control import Alert
from contracts.event import Event
from contracts.market import Quote
from contracts.orders import OrderFilled
from contracts.types import MAX_TEXT, InstrumentId, Severity, venue_of
from services.portfolio.ledger import AccountKind, Entry, Ledger, move
from services.portfolio.position import Position
from services.portfolio.settings import PortfolioSettings
from tape.component import Component, on

ZERO = Decimal(0)


@dataclass(slots=True)
class StrategyBooks:
    """What one strategy holds, what it began with, and the highest equity it has had."""

    capital: Decimal
    currency: str
    peak: Decimal
    positions: dict[InstrumentId, Position] = field(default_factory=dict)

    @property
    def is_flat(self) -> bool:
        return all(position.quantity == 0 for position in self.positions.values())


@dataclass(slots=True)
class PortfolioState:
    balances: list[Entry]
    books: dict[str, StrategyBooks]
    quotes: dict[InstrumentId, Quote]
    ticks: int


class Portfolio(Component):
    """Books stay in the currency that they were opened in, whatever the settings say later."""

    produces: ClassVar[tuple[type[Event], ...]] = (PositionChanged, EquityMarked, Alert)
    State = PortfolioState

    def __init__(self, settings: PortfolioSettings) -> None:
        super().__init__("portfolio")
        self.settings = settings
        self.ledger = Ledger()
        self.books: dict[str, StrategyBooks] = {}
        self.quotes: dict[InstrumentId, Quote] = {}
        self._ticks = 0

    def state(self) -> PortfolioState:
        return PortfolioState(self.ledger.state(), self.books, self.quotes, self._ticks)

    def restore(self, state: PortfolioState) -> None:
        self.ledger.restore(state.balances)
        self.books = state.books
        self.quotes = state.quotes
        self._ticks = state.ticks

    @on(Quote)
    def on_quote(self, quote: Quote) -> None:
        self.quotes[quote.instrument] = quote

    @on(ClockTick)
    def on_clock(self, tick: ClockTick) -> Iterator[EquityMarked] | None:
        self._ticks += 1
        if self._ticks % self.settings.mark_every_s:
            return None
        return (self._marked(tick, name, books) for name, books in self.books.items() if not books.is_flat)

    @on(OrderFilled)
    def on_fill(self, fill: OrderFilled) -> Iterator[Event]:
        books = self.books.get(fill.strategy)
        currency = self.settings.currency if books is None else books.currency
        if fill.currency != currency:
            yield self._unbookable(fill, currency)
            return
        if books is None:
            books = self._open_books(fill.strategy)
        position = books.positions.setdefault(fill.instrument, Position())
        position.trade(fill.side.sign * fill.quantity, fill.price)
        position.fees += fill.fee
        self._post(fill)
        yield PositionChanged(
            ts_event=fill.ts_event,
            ts_init=fill.ts_init,
            strategy=fill.strategy,
            instrument=fill.instrument,
            quantity=position.quantity,
            average_price=position.average_price,
            realized_pnl=position.realized_pnl,
            fees=position.fees,
            mark=self._mark(fill.instrument, fill.price),
        )
        yield self._marked(fill, fill.strategy, books)

    def _open_books(self, strategy: str) -> StrategyBooks:
        capital, currency = self.settings.capital, self.settings.currency
        source, target = (AccountKind.CAPITAL, strategy), (AccountKind.CASH, strategy)
        self.ledger.post(move(currency, capital, source=source, target=target))
        books = self.books[strategy] = StrategyBooks(capital, currency, peak=capital)
        return books

    def _post(self, fill: OrderFilled) -> None:
        """Units come from the venue and cash goes there (or the other way round); the fee leaves cash for good."""
        signed = fill.side.sign * fill.quantity
        venue = (AccountKind.VENUE, venue_of(fill.instrument))
        cash = (AccountKind.CASH, fill.strategy)
        self.ledger.post(
            [
                *move(fill.instrument, signed, source=venue, target=(AccountKind.POSITION, fill.strategy)),
                *move(fill.currency, signed * fill.price, source=cash, target=venue),
                *move(fill.currency, fill.fee, source=cash, target=(AccountKind.FEES, fill.strategy)),
            ]
        )

    def _marked(self, event: Event, strategy: str, books: StrategyBooks) -> EquityMarked:
        marked = tuple(self._marked_position(name, held) for name, held in books.positions.items() if held.quantity)
        cash = self.ledger.balance(AccountKind.CASH, strategy, books.currency)
        equity = cash + sum((position.value for position in marked), ZERO)
        realized = sum((position.realized_pnl for position in books.positions.values()), ZERO)
        unrealized = sum((position.unrealized_pnl for position in marked), ZERO)
        fees = sum((position.fees for position in books.positions.values()), ZERO)
        assert equity == books.capital + realized + unrealized - fees, f"the books of {strategy} do not balance"
        books.peak = max(books.peak, equity)
        return EquityMarked(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            strategy=strategy,
            currency=books.currency,
            cash=cash,
            equity=equity,
            realized_pnl=realized,
            unrealized_pnl=unrealized,
            fees=fees,
            peak=books.peak,
            positions=marked,
        )

    def _marked_position(self, instrument: InstrumentId, position: Position) -> MarkedPosition:
        mark = self._mark(instrument, position.average_price)
        return MarkedPosition(
            instrument=instrument,
            quantity=position.quantity,
            mark=mark,
            value=position.quantity * mark,
            unrealized_pnl=position.unrealized_pnl(mark),
        )

    def _mark(self, instrument: InstrumentId, otherwise: Decimal | None) -> Decimal:
        """The exact middle of the last quote; before the first quote, the price that was paid."""
        quote = self.quotes.get(instrument)
        if quote is not None:
            return (Decimal(repr(quote.bid)) + Decimal(repr(quote.ask))) / 2
        assert otherwise is not None, f"{instrument} has no price"
        return otherwise

    def _unbookable(self, fill: OrderFilled, currency: str) -> Alert:
        return Alert(
            ts_event=fill.ts_event,
            ts_init=fill.ts_init,
            component=self.name,
            severity=Severity.CRITICAL,
            code="unbookable_fill",
            message=f"a fill of {fill.client_order_id} is in {fill.currency}, the books are in {currency}: "
            f"not booked; trade {fill.trade_id}"[:MAX_TEXT],
        )
