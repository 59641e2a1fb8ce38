"""What the exchange does not take: orders and amendments against the rules, and what would trade with ourselves."""

from collections.abc import Iterator
from decimal import Decimal

from contracts.market import Quote
from contracts.orders import Amendment, OrderTerms
from contracts.types import OrderType
from venues.instruments import Instrument
from venues.simulated.book import ZERO, Market, Working, accepts, by_priority, opposite

_MARKET = OrderType.MARKET


def against_the_rules(terms: OrderTerms, instrument: Instrument, quote: Quote | None) -> str | None:
    if quote is None:
        return f"{terms.instrument} has no quote yet"
    if terms.order_type is not _MARKET and terms.order_type.is_conditional:
        return f"a {terms.order_type.value} order is not held here: bring it when its price is reached"
    return _off_the_grid(terms.quantity, terms.limit_price, instrument)


def _off_the_grid(quantity: Decimal | None, limit_price: Decimal | None, instrument: Instrument) -> str | None:
    if quantity is not None and not instrument.is_quantity(quantity):
        return f"quantity {quantity} is not a multiple of the lot {instrument.lot}"
    if limit_price is not None and not instrument.is_price(limit_price):
        return f"limit_price {limit_price} is not a multiple of the tick {instrument.tick}"
    return None


def cannot_amend(working: Working, amendment: Amendment, instrument: Instrument) -> str | None:
    """Say why an amendment makes no order that could stand, if it does not."""
    if amendment.trigger_price is not None:
        return "no order waits for a trigger_price here"
    if amendment.limit_price is not None and working.terms.order_type is OrderType.MARKET:
        return "a market order has no limit_price"
    if amendment.quantity is not None and amendment.quantity <= working.filled:
        return f"quantity {amendment.quantity} is not above the {working.filled} that are filled"
    return _off_the_grid(amendment.quantity, amendment.limit_price, instrument)


def reprices(terms: OrderTerms, amendment: Amendment) -> bool:
    """Say whether an amendment costs the order its place in the queue: it keeps it only when it just gets smaller."""
    moved = amendment.limit_price is not None and amendment.limit_price != terms.limit_price
    return moved or (amendment.quantity is not None and amendment.quantity > terms.quantity)


def would_meet(
    terms: OrderTerms, market: Market, instrument: Instrument, quantity: Decimal | None = None
) -> Iterator[Working]:
    """Give the resting orders of ours that an order which comes now would trade with, before or among those of others.

    They have a better price than the best of others, or the same and less before them than `quantity` would take.
    """
    assert market.quote is not None
    best, _ = opposite(instrument, terms.side, market.quote)
    left = terms.quantity if quantity is None else quantity
    for other in by_priority(market.orders.values()):
        limit = other.terms.limit_price
        if limit is None or other.terms.side is terms.side or not accepts(terms, limit):
            continue
        better = terms.side.sign * (best - limit) > 0
        before = ZERO if better else other.ahead
        if better or (limit == best and before is not None and before < left):
            yield other
            left -= other.leaves
            if left <= 0:
                return
