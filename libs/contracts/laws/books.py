"""The books: positions are the sums of their fills, and equity is what is there."""

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from contracts.books import EquityMarked, PortfolioMarked, PositionChanged
from contracts.control import Alert
from contracts.laws.law import Found, Group, Law
from contracts.orders import (
    OrderFilled,
)
from contracts.recorded import Recorded
from contracts.types import InstrumentId, PositionSide
from contracts.venue import (
    FundingPaid,
)

ZERO = Decimal(0)
UNBOOKED = frozenset({"unbookable_fill", "unbookable_funding", "repeated_funding"})
"""What the portfolio alerts with when it sets a fill or a funding aside."""

_SIGNS = {PositionSide.NET: 0, PositionSide.LONG: 1, PositionSide.SHORT: -1}


@dataclass(slots=True)
class _Book:
    """What the fills of a strategy add up to. Its capital is known from the first time that its equity is marked.

    `foreign` is what fees in other currencies add up to, `unpriced` the instruments with such fees: what those are
    worth only the portfolio can say.
    """

    cash: Decimal = ZERO
    funding: Decimal = ZERO
    capital: Decimal | None = None
    quantities: dict[InstrumentId, Decimal] = field(default_factory=dict)
    fees: dict[InstrumentId, Decimal] = field(default_factory=dict)
    foreign: dict[str, Decimal] = field(default_factory=dict)
    unpriced: set[InstrumentId] = field(default_factory=set)
    said: dict[tuple[InstrumentId, PositionSide], PositionChanged] = field(default_factory=dict)

    def add(self, fill: OrderFilled) -> None:
        signed = fill.side.sign * fill.quantity
        self.cash -= signed * fill.price
        self.quantities[fill.instrument] = self.quantities.get(fill.instrument, ZERO) + signed
        if fill.fee_currency in (None, fill.currency):
            self.cash -= fill.fee
            self.fees[fill.instrument] = self.fees.get(fill.instrument, ZERO) + fill.fee
        elif fill.fee:
            self.foreign[fill.fee_currency] = self.foreign.get(fill.fee_currency, ZERO) - fill.fee
            self.unpriced.add(fill.instrument)

    def sides(self, instrument: InstrumentId) -> list[PositionChanged]:
        """Give what was said last of each side of a position."""
        return [said for side in PositionSide if (said := self.said.get((instrument, side))) is not None]


