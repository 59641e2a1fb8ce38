"""What the exchange says of an order."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypedDict

from contracts.event import Event, maker
from contracts.orders import Amendment, OrderTerms
from contracts.types import InstrumentId
from contracts.venue import (
    CancelOrder,
    QueryOrder,
    VenueAccepted,
    VenueAmended,
    VenueCanceled,
    VenueExpired,
    VenueFilled,
    VenueRejected,
)
from venues.simulated.book import Ending, Working

_accepted = maker(VenueAccepted)


class Of(TypedDict):
    """What every report says."""

    client_order_id: str
    instrument: InstrumentId
    ts_event: int
    ts_init: int


def of(order: OrderTerms | CancelOrder | QueryOrder | Amendment, now: Event) -> Of:
    return {
        "client_order_id": order.client_order_id,
        "instrument": order.instrument,
        "ts_event": now.ts_init,
        "ts_init": now.ts_init,
    }


def accepted(terms: OrderTerms, now: Event) -> VenueAccepted:
    name, at = terms.client_order_id, now.ts_init
    return _accepted(
        client_order_id=name, instrument=terms.instrument, ts_event=at, ts_init=at, venue_order_id=f"sim-{name}"
    )


def amended(working: Working, now: Event) -> VenueAmended:
    terms = working.terms
    return VenueAmended(**of(terms, now), quantity=terms.quantity, limit_price=terms.limit_price, trigger_price=None)


def ended(order: OrderTerms | QueryOrder, ending: Ending, reason: str, now: Event) -> Event:
    match ending:
        case Ending.REJECTED:
            return VenueRejected(**of(order, now), reason=reason)
        case Ending.EXPIRED:
            return VenueExpired(**of(order, now), reason=reason)
        case Ending.CANCELED | Ending.FILLED:
            return VenueCanceled(**of(order, now), reason=reason)


def again(fills: Iterable[VenueFilled], now: Event) -> Iterator[VenueFilled]:
    """Repeat trades: they happened when they did, but are known again only now."""
    return (replace(fill, ts_init=now.ts_init) for fill in fills)
