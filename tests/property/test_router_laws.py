"""Laws of the router, whatever a venue reports and in whatever order."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import encode
from contracts.control import Alert
from contracts.event import Event
from contracts.lifecycle import Life
from contracts.orders import OrderEvent, OrderFilled, OrderInitialized, OrderPendingCancel, OrderTerms, RiskApproved
from contracts.recorded import Recorded
from contracts.types import OrderStatus, TradingState
from contracts.venue import CancelOrder, SubmitOrder, VenueReport
from services.router.rules import Router
from services.router.settings import RouterSettings
from tape.memory import MemoryTape
from tests.builders import (
    approval,
    terms,
    trading,
    venue_accepted,
    venue_cancel_rejected,
    venue_canceled,
    venue_expired,
    venue_filled,
    venue_rejected,
)

KNOWN = [terms(quantity="3", order_id="a"), terms(quantity="2", order_id="b")]
ORDERS = st.sampled_from([*KNOWN, terms(quantity="1", order_id="nobody")])


@st.composite
def fills(draw: st.DrawFn) -> Event:
    trade_id, quantity = draw(st.tuples(st.sampled_from("xyz"), st.sampled_from(["1", "0.5", "3"])))
    return venue_filled(draw(ORDERS), quantity, trade_id=f"{trade_id}{quantity}")


REPORTS = st.one_of(
    ORDERS.map(venue_accepted),
    ORDERS.map(venue_rejected),
    ORDERS.map(venue_canceled),
    ORDERS.map(venue_expired),
    ORDERS.map(venue_cancel_rejected),
    fills(),
    fills(),
)
INPUTS = st.lists(
    st.one_of(
        REPORTS, REPORTS, REPORTS, st.sampled_from(KNOWN).map(approval), st.sampled_from(TradingState).map(trading)
    ),
    max_size=24,
)


def heard(inputs: Iterable[Event], settings: RouterSettings | None = None) -> list[Recorded]:
    tape = MemoryTape([Router(settings or RouterSettings())])
    tape.play(inputs)
    return tape.recorded


def life_of(order: OrderTerms, said: Iterable[Recorded]) -> list[Event]:
    return [
        recorded.event
        for recorded in said
        if (isinstance(recorded.event, OrderEvent) and recorded.event.client_order_id == order.client_order_id)
        or (isinstance(recorded.event, OrderInitialized) and recorded.event.order == order)
    ]


@given(INPUTS)
def test_each_order_has_one_legal_life(inputs: list[Event]) -> None:
    said = heard(inputs)
    for order in KNOWN:
        life: Life | None = Life()
        for number, step in enumerate(life_of(order, said)):
            assert isinstance(step, OrderInitialized) is (number == 0)
            life = life if life is None or number == 0 else life.after(step)
            assert life is not None


@given(INPUTS)
def test_an_order_is_brought_to_the_venue_at_most_once(inputs: list[Event]) -> None:
    submitted = Counter(r.event.order.client_order_id for r in heard(inputs) if isinstance(r.event, SubmitOrder))
    assert all(count == 1 for count in submitted.values())


@given(INPUTS)
def test_no_order_is_filled_above_its_quantity_and_no_trade_is_booked_twice(inputs: list[Event]) -> None:
    said = heard(inputs)
    for order in KNOWN:
        booked = [step for step in life_of(order, said) if isinstance(step, OrderFilled)]
        total = Decimal(0)
        for fill in booked:
            total += fill.quantity
            assert fill.cumulative == total <= order.quantity
            assert fill.leaves == order.quantity - total
        assert len({fill.trade_id for fill in booked}) == len(booked)


@given(INPUTS)
def test_every_report_gets_one_answer_unless_it_repeats_a_trade(inputs: list[Event]) -> None:
    said = heard(inputs)
    booked = {(r.event.client_order_id, r.event.trade_id) for r in said if isinstance(r.event, OrderFilled)}
    answers = Counter(recorded.cause for recorded in said)
    position = 0
    for event in inputs:
        position += 1
        if isinstance(event, VenueReport):
            repeated = answers[position] == 0
            assert answers[position] == 1 or repeated
            assert not repeated or (event.client_order_id, getattr(event, "trade_id", None)) in booked
        position += sum(r.cause == position for r in said)


@given(INPUTS)
def test_after_a_halt_nothing_is_open_that_the_venue_was_not_asked_to_cancel(inputs: list[Event]) -> None:
    router = Router(RouterSettings())
    tape = MemoryTape([router])
    tape.play([*inputs, trading(TradingState.HALTED), *map(approval, KNOWN)])
    open_ = [order.life.status for order in router.orders.values() if not order.life.closed]
    assert set(open_) <= {OrderStatus.PENDING_CANCEL}
    assert len(tape.of_type(CancelOrder)) == len(tape.of_type(OrderPendingCancel))


@given(INPUTS)
def test_the_same_inputs_give_the_same_words_which_can_be_written_to_the_tape(inputs: list[Event]) -> None:
    said = heard(inputs)
    assert said == heard(inputs)
    for recorded in said:
        assert encode(recorded.event)
        if isinstance(recorded.event, Alert):
            assert any(f" {name}" in recorded.event.message for name in ("a", "b", "nobody"))


@given(INPUTS, st.integers(1, 3))
def test_forgetting_closed_orders_never_breaks_it(inputs: list[Event], remembered: int) -> None:
    said = heard(inputs, RouterSettings(remembered_orders=remembered))
    approvals = sum(isinstance(event, RiskApproved) for event in inputs)
    assert sum(isinstance(recorded.event, OrderInitialized) for recorded in said) <= approvals
