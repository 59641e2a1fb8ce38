"""One position at average cost, exact to the last digit."""

from dataclasses import dataclass
from decimal import Decimal

ZERO = Decimal(0)
CENT_OF_COST = Decimal("1e-12")
"""Released cost and average prices are rounded to this; what is rounded off one stays in the other."""


@dataclass(slots=True)
class Position:
    """`quantity` in base units, negative when short; `cost` is what the open quantity was bought for (quote currency).

    At any mark: realized_pnl + quantity x mark - cost = everything that the trades have brought, without rounding.
    """

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO

    @property
    def average_price(self) -> Decimal | None:
        return (self.cost / self.quantity).quantize(CENT_OF_COST) if self.quantity else None

    def trade(self, quantity: Decimal, price: Decimal) -> None:
        """Book a trade of `quantity` (negative: sold) at `price`."""
        held = self.quantity
        if held == 0 or (held > 0) is (quantity > 0):
            self.quantity += quantity
            self.cost += quantity * price
            return
        closing = quantity if abs(quantity) <= abs(held) else -held
        released = self.cost if closing == -held else (self.cost * -closing / held).quantize(CENT_OF_COST)
        self.cost -= released
        self.quantity += closing
        self.realized_pnl += -closing * price - released
        if opening := quantity - closing:
            self.quantity += opening
            self.cost += opening * price

    def unrealized_pnl(self, mark: Decimal) -> Decimal:
        return self.quantity * mark - self.cost
