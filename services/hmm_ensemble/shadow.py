"""The shadow: what following the signals at closes would have brought, to the last digit."""

from dataclasses import dataclass
from decimal import Decimal

from contracts.types import Side

ZERO = Decimal(0)
BPS = Decimal(10_000)


@dataclass(slots=True)
class Shadow:
    """An account that begins empty: `cash` in quote currency, `quantity` in base units, negative when short."""

    side: Side | None = None
    cash: Decimal = ZERO
    quantity: Decimal = ZERO

    def follow(self, side: Side | None, size: Decimal, price: Decimal, fee_bps: Decimal) -> None:
        """Trade to `size` base units on `side` at `price`, if that is another side than before."""
        if side is self.side:
            return
        wanted = ZERO if side is None else side.sign * size
        traded = wanted - self.quantity
        self.cash -= traded * price + abs(traded) * price * fee_bps / BPS
        self.side, self.quantity = side, wanted

    def pnl(self, price: Decimal) -> Decimal:
        """Give what it would be worth if it were left at `price` without a fee."""
        return self.cash + self.quantity * price
