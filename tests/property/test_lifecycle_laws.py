"""Laws of the life of an order, whatever happens to it."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from contracts.event import Event
from contracts.examples import examples
from contracts.lifecycle import AT_THE_VENUE, CLOSED, Life
from contracts.orders import (
    OrderCancelRejected,
    OrderFilled,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderUpdateRejected,
)
from contracts.ownership import ORDER_EVENTS
from contracts.types import OrderStatus

EXAMPLES = examples()
PART = EXAMPLES[OrderFilled]
assert isinstance(PART, OrderFilled)
STEPS = st.sampled_from([*(EXAMPLES[event_type] for event_type in ORDER_EVENTS), replace(PART, leaves=Decimal(0))])
SEQUENCES = st.lists(STEPS, max_size=20)


def lived(events: Iterable[Event]) -> list[tuple[Life, Event, Life]]:
    """Each step that could happen, with the life before and after; what could not is left out."""
    life, steps = Life(), []
    for event in events:
        after = life.after(event)
        if after is not None:
            steps.append((life, event, after))
            life = after
    return steps


@given(SEQUENCES)
def test_an_ended_order_changes_only_by_a_late_fill(events: list[Event]) -> None:
    for before, event, after in lived(events):
        if before.closed:
            assert isinstance(event, OrderFilled)
            assert after.status is (OrderStatus.FILLED if event.leaves == 0 else before.status)


@given(SEQUENCES)
def test_an_ended_order_stays_ended(events: list[Event]) -> None:
    ended = [after.closed for _, _, after in lived(events)]
    assert ended == sorted(ended)


@given(SEQUENCES)
def test_a_refused_cancel_leads_to_a_status_that_is_open_and_not_pending(events: list[Event]) -> None:
    for before, event, after in lived(events):
        if isinstance(event, OrderCancelRejected):
            assert before.status is OrderStatus.PENDING_CANCEL
            assert after.status not in {*CLOSED, OrderStatus.PENDING_CANCEL, OrderStatus.INITIALIZED}


@given(SEQUENCES)
def test_a_cancel_that_is_refused_at_once_changes_nothing(events: list[Event]) -> None:
    for _, _, life in lived(events):
        pending = life.after(EXAMPLES[OrderPendingCancel])
        refused = pending and pending.after(EXAMPLES[OrderCancelRejected])
        without = life.otherwise if life.status is OrderStatus.PENDING_UPDATE else life.status
        assert refused is None or refused.status is without


@given(SEQUENCES)
def test_a_change_that_is_refused_at_once_changes_nothing(events: list[Event]) -> None:
    for _, _, life in lived(events):
        pending = life.after(EXAMPLES[OrderPendingUpdate])
        refused = pending and pending.after(EXAMPLES[OrderUpdateRejected])
        assert refused is None or refused.status is life.status


@given(SEQUENCES)
def test_a_pending_request_knows_where_its_refusal_leads(events: list[Event]) -> None:
    for _, _, life in lived(events):
        if life.status in (OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_UPDATE):
            assert life.otherwise in AT_THE_VENUE - {life.status} | {OrderStatus.TRIGGERED}


@given(SEQUENCES)
def test_a_last_fill_always_ends_filled(events: list[Event]) -> None:
    for _, event, after in lived(events):
        if isinstance(event, OrderFilled) and event.leaves == 0:
            assert after.status is OrderStatus.FILLED
