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
    OrderHeld,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderRejected,
    OrderSubmitted,
    OrderTriggered,
    OrderUpdated,
    OrderUpdateRejected,
)
from contracts.types import OrderStatus

S = OrderStatus

_ENDS: Mapping[type[Event], OrderStatus] = {OrderCanceled: S.CANCELED, OrderExpired: S.EXPIRED}
_REQUESTS: Mapping[type[Event], OrderStatus] = {
    OrderPendingCancel: S.PENDING_CANCEL,
    OrderPendingUpdate: S.PENDING_UPDATE,
}

TRANSITIONS: Mapping[OrderStatus, Mapping[type[Event], OrderStatus]] = {
    S.INITIALIZED: {
        OrderDenied: S.DENIED,
        OrderHeld: S.HELD,
        OrderSubmitted: S.SUBMITTED,
    },
    S.HELD: {
        OrderDenied: S.DENIED,
        OrderSubmitted: S.SUBMITTED,
        OrderTriggered: S.TRIGGERED,
        OrderUpdated: S.HELD,
        OrderUpdateRejected: S.HELD,
        **_ENDS,
    },
    S.SUBMITTED: {
        OrderAccepted: S.ACCEPTED,
        OrderRejected: S.REJECTED,
        OrderTriggered: S.TRIGGERED,
        OrderUpdated: S.SUBMITTED,
        OrderUpdateRejected: S.SUBMITTED,
        OrderFilled: S.PARTIALLY_FILLED,
        **_REQUESTS,
        **_ENDS,
    },
    S.ACCEPTED: {
        OrderRejected: S.REJECTED,
        OrderTriggered: S.TRIGGERED,
        OrderUpdated: S.ACCEPTED,
        OrderUpdateRejected: S.ACCEPTED,
        OrderFilled: S.PARTIALLY_FILLED,
        **_REQUESTS,
        **_ENDS,
    },
    S.TRIGGERED: {
        OrderAccepted: S.TRIGGERED,
        OrderDenied: S.DENIED,
        OrderSubmitted: S.SUBMITTED,
        OrderRejected: S.REJECTED,
        OrderUpdated: S.TRIGGERED,
        OrderUpdateRejected: S.TRIGGERED,
        OrderFilled: S.PARTIALLY_FILLED,
        **_REQUESTS,
        **_ENDS,
    },
    S.PARTIALLY_FILLED: {
        OrderAccepted: S.PARTIALLY_FILLED,
        OrderTriggered: S.PARTIALLY_FILLED,
        OrderUpdated: S.PARTIALLY_FILLED,
        OrderUpdateRejected: S.PARTIALLY_FILLED,
        OrderFilled: S.PARTIALLY_FILLED,
        **_REQUESTS,
        **_ENDS,
    },
    S.PENDING_UPDATE: {
        OrderAccepted: S.PENDING_UPDATE,
        OrderRejected: S.REJECTED,
        OrderTriggered: S.PENDING_UPDATE,
        OrderUpdated: S.ACCEPTED,
        OrderUpdateRejected: S.ACCEPTED,
        OrderPendingCancel: S.PENDING_CANCEL,
        OrderFilled: S.PENDING_UPDATE,
        **_ENDS,
    },
    S.PENDING_CANCEL: {
        OrderAccepted: S.PENDING_CANCEL,
        OrderRejected: S.REJECTED,
        OrderTriggered: S.PENDING_CANCEL,
        OrderUpdated: S.PENDING_CANCEL,
        OrderUpdateRejected: S.PENDING_CANCEL,
        OrderCancelRejected: S.ACCEPTED,
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

Two rules need more than the table: a fill that leaves nothing ends in FILLED, and the answer to a request (a cancel
that is refused, an update that is made or refused) leads back to the status that the order would have without it.
A fill may arrive after a cancel or an expiry: it happened, so it is legal and booked.
"""

CLOSED = frozenset({S.DENIED, S.REJECTED, S.FILLED, S.CANCELED, S.EXPIRED})
AT_THE_VENUE = frozenset({S.SUBMITTED, S.ACCEPTED, S.PARTIALLY_FILLED, S.PENDING_UPDATE, S.PENDING_CANCEL})
"""An order that stands here may be known to the venue. A TRIGGERED one is if it was submitted before."""

_PENDING = frozenset({S.PENDING_UPDATE, S.PENDING_CANCEL})
_ANSWERS = (OrderUpdated, OrderUpdateRejected, OrderCancelRejected)


@dataclass(frozen=True, slots=True)
class Life:
    """Where an order stands; `otherwise` is where it would stand without the request that is pending."""

    status: OrderStatus = OrderStatus.INITIALIZED
    otherwise: OrderStatus = OrderStatus.INITIALIZED

    @property
    def closed(self) -> bool:
        return self.status in CLOSED

    def after(self, event: Event) -> "Life | None":
        """Take a step; None if this event cannot happen to an order that stands here."""
        plain = _PLAIN[self.status].get(type(event))
        if plain is None:
            return self._after_request(event)
        return _FILLED if isinstance(event, OrderFilled) and not event.leaves else plain

    def _after_request(self, event: Event) -> "Life | None":
        """Take a step that a request is, or that comes while one is pending."""
        status = TRANSITIONS[self.status].get(type(event))
        if status is None:
            return None
        if isinstance(event, OrderFilled) and not event.leaves:
            return _FILLED
        if status not in _PENDING:
            return Life(self.otherwise if isinstance(event, _ANSWERS) else status)
        if self.status not in _PENDING:
            return Life(status, self.status)
        if type(event) in _REQUESTS:
            return Life(status, self.otherwise)
        return Life(status, TRANSITIONS[self.otherwise].get(type(event), self.otherwise))


_FILLED = Life(S.FILLED)
_PLAIN: Mapping[OrderStatus, Mapping[type[Event], Life]] = {
    status: {kind: Life(end) for kind, end in row.items() if status not in _PENDING and end not in _PENDING}
    for status, row in TRANSITIONS.items()
}
"""The steps that no request has to do with, made once: an order takes several of them."""


def as_table() -> list[str]:
    """Write the transitions as a table in Markdown: a row for each status, the events by where they lead."""
    rows = ["| status | what can happen to it, and where that leads |", "|---|---|"]
    for status, row in TRANSITIONS.items():
        by_end: dict[OrderStatus, list[str]] = {}
        for event_type, end in row.items():
            by_end.setdefault(end, []).append(event_type.__name__.removeprefix("Order"))
        leads = "; ".join(f"{', '.join(names)} -> {_self_or(end, status)}" for end, names in by_end.items())
        rows.append(f"| {status.value} | {leads or 'nothing'} |")
    return rows


def _self_or(end: OrderStatus, status: OrderStatus) -> str:
    return "itself" if end is status else end.value
