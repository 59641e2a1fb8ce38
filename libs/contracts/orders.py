"""An order from the wish of a strategy to its last fill.

`OrderIntent` has not been seen by risk, `RiskApproved` has: they are different types, so that the router cannot take
the one for the other.
"""

from collections.abc import Sequence
from dataclasses import replace

from contracts.event import Event, event, record
from contracts.types import (
    Bps,
    ClientOrderId,
    Contingency,
    Count,
    Instrument,
    Liquidity,
    Money,
    Name,
    Nanos,
    OrderType,
    PositiveMoney,
    Price,
    Rail,
    Side,
    Text,
    TimeInForce,
    TrailKind,
    TriggerBy,
)


@record
class Trail:
    """How far a trailing stop stays behind the best price: in quote currency, or in percent of that price."""

    offset: PositiveMoney
    kind: TrailKind


@record
class Twap:
    """Trade in `slices` equal parts, evenly over `duration_ns`: the time-weighted average price."""

    slices: Count
    duration_ns: Nanos


@record
class OrderLink:
    """The place of an order in a list: with a `parent` it waits until that one has traded (OTO).

    `contingency` says what becomes of it when one of its `siblings` trades.
    """

    list_id: ClientOrderId
    parent: ClientOrderId | None
    siblings: tuple[ClientOrderId, ...]
    contingency: Contingency | None


@record
class OrderTerms:
    """What is to be traded.

    `quantity` in base units, prices in quote currency. `trigger_price` is where a conditional order begins to trade;
    for a trailing stop it is where it stands at first, and None lets the router compute it. `display_quantity` is what
    an iceberg shows. `expires_at` belongs to GTD. `slice_of` names the order that this one is a part of.
    """

    client_order_id: ClientOrderId
    strategy: Name
    instrument: Instrument
    side: Side
    quantity: PositiveMoney
    order_type: OrderType
    limit_price: PositiveMoney | None
    time_in_force: TimeInForce
    reduce_only: bool
    trigger_price: PositiveMoney | None = None
    trigger_by: TriggerBy | None = None
    trail: Trail | None = None
    expires_at: Nanos | None = None
    post_only: bool = False
    display_quantity: PositiveMoney | None = None
    twap: Twap | None = None
    link: OrderLink | None = None
    slice_of: ClientOrderId | None = None

    @property
    def is_protective(self) -> bool:
        """Whether it ends the loss of a position."""
        return self.reduce_only and self.order_type.is_stop

    @property
    def at_venue(self) -> "OrderTerms":
        """The same order without what the router does for it: as it goes to a venue."""
        if self.is_bare and self.time_in_force is not TimeInForce.DAY:
            return self
        plain = self.time_in_force in (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)
        kept = (self.trigger_by, self.trail, self.expires_at, self.display_quantity, self.twap, self.link)
        if plain and not self.order_type.is_conditional and kept == (None,) * len(kept):
            return self
        return replace(
            self,
            order_type=self.order_type.triggered if self.order_type.is_conditional else self.order_type,
            time_in_force=self.time_in_force if plain else TimeInForce.GTC,
            trigger_price=None,
            trigger_by=None,
            trail=None,
            expires_at=None,
            display_quantity=None,
            twap=None,
            link=None,
        )

    @property
    def is_bare(self) -> bool:
        """Whether it is to trade at once, with no terms that could contradict each other."""
        return (
            self.order_type is OrderType.MARKET
            and self.time_in_force is not TimeInForce.GTD
            and not self.post_only
            and self.limit_price is None
            and self.trigger_price is None
            and self.trigger_by is None
            and self.trail is None
            and self.expires_at is None
            and self.display_quantity is None
            and self.twap is None
            and self.link is None
        )

    def contradiction(self) -> str | None:
        if self.is_bare:
            return None
        return next((f"order.{problem}" for problem in _problems(self) if problem), None)


