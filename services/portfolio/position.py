"""One position at average or first-in-first-out cost, exact to the last digit, and the trade that it is."""

from dataclasses import dataclass, field
from decimal import Decimal

from contracts.types import Side
from services.portfolio.settings import CostMethod

ZERO = Decimal(0)
# By names of their own: to find a member in its class costs much more (CPython 3.11).
BUY, SELL, FIFO = Side.BUY, Side.SELL, CostMethod.FIFO
SMALL = Decimal("1e-3")
CENT_OF_COST = Decimal("1e-12")
CENT_OF_SMALL_COST = Decimal("1e-24")
"""Released cost and average prices are rounded to these; what is rounded off one stays in the other."""


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(CENT_OF_COST if abs(amount) >= SMALL else CENT_OF_SMALL_COST)


def average(value: Decimal, quantity: Decimal) -> Decimal:
    """Give the price at which all units were traded, if all were at the same."""
    price = value / quantity
    return price.quantize(CENT_OF_COST) if price >= SMALL else rounded(price)


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
        quantity = self.quantity
        return average(self.cost, quantity) if quantity else None

    def trade(
        self,
        quantity: Decimal,
        price: Decimal,
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
        if not held or (held > ZERO) is (quantity > ZERO):
            self._enter(quantity, price, fee, at, method)
            return None
        rest = held + quantity
        if not rest:
            return self._close(-quantity, price, fee)
        if (rest > ZERO) is (held > ZERO):
            self._leave(-quantity, -quantity * price, self._release(-quantity), fee)
            return None
        of_closing = rounded(fee * -held / quantity)
        ended = self._close(held, price, of_closing)
        self._enter(rest, price, fee - of_closing, at, method)
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
        if method is FIFO:
            self.lots.append(Lot(quantity, price))
        trip = self.trip
        if trip is None:
            trip = self.trip = RoundTrip(BUY if quantity > ZERO else SELL, at)
        trip.entered += abs(quantity)
        trip.entered_value += abs(value)
        trip.fees += fee

    def _close(self, leaving: Decimal, price: Decimal, fee: Decimal) -> RoundTrip:
        """Leave all that is held."""
        trip = self._leave(leaving, leaving * price, self.cost, fee)
        self.trip = None
        if self.lots:
            self.lots.clear()
        return trip

    def _leave(self, leaving: Decimal, value: Decimal, cost: Decimal, fee: Decimal) -> RoundTrip:
        """Leave units that cost `cost` for `value`; all three are negative where they had been sold."""
        trip, gained = self.trip, value - cost
        assert trip is not None, "what is held was entered"
        self.quantity -= leaving
        self.cost -= cost
        self.realized_pnl += gained
        trip.exited_value += abs(value)
        trip.realized_pnl += gained
        trip.fees += fee
        return trip

    def _release(self, leaving: Decimal) -> Decimal:
        """Give what units that are a part of all cost, and forget their lots."""
        if not self.lots:
            return rounded(self.cost * leaving / self.quantity)
        released, left = ZERO, leaving
        while left:
            lot = self.lots[0]
            taken = left if abs(left) < abs(lot.quantity) else lot.quantity
            released += taken * lot.price
            left -= taken
            lot.quantity -= taken
            if lot.quantity == 0:
                del self.lots[0]
        return released
