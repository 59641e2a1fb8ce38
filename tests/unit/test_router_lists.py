"""Order lists: children wait for their parent, and what one order trades the others do not."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from contracts.event import Event
from contracts.orders import OrderTerms, OrderUpdated
from contracts.types import Contingency, OrderStatus, OrderType, Side, TradingState
from contracts.venue import AmendOrder, CancelOrder
from tests.builders import (
    approval,
    conditional,
    linked,
    quote,
    terms,
    trading,
    venue_accepted,
    venue_amend_rejected,
    venue_amended,
    venue_cancel_rejected,
    venue_canceled,
    venue_expired,
    venue_filled,
    venue_rejected,
)
from tests.routing import Routed, types

ENTRY = linked(terms(Side.BUY, "3", limit="100", order_id="entry"))
_STOP = conditional(OrderType.STOP_MARKET, Side.SELL, "3", trigger="95", reduce_only=True, order_id="stop")
_TARGET = terms(Side.SELL, "3", limit="110", reduce_only=True, order_id="target")
STOP = linked(_STOP, parent=ENTRY, siblings=[_TARGET], contingency=Contingency.OUO)
TARGET = linked(_TARGET, parent=ENTRY, siblings=[_STOP], contingency=Contingency.OUO)
BRACKET = approval(ENTRY, STOP, TARGET)


def bracket(*events: Event) -> Routed:
    return Routed(quote(99, 101), BRACKET, venue_accepted(ENTRY), *events)


def quantities(routed: Routed) -> list[Decimal]:
    return [routed.order(order).terms.quantity for order in (STOP, TARGET)]


def test_children_are_held_until_their_parent_trades() -> None:
    routed = Routed(quote(99, 101))
    begun = ["OrderInitialized"] * 3
    assert types(routed.hear(BRACKET)) == [*begun, "OrderSubmitted", "SubmitOrder", "OrderHeld", "OrderHeld"]
    assert routed.hear(quote(90, 91)) == []


def test_with_the_first_fill_children_trade_as_much_as_was_filled() -> None:
    routed = bracket()
    said = types(routed.hear(venue_filled(ENTRY, "1")))
    assert said == ["OrderFilled", "OrderUpdated", "OrderUpdated", "OrderSubmitted", "SubmitOrder"]
    assert quantities(routed) == [1, 1]
    assert routed.submitted()[-1].quantity == 1
    assert routed.violations() == []


def test_further_fills_let_children_grow_here_and_at_the_venue() -> None:
    routed = bracket(venue_filled(ENTRY, "1"), venue_accepted(TARGET))
    said = types(routed.hear(venue_filled(ENTRY, "2", trade_id="t2")))
    assert said == ["OrderFilled", "OrderUpdated", "OrderPendingUpdate", "AmendOrder"]
    routed.hear(venue_amended(TARGET, "3", limit="110"))
    assert quantities(routed) == [3, 3]
    assert routed.violations() == []


def test_fills_that_come_while_the_venue_changes_an_order_are_asked_for_afterwards_as_one() -> None:
    routed = bracket(venue_filled(ENTRY, "0.5", trade_id="a"), venue_accepted(TARGET))
    fills = [venue_filled(ENTRY, quantity, trade_id=quantity) for quantity in ("0.6", "0.7", "1.2")]
    said = routed.hear(*fills)
    assert types(said).count("AmendOrder") == 1
    assert types(routed.hear(venue_amended(TARGET, "1.1"))) == ["OrderUpdated", "OrderPendingUpdate", "AmendOrder"]
    assert routed.tape.of_type(AmendOrder)[-1].amendment.quantity == 3
    assert routed.violations() == []


def test_a_venue_that_refuses_to_change_an_order_is_told_a_person_about_once() -> None:
    routed = bracket(venue_filled(ENTRY, "1"), venue_accepted(TARGET), venue_filled(ENTRY, "1", trade_id="t2"))
    assert types(routed.hear(venue_amend_rejected(TARGET))) == ["OrderUpdateRejected", "Alert"]
    assert routed.hear(quote(99, 101)) == []
    assert routed.violations() == []


@pytest.mark.parametrize("end", [venue_rejected, venue_canceled, venue_expired])
def test_a_parent_that_ends_without_a_fill_takes_its_children_with_it(end: Callable[[OrderTerms], Event]) -> None:
    routed = bracket()
    said = types(routed.hear(end(ENTRY)))
    assert said[1:] == ["OrderCanceled", "OrderCanceled"]
    assert routed.violations() == []


def test_a_parent_that_ends_with_a_part_filled_leaves_its_children_to_protect_that() -> None:
    routed = bracket(venue_filled(ENTRY, "1"), venue_canceled(ENTRY))
    assert routed.status(STOP) is OrderStatus.HELD
    assert quantities(routed) == [1, 1]


def test_a_fill_of_a_parent_after_its_end_calls_a_person_when_its_children_are_gone() -> None:
    routed = bracket(venue_canceled(ENTRY))
    assert types(routed.hear(venue_filled(ENTRY, "1"))) == ["OrderFilled", "Alert", "Alert"]


def test_a_denied_parent_has_its_children_denied() -> None:
    routed = Routed(trading(TradingState.HALTED))
    assert types(routed.hear(BRACKET)) == ["OrderInitialized"] * 3 + ["OrderDenied"] * 3
    assert routed.violations() == []


def test_what_the_target_fills_the_stop_does_not_protect_any_more() -> None:
    routed = bracket(venue_filled(ENTRY, "3"), venue_accepted(TARGET))
    assert types(routed.hear(venue_filled(TARGET, "1", trade_id="a"))) == ["OrderFilled", "OrderUpdated"]
    assert quantities(routed) == [2, 3]
    assert types(routed.hear(venue_filled(TARGET, "2", trade_id="b"))) == ["OrderFilled", "OrderCanceled"]
    assert routed.status(STOP) is OrderStatus.CANCELED
    assert routed.violations() == []


def test_a_stop_that_becomes_a_market_order_takes_the_target_from_the_venue_first() -> None:
    routed = bracket(venue_filled(ENTRY, "3"), venue_accepted(TARGET))
    said = types(routed.hear(quote(94, 95)))
    assert said == ["OrderTriggered", "OrderPendingCancel", "CancelOrder", "OrderSubmitted", "SubmitOrder"]
    assert routed.violations() == []


def test_entry_fills_and_target_fills_together_leave_the_stop_with_what_is_held() -> None:
    routed = bracket(venue_filled(ENTRY, "2", trade_id="a"), venue_accepted(TARGET))
    routed.hear(venue_filled(TARGET, "1", trade_id="b"), venue_filled(ENTRY, "1", trade_id="c"))
    assert routed.order(STOP).terms.quantity == 2
    assert routed.violations() == []


def one_of_two(contingency: Contingency) -> tuple[OrderTerms, OrderTerms]:
    above = conditional(OrderType.STOP_MARKET, Side.BUY, "2", trigger="105", order_id="above")
    below = terms(Side.BUY, "2", limit="95", order_id="below")
    return (
        linked(above, siblings=[below], contingency=contingency),
        linked(below, siblings=[above], contingency=contingency),
    )


def test_one_cancels_the_other_when_it_trades() -> None:
    above, below = one_of_two(Contingency.OCO)
    routed = Routed(quote(99, 101), approval(above, below), venue_accepted(below))
    assert types(routed.hear(venue_filled(below, "0.5"))) == ["OrderFilled", "OrderCanceled"]
    assert routed.status(above) is OrderStatus.CANCELED
    assert routed.violations() == []


def test_one_cancels_the_other_when_it_is_triggered_before_it_is_sent() -> None:
    above, below = one_of_two(Contingency.OCO)
    routed = Routed(quote(99, 101), approval(above, below), venue_accepted(below))
    said = types(routed.hear(quote(104, 105)))
    assert said == ["OrderTriggered", "OrderPendingCancel", "CancelOrder", "OrderSubmitted", "SubmitOrder"]
    assert types(routed.hear(venue_cancel_rejected(below), venue_filled(below, "2"))) == [
        "OrderCancelRejected",
        "OrderFilled",
        "OrderPendingCancel",
        "CancelOrder",
    ]
    assert routed.violations() == []


def test_one_updates_the_other_at_the_venue() -> None:
    first = terms(Side.BUY, "2", limit="95", order_id="first")
    second = terms(Side.BUY, "2", limit="94", order_id="second")
    pair = (
        linked(first, siblings=[second], contingency=Contingency.OUO),
        linked(second, siblings=[first], contingency=Contingency.OUO),
    )
    routed = Routed(approval(*pair), venue_accepted(first), venue_accepted(second))
    assert types(routed.hear(venue_filled(first, "0.5"))) == ["OrderFilled", "OrderPendingUpdate", "AmendOrder"]
    routed.hear(venue_amended(second, "1.5", limit="94"), venue_filled(first, "1.5", trade_id="b"))
    assert [command.client_order_id for command in routed.tape.of_type(CancelOrder)] == ["second"]
    assert routed.violations() == []


def test_children_that_share_a_parent_never_have_more_together_than_it_filled() -> None:
    halves = [
        linked(terms(Side.SELL, "1.5", limit=limit, reduce_only=True, order_id=f"half{limit}"), parent=ENTRY)
        for limit in ("110", "120")
    ]
    routed = Routed(approval(ENTRY, *halves), venue_filled(ENTRY, "1"))
    assert [routed.order(half).terms.quantity for half in halves] == [Decimal("0.5")] * 2


def test_a_child_that_is_not_worth_a_lot_yet_waits() -> None:
    child = linked(terms(Side.SELL, "0.001", limit="110", reduce_only=True, order_id="child"), parent=ENTRY)
    routed = Routed(approval(ENTRY, child), venue_filled(ENTRY, "1"))
    assert routed.status(child) is OrderStatus.HELD
    routed.hear(venue_filled(ENTRY, "2", trade_id="rest"))
    assert routed.status(child) is OrderStatus.SUBMITTED
    assert routed.tape.of_type(OrderUpdated) == []


def test_a_list_with_an_id_that_is_taken_is_denied_whole() -> None:
    routed = Routed(approval(terms(order_id="stop")))
    said = types(routed.hear(BRACKET))
    assert said == ["Alert", "OrderInitialized", "OrderInitialized", "OrderDenied", "OrderDenied"]