def _problems(order: OrderTerms) -> Sequence[str | None]:
    """Say what does not go together; None for each rule that holds."""
    kind = f"a {order.order_type.value} order"
    trails = order.order_type is OrderType.TRAILING_STOP
    return (
        _belongs("limit_price", order.limit_price, order.order_type.has_limit, kind),
        None if trails else _belongs("trigger_price", order.trigger_price, order.order_type.is_conditional, kind),
        _belongs("trigger_by", order.trigger_by, order.order_type.is_conditional, kind),
        _belongs("trail", order.trail, trails, kind),
        _belongs("expires_at", order.expires_at, order.time_in_force is TimeInForce.GTD, "an order that is good till"),
        _immediate(order, "post_only") if order.post_only else None,
        _immediate(order, "display_quantity") if order.display_quantity is not None else None,
        "display_quantity: more than the quantity" if (order.display_quantity or 0) > order.quantity else None,
        "twap: only market and limit orders are sliced" if order.twap and order.order_type.is_conditional else None,
        "twap.slices: at least 2" if order.twap and order.twap.slices < 2 else None,
        _strange_link(order),
    )


def _belongs(field: str, value: object, wanted: bool, kind: str) -> str | None:  # noqa: FBT001
    if wanted is (value is not None):
        return None
    return f"{field}: {kind} needs one" if wanted else f"{field}: {kind} has none"


def _immediate(order: OrderTerms, field: str) -> str | None:
    """Say why an order cannot rest in the book, if it cannot."""
    if order.order_type.has_limit and order.time_in_force not in (TimeInForce.IOC, TimeInForce.FOK):
        return None
    return f"{field}: only a limit order that may rest in the book has that"


def _strange_link(order: OrderTerms) -> str | None:
    link, own = order.link, order.client_order_id
    if link is None:
        return None
    if own == link.parent or own in link.siblings or link.parent in link.siblings:
        return "link: an order is neither its own parent nor its own sibling"
    if (link.contingency is None) is bool(link.siblings):
        return "link.contingency: present exactly when there are siblings"
    return None


def contradiction_of_list(order: OrderTerms, attached: Sequence[OrderTerms]) -> str | None:
    """Say what is wrong with orders that are to be judged and taken together."""
    if problem := next(filter(None, (one.contradiction() for one in (order, *attached))), None):
        return problem
    listed = [order, *attached]
    ids = {one.client_order_id for one in listed}
    if len(ids) < len(listed):
        return "attached: the orders of a list have ids of their own"
    if len({(one.strategy, one.instrument) for one in listed}) > 1:
        return "attached: the orders of a list are of one strategy and one instrument"
    if attached and any(one.link is None for one in listed):
        return "attached: the orders of a list are linked"
    named = {name for one in listed if one.link for name in (one.link.parent, *one.link.siblings)} - {None}
    return None if named <= ids else "attached: a link names an order that is not in the list"


@record
class ExitPlan:
    """Where the position is to be left again, declared with the entry (quote currency)."""

    stop: Price
    target: Price | None


@event("intent.{order.strategy}.{order.instrument}")
class OrderIntent(Event):
    """A strategy wants to trade. `reference_price` is the price it decided on; `attached` are more orders of a list."""

    order: OrderTerms
    reference_price: Price
    exit: ExitPlan | None
    reason: Text
    attached: tuple[OrderTerms, ...] = ()

    def contradiction(self) -> str | None:
        return contradiction_of_list(self.order, self.attached)


@event("intent.protect.{by}.{order.instrument}")
class ProtectiveIntent(Event):
    """Whoever watches over positions wants to reduce one, of the strategy that the order names."""

    by: Name
    order: OrderTerms
    reference_price: Price
    reason: Text

    def contradiction(self) -> str | None:
        return self.order.contradiction() or (None if self.order.reduce_only else "order.reduce_only: must be true")


@event("intent.cancel.{by}.{instrument}")
class CancelIntent(Event):
    """Somebody wants what is left of an order to be taken back."""

    by: Name
    instrument: Instrument
    client_order_id: ClientOrderId
    reason: Text


@record
class Amendment:
    """New terms of the order `client_order_id`; None leaves a term as it is."""

    client_order_id: ClientOrderId
    instrument: Instrument
    quantity: PositiveMoney | None
    limit_price: PositiveMoney | None
    trigger_price: PositiveMoney | None

    def contradiction(self) -> str | None:
        empty = self.quantity is None and self.limit_price is None and self.trigger_price is None
        return "amendment: changes nothing" if empty else None


