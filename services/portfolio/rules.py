"""Portfolio: book every fill twice, and say what each strategy holds and is worth."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from contracts.books import EquityMarked, PortfolioMarked, PositionChanged, PositionClosed
from contracts.clock import ClockTick
from contracts.control import Alert
from contracts.event import Event
from contracts.market import Funding, Quote
from contracts.orders import OrderFilled, OrderInitialized
from contracts.types import MAX_TEXT, PositionSide, Severity, Side, venue_of
from contracts.venue import FundingPaid
from services.portfolio.bookable import divided, objection_to_fill, objection_to_funding
from services.portfolio.books import ForeignBalance, StrategyBooks
from services.portfolio.ledger import Account, AccountKind, Entry, Ledger, fee_accounts, move, trade_accounts
from services.portfolio.position import CENT_OF_COST, Position
from services.portfolio.prices import Prices
from services.portfolio.settings import PortfolioSettings, PositionMode
from services.portfolio.statements import equity_marked, portfolio_marked, position_changed, position_closed
from tape.component import Component, on

ZERO = Decimal(0)
REMEMBERED_FUNDINGS = 1_000
"""Funding payments that are remembered against a repetition: many more than a reconnection repeats."""

Part = tuple[PositionSide, Decimal]
"""What of a fill goes to which position; negative: sold."""

Holder = tuple[str, PositionSide, Position]
"""A strategy and one of its positions."""


@dataclass(slots=True)
class PortfolioState:
    balances: list[Entry]
    books: dict[str, StrategyBooks]
    prices: Prices
    reducing: dict[str, bool]
    fundings: dict[str, None]
    peaks: dict[str, Decimal]
    ticks: int
    changed: bool


class Portfolio(Component):
    """Books stay in the currency that they were opened in, whatever the settings say later.

    How positions are kept (netting or hedging, average or FIFO cost) follows the settings when nothing is held.
    """

    produces: ClassVar[tuple[type[Event], ...]] = (
        PositionChanged,
        PositionClosed,
        EquityMarked,
        PortfolioMarked,
        Alert,
    )
    State = PortfolioState
    state_version = 2

    def __init__(self, settings: PortfolioSettings) -> None:
        super().__init__("portfolio")
        self.settings = settings
        self.ledger = Ledger()
        self.books: dict[str, StrategyBooks] = {}
        self.prices = Prices()
        self._reducing: dict[str, bool] = {}
        self._fundings: dict[str, None] = {}
        self._peaks: dict[str, Decimal] = {}
        self._ticks = 0
        self._changed = False

    def state(self) -> PortfolioState:
        return PortfolioState(
            self.ledger.state(),
            self.books,
            self.prices,
            self._reducing,
            self._fundings,
            self._peaks,
            self._ticks,
            self._changed,
        )

    def restore(self, state: PortfolioState) -> None:
        self.ledger.restore(state.balances)
        self.books = state.books
        self.prices = state.prices
        self._reducing = state.reducing
        self._fundings = state.fundings
        self._peaks = state.peaks
        self._ticks = state.ticks
        self._changed = state.changed

    @on(Quote)
    def on_quote(self, quote: Quote) -> None:
        self.prices.quotes[quote.instrument] = quote

    @on(Funding)
    def on_funding(self, funding: Funding) -> None:
        self.prices.marks[funding.instrument] = funding.mark

    @on(OrderInitialized)
    def on_order(self, begun: OrderInitialized) -> None:
        """Remember orders that only reduce: their fills close a position, and a protective stop is told as one."""
        order = begun.order
        if not order.reduce_only:
            return
        self._reducing[order.client_order_id] = order.is_protective
        if len(self._reducing) > self.settings.remembered_orders:
            del self._reducing[next(iter(self._reducing))]

    @on(ClockTick)
    def on_clock(self, tick: ClockTick) -> Iterator[Event] | None:
        self._ticks += 1
        if self._ticks % self.settings.mark_every_s or not self.books:
            return None
        return self._mark_all(tick)

    @on(OrderFilled)
    def on_fill(self, fill: OrderFilled) -> list[Event]:
        books = self.books.get(fill.strategy)
        problem = objection_to_fill(fill, self.settings.currency if books is None else books.currency)
        if problem is not None:
            return [
                self._alert(
                    fill,
                    Severity.CRITICAL,
                    "unbookable_fill",
                    f"not booked: trade {fill.trade_id} of {fill.client_order_id} in {fill.instrument}: {problem}; "
                    "correct it where it came from",
                )
            ]
        books = self._books_of(fill.strategy)
        parts, problem = self._parts(fill, books)
        worth, late = self._pay_fee(fill, books)
        said: list[Event] = []
        ended: list[Event] = []
        for side, quantity in parts:
            positions = books.of_side(side)
            position = positions.get(fill.instrument)
            if position is None:
                position = positions[fill.instrument] = Position()
            before = position.realized_pnl
            trip = position.trade(quantity, fill.price, fee=worth, at=fill.ts_event, method=books.cost)
            books.realized_pnl += position.realized_pnl - before
            worth = ZERO
            self._post_trade(fill, side, quantity)
            said.append(position_changed(fill, fill.strategy, fill.instrument, side, position, self.prices))
            if trip is not None:
                stopped = self._reducing.get(fill.client_order_id, False)
                ended.append(position_closed(fill, trip, stopped=stopped))
        said += ended
        self._changed = True
        if fill.leaves == 0:
            self._reducing.pop(fill.client_order_id, None)
        said.append(self._marked(fill, fill.strategy, books))
        if problem is not None:
            said.append(self._alert(fill, Severity.CRITICAL, "closed_too_much", problem))
        if late is not None:
            said.append(self._alert(fill, Severity.WARNING, "fee_without_rate", late))
        return said

    @on(FundingPaid)
    def on_funding_paid(self, paid: FundingPaid) -> Iterator[Event]:
        about = f"not booked: funding {paid.funding_id} of {paid.amount} {paid.currency} for {paid.instrument}"
        if _funding_key(paid) in self._fundings:
            yield self._alert(paid, Severity.WARNING, "repeated_funding", f"{about}: it was booked before")
            return
        holders = self._holders(paid)
        problem = self._objection(paid, holders)
        if problem is not None:
            yield self._alert(paid, Severity.CRITICAL, "unbookable_funding", f"{about}: {problem}")
            return
        self._remember(paid)
        self._changed = True
        shares = divided(paid.amount, [position.quantity for *_, position in holders], CENT_OF_COST)
        for (strategy, side, position), share in zip(holders, shares, strict=True):
            books = self.books[strategy]
            position.fund(share)
            books.funding += share
            source = Account(AccountKind.FUNDING, strategy, paid.currency, venue_of(paid.instrument))
            self.ledger.post(move(share, source=source, target=Account(AccountKind.CASH, strategy, paid.currency)))
            yield position_changed(paid, strategy, paid.instrument, side, position, self.prices)
        for strategy in dict.fromkeys(strategy for strategy, *_ in holders):
            yield self._marked(paid, strategy, self.books[strategy])

    # -- what a fill does to the books ---------------------------------------------------------------------------------

    def _books_of(self, strategy: str) -> StrategyBooks:
        books, settings = self.books.get(strategy), self.settings
        if books is None:
            capital, currency = settings.capital_of(strategy), settings.currency
            source, target = (Account(kind, strategy, currency) for kind in (AccountKind.CAPITAL, AccountKind.CASH))
            self.ledger.post(move(capital, source=source, target=target))
            self._peaks[currency] = self._peaks.get(currency, ZERO) + capital
            books = self.books[strategy] = StrategyBooks(capital, currency, peak=capital)
        mode = settings.mode_of(strategy)
        if (books.mode is not mode or books.cost is not settings.cost) and books.is_flat:
            books.mode, books.cost = mode, settings.cost
        return books

    def _parts(self, fill: OrderFilled, books: StrategyBooks) -> tuple[list[Part], str | None]:
        """Say which position a fill changes, and what is strange about that."""
        quantity = fill.side.sign * fill.quantity
        if books.mode is PositionMode.NETTING:
            return [(PositionSide.NET, quantity)], None
        bought = fill.side is Side.BUY
        opens = PositionSide.LONG if bought else PositionSide.SHORT
        if fill.client_order_id not in self._reducing:
            return [(opens, quantity)], None
        closes = PositionSide.SHORT if bought else PositionSide.LONG
        position = books.of_side(closes).get(fill.instrument)
        held = ZERO if position is None else position.quantity
        if abs(held) >= fill.quantity:
            return [(closes, quantity)], None
        rest = quantity + held
        parts = [(closes, -held), (opens, rest)] if held else [(opens, rest)]
        return parts, (
            f"{fill.client_order_id} was to reduce a {closes.value} of {abs(held)} {fill.instrument} and traded "
            f"{fill.quantity}: {abs(rest)} opened a {opens.value}, with trade {fill.trade_id}; look at both"
        )

    def _pay_fee(self, fill: OrderFilled, books: StrategyBooks) -> tuple[Decimal, str | None]:
        """Let the fee leave cash for good; gives what it is worth, and what to tell if nobody knows yet."""
        if fill.fee == 0:
            return ZERO, None
        strategy, currency = fill.strategy, fill.fee_currency or fill.currency
        cash, fees = fee_accounts(strategy, currency, fill.instrument)
        self.ledger.transfer(fill.fee, source=cash, target=fees)
        if currency == books.currency:
            books.fees += fill.fee
            return fill.fee, None
        balance = books.foreign.setdefault(currency, ForeignBalance())
        rate = self._rate(currency, books, balance, venue_of(fill.instrument))
        if rate is not None:
            self._value_late_fees(books)
            worth = balance.pay(fill.fee, rate)
            books.fees += worth
            return worth, None
        told = balance.unvalued != 0
        balance.unvalued += fill.fee
        return ZERO, None if told else (
            f"{strategy} paid a fee of {fill.fee} {currency} with trade {fill.trade_id} of {fill.client_order_id}, and "
            f"nothing says what a {currency} is worth: it counts from the first quote of {currency}{books.currency} on"
        )

    def _post_trade(self, fill: OrderFilled, side: PositionSide, quantity: Decimal) -> None:
        """Units come from the venue and cash goes there, or the other way round."""
        accounts = trade_accounts(fill.strategy, fill.instrument, fill.currency, side)
        self.ledger.transfer(quantity, source=accounts.venue_units, target=accounts.held)
        self.ledger.transfer(quantity * fill.price, source=accounts.cash, target=accounts.venue_cash)

    # -- whom funding is for -------------------------------------------------------------------------------------------

    def _holders(self, paid: FundingPaid) -> list[Holder]:
        """List the positions that funding is divided by; of a strategy that is named and flat, its last one."""
        names = self.books if paid.strategy is None else (paid.strategy,)
        holders = [
            (name, side, position)
            for name in names
            if name in self.books
            for side, position in self.books[name].held_in(paid.instrument)
        ]
        if paid.strategy is None or paid.strategy not in self.books or _total(holders):
            return holders
        books = self.books[paid.strategy]
        known = ((side, books.of_side(side).get(paid.instrument)) for side in PositionSide)
        return [(paid.strategy, side, position) for side, position in known if position is not None][:1]

    def _objection(self, paid: FundingPaid, holders: list[Holder]) -> str | None:
        advice = "compare with what the venue says of the position"
        if paid.strategy is None and not _total(holders):
            return f"no strategy holds any; {advice}"
        if not holders:
            return f"{paid.strategy} never held any; {advice}"
        problems = (objection_to_funding(paid, self.books[strategy].currency) for strategy, *_ in holders)
        return next(filter(None, problems), None)

    def _remember(self, paid: FundingPaid) -> None:
        self._fundings[_funding_key(paid)] = None
        if len(self._fundings) > REMEMBERED_FUNDINGS:
            del self._fundings[next(iter(self._fundings))]

    # -- what everything is worth --------------------------------------------------------------------------------------

    def _mark_all(self, tick: ClockTick) -> Iterator[Event]:
        """Mark those whose equity may have changed, and then all together."""
        marks: list[EquityMarked] = []
        for strategy, books in self.books.items():
            moves = self._value_late_fees(books) or not books.is_still
            marks.append(self._marked(tick, strategy, books))
            if moves:
                self._changed = True
                yield marks[-1]
        if not self._changed:
            return
        self._changed = any(not books.is_still for books in self.books.values())
        for currency, peak in self._peaks.items():
            own = (marked for marked in marks if marked.currency == currency)
            marked = portfolio_marked(tick, currency, own, peak)
            self._peaks[currency] = marked.peak
            yield marked

    def _marked(self, event: Event, strategy: str, books: StrategyBooks) -> EquityMarked:
        cash = self.ledger.balance(AccountKind.CASH, strategy, books.currency)
        return equity_marked(event, strategy, books, cash, self.prices)

    def _value_late_fees(self, books: StrategyBooks) -> bool:
        """Value fees that had no rate when they were paid, where there is one now."""
        found = False
        for currency, balance in books.foreign.items():
            if balance.unvalued and (rate := self._rate(currency, books, balance, None)) is not None:
                books.fees += balance.pay(balance.unvalued, rate)
                balance.unvalued = ZERO
                found = True
        return found

    def _rate(self, currency: str, books: StrategyBooks, balance: ForeignBalance, near: str | None) -> Decimal | None:
        if balance.source is None:
            balance.source = self.prices.rate_source(currency, books.currency, near)
        return None if balance.source is None else self.prices.mark(balance.source)

    def _alert(self, event: Event, severity: Severity, code: str, message: str) -> Alert:
        return Alert(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            component=self.name,
            severity=severity,
            code=code,
            message=message[:MAX_TEXT],
        )


def _total(holders: list[Holder]) -> Decimal:
    return sum((position.quantity for *_, position in holders), ZERO)


def _funding_key(paid: FundingPaid) -> str:
    return f"{paid.instrument}/{paid.strategy or ''}/{paid.funding_id}"
