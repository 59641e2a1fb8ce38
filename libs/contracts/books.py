"""The books: positions and equity, per strategy."""

from contracts.event import Event, event, record
from contracts.types import Instrument, Money, Name, PositiveMoney


@event("position.changed.{instrument}")
class PositionChanged(Event):
    """A position after a fill.

    `quantity` in base units (negative: short); `average_price`, `realized_pnl`, `fees` and `mark` in quote currency.
    `average_price` is None when flat. `realized_pnl` is before `fees`; both count from the beginning.
    """

    strategy: Name
    instrument: Instrument
    quantity: Money
    average_price: PositiveMoney | None
    realized_pnl: Money
    fees: Money
    mark: PositiveMoney

    def contradiction(self) -> str | None:
        if (self.average_price is None) != (self.quantity == 0):
            return "average_price: present exactly when the position is not flat"
        return None


@record
class MarkedPosition:
    """A position valued at a mark: `value` = `quantity` x `mark`, exactly."""

    instrument: Instrument
    quantity: Money
    mark: PositiveMoney
    value: Money
    unrealized_pnl: Money


@event("equity.{strategy}")
class EquityMarked(Event):
    """A strategy's equity: `cash` + the values of `positions`, exactly (`currency`)."""

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

    def contradiction(self) -> str | None:
        total = self.cash + sum(position.value for position in self.positions)
        return None if total == self.equity else f"equity: {self.equity} is not cash + positions = {total}"
