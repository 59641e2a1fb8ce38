"""Conditional orders: the router holds them, watches the price they name, and sends what they become."""

from dataclasses import replace
from decimal import Decimal

import pytest

from contracts.event import Event
from contracts.market import Funding
from contracts.orders import OrderHeld, OrderTerms, OrderTriggered, Trail
from contracts.types import OrderStatus, OrderType, Side, TimeInForce, TradingState, TrailKind, TriggerBy
from contracts.venue import SubmitOrder
from tests.builders import BTC, ETH, approval, cancel_intent, conditional, ns, quote, tick, trade, trading, venue_filled
from tests.routing import Routed, types

STOP = conditional(OrderType.STOP_MARKET, trigger="95")
SENT = ["OrderTriggered", "OrderSubmitted", "SubmitOrder"]


def funding(mark: float) -> Funding:
    return Funding(ts_event=ns(0), ts_init=ns(0), instrument=BTC, mark=mark, index=mark, rate=0.0, next_at=ns(3600))


def test_a_conditional_order_is_held_and_no_venue_hears_of_it() -> None:
    routed = Routed(quote(99, 101))
    assert types(routed.hear(approval(STOP))) == ["OrderInitialized", "OrderHeld"]
    assert "95" in routed.tape.of_type(OrderHeld)[0].reason


@pytest.mark.parametrize(
    ("kind", "side", "not_yet", "reached"),
    [
        (OrderType.STOP_MARKET, Side.SELL, quote(95.1, 95.2), quote(95.0, 95.3)),
        (OrderType.STOP_MARKET, Side.BUY, quote(94.7, 94.9), quote(94.8, 95.0)),
        (OrderType.MARKET_IF_TOUCHED, Side.SELL, quote(94.9, 95.2), quote(95.0, 95.2)),
        (OrderType.MARKET_IF_TOUCHED, Side.BUY, quote(94.9, 95.1), quote(94.8, 95.0)),
        (OrderType.STOP_LIMIT, Side.SELL, quote(95.1, 95.2), quote(94.0, 95.3)),
        (OrderType.LIMIT_IF_TOUCHED, Side.BUY, quote(94.9, 95.1), quote(94.0, 94.5)),
    ],
)
def test_it_triggers_at_its_price_and_not_one_step_before(
    kind: OrderType, side: Side, not_yet: Event, reached: Event
) -> None:
    order = conditional(kind, side, trigger="95", limit="95" if kind.has_limit else None)
    routed = Routed(approval(order))
    assert routed.hear(not_yet) == []
    assert types(routed.hear(reached)) == SENT
    (sent,) = routed.submitted()
    assert sent.order_type is kind.triggered
    assert (sent.client_order_id, sent.limit_price) == (order.client_order_id, order.limit_price)
    assert (sent.trigger_price, sent.trigger_by) == (None, None)
    assert routed.violations() == []


def test_a_price_that_is_a_float_beside_the_trigger_is_at_it() -> None:
    routed = Routed(approval(STOP))
    assert types(routed.hear(quote(95.00000000000001, 96))) == SENT


def test_it_triggers_at_once_where_the_price_has_been_reached_already() -> None:
    routed = Routed(quote(94, 95))
    assert types(routed.hear(approval(STOP))) == ["OrderInitialized", "OrderHeld", *SENT]


@pytest.mark.parametrize(
    ("by", "ignored", "heard"),
    [
        (TriggerBy.LAST, [quote(90, 91), funding(90)], trade(94.0)),
        (TriggerBy.MARK, [trade(90.0), funding(96.0), quote(90, 91)], funding(94.0)),
        (TriggerBy.MARK, [trade(90.0), quote(95.0, 95.2)], quote(94.8, 95.0)),
        (TriggerBy.BID_ASK, [trade(90.0), funding(90.0)], quote(94.0, 99.0)),
        (TriggerBy.BID_ASK, [quote(90, 91, instrument=ETH)], quote(94.0, 99.0)),
    ],
    ids=["last", "mark", "middle where there is no mark", "bid", "its own instrument"],
)
def test_it_looks_at_the_price_it_names_and_at_no_other(by: TriggerBy, ignored: list[Event], heard: Event) -> None:
    routed = Routed(approval(replace(STOP, trigger_by=by)))
    assert routed.hear(*ignored) == []
    assert types(routed.hear(heard)) == SENT


