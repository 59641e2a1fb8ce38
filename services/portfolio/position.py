"""One position at average or first-in-first-out cost, exact to the last digit, and the trade that it is."""

from dataclasses import dataclass, field
from decimal import Decimal

from contracts.types import Side
from services.portfolio.settings import CostMethod

ZERO = Decimal(0)
SMALL = Decimal("1e-3")
CENT_OF_COST = Decimal("1e-12")
CENT_OF_SMALL_COST = Decimal("1e-24")
"""Released cost and average prices are rounded to these; what is rounded off one stays in the other."""


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(CENT_OF_COST if abs(amount) >= SMALL else CENT_OF_SMALL_COST)


@dataclass(slots=True)
class Lot:
    """Units that were traded together, negative when sold, and not closed yet."""

    quantity: Decimal
    price: Decimal


@dataclass(slots=True)
class RoundTrip:
    """A position from its first fill until it is flat again; values are quantity x price."""

    side: Side
    opened_at: int
    entered: Decimal = ZERO
    entered_value: Decimal = ZERO
    exited_value: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO

    @property
    def entry_price(self) -> Decimal:
        return rounded(self.entered_value / self.entered)

    @property
    def exit_price(self) -> Decimal:
        """Give the average; once it has ended, as much was left as was entered."""
        return rounded(self.exited_value / self.entered)


@dataclass(slots=True)
class Position:
    """`quantity` in base units, negative when short; `cost` is what the open quantity was bought for (quote currency).

    At any mark: realized_pnl + quantity x mark - cost = everything that the trades have brought, without rounding.
    `lots` are kept where the first ones are closed first.
    """

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    last_price: Decimal | None = None
    lots: list[Lot] = field(default_factory=list)
    trip: RoundTrip | None = None

    @property
    def average_price(self) -> Decimal | None:
        return rounded(self.cost / self.quantity) if self.quantity else None

    def trade(
        self,
        quantity: Decimal,
        price: Decimal,
        *,
        fee: Decimal = ZERO,
        at: int = 0,
        method: CostMethod = CostMethod.AVERAGE,
    ) -> RoundTrip | None:
        """Book a trade of `quantity` (negative: sold) at `price`; gives the round trip that ends with it.

        A trade that turns long into short ends one and begins the next; each bears its part of the fee.
        """
        held = self.quantity
        self.last_price = price
        self.fees += fee
        if held == 0 or (held > 0) is (quantity > 0):
            self._enter(quantity, price, fee, at, method)
            return None
        if abs(quantity) <= abs(held):
            return self._leave(quantity, price, fee)
        of_closing = rounded(fee * -held / quantity)
        ended = self._leave(-held, price, of_closing)
        self._enter(quantity + held, price, fee - of_closing, at, method)
        return ended

    def fund(self, amount: Decimal) -> None:
        """Book funding, negative when paid."""
        self.funding += amount
        if self.trip is not None:
            self.trip.funding += amount

    def unrealized_pnl(self, mark: Decimal) -> Decimal:
        return self.quantity * mark - self.cost

    def _enter(self, quantity: Decimal, price: Decimal, fee: Decimal, at: int, method: CostMethod) -> None:
        value = quantity * price
        self.quantity += quantity
        self.cost += value
        if method is CostMethod.FIFO:
            self.lots.append(Lot(quantity, price))
        if self.trip is None:
            self.trip = RoundTrip(Side.BUY if quantity > 0 else Side.SELL, at)
        self.trip.entered += abs(quantity)
        self.trip.entered_value += abs(value)
        self.trip.fees += fee

    def _leave(self, closing: Decimal, price: Decimal, fee: Decimal) -> RoundTrip | None:
        trip = self.trip
        assert trip is not None, "what is held was entered"
        released = self._release(closing)
        gained = -closing * price - released
        self.cost -= released
        self.quantity += closing
        self.realized_pnl += gained
        trip.exited_value += abs(closing) * price
        trip.realized_pnl += gained
        trip.fees += fee
        if self.quantity:
            return None
        self.trip = None
        return trip

    def _release(self, closing: Decimal) -> Decimal:
        """Give what the units that are closed were bought for, and forget their lots."""
        if closing == -self.quantity:
            self.lots.clear()
            return self.cost
        if not self.lots:
            return rounded(self.cost * -closing / self.quantity)
        released, left = ZERO, -closing
        while left:
            lot = self.lots[0]
            taken = left if abs(left) < abs(lot.quantity) else lot.quantity
            released += taken * lot.price
            left -= taken
            lot.quantity -= taken
            if lot.quantity == 0:
                del self.lots[0]
        return released
