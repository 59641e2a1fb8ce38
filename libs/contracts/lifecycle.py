"""The life of an order: one transition table, for the router that writes it and for every projection that reads it."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.event import Event
from contracts.orders import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderPendingCancel,
    OrderRejected,
    OrderSubmitted,
)
from contracts.types import OrderStatus

S = OrderStatus

_ENDS: Mapping[type[Event], OrderStatus] = {OrderCanceled: S.CANCELED, OrderExpired: S.EXPIRED}

TRANSITIONS: Mapping[OrderStatus, Mapping[type[Event], OrderStatus]] = {
    S.INITIALIZED: {OrderDenied: S.DENIED, OrderSubmitted: S.SUBMITTED},
    S.SUBMITTED: {
        OrderAccepted: S.ACCEPTED,
        OrderRejected: S.REJECTED,
        OrderPendingCancel: S.PENDING_CANCEL,
        OrderFilled: S.PARTIALLY_FILLED,
        **_ENDS,
    },
    S.ACCEPTED: {OrderPendingCancel: S.PENDING_CANCEL, OrderFilled: S.PARTIALLY_FILLED, **_ENDS},
    S.PARTIALLY_FILLED: {
        OrderAccepted: S.PARTIALLY_FILLED,
        OrderPendingCancel: S.PENDING_CANCEL,
        OrderFilled: S.PARTIALLY_FILLED,
        **_ENDS,
    },
    S.PENDING_CANCEL: {
        OrderAccepted: S.PENDING_CANCEL,
        OrderRejected: S.REJECTED,
        OrderCancelRejected: S.PENDING_CANCEL,
        OrderFilled: S.PENDING_CANCEL,
        **_ENDS,
    },
    S.CANCELED: {OrderFilled: S.CANCELED},
    S.EXPIRED: {OrderFilled: S.EXPIRED},
    S.DENIED: {},
    S.REJECTED: {},
    S.FILLED: {},
}
"""Where an order event leads from each status.

Two rules need more than the table: a fill that leaves nothing ends in FILLED, and a refused cancel leads back to the
status before it was asked for. A fill may arrive after a cancel or an expiry: it happened, so it is legal and booked.
"""

CLOSED = frozenset({S.DENIED, S.REJECTED, S.FILLED, S.CANCELED, S.EXPIRED})


@dataclass(frozen=True, slots=True)
class Life:
    """Where an order stands; `before_cancel` is what a refused cancel leads back to."""

    status: OrderStatus = OrderStatus.INITIALIZED
    before_cancel: OrderStatus = OrderStatus.INITIALIZED

    @property
    def closed(self) -> bool:
        return self.status in CLOSED

    def after(self, event: Event) -> "Life | None":
        """Take a step; None if this event cannot happen to an order that stands here."""
        status = TRANSITIONS[self.status].get(type(event))
        before = self.before_cancel
        if status is None:
            return None
        if isinstance(event, OrderPendingCancel):
            before = self.status
        elif isinstance(event, OrderCancelRejected):
            status = self.before_cancel
        elif isinstance(event, OrderAccepted) and before is S.SUBMITTED:
            before = S.ACCEPTED
        elif isinstance(event, OrderFilled):
            before = S.PARTIALLY_FILLED
            if event.leaves == 0:
                status = S.FILLED
        return Life(status, before)
