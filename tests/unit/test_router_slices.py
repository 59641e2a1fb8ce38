"""TWAP and iceberg: the venue sees slices, the tape one order with exact fills."""

from dataclasses import replace
from decimal import Decimal

import pytest

from contracts.control import Alert
from contracts.event import Event
from contracts.orders import OrderAccepted, OrderFilled, OrderTerms, Twap
from contracts.types import OrderStatus, Side, TimeInForce
from contracts.venue import CancelOrder, SubmitOrder
from services.router.settings import RouterSettings
from services.router.slicing import slice_id
from tests.builders import (
    SECOND,
    amend_approved,
    amendment,
    approval,
    cancel_intent,
    ns,
    quote,
    terms,
    tick,
    venue_accepted,
    venue_cancel_rejected,
    venue_canceled,
    venue_filled,
    venue_rejected,
)
from tests.routing import Routed, types

TWAP = replace(terms(quantity="1"), twap=Twap(slices=4, duration_ns=40 * SECOND))
ICEBERG = replace(terms(quantity="5", limit="100"), display_quantity=Decimal(2))


def part(number: int, order: OrderTerms = TWAP, quantity: str = "0.25") -> OrderTerms:
    """The slice as the venue knows it."""
    return replace(
        order.at_venue, client_order_id=f"{order.client_order_id}-s{number}", slice_of=order.client_order_id,
        quantity=Decimal(quantity),
    )  # fmt: skip


def whole(number: int, order: OrderTerms = TWAP, quantity: str = "0.25") -> Event:
    return venue_filled(part(number, order, quantity), quantity, trade_id=f"t{number}")


def sent(routed: Routed) -> list[Decimal]:
    return [slice_.quantity for slice_ in routed.submitted()]


def test_a_twap_sends_equal_parts_evenly_over_its_time() -> None:
    routed = Routed(approval(TWAP))
    assert routed.submitted() == [part(0)]
    for at in (9.9, 10, 19, 20, 30, 40, 50):
        routed.hear(tick(at))
    assert routed.submitted() == [part(number) for number in range(4)]
    times = [command.ts_init for command in routed.tape.of_type(SubmitOrder)]
    assert times == [ns(0), ns(10), ns(20), ns(30)]
    assert routed.violations() == []


def test_parts_come_in_whole_lots_and_the_last_one_brings_the_rest() -> None:
    order = replace(TWAP, quantity=Decimal("0.010"), twap=Twap(slices=3, duration_ns=30 * SECOND))
    routed = Routed(approval(order), tick(10), tick(20))
    assert sent(routed) == [Decimal("0.003"), Decimal("0.003"), Decimal("0.004")]


def test_reports_on_slices_are_steps_of_the_one_order() -> None:
    routed = Routed()
    assert types(routed.hear(approval(TWAP))) == ["OrderInitialized", "OrderSubmitted", "SubmitOrder"]
    assert types(routed.hear(venue_accepted(part(0)))) == ["OrderAccepted"]
    assert types(routed.hear(whole(0), tick(10), venue_accepted(part(1)))) == ["OrderFilled", "SubmitOrder"]
    routed.hear(whole(1), tick(20), whole(2), tick(30), whole(3))
    fills = routed.tape.of_type(OrderFilled)
    assert [fill.leaves for fill in fills] == [Decimal("0.75"), Decimal("0.5"), Decimal("0.25"), 0]
    assert {fill.client_order_id for fill in fills} == {TWAP.client_order_id}
    assert routed.status(TWAP) is OrderStatus.FILLED
    assert routed.violations() == []


def test_a_slice_that_was_not_filled_is_made_up_for_by_the_next() -> None:
    routed = Routed(approval(TWAP), venue_rejected(part(0)), tick(10))
    assert sent(routed) == [Decimal("0.25"), Decimal("0.5")]


def test_times_that_passed_unseen_are_made_up_for_at_once() -> None:
    routed = Routed(approval(TWAP), tick(25))
    assert sent(routed) == [Decimal("0.25"), Decimal("0.5")]


def test_an_order_whose_slices_are_all_rejected_is_rejected() -> None:
    order = replace(TWAP, twap=Twap(slices=2, duration_ns=SECOND))
    routed = Routed(approval(order), venue_rejected(part(0)), tick(1))
    assert types(routed.hear(venue_rejected(part(1)))) == ["OrderRejected"]


def test_an_order_of_which_slices_ended_unfilled_is_canceled_at_its_end() -> None:
    order = replace(TWAP, twap=Twap(slices=2, duration_ns=SECOND))
    routed = Routed(approval(order), venue_filled(part(0), "0.5"), tick(1))
    assert types(routed.hear(venue_canceled(part(1)))) == ["OrderCanceled"]
    assert routed.order(order).filled == Decimal("0.5")


def test_an_iceberg_shows_its_tip_and_the_next_when_that_is_gone() -> None:
    routed = Routed(approval(ICEBERG), venue_filled(part(0, ICEBERG, "2"), "1", trade_id="a"))
    assert sent(routed) == [2]
    routed.hear(venue_filled(part(0, ICEBERG, "2"), "1", trade_id="b"))
    routed.hear(venue_filled(part(1, ICEBERG, "2"), "2", trade_id="c"))
    assert sent(routed) == [2, 2, 1]
    routed.hear(venue_filled(part(2, ICEBERG, "1"), "1", trade_id="d"))
    assert routed.status(ICEBERG) is OrderStatus.FILLED
    assert routed.violations() == []


def test_an_iceberg_whose_tip_the_venue_takes_away_is_canceled() -> None:
    routed = Routed(approval(ICEBERG), venue_accepted(part(0, ICEBERG, "2")))
    assert types(routed.hear(venue_canceled(part(0, ICEBERG, "2")))) == ["OrderCanceled"]


