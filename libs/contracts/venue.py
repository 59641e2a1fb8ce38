"""What the router asks of a venue, and what the venue reports."""

from contracts.event import Event, event, record
from contracts.orders import Amendment, OrderTerms
from contracts.types import (
    Bps,
    CircuitState,
    ClientOrderId,
    Count,
    Instrument,
    InstrumentState,
    Json,
    Liquidity,
    Money,
    Name,
    PositiveMoney,
    Rate,
    ReconciliationKind,
    Side,
    Size,
    Text,
)


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


@event("venue.command.amend.{amendment.instrument}")
class AmendOrder(Event):
    """Change this order."""

    amendment: Amendment

    def contradiction(self) -> str | None:
        return self.amendment.contradiction()


@event("venue.command.query.{instrument}")
class QueryOrder(Event):
    """Say what has become of this order: nothing was heard of it for too long."""

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
    """A trade of ours at the venue: `price` in `currency`, `quantity` in base units.

    `fee` is in `fee_currency`; None: in `currency` too.
    """

    trade_id: Text
    side: Side
    price: PositiveMoney
    quantity: PositiveMoney
    fee: Money
    currency: Name
    liquidity: Liquidity
    fee_currency: Name | None = None


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


@event("venue.report.triggered.{instrument}")
class VenueTriggered(VenueReport):
    """The condition of an order that the venue holds was met."""

    price: PositiveMoney


@event("venue.report.amended.{instrument}")
class VenueAmended(VenueReport):
    """The venue changed the order; `quantity` includes what is filled."""

    quantity: PositiveMoney
    limit_price: PositiveMoney | None
    trigger_price: PositiveMoney | None


@event("venue.report.amend_rejected.{instrument}")
class VenueAmendRejected(VenueReport):
    """The venue refused to change the order."""

    reason: Text


@event("venue.report.foreign.{instrument}")
class VenueForeignOrder(Event):
    """An order at the venue that nobody here sent: by hand, by another program, or by the venue (a liquidation).

    An `adopted` one is taken into the books of `strategy`, and its fills follow as those of `client_order_id`.
    """

    client_order_id: ClientOrderId
    instrument: Instrument
    strategy: Name
    side: Side
    quantity: PositiveMoney
    limit_price: PositiveMoney | None
    venue_order_id: Text
    adopted: bool
    reason: Text


@event("venue.account.balance.{venue}.{currency}")
class VenueBalance(Event):
    """What the venue says we have of a currency; `free` is not bound by orders or margin."""

    venue: Name
    currency: Name
    total: Money
    free: Money


@event("venue.account.position.{instrument}")
class VenuePosition(Event):
    """What the venue says we hold of a derivative; negative: short. Prices are None when flat."""

    instrument: Instrument
    quantity: Money
    entry_price: PositiveMoney | None
    liquidation_price: PositiveMoney | None
    margin: Money


@event("venue.account.funding.{instrument}")
class FundingPaid(Event):
    """Funding for a position: `amount` in `currency`, negative when we paid it.

    `strategy` is None where the venue knows only the account: the portfolio divides it by what each strategy holds.
    """

    instrument: Instrument
    strategy: Name | None
    amount: Money
    currency: Name
    rate: Rate
    quantity: Money
    funding_id: Text


@event("venue.reconciled.{venue}")
class Reconciled(Event):
    """What was found when our orders and books were compared with the venue's, with the evidence of both sides."""

    venue: Name
    kind: ReconciliationKind
    subject: Text
    """The order, instrument or currency it is about."""
    corrected: bool
    """Whether reports follow that make it right; otherwise a person has to look."""
    evidence: Json


@event("venue.status.{instrument}")
class InstrumentStatus(Event):
    """Whether the venue lets an instrument be traded."""

    instrument: Instrument
    state: InstrumentState
    reason: Text


@event("guard.venue.{venue}")
class VenueHealth(Event):
    """How a venue answers to minimal probes: `round_trip_ms` until the answer, `rejects` among the last ones."""

    venue: Name
    state: CircuitState
    round_trip_ms: Size
    rejects: Count
    slippage_bps: Bps | None
    reason: Text
