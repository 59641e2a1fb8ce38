"""orders and positions, one life at a time."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from inspect import signature
from typing import NamedTuple

import pytest

from contracts.books import EquityMarked, PositionChanged
from contracts.event import Event
from contracts.examples import ORDER_ID
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
from contracts.recorded import Recorded
from contracts.types import OrderStatus, Side, TimeInForce
from eventstore.projections.equity import EquityRow
from eventstore.projections.fills import FillRow
from eventstore.projections.orders import OrderRow, Orders
from eventstore.projections.positions import PositionRow, Positions
from eventstore.projections.shape import Shape
from tests.recordings import example

OPEN = (OrderInitialized, OrderSubmitted, OrderAccepted)


def fill(quantity: str, leaves: str, price: str = "100") -> Event:
    return example(OrderFilled, quantity=Decimal(quantity), leaves=Decimal(leaves), price=Decimal(price))


def tape(events: Sequence[Event | type[Event]]) -> list[Recorded]:
    made = [event if isinstance(event, Event) else example(event) for event in events]
    return [Recorded(10 + index, 9, "m", 0, event) for index, event in enumerate(made)]


def order_after(*events: Event | type[Event]) -> OrderRow:
    return Orders().fold_all({}, tape(events))[(ORDER_ID,)]


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([OrderInitialized], OrderStatus.INITIALIZED),
        ([OrderInitialized, OrderDenied], OrderStatus.DENIED),
        ([OrderDenied], OrderStatus.DENIED),
        ([OrderInitialized, OrderSubmitted], OrderStatus.SUBMITTED),
        ([OrderInitialized, OrderSubmitted, OrderRejected], OrderStatus.REJECTED),
        ([*OPEN], OrderStatus.ACCEPTED),
        ([*OPEN, OrderPendingCancel], OrderStatus.PENDING_CANCEL),
        ([*OPEN, OrderPendingCancel, OrderCancelRejected], OrderStatus.ACCEPTED),
        ([*OPEN, fill("1", "1"), OrderPendingCancel, OrderCancelRejected], OrderStatus.PARTIALLY_FILLED),
        ([OrderInitialized, OrderSubmitted, OrderPendingCancel, OrderCancelRejected], OrderStatus.SUBMITTED),
        ([*OPEN, OrderPendingCancel, OrderCanceled], OrderStatus.CANCELED),
        ([*OPEN, OrderExpired], OrderStatus.EXPIRED),
        ([*OPEN, fill("1", "1")], OrderStatus.PARTIALLY_FILLED),
        ([*OPEN, fill("1", "1"), fill("1", "0")], OrderStatus.FILLED),
        ([*OPEN, OrderPendingCancel, fill("1", "1")], OrderStatus.PENDING_CANCEL),
        ([*OPEN, OrderPendingCancel, fill("1", "1"), OrderCancelRejected], OrderStatus.PARTIALLY_FILLED),
        ([*OPEN, OrderPendingCancel, fill("1", "0")], OrderStatus.FILLED),
    ],
)
def test_the_status_is_what_the_last_events_say(events: list[Event | type[Event]], status: OrderStatus) -> None:
    assert order_after(*events).status is status


def test_fills_are_added_up_to_the_last_digit() -> None:
    order = order_after(*OPEN, fill("0.3", "0.2", price="100.1"), fill("0.2", "0", price="100.3"))
    assert order.filled_quantity == Decimal("0.5")
    assert order.filled_value == Decimal("50.09")
    assert order.fees == 2 * Decimal("0.0989")


def test_a_fill_after_a_cancel_is_booked_and_the_order_stays_canceled() -> None:
    order = order_after(*OPEN, OrderCanceled, fill("1", "1"))
    assert (order.status, order.filled_quantity) == (OrderStatus.CANCELED, Decimal(1))


def test_the_last_fill_after_a_cancel_fills_the_order() -> None:
    assert order_after(*OPEN, OrderCanceled, fill("1", "0")).status is OrderStatus.FILLED


def test_a_fill_that_overtakes_the_acceptance_is_not_undone_by_it() -> None:
    order = order_after(OrderInitialized, OrderSubmitted, fill("1", "1"), OrderAccepted)
    assert (order.status, order.venue_order_id) == (OrderStatus.PARTIALLY_FILLED, "sim-3")


def test_the_denial_of_a_second_use_of_an_id_says_nothing_of_the_first() -> None:
    assert order_after(*OPEN, OrderDenied) == order_after(*OPEN)


@pytest.mark.parametrize("ended", [OrderRejected, OrderCanceled, OrderExpired, fill("2", "0")])
@pytest.mark.parametrize("illegal", [OrderSubmitted, OrderAccepted, OrderCanceled, OrderPendingCancel, OrderRejected])
def test_what_cannot_happen_after_the_end_changes_nothing(ended: Event | type[Event], illegal: type[Event]) -> None:
    life = [OrderInitialized, OrderSubmitted] if ended is OrderRejected else [*OPEN]
    assert order_after(*life, ended, illegal) == order_after(*life, ended)


def test_a_fill_that_cannot_happen_is_booked_and_changes_no_status() -> None:
    order = order_after(OrderInitialized, OrderSubmitted, OrderRejected, fill("1", "0"))
    assert (order.status, order.filled_quantity) == (OrderStatus.REJECTED, Decimal(1))


def test_what_a_refused_cancel_leads_back_to_is_kept_while_it_is_pending() -> None:
    pending = [*OPEN, OrderPendingCancel]
    assert order_after(*pending).status_before_cancel is OrderStatus.ACCEPTED
    assert order_after(*pending, fill("1", "1")).status_before_cancel is OrderStatus.PARTIALLY_FILLED
    assert order_after(*pending, OrderCancelRejected).status_before_cancel is None
    assert order_after(*pending, OrderCanceled).status_before_cancel is None


def test_a_denied_order_that_was_never_initialized_has_no_terms() -> None:
    order = order_after(OrderDenied)
    assert (order.side, order.quantity, order.strategy) == (None, None, "trend")


def test_an_order_keeps_when_it_was_made_and_when_it_last_changed() -> None:
    order = order_after(*OPEN, OrderCanceled, OrderCanceled)
    assert (order.created_position, order.updated_position) == (10, 13)


def test_a_flat_position_is_worth_nothing() -> None:
    flat = example(PositionChanged, quantity=Decimal(0), average_price=None)
    (row,) = Positions().fold_all({}, tape([PositionChanged, flat])).values()
    assert (row.value, row.unrealized_pnl) == (Decimal(0), Decimal(0))


def test_a_mark_changes_the_value_and_not_what_was_paid() -> None:
    before, after = (
        Positions().fold_all({}, tape(events))[("trend", "binance", "BTCUSDT")]
        for events in ([PositionChanged], [PositionChanged, EquityMarked])
    )
    assert after.average_price == before.average_price
    assert after.value == Decimal("247.35054")


def test_products_are_exact_beyond_the_28_digits_of_python() -> None:
    long = Decimal("1234567890123456.123456789012")
    (row,) = Positions().fold_all({}, tape([example(PositionChanged, quantity=long, mark=long)])).values()
    assert Fraction(row.value) == Fraction(long) ** 2


def test_a_row_crosses_to_columns_and_back() -> None:
    shape = Shape(OrderRow)
    order = order_after(*OPEN)
    values = dict(zip(shape.columns, shape.values(order), strict=True))
    assert (values["side"], values["time_in_force"]) == (Side.BUY.value, TimeInForce.GTC.value)
    assert shape.row(shape.values(order)) == order


@pytest.mark.parametrize("row_type", [OrderRow, FillRow, PositionRow, EquityRow])
def test_every_field_of_a_row_is_a_column(row_type: type[object]) -> None:
    assert list(Shape(row_type).columns) == list(signature(row_type).parameters)


class Line(NamedTuple):
    text: str
    remark: str | None
    side: Side | None
    amount: Decimal | None
    open: bool


def test_rows_are_lines_for_copy() -> None:
    rows = [
        Line("plain", "a\tb", Side.BUY, Decimal("0.10"), open=True),
        Line("C:\\N\r\n", None, None, None, open=False),
        Line("", "\\N", Side.SELL, Decimal("1E+3"), open=False),
    ]
    first, second, third, end = Shape(Line).lines(rows).split("\n")
    assert first.split("\t") == ["plain", r"a\tb", "buy", "0.10", "True"]
    assert second.split("\t") == [r"C:\\N\r\n", r"\N", r"\N", r"\N", "False"]
    assert third.split("\t") == ["", r"\\N", "sell", "1E+3", "False"]
    assert end == ""