@pytest.mark.parametrize("order", [TWAP, ICEBERG])
def test_a_cancel_takes_back_open_slices_and_makes_no_more(order: OrderTerms) -> None:
    quantity = "0.25" if order is TWAP else "2"
    routed = Routed(approval(order), venue_accepted(part(0, order, quantity)))
    assert types(routed.hear(cancel_intent(order))) == ["OrderPendingCancel", "CancelOrder"]
    assert routed.tape.of_type(CancelOrder)[0].client_order_id == f"{order.client_order_id}-s0"
    assert types(routed.hear(venue_canceled(part(0, order, quantity)))) == ["OrderCanceled"]
    assert routed.hear(tick(10), tick(30)) == []
    assert routed.violations() == []


def test_a_cancel_between_two_slices_ends_the_order_at_once() -> None:
    routed = Routed(approval(TWAP), whole(0))
    assert types(routed.hear(cancel_intent(TWAP))) == ["OrderCanceled"]


def test_a_slice_that_fills_in_spite_of_a_cancel_is_booked_and_is_the_last() -> None:
    routed = Routed(approval(ICEBERG), cancel_intent(ICEBERG))
    tip = part(0, ICEBERG, "2")
    assert types(routed.hear(venue_cancel_rejected(tip), venue_filled(tip, "2"))) == [
        "OrderCancelRejected",
        "OrderFilled",
        "OrderCanceled",
    ]
    assert routed.violations() == []


def test_a_fill_of_a_slice_after_the_end_of_its_order_is_booked() -> None:
    routed = Routed(approval(TWAP), cancel_intent(TWAP), venue_canceled(part(0)))
    assert types(routed.hear(whole(0))) == ["OrderFilled"]
    assert routed.status(TWAP) is OrderStatus.CANCELED


def test_an_impossible_fill_of_a_slice_is_an_alert() -> None:
    (alert,) = Routed(approval(TWAP)).hear(venue_filled(part(0), "0.3"))
    assert isinstance(alert, Alert)
    assert (alert.code, "trend-1-0-s0" in alert.message) == ("impossible_fill", True)


def test_a_report_that_cannot_happen_to_a_slice_is_an_alert() -> None:
    routed = Routed(approval(TWAP), venue_canceled(part(0)))
    assert types(routed.hear(venue_accepted(part(0)))) == ["Alert"]
    assert types(routed.hear(venue_accepted(TWAP))) == ["Alert"]


def test_a_sliced_order_is_accepted_once() -> None:
    routed = Routed(approval(TWAP), venue_accepted(part(0)), tick(10), venue_accepted(part(1)))
    assert len(routed.tape.of_type(OrderAccepted)) == 1


def test_an_order_that_would_take_too_many_slices_is_denied() -> None:
    settings = RouterSettings(max_slices=3)
    assert types(Routed(settings=settings).hear(approval(TWAP))) == ["OrderInitialized", "OrderDenied"]


def test_a_sliced_order_expires_when_its_slices_are_gone() -> None:
    order = replace(ICEBERG, time_in_force=TimeInForce.GTD, expires_at=ns(5))
    routed = Routed(approval(order), venue_accepted(part(0, order, "2")))
    assert types(routed.hear(tick(5))) == ["OrderPendingCancel", "CancelOrder"]
    assert types(routed.hear(venue_canceled(part(0, order, "2")))) == ["OrderExpired"]


def test_another_limit_takes_slices_back_and_makes_them_anew() -> None:
    routed = Routed(approval(ICEBERG), venue_accepted(part(0, ICEBERG, "2")))
    assert types(routed.hear(amend_approved(amendment(ICEBERG, limit="101")))) == ["OrderUpdated", "CancelOrder"]
    routed.hear(venue_canceled(part(0, ICEBERG, "2")))
    assert [slice_.limit_price for slice_ in routed.submitted()] == [100, 101]
    assert routed.violations() == []


def test_another_quantity_changes_what_is_still_to_come() -> None:
    routed = Routed(approval(ICEBERG), amend_approved(amendment(ICEBERG, quantity="3")))
    routed.hear(whole(0, ICEBERG, "2"))
    assert sent(routed) == [2, 1]
    assert types(routed.hear(amend_approved(amendment(ICEBERG, quantity="2.5")))) == ["OrderUpdateRejected"]
    assert routed.violations() == []


@pytest.mark.parametrize("order_id", ["trend-1-0", "a" * 33, "a" * 34, "a" * 36])
@pytest.mark.parametrize("number", [0, 12345])
def test_the_id_of_a_slice_always_fits(order_id: str, number: int) -> None:
    name = slice_id(order_id, number)
    assert len(name) <= 36
    assert name.endswith(f"-s{number}")
    assert name == slice_id(order_id, number)


def test_slices_of_long_ids_that_begin_alike_are_told_apart() -> None:
    assert slice_id("a" * 35 + "b", 0) != slice_id("a" * 35 + "c", 0)


def test_slippage_of_each_fill_is_measured_from_the_arrival_of_the_order() -> None:
    routed = Routed(quote(99, 101), approval(TWAP, mark=100.0))
    (fill,) = routed.hear(venue_filled(part(0), "0.25", price="101"))
    assert isinstance(fill, OrderFilled)
    assert fill.slippage_bps == 100.0
    sale = replace(TWAP, side=Side.SELL, client_order_id="sale")
    (better,) = Routed(approval(sale, mark=100.0)).hear(venue_filled(part(0, sale), "0.25", price="101"))
    assert isinstance(better, OrderFilled)
    assert better.slippage_bps == -100.0
