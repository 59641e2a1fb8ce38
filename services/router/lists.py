"""Order lists: what the fills of one order grant to another, and which others an order takes with it."""

from decimal import ROUND_DOWN, Decimal

from contracts.orders import OrderTerms
from contracts.types import Contingency, OrderType
from services.router.book import Order
from venues.instruments import Listing


def lot_of(terms: OrderTerms, listing: Listing) -> Decimal:
    """Give the unit that quantities come in; of an instrument that is not listed, the last digit of the order's own."""
    instrument = listing.get(terms.instrument)
    if instrument is not None:
        return instrument.lot
    exponent = terms.quantity.as_tuple().exponent
    return Decimal(1).scaleb(min(0, exponent)) if isinstance(exponent, int) else Decimal(1)


def whole_lots(quantity: Decimal, lot: Decimal) -> Decimal:
    return (quantity / lot).to_integral_value(ROUND_DOWN) * lot


def granted(child: Order, parent: Order, lot: Decimal) -> Decimal:
    """Give the share of a child's quantity that its parent's fills stand for.

    A child that only reduces may grow with a parent that was made larger, but never beyond what that has filled; any
    other is never more than it was approved for.
    """
    if parent.filled >= parent.approved == parent.terms.quantity:
        share = child.full
    else:
        share = whole_lots(child.full * parent.filled / parent.approved, lot)
    return min(share, parent.filled if child.terms.reduce_only else child.full)


def goes_when_it_triggers(triggered: OrderTerms, other: OrderTerms) -> bool:
    """Say whether the trigger of one order ends the other.

    What becomes a market order will trade whole. The other then leaves the venue first: on a spot market it may bind
    the very coins that are to be sold.
    """
    link = other.link
    if link is None or triggered.client_order_id not in link.siblings:
        return False
    return link.contingency is Contingency.OCO or triggered.order_type.triggered is OrderType.MARKET
