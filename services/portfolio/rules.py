"""Portfolio: book every fill twice, and say what each strategy holds and is worth."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from contracts.books import EquityMarked, PortfolioMarked, PositionChanged, PositionClosed
from contracts.clock import ClockTick
from contracts.control import Alert
from contracts.event import Event
from contracts.market import Funding, Quote
from contracts.orders import OrderFilled, OrderInitialized
from contracts.types import LARGEST, MAX_TEXT, InstrumentId, PositionSide, Severity, venue_of
from contracts.venue import FundingPaid
from services.portfolio.bookable import divided, objection_to_fill, objection_to_funding
from services.portfolio.books import NET, ForeignBalance, StrategyBooks
from services.portfolio.desk import Desk
from services.portfolio.ledger import Account, AccountKind, Entry, Ledger, move
from services.portfolio.position import BUY, CENT_OF_COST, Position
from services.portfolio.prices import Prices
from services.portfolio.settings import PortfolioSettings, PositionMode
from services.portfolio.statements import equity_marked, portfolio_marked, position_changed, position_closed
from tape.component import Component, on

ZERO = Decimal(0)
NETTING = PositionMode.NETTING
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
        self._desks: dict[str, Desk] = {}
        """One for each of `books`: derived, and no part of the state."""

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
        self._desks = {strategy: Desk(strategy, books, self.ledger) for strategy, books in self.books.items()}

    @on(Quote)
    def on_quote(self, quote: Quote) -> None:
        self.prices.quotes[quote.instrument] = quote

    def rests_until(self, _instrument: InstrumentId) -> int:
        return LARGEST

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
        desk = self._desks.get(fill.strategy)
        problem = objection_to_fill(fill, self.settings.currency if desk is None else desk.books.currency)
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
        if desk is None or not desk.is_as_set:
            desk = self._desk_of(fill.strategy)
        quantity = fill.quantity if fill.side is BUY else -fill.quantity
        parts: Sequence[Part] = ((NET, quantity),)
        if desk.books.mode is not NETTING:
            parts, problem = self._parts_apart(fill, quantity, desk.books)
        worth, late = self._pay_fee(fill, desk)
        said = self._traded(fill, desk, parts, worth)
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
            mark = self.prices.mark(paid.instrument)
            yield position_changed(paid, strategy, paid.instrument, side, position, mark)
        for strategy in dict.fromkeys(strategy for strategy, *_ in holders):
            yield equity_marked(paid, self._desks[strategy], self.prices)

    # -- what a fill does to the books ---------------------------------------------------------------------------------

    def _desk_of(self, strategy: str) -> Desk:
        """Give the desk of a strategy that trades: its books begin, and follow the settings once nothing is held."""
        desk, settings = self._desks.get(strategy), self.settings
        if desk is None:
            capital, currency = settings.capital_of(strategy), settings.currency
            source, target = (Account(kind, strategy, currency) for kind in (AccountKind.CAPITAL, AccountKind.CASH))
            self.ledger.post(move(capital, source=source, target=target))
            self._peaks[currency] = self._peaks.get(currency, ZERO) + capital
            books = self.books[strategy] = StrategyBooks(capital, currency, peak=capital)
            desk = self._desks[strategy] = Desk(strategy, books, self.ledger)
        books, mode = desk.books, settings.mode_of(strategy)
        if (books.mode is not mode or books.cost is not settings.cost) and books.is_flat:
            books.mode, books.cost = mode, settings.cost
        desk.is_as_set = books.mode is mode and books.cost is settings.cost
        return desk

    def _parts_apart(self, fill: OrderFilled, quantity: Decimal, books: StrategyBooks) -> tuple[list[Part], str | None]:
        """Say which positions a fill changes where longs and shorts are kept apart, and what is strange about that."""
        bought = fill.side is BUY
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

    def _pay_fee(self, fill: OrderFilled, desk: Desk) -> tuple[Decimal, str | None]:
        """Let the fee leave cash for good; gives what it is worth, and what to tell if nobody knows yet."""
        fee, books = fill.fee, desk.books
        if not fee:
            return ZERO, None
        currency = fill.fee_currency or fill.currency
        desk.fee_way(currency, fill.instrument).move(fee)
        if currency == books.currency:
            books.fees += fee
            return fee, None
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
            f"{fill.strategy} paid a fee of {fee} {currency} with trade {fill.trade_id} of {fill.client_order_id}, and "
            f"nothing says what a {currency} is worth: it counts from the first quote of {currency}{books.currency} on"
        )

    def _traded(self, fill: OrderFilled, desk: Desk, parts: Sequence[Part], fee: Decimal) -> list[Event]:
        """Book what was traded; gives what that makes of positions, of trades that it ends, and of equity."""
        instrument, price, books = fill.instrument, fill.price, desk.books
        mark = self.prices.mark(instrument)
        said: list[Event] = []
        ended: list[Event] = []
        for side, quantity in parts:
            holding = desk.holding(side, instrument)
            position = holding.position
            before = position.realized_pnl
            trip = position.trade(quantity, price, fee, fill.ts_event, books.cost)
            if position.realized_pnl is not before:
                books.realized_pnl += position.realized_pnl - before
            fee = ZERO
            # Units come from the venue and cash goes there, or the other way round.
            holding.units.move(quantity)
            holding.cash.move(quantity * price)
            said.append(position_changed(fill, desk.strategy, instrument, side, position, mark))
            if trip is not None:
                ended.append(position_closed(fill, trip, stopped=self._reducing.get(fill.client_order_id, False)))
        said += ended
        self._changed = True
        if not fill.leaves:
            self._reducing.pop(fill.client_order_id, None)
        said.append(equity_marked(fill, desk, self.prices, instrument, mark))
        return said

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
        for desk in self._desks.values():
            moves = self._value_late_fees(desk.books) or not desk.books.is_still
            marks.append(equity_marked(tick, desk, self.prices))
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