class Books(Group):
    """Fills and fundings in the order of the tape, booked when the portfolio says so: it may be behind."""

    def __init__(self) -> None:
        self._unbooked: deque[tuple[int, OrderFilled | FundingPaid]] = deque()
        self._books: dict[str, _Book] = {}
        self._booked: tuple[int, OrderFilled | FundingPaid | None] = (0, None)
        self._shared = ZERO
        self._touched: dict[tuple[str, InstrumentId], None] = {}
        self.checks = {
            OrderFilled: self._on_paper,
            FundingPaid: self._on_paper,
            PositionChanged: self._on_position,
            EquityMarked: self._on_equity,
            PortfolioMarked: self._on_portfolio,
            Alert: self._on_alert,
        }

    def _on_paper(self, recorded: Recorded, paper: OrderFilled | FundingPaid) -> None:
        self._unbooked.append((recorded.position, paper))

    def _on_position(self, recorded: Recorded, changed: PositionChanged) -> Found:
        cause = recorded.cause or 0
        if cause != self._booked[0]:
            yield from self._settle()
            yield from self._come_to(cause - 1)
            if not self._unbooked or self._unbooked[0][0] != cause:
                yield Law.POSITION, f"a position changes because of {cause}, where nothing waits to be booked"
                return
            self._book()
        book = self._book_of(changed.strategy)
        before = book.said.get((changed.instrument, changed.position_side))
        paid = changed.funding - (ZERO if before is None else before.funding)
        book.said[changed.instrument, changed.position_side] = changed
        self._touched[changed.strategy, changed.instrument] = None
        of = f"{changed.strategy} in {changed.instrument}"
        if isinstance(self._booked[1], FundingPaid):
            book.cash += paid
            book.funding += paid
            self._shared += paid
        elif paid:
            yield Law.POSITION, f"{of} is said to be funded with {paid} by a fill"
        if changed.quantity * _SIGNS[changed.position_side] < 0:
            yield Law.POSITION, f"{of} is said to be {changed.quantity} {changed.position_side.value}"

    def _on_equity(self, recorded: Recorded, marked: EquityMarked) -> Found:
        yield from self._settle()
        yield from self._come_to(recorded.cause or 0)
        book = self._book_of(marked.strategy)
        held: dict[InstrumentId, Decimal] = {}
        for position in marked.positions:
            held[position.instrument] = held.get(position.instrument, ZERO) + position.quantity
        if {name: quantity for name, quantity in held.items() if quantity} != {
            name: quantity for name, quantity in book.quantities.items() if quantity
        }:
            yield Law.EQUITY, f"{marked.strategy} is marked with positions that its fills do not make"
        if any(position.value != position.quantity * position.mark for position in marked.positions):
            yield Law.EQUITY, f"a value of {marked.strategy} is not quantity times mark"
        if any(balance.value != balance.amount * balance.rate for balance in marked.balances):
            yield Law.EQUITY, f"a value of {marked.strategy} is not amount times rate"
        values = [position.value for position in marked.positions] + [balance.value for balance in marked.balances]
        if marked.equity != marked.cash + sum(values):
            yield Law.EQUITY, f"the equity of {marked.strategy} is not its cash, positions and balances"
        yield from self._on_money(marked, book)

    def _on_money(self, marked: EquityMarked, book: _Book) -> Found:
        """Compare what there is of each currency with what fills and fundings moved."""
        name = marked.strategy
        if book.capital is None:
            book.capital = marked.cash - book.cash
        if marked.cash != book.capital + book.cash:
            moved = book.capital + book.cash
            yield Law.EQUITY, f"{name} has {marked.cash} in cash; its fills and fundings leave {moved}"
        if marked.funding != book.funding:
            yield Law.EQUITY, f"{name} says it was funded with {marked.funding}; it was {book.funding}"
        for balance in marked.balances:
            if balance.amount != (paid := book.foreign.get(balance.currency, ZERO)):
                yield Law.EQUITY, f"{name} has {balance.amount} {balance.currency}; its fees leave {paid}"
        earned = marked.realized_pnl + marked.unrealized_pnl - marked.fees + marked.funding
        if marked.equity != book.capital + earned:
            yield Law.EQUITY, f"{name} has {marked.equity}; its capital and what it earned are {book.capital + earned}"

    def _on_portfolio(self, _recorded: Recorded, marked: PortfolioMarked) -> Found:
        if marked.peak < marked.equity:
            yield Law.EQUITY, f"the equity of all is {marked.equity}, above its peak {marked.peak}"
        if abs(marked.net) > marked.gross:
            yield Law.EQUITY, f"all positions are worth {marked.net}, which is beyond their sum {marked.gross}"

    def _on_alert(self, recorded: Recorded, alert: Alert) -> None:
        """Know what the portfolio could not book, and told a person about."""
        if alert.component == "portfolio" and alert.code in UNBOOKED:
            self._unbooked = deque(waiting for waiting in self._unbooked if waiting[0] != recorded.cause)

    def _come_to(self, position: int) -> Found:
        """Book what the portfolio has passed: it should have said so before."""
        while self._unbooked and self._unbooked[0][0] <= position:
            at, paper = self._unbooked[0]
            yield Law.POSITION, f"{_named(paper)}, of {at}, was passed over"
            self._book()
            self._booked = (0, None)
            self._touched.clear()

    def _settle(self) -> Found:
        """Look at the positions that what was booked last has changed, now that all was said of it."""
        at, paper = self._booked
        self._booked = (0, None)
        if isinstance(paper, FundingPaid) and self._shared != paper.amount:
            yield Law.POSITION, f"{_named(paper)}, of {at}, was {paper.amount}; {self._shared} was shared out"
        for strategy, instrument in self._touched:
            yield from self._look_at_position(strategy, instrument)
        self._touched.clear()

    def _look_at_position(self, strategy: str, instrument: InstrumentId) -> Found:
        book = self._book_of(strategy)
        sides = book.sides(instrument)
        said = sum((changed.quantity for changed in sides), ZERO), sum((changed.fees for changed in sides), ZERO)
        quantity, fees = book.quantities.get(instrument, ZERO), book.fees.get(instrument, ZERO)
        if said[0] != quantity or (said[1] != fees and instrument not in book.unpriced):
            of, told = f"{strategy} in {instrument}", f"{said[0]}, with fees of {said[1]}"
            yield Law.POSITION, f"{of} is said to be {told}; the fills make {quantity}, {fees}"

    def _book(self) -> None:
        self._booked = self._unbooked.popleft()
        self._shared = ZERO
        paper = self._booked[1]
        if isinstance(paper, OrderFilled):
            self._book_of(paper.strategy).add(paper)
            self._touched[paper.strategy, paper.instrument] = None

    def _book_of(self, strategy: str) -> _Book:
        return self._books.setdefault(strategy, _Book())

    def missing(self) -> Found:
        yield from self._settle()
        for at, paper in self._unbooked:
            yield Law.POSITION, f"{_named(paper)}, of {at}, was never booked"


def _named(paper: OrderFilled | FundingPaid) -> str:
    return f"trade {paper.trade_id}" if isinstance(paper, OrderFilled) else f"funding {paper.funding_id}"
