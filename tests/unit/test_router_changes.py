"""Amendments and cancels: who may ask, what is answered, and what the venue hears of it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from contracts.control import Alert
from contracts.event import Event
from contracts.orders import Amendment, OrderExpired, OrderTerms, OrderUpdated, OrderUpdateRejected
from contracts.types import OrderStatus, OrderType, Severity, Side, TimeInForce
from contracts.venue import AmendOrder
from services.router.settings import RouterSettings
from tests.builders import (
    ETH,
    amend_approved,
    amendment,
    approval,
    cancel_intent,
    conditional,
    foreign,
    ns,
    quote,
    terms,
    tick,
    venue_accepted,
    venue_amend_rejected,
    venue_amended,
    venue_cancel_rejected,
    venue_canceled,
    venue_filled,
    venue_rejected,
)
from tests.routing import Routed, types

ORDER = terms(quantity="3", limit="100")
STOP = conditional(OrderType.STOP_MARKET, Side.SELL, "3", trigger="95")
ASKED = ["OrderPendingUpdate", "AmendOrder"]


def resting(*events: Event) -> Routed:
    return Routed(approval(ORDER), venue_accepted(ORDER), *events)


def alerted(said: list[Event]) -> tuple[str, Severity]:
    (alert,) = said
    assert isinstance(alert, Alert)
    return alert.code, alert.severity


def test_the_venue_is_asked_to_change_an_order_and_its_answer_is_the_new_terms() -> None:
    routed = resting()
    assert types(routed.hear(amend_approved(amendment(ORDER, quantity="2", limit="99")))) == ASKED
    (updated,) = routed.hear(venue_amended(ORDER, "2", limit="99"))
    assert isinstance(updated, OrderUpdated)
    assert [updated.quantity, updated.limit_price, updated.leaves] == [2, 99, 2]
    assert routed.status(ORDER) is OrderStatus.ACCEPTED
    assert types(routed.hear(venue_filled(ORDER, "2"))) == ["OrderFilled"]
    assert routed.status(ORDER) is OrderStatus.FILLED
    assert routed.violations() == []


def test_a_refused_change_leaves_the_order_as_it_was() -> None:
    routed = resting(amend_approved(amendment(ORDER, quantity="2")))
    assert types(routed.hear(venue_amend_rejected(ORDER))) == ["OrderUpdateRejected"]
    assert (routed.status(ORDER), routed.order(ORDER).terms) == (OrderStatus.ACCEPTED, ORDER)
    assert routed.hear(quote()) == []


def test_a_held_order_is_changed_here() -> None:
    routed = Routed(approval(STOP))
    assert types(routed.hear(amend_approved(amendment(STOP, quantity="2", trigger="97")))) == ["OrderUpdated"]
    routed.hear(quote(97, 98))
    assert [sent.quantity for sent in routed.submitted()] == [2]
    assert routed.violations() == []


def test_a_change_that_comes_while_another_is_asked_for_waits_for_the_answer() -> None:
    routed = resting(amend_approved(amendment(ORDER, quantity="2")))
    assert (
        routed.hear(amend_approved(amendment(ORDER, limit="98")), amend_approved(amendment(ORDER, quantity="4"))) == []
    )
    assert types(routed.hear(venue_amended(ORDER, "2", limit="100"))) == ["OrderUpdated", *ASKED]
    last = routed.tape.of_type(AmendOrder)[-1].amendment
    assert [last.quantity, last.limit_price] == [4, 98]
    assert routed.violations() == []


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ([venue_filled(ORDER, "2")], amendment(ORDER, quantity="2")),
        ([venue_filled(ORDER, "2")], amendment(ORDER, quantity="1")),
        ([], amendment(ORDER, trigger="90")),
        ([cancel_intent(ORDER)], amendment(ORDER, quantity="2")),
    ],
    ids=["as much as is filled", "less than is filled", "a trigger where there is none", "while it is being canceled"],
)
def test_a_change_that_makes_no_sense_is_refused_here(before: list[Event], wanted: Amendment) -> None:
    routed = resting(*before)
    (refused,) = routed.hear(amend_approved(wanted))
    assert isinstance(refused, OrderUpdateRejected)
    assert routed.tape.of_type(AmendOrder) == []
    assert routed.violations() == []


def test_an_order_that_was_triggered_has_no_trigger_to_change() -> None:
    routed = Routed(approval(STOP), quote(94, 95))
    assert types(routed.hear(amend_approved(amendment(STOP, trigger="90")))) == ["OrderUpdateRejected"]


@pytest.mark.parametrize("order", [terms(order_id="unknown"), ORDER])
def test_a_change_of_an_order_that_is_not_open_is_told_to_a_person(order: OrderTerms) -> None:
    routed = resting(venue_canceled(ORDER))
    wanted = amend_approved(amendment(order, quantity="2"))
    assert alerted(routed.hear(wanted)) == ("amend_refused", Severity.INFO)


def test_a_venue_that_makes_an_order_smaller_than_its_fills_is_an_alert() -> None:
    routed = resting(venue_filled(ORDER, "2"), amend_approved(amendment(ORDER, quantity="2.5")))
    assert alerted(routed.hear(venue_amended(ORDER, "1"))) == ("impossible_update", Severity.WARNING)


def test_a_fill_that_overtakes_a_change_counts_against_it() -> None:
    routed = resting(amend_approved(amendment(ORDER, quantity="2")), venue_filled(ORDER, "1.5"))
    (updated,) = routed.hear(venue_amended(ORDER, "2"))
    assert isinstance(updated, OrderUpdated)
    assert updated.leaves == Decimal("0.5")
    assert routed.status(ORDER) is OrderStatus.PARTIALLY_FILLED
    assert routed.violations() == []


@pytest.mark.parametrize("by", ["trend", "ops", "stops", "depeg", "funding"])
def test_the_owner_the_operator_and_those_who_protect_may_cancel(by: str) -> None:
    assert types(resting().hear(cancel_intent(ORDER, by))) == ["OrderPendingCancel", "CancelOrder"]


def test_whoever_made_an_order_for_another_may_cancel_it() -> None:
    order = terms(order_id="hedger-7-0", strategy="trend", limit="100")
    routed = Routed(approval(order))
    assert types(routed.hear(cancel_intent(order, "hedger"))) == ["OrderPendingCancel", "CancelOrder"]


def test_nobody_else_may_cancel() -> None:
    assert alerted(resting().hear(cancel_intent(ORDER, "scalper"))) == ("cancel_forbidden", Severity.WARNING)


@pytest.mark.parametrize(
    "intent",
    [cancel_intent(terms(order_id="unknown")), cancel_intent(ORDER), cancel_intent(terms(instrument=ETH))],
    ids=["unknown", "closed", "elsewhere"],
)
def test_a_cancel_of_what_is_not_open_is_told_to_a_person(intent: Event) -> None:
    assert alerted(resting(venue_canceled(ORDER)).hear(intent)) == ("cancel_refused", Severity.INFO)


def test_the_venue_is_asked_once_however_often_a_cancel_is_wished_for() -> None:
    routed = resting(cancel_intent(ORDER))
    assert routed.hear(cancel_intent(ORDER), cancel_intent(ORDER, "ops")) == []
    assert types(routed.hear(venue_cancel_rejected(ORDER), cancel_intent(ORDER)))[1:] == [
        "OrderPendingCancel",
        "CancelOrder",
    ]
    assert routed.violations() == []


GOOD_TILL = replace(ORDER, time_in_force=TimeInForce.GTD, expires_at=ns(10))


def expiring(settings: RouterSettings | None = None) -> Routed:
    return Routed(approval(GOOD_TILL), venue_accepted(GOOD_TILL), tick(10), settings=settings)


def test_what_is_at_the_venue_is_taken_back_when_its_time_is_over_and_has_expired() -> None:
    routed = expiring()
    assert types(event.event for event in routed.tape.recorded[-2:]) == ["OrderPendingCancel", "CancelOrder"]
    assert isinstance(routed.hear(venue_canceled(ORDER))[0], OrderExpired)


def test_a_venue_that_does_not_take_back_what_is_over_is_asked_again_and_then_a_person() -> None:
    routed = expiring(RouterSettings(query_attempts=1))
    assert types(routed.hear(venue_cancel_rejected(ORDER), tick(20))) == [
        "OrderCancelRejected",
        "OrderPendingCancel",
        "CancelOrder",
    ]
    assert types(routed.hear(venue_cancel_rejected(ORDER))) == ["OrderCancelRejected", "Alert"]
    assert routed.hear(tick(1000)) == []


def test_an_order_that_was_canceled_before_its_time_was_over_is_canceled() -> None:
    routed = Routed(approval(GOOD_TILL), cancel_intent(GOOD_TILL), tick(10))
    assert types(routed.hear(venue_canceled(GOOD_TILL))) == ["OrderCanceled"]


def test_an_adopted_order_is_taken_into_the_books_and_its_fills_are_booked() -> None:
    by_hand = terms(Side.SELL, "2", order_id="web_1", strategy="trend")
    routed = Routed()
    said = types(routed.hear(foreign(by_hand), venue_filled(by_hand, "2")))
    assert said == ["OrderInitialized", "OrderSubmitted", "OrderAccepted", "OrderFilled"]
    assert routed.submitted() == []
    assert routed.violations() == []


def test_a_foreign_order_that_is_not_adopted_is_told_to_a_person_and_stays_alone() -> None:
    by_hand = terms(order_id="web_1")
    routed = Routed()
    assert alerted(routed.hear(foreign(by_hand, adopted=False))) == ("foreign_order", Severity.WARNING)
    assert alerted(routed.hear(venue_filled(by_hand, "1"))) == ("unknown_order", Severity.CRITICAL)


def test_an_order_is_adopted_once() -> None:
    by_hand = terms(order_id="web_1")
    routed = Routed(foreign(by_hand))
    assert routed.hear(foreign(by_hand)) == []
    other = terms(Side.SELL, order_id="web_1")
    assert alerted(routed.hear(foreign(other))) == ("foreign_order", Severity.WARNING)


def test_a_report_from_another_instrument_is_an_alert() -> None:
    elsewhere = terms(instrument=ETH)
    assert alerted(resting().hear(venue_rejected(elsewhere))) == ("illegal_report", Severity.WARNING)
    assert alerted(resting().hear(venue_amended(elsewhere, "2"))) == ("illegal_report", Severity.WARNING)


@pytest.mark.parametrize("end", [venue_filled(ORDER, "3"), venue_canceled(ORDER)])
def test_a_venue_that_cannot_change_or_cancel_what_has_ended_meanwhile_says_nothing_new(end: Event) -> None:
    routed = resting(amend_approved(amendment(ORDER, quantity="4")), cancel_intent(ORDER), end)
    assert routed.hear(venue_amend_rejected(ORDER), venue_cancel_rejected(ORDER)) == []
