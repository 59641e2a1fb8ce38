"""The life of an order: where each event leads, and what cannot happen."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from contracts.event import Event
from contracts.examples import examples
from contracts.lifecycle import CLOSED, TRANSITIONS, Life
from contracts.orders import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderPendingCancel,
    OrderRejected,
    OrderSubmitted,
)
from contracts.ownership import ORDER_EVENTS
from contracts.types import OrderStatus

S = OrderStatus
LAST_FILL = "last fill"


def step(name: type[Event] | str) -> Event:
    changes: dict[str, Any] = {"leaves": Decimal(0)} if name == LAST_FILL else {}
    event_type = name if isinstance(name, type) else OrderFilled
    return replace(examples()[event_type], **changes)


def life(*names: type[Event] | str) -> Life | None:
    """Where an order stands after these events; None as soon as one of them cannot happen."""
    stands: Life | None = Life()
    for name in names:
        stands = stands.after(step(name)) if stands else None
    return stands


def status(*names: type[Event] | str) -> OrderStatus | None:
    stands = life(*names)
    return stands.status if stands else None


@pytest.mark.parametrize(
    ("events", "ends"),
    [
        ((), S.INITIALIZED),
        ((OrderDenied,), S.DENIED),
        ((OrderSubmitted,), S.SUBMITTED),
        ((OrderSubmitted, OrderRejected), S.REJECTED),
        ((OrderSubmitted, OrderAccepted), S.ACCEPTED),
        ((OrderSubmitted, OrderAccepted, OrderFilled), S.PARTIALLY_FILLED),
        ((OrderSubmitted, OrderAccepted, OrderFilled, LAST_FILL), S.FILLED),
        ((OrderSubmitted, OrderAccepted, OrderPendingCancel), S.PENDING_CANCEL),
        ((OrderSubmitted, OrderAccepted, OrderPendingCancel, OrderCanceled), S.CANCELED),
        ((OrderSubmitted, OrderAccepted, OrderPendingCancel, OrderFilled), S.PENDING_CANCEL),
        ((OrderSubmitted, OrderAccepted, OrderPendingCancel, LAST_FILL), S.FILLED),
        ((OrderSubmitted, OrderAccepted, OrderExpired), S.EXPIRED),
        ((OrderSubmitted, OrderAccepted, OrderCanceled), S.CANCELED),
        ((OrderSubmitted, LAST_FILL), S.FILLED),
        ((OrderSubmitted, OrderFilled, OrderAccepted), S.PARTIALLY_FILLED),
        ((OrderSubmitted, OrderPendingCancel, OrderRejected), S.REJECTED),
        ((OrderSubmitted, OrderCanceled, OrderFilled), S.CANCELED),
        ((OrderSubmitted, OrderCanceled, LAST_FILL), S.FILLED),
        ((OrderSubmitted, OrderExpired, OrderFilled, OrderFilled), S.EXPIRED),
    ],
)
def test_an_order_lives(events: tuple[type[Event] | str, ...], ends: OrderStatus) -> None:
    assert status(*events) is ends


@pytest.mark.parametrize(
    ("before", "returns"),
    [
        ((OrderSubmitted, OrderPendingCancel), S.SUBMITTED),
        ((OrderSubmitted, OrderAccepted, OrderPendingCancel), S.ACCEPTED),
        ((OrderSubmitted, OrderPendingCancel, OrderAccepted), S.ACCEPTED),
        ((OrderSubmitted, OrderAccepted, OrderFilled, OrderPendingCancel), S.PARTIALLY_FILLED),
        ((OrderSubmitted, OrderAccepted, OrderPendingCancel, OrderFilled), S.PARTIALLY_FILLED),
        ((OrderSubmitted, OrderPendingCancel, OrderFilled, OrderAccepted), S.PARTIALLY_FILLED),
    ],
)
def test_a_refused_cancel_leads_back(before: tuple[type[Event], ...], returns: OrderStatus) -> None:
    assert status(*before, OrderCancelRejected) is returns


@pytest.mark.parametrize(
    "events",
    [
        (OrderAccepted,),
        (OrderFilled,),
        (OrderInitialized,),
        (OrderSubmitted, OrderSubmitted),
        (OrderSubmitted, OrderDenied),
        (OrderSubmitted, OrderCancelRejected),
        (OrderSubmitted, OrderAccepted, OrderRejected),
        (OrderSubmitted, OrderAccepted, OrderAccepted),
        (OrderSubmitted, OrderPendingCancel, OrderPendingCancel),
        (OrderSubmitted, LAST_FILL, OrderCanceled),
        (OrderSubmitted, LAST_FILL, OrderFilled),
        (OrderSubmitted, OrderRejected, OrderFilled),
        (OrderDenied, OrderSubmitted),
    ],
)
def test_what_cannot_happen_leads_nowhere(events: tuple[type[Event] | str, ...]) -> None:
    assert status(*events[:-1]) is not None
    assert status(*events) is None


def test_every_status_and_every_order_event_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(OrderStatus)
    assert {event for row in TRANSITIONS.values() for event in row} == set(ORDER_EVENTS) - {OrderInitialized}


def test_closed_is_where_nothing_but_a_late_fill_can_happen() -> None:
    assert {at for at, row in TRANSITIONS.items() if set(row) <= {OrderFilled}} == CLOSED
