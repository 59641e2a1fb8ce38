"""What the router asks of a venue, and what the venue reports."""

from contracts.event import Event, event, record
from contracts.orders import OrderTerms
from contracts.types import ClientOrderId, Instrument, Liquidity, Money, Name, PositiveMoney, Side, Text


@event("venue.command.submit.{order.instrument}")
class SubmitOrder(Event):
    """Bring this order to the venue; repeating it must not repeat the order."""

    order: OrderTerms

    def contradiction(self) -> str | None:
        return self.order.contradiction()


@event("venue.command.cancel.{instrument}")
class CancelOrder(Event):
    """Take the rest of this order from the venue."""

    client_order_id: ClientOrderId
    instrument: Instrument


@record
class VenueReport(Event):
    """What the venue says of the order `client_order_id`."""

    client_order_id: ClientOrderId
    instrument: Instrument


@event("venue.report.accepted.{instrument}")
class VenueAccepted(VenueReport):
    """The venue holds the order."""

    venue_order_id: Text


@event("venue.report.rejected.{instrument}")
class VenueRejected(VenueReport):
    """The venue refused the order."""

    reason: Text


@event("venue.report.filled.{instrument}")
class VenueFilled(VenueReport):
    """A trade of ours at the venue: `price` and `fee` in `currency`, `quantity` in base units."""

    trade_id: Text
    side: Side
    price: PositiveMoney
    quantity: PositiveMoney
    fee: Money
    currency: Name
    liquidity: Liquidity


@event("venue.report.canceled.{instrument}")
class VenueCanceled(VenueReport):
    """The venue took away what was left of the order."""

    reason: Text


@event("venue.report.expired.{instrument}")
class VenueExpired(VenueReport):
    """The order's time in force ended what was left of it."""

    reason: Text


@event("venue.report.cancel_rejected.{instrument}")
class VenueCancelRejected(VenueReport):
    """The venue refused to cancel."""

    reason: Text
