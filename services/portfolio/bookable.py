"""What can be booked: amounts that the books hold to the last digit, in the currency that they are kept in."""

from decimal import Decimal

from contracts.orders import OrderFilled
from contracts.types import exponent_of
from contracts.venue import FundingPaid

ZERO = Decimal(0)
LARGEST = Decimal("1e12")
QUANTITY_PLACES = 12
PRICE_PLACES = 18
"""Products have at most 30 places and 24 digits before them: sums stay within the digits that money is exact to."""


def objection_to_fill(fill: OrderFilled, currency: str) -> str | None:
    """Say why a fill cannot be booked; None if it can."""
    quantity, price, fee = fill.quantity, fill.price, fill.fee
    if fill.currency != currency:
        return f"it is in {fill.currency}, the books are in {currency}"
    if quantity <= ZERO or price <= ZERO:
        return f"{quantity} at {price} is no trade"
    # No amount is larger than the sum of all, or has more places: mostly that is enough to know.
    if fee.is_finite():
        extent = quantity + price + abs(fee)
        if extent < LARGEST and exponent_of(extent) >= -QUANTITY_PLACES:
            return None
    if not _fits(quantity, QUANTITY_PLACES):
        return f"a quantity of {quantity} cannot be kept exactly"
    if not _fits(price, PRICE_PLACES):
        return f"a price of {price} cannot be kept exactly"
    return None if _fits(fee, QUANTITY_PLACES) else f"a fee of {fee} cannot be kept exactly"


def objection_to_funding(paid: FundingPaid, currency: str) -> str | None:
    if paid.currency != currency:
        return f"it is in {paid.currency}, the books are in {currency}"
    return None if _fits(paid.amount, PRICE_PLACES) else f"{paid.amount} cannot be kept exactly"


def _fits(amount: Decimal, places: int) -> bool:
    return amount.is_finite() and -LARGEST < amount < LARGEST and exponent_of(amount) >= -places


def divided(amount: Decimal, weights: list[Decimal], unit: Decimal) -> list[Decimal]:
    """Divide `amount` in proportion to `weights`; the shares sum to it exactly. Several do not sum to zero.

    Shares are whole multiples of `unit`, but for that of the heaviest, which takes what rounding leaves.
    """
    if len(weights) == 1:
        return [amount]
    total = sum(weights, start=Decimal(0))
    shares = [(amount * weight / total).quantize(unit) for weight in weights]
    heaviest = max(range(len(weights)), key=lambda at: abs(weights[at]))
    shares[heaviest] += amount - sum(shares, start=Decimal(0))
    return shares
