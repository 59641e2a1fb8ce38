"""The life of an order: where each event leads, and what cannot happen."""

from dataclasses import replace
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest

from contracts.event import Event
from contracts.examples import examples
from contracts.lifecycle import CLOSED, TRANSITIONS, Life, as_table
from contracts.orders import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderHeld,
    OrderInitialized,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderRejected,
    OrderSubmitted,
    OrderTriggered,
    OrderUpdated,
    OrderUpdateRejected,
)
from contracts.ownership import ORDER_EVENTS
from contracts.types import Contingency, OrderStatus, OrderType, TimeInForce, TrailKind, TriggerBy
from tests.servers import ROOT

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
        ((OrderHeld,), S.HELD),
        ((OrderHeld, OrderUpdated), S.HELD),
        ((OrderHeld, OrderCanceled), S.CANCELED),
        ((OrderHeld, OrderExpired), S.EXPIRED),
        ((OrderHeld, OrderSubmitted), S.SUBMITTED),
        ((OrderHeld, OrderTriggered), S.TRIGGERED),
        ((OrderHeld, OrderTriggered, OrderUpdated), S.TRIGGERED),
        ((OrderHeld, OrderTriggered, OrderDenied), S.DENIED),
        ((OrderHeld, OrderTriggered, OrderCanceled), S.CANCELED),
        ((OrderHeld, OrderTriggered, OrderSubmitted, OrderAccepted), S.ACCEPTED),
        ((OrderSubmitted, OrderAccepted, OrderTriggered), S.TRIGGERED),
        ((OrderSubmitted, OrderAccepted, OrderPendingUpdate), S.PENDING_UPDATE),
        ((OrderSubmitted, OrderAccepted, OrderPendingUpdate, OrderFilled), S.PENDING_UPDATE),
        ((OrderSubmitted, OrderAccepted, OrderPendingUpdate, LAST_FILL), S.FILLED),
        ((OrderSubmitted, OrderAccepted, OrderPendingUpdate, OrderPendingCancel), S.PENDING_CANCEL),
        ((OrderSubmitted, OrderAccepted, OrderPendingUpdate, OrderPendingCancel, OrderUpdated), S.PENDING_CANCEL),
        ((OrderSubmitted, OrderAccepted, OrderUpdated), S.ACCEPTED),
        ((OrderSubmitted, OrderAccepted, OrderRejected), S.REJECTED),
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


@pytest.mark.parametrize("answer", [OrderUpdated, OrderUpdateRejected])
@pytest.mark.parametrize(
    ("before", "returns"),
    [
        ((OrderSubmitted, OrderPendingUpdate), S.SUBMITTED),
        ((OrderSubmitted, OrderAccepted, OrderPendingUpdate), S.ACCEPTED),
        ((OrderSubmitted, OrderPendingUpdate, OrderAccepted), S.ACCEPTED),
        ((OrderSubmitted, OrderAccepted, OrderPendingUpdate, OrderFilled), S.PARTIALLY_FILLED),
        ((OrderSubmitted, OrderAccepted, OrderFilled, OrderPendingUpdate), S.PARTIALLY_FILLED),
    ],
)
def test_the_answer_to_an_update_leads_back(
    before: tuple[type[Event], ...], answer: type[Event], returns: OrderStatus
) -> None:
    assert status(*before, answer) is returns


@pytest.mark.parametrize(
    "before",
    [
        (OrderHeld,),
        (OrderHeld, OrderTriggered),
        (OrderSubmitted,),
        (OrderSubmitted, OrderAccepted),
        (OrderSubmitted, OrderFilled),
        (OrderSubmitted, OrderPendingCancel),
    ],
)
def test_a_change_that_is_refused_before_anybody_was_asked_leaves_an_order_where_it_is(
    before: tuple[type[Event], ...],
) -> None:
    assert status(*before, OrderUpdateRejected) is status(*before)


@pytest.mark.parametrize(
    "events",
    [
        (OrderHeld, OrderFilled),
        (OrderHeld, OrderAccepted),
        (OrderHeld, OrderHeld),
        (OrderHeld, OrderPendingCancel),
        (OrderSubmitted, OrderHeld),
        (OrderSubmitted, OrderPendingUpdate, OrderPendingUpdate),
        (OrderSubmitted, OrderPendingUpdate, OrderCancelRejected),
        (OrderSubmitted, OrderCanceled, OrderUpdated),
        (OrderTriggered,),
        (OrderUpdated,),
        (OrderAccepted,),
        (OrderFilled,),
        (OrderInitialized,),
        (OrderSubmitted, OrderSubmitted),
        (OrderSubmitted, OrderDenied),
        (OrderSubmitted, OrderCancelRejected),
        (OrderSubmitted, OrderFilled, OrderRejected),
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


def test_the_document_shows_the_table_as_it_is() -> None:
    text = (ROOT / "docs" / "orders.md").read_text()
    shown = text.partition("<!-- transitions -->\n")[2].partition("\n<!-- end -->")[0]
    assert shown.splitlines() == as_table()


@pytest.mark.parametrize("words", [OrderType, TimeInForce, TriggerBy, TrailKind, Contingency])
def test_the_document_tells_of_every_word_that_an_order_is_made_of(words: type[Enum]) -> None:
    text = (ROOT / "docs" / "orders.md").read_text()
    assert [word.value for word in words if f"`{word.value}`" not in text] == []
