"""An order from the wish of a strategy to its last fill.

`OrderIntent` has not been seen by risk, `RiskApproved` has: they are different types, so that the router cannot take
the one for the other.
"""

from contracts.event import Event, event, record
from contracts.types import (
    ClientOrderId,
    Instrument,
    Liquidity,
    Money,
    Name,
    OrderType,
    PositiveMoney,
    Price,
    Rail,
    Side,
    Text,
    TimeInForce,
)


@record
class OrderTerms:
    """What is to be traded. `quantity` in base units, `limit_price` in quote currency and only for limit orders."""

    client_order_id: ClientOrderId
    strategy: Name
    instrument: Instrument
    side: Side
    quantity: PositiveMoney
    order_type: OrderType
    limit_price: PositiveMoney | None
    time_in_force: TimeInForce
    reduce_only: bool

    def contradiction(self) -> str | None:
        if self.order_type is OrderType.LIMIT and self.limit_price is None:
            return "order.limit_price: a limit order needs one"
        if self.order_type is OrderType.MARKET and self.limit_price is not None:
            return "order.limit_price: a market order has none"
        return None


@record
class ExitPlan:
    """Where the position is to be left again, declared with the entry (quote currency)."""

    stop: Price
    target: Price | None


@event("intent.{order.strategy}.{order.instrument}")
class OrderIntent(Event):
    """A strategy wants to trade. `reference_price` is the price it decided on."""

    order: OrderTerms
    reference_price: Price
    exit: ExitPlan | None
    reason: Text

    def contradiction(self) -> str | None:
        return self.order.contradiction()


@record
class Denial:
    """One failed check: which rail, and the observed value against its limit."""

    rail: Rail
    detail: Text


@event("risk.approved.{order.instrument}")
class RiskApproved(Event):
    """Risk lets this order through; `mark` is the price it was judged on."""

    order: OrderTerms
    mark: Price

    def contradiction(self) -> str | None:
        return self.order.contradiction()


@event("risk.rejected.{order.instrument}")
class RiskRejected(Event):
    """Risk refuses this order, for all of these reasons."""

    order: OrderTerms
    reasons: tuple[Denial, ...]

    def contradiction(self) -> str | None:
        return self.order.contradiction() or (None if self.reasons else "reasons: a rejection needs at least one")


@event("order.initialized.{order.instrument}")
class OrderInitialized(Event):
    """The router took an approved order into its books."""

    order: OrderTerms

    def contradiction(self) -> str | None:
        return self.order.contradiction()


@record
class OrderEvent(Event):
    """A step in the life of the order `client_order_id`."""

    client_order_id: ClientOrderId
    strategy: Name
    instrument: Instrument


@event("order.denied.{instrument}")
class OrderDenied(OrderEvent):
    """The router refused the order before any venue heard of it."""

    reason: Text


@event("order.submitted.{instrument}")
class OrderSubmitted(OrderEvent):
    """The order is on its way to the venue."""


@event("order.accepted.{instrument}")
class OrderAccepted(OrderEvent):
    """The venue holds the order."""

    venue_order_id: Text


@event("order.rejected.{instrument}")
class OrderRejected(OrderEvent):
    """The venue refused the order."""

    reason: Text


@event("order.pending_cancel.{instrument}")
class OrderPendingCancel(OrderEvent):
    """The venue was asked to cancel."""


@event("order.cancel_rejected.{instrument}")
class OrderCancelRejected(OrderEvent):
    """The venue refused to cancel; the order is what it was before."""

    reason: Text


@event("order.filled.{instrument}")
class OrderFilled(OrderEvent):
    """A part or the whole of the order was traded.

    `price` and `fee` in `currency`; `cumulative` and `leaves` are the quantities filled and left after this fill.
    """

    trade_id: Text
    side: Side
    price: PositiveMoney
    quantity: PositiveMoney
    cumulative: PositiveMoney
    leaves: Money
    fee: Money
    currency: Name
    liquidity: Liquidity


@event("order.canceled.{instrument}")
class OrderCanceled(OrderEvent):
    """What was left of the order is gone."""

    reason: Text


@event("order.expired.{instrument}")
class OrderExpired(OrderEvent):
    """The order's time in force ended what was left of it."""

    reason: Text
