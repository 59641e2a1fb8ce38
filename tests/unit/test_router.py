"""The router: approved orders go to the venue, and its reports become the one life of each order."""

from dataclasses import asdict, fields, replace
from decimal import Decimal

import pytest

from contracts.control import Alert
from contracts.event import Event
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
from contracts.types import OrderStatus, Severity, Side, TradingState
from contracts.venue import CancelOrder, SubmitOrder
from services.router.rules import Router
from services.router.settings import RouterSettings
from tape.memory import MemoryTape
from tests.builders import (
    ETH,
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

ORDER = terms(quantity="3")
OTHER = terms(quantity="3", order_id="trend-2-0")
HALT = trading(TradingState.HALTED)


def said(*events: Event, remembered_orders: int = 100) -> list[Event]:
    """What the router says after the approval of `ORDER` and these events, to the last of them."""
    tape = MemoryTape([Router(RouterSettings(remembered_orders=remembered_orders))])
    tape.play([approval(ORDER), *events[:-1]])
    before = len(tape.recorded)
    tape.play(events[-1:])
    return [recorded.event for recorded in tape.recorded[before:]]


def test_an_approved_order_is_initialized_submitted_and_brought_to_the_venue() -> None:
    tape = MemoryTape([Router(RouterSettings())])
    tape.play([approval(ORDER)])
    initialized, submitted, command = [recorded.event for recorded in tape.recorded]
    assert isinstance(initialized, OrderInitialized)
    assert isinstance(submitted, OrderSubmitted)
    assert isinstance(command, SubmitOrder)
    assert initialized.order == command.order == ORDER


@pytest.mark.parametrize(
    ("report", "step"),
    [
        (venue_accepted(ORDER), OrderAccepted),
        (venue_rejected(ORDER), OrderRejected),
        (venue_canceled(ORDER), OrderCanceled),
        (venue_expired(ORDER), OrderExpired),
        (venue_filled(ORDER, "1"), OrderFilled),
    ],
)
def test_a_report_becomes_the_step_it_stands_for(report: Event, step: type[Event]) -> None:
    (event,) = said(report)
    assert type(event) is step


def test_fills_add_up_to_what_is_left() -> None:
    fills = [venue_filled(ORDER, quantity, trade_id=f"t{quantity}") for quantity in ("0.5", "1.5", "1.0")]
    tape = MemoryTape([Router(RouterSettings())])
    tape.play([approval(ORDER), venue_accepted(ORDER), *fills])
    booked = tape.of_type(OrderFilled)
    assert [fill.cumulative for fill in booked] == [Decimal("0.5"), Decimal("2.0"), Decimal("3.0")]
    assert [fill.leaves for fill in booked] == [Decimal("2.5"), Decimal("1.0"), Decimal(0)]


@pytest.mark.parametrize("fee_currency", [None, "BNB"])
def test_a_fill_says_all_that_the_venue_says_of_a_trade(fee_currency: str | None) -> None:
    trade = replace(venue_filled(ORDER, "1"), fee_currency=fee_currency)
    (fill,) = said(trade)
    assert {field.name: getattr(fill, field.name) for field in fields(trade)} == asdict(trade)


def test_a_trade_reported_twice_is_booked_once_without_a_word() -> None:
    assert said(venue_filled(ORDER, "1"), venue_filled(ORDER, "1")) == []


@pytest.mark.parametrize(
    ("before", "impossible"),
    [
        ((), venue_filled(ORDER, "3.001")),
        ((venue_filled(ORDER, "2"),), venue_filled(ORDER, "2", trade_id="t2")),
        ((), venue_filled(ORDER, "1", side=Side.SELL)),
        ((), venue_filled(ORDER, "1", instrument=ETH)),
    ],
    ids=["more than ordered", "more than left", "other side", "other instrument"],
)
def test_an_impossible_fill_is_an_alert_and_is_not_booked(before: tuple[Event, ...], impossible: Event) -> None:
    (alert,) = said(*before, impossible)
    assert isinstance(alert, Alert)
    assert alert.code == "impossible_fill"


@pytest.mark.parametrize(
    "report", [venue_accepted(OTHER), venue_rejected(OTHER), venue_canceled(OTHER), venue_filled(OTHER, "1")]
)
def test_a_report_for_nobody_is_an_alert(report: Event) -> None:
    (alert,) = said(report)
    assert isinstance(alert, Alert)
    assert alert.code == "unknown_order"
    assert "trend-2-0" in alert.message


@pytest.mark.parametrize(
    ("end", "report"),
    [
        (venue_filled(ORDER, "3"), venue_canceled(ORDER)),
        (venue_canceled(ORDER), venue_accepted(ORDER)),
        (venue_canceled(ORDER), venue_canceled(ORDER)),
        (venue_rejected(ORDER), venue_filled(ORDER, "1")),
        (venue_filled(ORDER, "1"), venue_rejected(ORDER)),
        (venue_accepted(ORDER), venue_cancel_rejected(ORDER)),
    ],
)
def test_a_report_that_cannot_happen_any_more_is_an_alert(end: Event, report: Event) -> None:
    (alert,) = said(end, report)
    assert isinstance(alert, Alert)
    assert alert.code == "illegal_report"


@pytest.mark.parametrize("end", [venue_canceled(ORDER), venue_expired(ORDER)])
def test_a_fill_that_comes_after_the_end_happened_and_is_booked(end: Event) -> None:
    (fill,) = said(end, venue_filled(ORDER, "1"))
    assert isinstance(fill, OrderFilled)


def test_a_second_approval_of_the_same_order_is_an_alert_and_leaves_its_life_alone() -> None:
    alert, *rest = said(approval(ORDER))
    assert isinstance(alert, Alert)
    assert alert.code == "duplicate_order"
    assert rest == []


def test_a_halt_asks_the_venue_to_cancel_every_open_order() -> None:
    done, pending = terms(order_id="done", quantity="1"), terms(order_id="pending")
    tape = MemoryTape([Router(RouterSettings())])
    tape.play([approval(ORDER), approval(done), approval(pending), venue_filled(done, "1")])
    tape.play([HALT, HALT])
    assert [step.client_order_id for step in tape.of_type(OrderPendingCancel)] == [ORDER.client_order_id, "pending"]
    assert [command.client_order_id for command in tape.of_type(CancelOrder)] == [ORDER.client_order_id, "pending"]


def test_other_trading_states_leave_open_orders_alone() -> None:
    assert said(trading(TradingState.REDUCE_ONLY)) == []
    assert said(trading(TradingState.ACTIVE)) == []


def test_an_order_that_was_approved_before_a_halt_but_comes_after_it_is_denied() -> None:
    initialized, denied = said(HALT, approval(OTHER))
    assert isinstance(initialized, OrderInitialized)
    assert isinstance(denied, OrderDenied)
    assert "halted" in denied.reason


def test_orders_go_out_again_when_trading_is_active_again() -> None:
    assert isinstance(said(HALT, trading(TradingState.ACTIVE), approval(OTHER))[-1], SubmitOrder)


def test_a_refused_cancel_leaves_the_order_where_it_was() -> None:
    router = Router(RouterSettings())
    tape = MemoryTape([router])
    tape.play([approval(ORDER), venue_accepted(ORDER), HALT, venue_cancel_rejected(ORDER)])
    assert len(tape.of_type(OrderCancelRejected)) == 1
    assert router.orders[ORDER.client_order_id].life.status is OrderStatus.ACCEPTED


def test_the_oldest_closed_orders_are_forgotten_and_open_ones_never() -> None:
    router = Router(RouterSettings(remembered_orders=2))
    orders = [terms(order_id=f"o{number}") for number in range(5)]
    tape = MemoryTape([router])
    tape.play([approval(ORDER)])
    for order in orders:
        tape.play([approval(order), venue_canceled(order)])
    assert list(router.orders) == [ORDER.client_order_id, "o3", "o4"]


def test_the_oldest_closed_orders_are_forgotten_at_once_when_fewer_are_to_be_remembered() -> None:
    before, after = (Router(RouterSettings(remembered_orders=count)) for count in (5, 2))
    orders = [terms(order_id=f"o{number}") for number in range(4)]
    MemoryTape([before]).play([event for order in orders for event in (approval(order), venue_canceled(order))])
    after.restore(before.state())
    assert list(after.orders) == ["o2", "o3"]


def test_an_alert_about_a_very_long_trade_id_still_fits_on_the_tape() -> None:
    (alert,) = said(venue_filled(ORDER, "4", trade_id="x" * 2000))
    assert isinstance(alert, Alert)
    assert alert.severity is Severity.CRITICAL
    assert len(alert.message) <= 2000
