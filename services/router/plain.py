"""Plain orders: a venue takes them as they are, and the router has nothing to wait for before it brings them."""

from contracts.orders import OrderTerms
from contracts.types import OrderType, TimeInForce

_AT_ONCE = frozenset(kind for kind in OrderType if not kind.is_conditional)
_AT_A_VENUE = frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK})


def is_plain(terms: OrderTerms) -> bool:
    """Say whether an order has neither condition, list, slices nor a time that the router ends."""
    return (
        terms.order_type in _AT_ONCE
        and terms.time_in_force in _AT_A_VENUE
        and terms.link is None
        and terms.twap is None
        and terms.display_quantity is None
        and terms.expires_at is None
        and terms.trigger_price is None
        and terms.trigger_by is None
        and terms.trail is None
    )