@pytest.mark.parametrize(
    ("side", "trail", "prices", "triggers_at"),
    [
        (Side.SELL, Trail(offset=Decimal(5), kind=TrailKind.ABSOLUTE), [100, 110, 107, 106, 105], 105),
        (Side.SELL, Trail(offset=Decimal(10), kind=TrailKind.PERCENT), [100, 200, 190, 181, 180], 180),
        (Side.BUY, Trail(offset=Decimal(5), kind=TrailKind.ABSOLUTE), [100, 90, 92, 94, 95], 95),
        (Side.BUY, Trail(offset=Decimal(10), kind=TrailKind.PERCENT), [100, 50, 52, 54, 55], 55),
    ],
)
def test_a_trailing_stop_follows_the_best_price_and_never_goes_back(
    side: Side, trail: Trail, prices: list[float], triggers_at: float
) -> None:
    routed = Routed(approval(conditional(OrderType.TRAILING_STOP, side, trail=trail)))
    *before, last = prices
    assert routed.hear(*(quote(price, price) for price in before)) == []
    assert types(routed.hear(quote(last, last))) == SENT
    assert routed.tape.of_type(OrderTriggered)[0].price == triggers_at


def test_a_trailing_stop_begins_where_it_is_told_to() -> None:
    order = conditional(OrderType.TRAILING_STOP, trigger="98", trail=Trail(offset=Decimal(5), kind=TrailKind.ABSOLUTE))
    routed = Routed(approval(order))
    assert routed.hear(quote(99, 99)) == []
    assert types(routed.hear(quote(98, 98))) == SENT


def test_slippage_of_a_triggered_order_is_measured_from_where_it_was_triggered() -> None:
    routed = Routed(approval(STOP, mark=100.0), quote(94.0, 96.0))
    (fill,) = routed.hear(venue_filled(STOP, "1", price="94.05"))
    assert fill.slippage_bps == 100.0  # type: ignore[attr-defined]


def test_a_canceled_order_is_not_triggered_any_more() -> None:
    routed = Routed(approval(STOP))
    assert types(routed.hear(cancel_intent(STOP))) == ["OrderCanceled"]
    assert routed.hear(quote(90, 91)) == []


def test_a_venue_that_ends_an_order_it_never_heard_of_is_an_alert() -> None:
    routed = Routed(approval(STOP))
    assert types(routed.hear(venue_filled(STOP, "1"))) == ["Alert"]
    assert routed.status(STOP) is OrderStatus.HELD


def test_a_halt_takes_back_what_is_held_but_leaves_what_ends_a_loss() -> None:
    entry = replace(conditional(OrderType.STOP_MARKET, Side.BUY, trigger="105"), client_order_id="entry")
    stop = replace(STOP, reduce_only=True)
    routed = Routed(approval(entry), approval(stop))
    assert types(routed.hear(trading(TradingState.HALTED))) == ["OrderCanceled"]
    assert (routed.status(entry), routed.status(stop)) == (OrderStatus.CANCELED, OrderStatus.HELD)
    assert types(routed.hear(quote(94, 95))) == SENT


def good_till(seconds: float) -> OrderTerms:
    return replace(STOP, time_in_force=TimeInForce.GTD, expires_at=ns(seconds))


@pytest.mark.parametrize("late", [tick(10), quote(94, 95, at=10)], ids=["the clock", "a quote that would trigger it"])
def test_what_is_held_expires_when_its_time_is_over(late: Event) -> None:
    routed = Routed(approval(good_till(10)))
    assert routed.hear(tick(9.9)) == []
    assert types(routed.hear(late)) == ["OrderExpired"]


def test_an_order_whose_time_is_over_before_it_comes_is_denied() -> None:
    assert types(Routed().hear(approval(good_till(0)))) == ["OrderInitialized", "OrderDenied"]


def test_a_day_order_stands_until_midnight_in_utc() -> None:
    routed = Routed(approval(replace(STOP, time_in_force=TimeInForce.DAY)))
    midnight = 24 * 3600 - ns(0) // 10**9 % (24 * 3600)
    assert routed.hear(tick(midnight - 1)) == []
    assert types(routed.hear(tick(midnight))) == ["OrderExpired"]


def test_a_venue_is_told_nothing_that_the_router_does_for_it() -> None:
    routed = Routed(approval(good_till(10)), quote(94, 95))
    (command,) = routed.tape.of_type(SubmitOrder)
    assert command.contradiction() is None
    assert (command.order.time_in_force, command.order.expires_at) == (TimeInForce.GTC, None)