@event("intent.amend.{by}.{amendment.instrument}")
class AmendIntent(Event):
    """Somebody wants an order to go on under other terms."""

    by: Name
    amendment: Amendment
    reason: Text

    def contradiction(self) -> str | None:
        return self.amendment.contradiction()


@record
class Denial:
    """One failed check: which rail, and the observed value against its limit."""

    rail: Rail
    detail: Text


@event("risk.approved.{order.instrument}")
class RiskApproved(Event):
    """Risk lets this order through, with those of its list; `mark` is the price it was judged on.

    `resized` says why the quantity is less than was wished for.
    """

    order: OrderTerms
    mark: Price
    attached: tuple[OrderTerms, ...] = ()
    resized: tuple[Denial, ...] = ()

    def contradiction(self) -> str | None:
        return contradiction_of_list(self.order, self.attached)


@event("risk.rejected.{order.instrument}")
class RiskRejected(Event):
    """Risk refuses this order, for all of these reasons."""

    order: OrderTerms
    reasons: tuple[Denial, ...]

    def contradiction(self) -> str | None:
        return self.order.contradiction() or (None if self.reasons else "reasons: a rejection needs at least one")


@event("risk.amend_approved.{amendment.instrument}")
class AmendApproved(Event):
    """Risk lets an order go on under other terms."""

    amendment: Amendment

    def contradiction(self) -> str | None:
        return self.amendment.contradiction()


@event("risk.amend_rejected.{amendment.instrument}")
class AmendRejected(Event):
    """Risk refuses new terms, for all of these reasons; the order stays as it is."""

    amendment: Amendment
    reasons: tuple[Denial, ...]

    def contradiction(self) -> str | None:
        return self.amendment.contradiction() or (None if self.reasons else "reasons: a rejection needs at least one")


@event("risk.locked.{rail}")
class RiskLocked(Event):
    """A rail lets nothing but exits pass until `until`: of one strategy or instrument, or (None) of all."""

    rail: Rail
    strategy: Name | None
    instrument: Instrument | None
    until: Nanos
    reason: Text


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


@event("order.held.{instrument}")
class OrderHeld(OrderEvent):
    """The router keeps the order to itself until a price is reached, or until another order of its list has traded."""

    reason: Text


@event("order.triggered.{instrument}")
class OrderTriggered(OrderEvent):
    """The price that a conditional order waited for was reached."""

    price: PositiveMoney


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


@event("order.pending_update.{instrument}")
class OrderPendingUpdate(OrderEvent):
    """The venue was asked to change the order."""


@event("order.updated.{instrument}")
class OrderUpdated(OrderEvent):
    """The order goes on under these terms; `quantity` includes what is filled."""

    quantity: PositiveMoney
    limit_price: PositiveMoney | None
    trigger_price: PositiveMoney | None
    leaves: PositiveMoney


@event("order.update_rejected.{instrument}")
class OrderUpdateRejected(OrderEvent):
    """The order could not be changed; it is what it was before."""

    reason: Text


@event("order.filled.{instrument}")
class OrderFilled(OrderEvent):
    """A part or the whole of the order was traded.

    `price` in `currency`, `fee` in `fee_currency` (None: in `currency` too); `cumulative` and `leaves` are the
    quantities filled and left after this fill. `slippage_bps` is how much worse the price is than the middle of the
    market when risk judged the order; negative: better.
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
    fee_currency: Name | None = None
    slippage_bps: Bps | None = None


@event("order.canceled.{instrument}")
class OrderCanceled(OrderEvent):
    """What was left of the order is gone."""

    reason: Text


@event("order.expired.{instrument}")
class OrderExpired(OrderEvent):
    """The order's time in force ended what was left of it."""

    reason: Text


@event("order.override.{instrument}")
class ExecutionOverride(Event):
    """How an instrument is traded after it went badly: orders at `size_factor` of their size, none until `muted_until`.

    A factor of 1 and no time: as usual again.
    """

    instrument: Instrument
    size_factor: Price
    muted_until: Nanos | None
    reason: Text
