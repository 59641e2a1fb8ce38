"""The books: positions and equity, per strategy."""

from decimal import Decimal

from contracts.event import Event, event, record
from contracts.types import (
    ClientOrderId,
    Count,
    Instrument,
    Money,
    Name,
    Nanos,
    PositionSide,
    PositiveMoney,
    Rate,
    Side,
    Text,
)


@event("position.changed.{instrument}")
class PositionChanged(Event):
    """A position after a fill.

    `quantity` in base units (negative: short); `average_price`, `realized_pnl`, `fees` and `mark` in quote currency.
    `average_price` is None when flat. `realized_pnl` is before `fees` and `funding`; all count from the beginning.
    `position_side` is NET, unless longs and shorts are kept apart (hedging).
    """

    strategy: Name
    instrument: Instrument
    quantity: Money
    average_price: PositiveMoney | None
    realized_pnl: Money
    fees: Money
    mark: PositiveMoney
    funding: Money = Decimal(0)
    position_side: PositionSide = PositionSide.NET

    def contradiction(self) -> str | None:
        if (self.average_price is None) != (self.quantity == 0):
            return "average_price: present exactly when the position is not flat"
        return None


@event("position.closed.{instrument}")
class PositionClosed(Event):
    """A position from its first fill until it was flat again: one trade, in the words of those who count trades.

    `side` is that of the entry, `quantity` all that was entered, prices are averages. `realized_pnl` is before `fees`
    and `funding` (quote currency). `stopped`: a protective stop closed it.
    """

    strategy: Name
    instrument: Instrument
    side: Side
    quantity: PositiveMoney
    entry_price: PositiveMoney
    exit_price: PositiveMoney
    realized_pnl: Money
    fees: Money
    funding: Money
    opened_at: Nanos
    closed_at: Nanos
    closed_by: ClientOrderId
    stopped: bool

    @property
    def net_pnl(self) -> Decimal:
        return self.realized_pnl - self.fees + self.funding


@record
class MarkedPosition:
    """A position valued at a mark: `value` = `quantity` x `mark`, exactly."""

    instrument: Instrument
    quantity: Money
    mark: PositiveMoney
    value: Money
    unrealized_pnl: Money
    position_side: PositionSide = PositionSide.NET


@record
class MarkedBalance:
    """An amount of a currency other than that of the books, valued at a rate: `value` = `amount` x `rate`, exactly."""

    currency: Name
    amount: Money
    rate: PositiveMoney
    value: Money


@event("equity.{strategy}")
class EquityMarked(Event):
    """A strategy's equity: `cash` + the values of `positions` and `balances`, exactly (`currency`)."""

    strategy: Name
    currency: Name
    cash: Money
    equity: Money
    realized_pnl: Money
    unrealized_pnl: Money
    fees: Money
    peak: Money
    """The highest equity so far: drawdown is measured from it."""
    positions: tuple[MarkedPosition, ...]
    balances: tuple[MarkedBalance, ...] = ()
    funding: Money = Decimal(0)

    def contradiction(self) -> str | None:
        total = self.cash
        total += sum(position.value for position in self.positions) + sum(held.value for held in self.balances)
        return None if total == self.equity else f"equity: {self.equity} is not cash + positions = {total}"


@event("capital.marked")
class PortfolioMarked(Event):
    """All strategies together: `gross` is the sum of absolute values, `net` that of values (`currency`)."""

    currency: Name
    equity: Money
    peak: Money
    gross: Money
    net: Money
    realized_pnl: Money
    unrealized_pnl: Money
    fees: Money
    funding: Money


@event("capital.proposed.{strategy}")
class CapitalProposed(Event):
    """The allocator wants to change a strategy's capital by more than it may without asking."""

    strategy: Name
    capital: Money
    before: Money
    share: Rate
    policy: Name
    reason: Text


@event("capital.allocated.{strategy}")
class CapitalAllocated(Event):
    """From here on a strategy may bind this much capital (quote currency)."""

    strategy: Name
    capital: Money
    before: Money
    policy: Name
    proposal: Count | None
    """The position of the proposal that was approved; None when none was needed."""
    reason: Text
