"""The stop validator: every open position has its protective stop, of the right size and side."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from contracts.books import EquityMarked, MarkedPosition, PositionChanged
from contracts.control import Alert
from contracts.event import Event
from contracts.orders import (
    AmendIntent,
    Amendment,
    AmendRejected,
    CancelIntent,
    Denial,
    OrderCanceled,
    OrderEvent,
    OrderInitialized,
    OrderPendingCancel,
    OrderRejected,
    OrderTerms,
    OrderTriggered,
    OrderUpdated,
    OrderUpdateRejected,
    ProtectiveIntent,
    RiskRejected,
)
from contracts.types import (
    InstrumentId,
    OrderType,
    PositionSide,
    Rail,
    Severity,
    Side,
    TradingState,
    TriggerBy,
    instrument_id,
)
from services.stops.rules import Stops
from services.stops.settings import StopsSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, LISTING, approval, conditional, filled, linked, ns, terms, tick, trading

BUY, SELL = Side.BUY, Side.SELL
KEEPS_ITS_OWN = "scalper"
LEAVES_IT_TO_US = "trend"


def watched(**settings: Any) -> MemoryTape:  # noqa: ANN401 (settings are of any kind)
    return MemoryTape([Stops(StopsSettings.model_validate({"places_for": (LEAVES_IT_TO_US,), **settings}), LISTING)])


def said(tape: MemoryTape, *events: Event) -> list[Event]:
    """What it says to these events, but for alerts."""
    before = len(tape.recorded)
    tape.play(events)
    return [recorded.event for recorded in tape.recorded[before:] if not isinstance(recorded.event, Alert)]


def alerts(tape: MemoryTape) -> list[str]:
    return [alert.code for alert in tape.of_type(Alert)]


def position(
    quantity: str,
    *,
    at: float = 0.0,
    strategy: str = KEEPS_ITS_OWN,
    average: str = "100",
    mark: str = "100",
    instrument: InstrumentId = BTC,
    side: PositionSide = PositionSide.NET,
) -> PositionChanged:
    held = Decimal(quantity)
    return PositionChanged(
        ts_event=ns(at),
        ts_init=ns(at),
        strategy=strategy,
        instrument=instrument,
        quantity=held,
        average_price=Decimal(average) if held else None,
        realized_pnl=Decimal(0),
        fees=Decimal(0),
        mark=Decimal(mark),
        position_side=side,
    )


def stop(side: Side = SELL, quantity: str = "1", *, name: str = "s", strategy: str = KEEPS_ITS_OWN) -> OrderTerms:
    kind = OrderType.STOP_MARKET
    order = conditional(kind, side, quantity, trigger="90", reduce_only=True, order_id=name)
    return replace(order, strategy=strategy)


def taken(order: OrderTerms, *, at: float = 0.0) -> OrderInitialized:
    return OrderInitialized(ts_event=ns(at), ts_init=ns(at), order=order)


def step(kind: type[OrderEvent], order: OrderTerms, *, at: float = 0.0, **fields: object) -> OrderEvent:
    return kind(
        ts_event=ns(at),
        ts_init=ns(at),
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        instrument=order.instrument,
        **fields,
    )


def gone(order: OrderTerms, *, at: float = 0.0) -> OrderEvent:
    return step(OrderCanceled, order, at=at, reason="test")


def refused(order: OrderTerms, *, at: float = 0.0) -> RiskRejected:
    reasons = (Denial(rail=Rail.REDUCE_ONLY, detail="nothing to reduce"),)
    return RiskRejected(ts_event=ns(at), ts_init=ns(at), order=order, reasons=reasons)


def updated(order: OrderTerms, quantity: str, *, at: float = 0.0) -> OrderEvent:
    size = Decimal(quantity)
    return step(OrderUpdated, order, at=at, quantity=size, limit_price=None, trigger_price=None, leaves=size)


def placed(*events: Event, **settings: Any) -> tuple[MemoryTape, OrderTerms]:  # noqa: ANN401
    """A position of somebody who leaves the stop to us, and the stop that was placed for it."""
    tape = watched(**settings)
    opened = position("1", strategy=LEAVES_IT_TO_US)
    (wish,) = said(tape, opened, *events)
    assert isinstance(wish, ProtectiveIntent)
    tape.play([taken(wish.order)])
    return tape, wish.order


def protective(wishes: Iterable[Event]) -> list[tuple[Side, str, str]]:
    return [
        (wish.order.side, str(wish.order.quantity), str(wish.order.trigger_price))
        for wish in wishes
        if isinstance(wish, ProtectiveIntent)
    ]


# -- what is missing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("held", "side", "trigger"), [("1.5", SELL, "95.0"), ("-1.5", BUY, "105.0")])
def test_a_position_without_a_stop_gets_one_with_the_next_tick(held: str, side: Side, trigger: str) -> None:
    tape = watched(stop_bps=500)
    assert said(tape, position(held, at=0.9)) == []
    (wish,) = said(tape, tick(1.0))
    assert isinstance(wish, ProtectiveIntent)
    assert (wish.by, wish.ts_init, wish.reference_price) == ("stops", ns(1.0), 100.0)
    order = wish.order
    assert (order.strategy, order.side, order.order_type, order.reduce_only) == (
        KEEPS_ITS_OWN,
        side,
        OrderType.STOP_MARKET,
        True,
    )
    assert (order.quantity, order.trigger_price, order.trigger_by) == (Decimal("1.5"), Decimal(trigger), TriggerBy.MARK)
    assert order.is_protective
    assert order.contradiction() is None
    assert alerts(tape) == ["stop_repaired"]


def test_the_grace_passes_with_any_event_of_the_order() -> None:
    tape = watched(grace_ms=500)
    short = stop(quantity="0.4")
    assert said(tape, taken(short), position("1"), updated(short, "0.4", at=0.499)) == []
    assert protective(said(tape, updated(short, "0.4", at=0.5))) == [(SELL, "0.6", "95.0")]


def test_a_strategy_that_leaves_its_stop_to_us_gets_it_at_once_and_without_an_alert() -> None:
    tape = watched()
    assert len(said(tape, position("1", strategy=LEAVES_IT_TO_US))) == 1
    assert alerts(tape) == []


def test_ids_are_of_the_position_that_led_to_them_and_never_the_same() -> None:
    tape, order = placed()
    assert order.client_order_id == "stops-1-0"
    (other,) = said(tape, position("1", strategy=LEAVES_IT_TO_US, instrument=ETH))
    assert isinstance(other, ProtectiveIntent)
    assert other.order.client_order_id == f"stops-{tape.position - 1}-0"


def test_a_stop_is_wished_for_once() -> None:
    tape = watched()
    assert len(said(tape, position("1"), tick(1.0), tick(2.0), tick(3.0))) == 1


def test_what_has_its_stop_is_left_alone() -> None:
    tape = watched()
    assert said(tape, taken(stop()), position("1"), *(tick(second) for second in range(1, 9))) == []
    assert alerts(tape) == []


@pytest.mark.parametrize("kind", [OrderType.STOP_MARKET, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP])
def test_every_kind_of_stop_protects(kind: OrderType) -> None:
    tape = watched()
    assert said(tape, taken(replace(stop(), order_type=kind)), position("1"), tick(1.0)) == []


def test_a_target_and_an_order_that_could_open_a_position_protect_nothing() -> None:
    target = replace(stop(name="t"), order_type=OrderType.MARKET_IF_TOUCHED)
    opening = replace(stop(name="o"), reduce_only=False)
    assert len(said(watched(), taken(target), taken(opening), position("1"), tick(1.0))) == 1


def test_a_stop_that_waits_for_its_parent_protects_when_that_has_traded() -> None:
    entry = replace(terms(BUY, "1", order_id="e"), strategy=KEEPS_ITS_OWN)
    child = linked(stop(), parent=entry)
    assert len(said(watched(), taken(child), position("1"), tick(1.0))) == 1
    assert said(watched(), taken(child), position("0.0"), tick(1.0)) == []
    assert said(watched(), taken(child), filled(entry), position("1"), tick(1.0)) == []


def test_what_was_approved_counts_until_the_router_should_have_it() -> None:
    tape = watched(answer_ms=2_000)
    assert said(tape, approval(stop()), position("1"), tick(1.0)) == []
    assert len(said(tape, tick(2.0), tick(3.0), tick(4.0))) == 1
    assert alerts(tape) == ["stop_failed", "stop_repaired"]


def test_what_was_approved_and_never_came_is_forgotten() -> None:
    stops = Stops(StopsSettings(answer_ms=2_000), LISTING)
    MemoryTape([stops]).play([approval(stop()), tick(1.0), tick(2.0), tick(3.0)])
    assert (stops.holdings, stops.covers) == ({}, {})


def test_a_stop_never_triggers_at_once() -> None:
    deep = position("1", average="100", mark="80")
    assert protective(said(watched(min_distance_bps=100), deep, tick(1.0))) == [(SELL, "1", "79.2")]
    rich = position("-1", average="100", mark="120")
    assert protective(said(watched(min_distance_bps=100), rich, tick(1.0))) == [(BUY, "1", "121.2")]


def test_a_stop_stands_by_the_newest_mark() -> None:
    tape = watched(min_distance_bps=100)
    marked = EquityMarked(
        ts_event=ns(0.5),
        ts_init=ns(0.5),
        strategy=KEEPS_ITS_OWN,
        currency="USDT",
        cash=Decimal(0),
        equity=Decimal(90),
        realized_pnl=Decimal(0),
        unrealized_pnl=Decimal(-10),
        fees=Decimal(0),
        peak=Decimal(100),
        positions=(
            MarkedPosition(
                instrument=BTC,
                quantity=Decimal(1),
                mark=Decimal(90),
                value=Decimal(90),
                unrealized_pnl=Decimal(-10),
            ),
        ),
    )
    assert protective(said(tape, position("1"), marked, tick(1.0))) == [(SELL, "1", "89.1")]


def test_what_is_not_listed_cannot_be_protected_and_a_person_is_told_with_growing_pauses() -> None:
    tape = watched()
    nowhere = position("1", instrument=instrument_id("sim", "NONE"))
    assert said(tape, nowhere, *(tick(second) for second in range(1, 11))) == []
    assert alerts(tape) == ["stop_repaired", "no_stop"] * 4


# -- what is wrong -----------------------------------------------------------------------------------------------------


def test_a_stop_of_somebody_else_that_is_too_small_is_completed_by_one_of_ours() -> None:
    tape = watched()
    assert protective(said(tape, taken(stop(quantity="0.3")), position("1"), tick(1.0))) == [(SELL, "0.7", "95.0")]


def test_our_stop_grows_and_shrinks_with_the_position() -> None:
    tape, order = placed()
    (amend,) = said(tape, position("1.5", strategy=LEAVES_IT_TO_US, at=1.0))
    assert isinstance(amend, AmendIntent)
    assert (amend.by, amend.amendment.client_order_id, amend.amendment.quantity) == (
        "stops",
        order.client_order_id,
        Decimal("1.5"),
    )
    assert said(tape, tick(2.0), updated(order, "1.5", at=2.0), tick(3.0)) == []
    (amend,) = said(tape, position("0.5", strategy=LEAVES_IT_TO_US, at=3.5), tick(4.0))
    assert isinstance(amend, AmendIntent)
    assert amend.amendment.quantity == Decimal("0.5")
    assert alerts(tape) == []


def test_an_amended_quantity_includes_what_was_filled() -> None:
    tape, order = placed()
    partly = filled(order, "0.4", at=1.0)
    (amend,) = said(tape, partly, position("0.8", strategy=LEAVES_IT_TO_US, at=1.0))
    assert isinstance(amend, AmendIntent)
    assert amend.amendment.quantity == Decimal("1.2")


def test_our_stop_goes_at_once_when_there_is_nothing_left_to_protect() -> None:
    tape, order = placed()
    (cancel,) = said(tape, position("0", strategy=LEAVES_IT_TO_US, at=0.1))
    assert isinstance(cancel, CancelIntent)
    assert (cancel.by, cancel.client_order_id) == ("stops", order.client_order_id)
    assert said(tape, tick(1.0), gone(order, at=1.0), tick(2.0)) == []


def test_a_stop_of_somebody_else_without_a_position_goes_with_the_next_tick() -> None:
    tape = watched()
    assert said(tape, taken(stop())) == []
    (cancel,) = said(tape, tick(1.0))
    assert isinstance(cancel, CancelIntent)
    assert alerts(tape) == ["stop_repaired"]


def test_a_stop_of_the_wrong_side_goes_and_the_right_one_comes() -> None:
    kinds = [type(wish) for wish in said(watched(), taken(stop(BUY)), position("1"), tick(1.0))]
    assert sorted(kind.__name__ for kind in kinds) == ["CancelIntent", "ProtectiveIntent"]


def test_of_too_many_stops_ours_goes_first_then_the_youngest() -> None:
    tape, ours = placed()
    old, young = (stop(name=name, quantity="1", strategy=LEAVES_IT_TO_US) for name in ("old", "young"))
    wishes = said(tape, taken(old, at=0.1), taken(young, at=0.1), tick(1.0))
    assert [wish.client_order_id for wish in wishes if isinstance(wish, CancelIntent)] == [
        ours.client_order_id,
        "young",
    ]


def test_a_stop_that_is_too_large_is_made_smaller() -> None:
    (amend,) = said(watched(), taken(stop(quantity="3")), position("1"), tick(1.0))
    assert isinstance(amend, AmendIntent)
    assert amend.amendment.quantity == Decimal(1)


def test_a_stop_that_was_triggered_is_left_to_trade() -> None:
    order = stop()
    triggered = step(OrderTriggered, order, price=Decimal(90))
    assert said(watched(), taken(order), position("1"), triggered, tick(1.0), tick(2.0)) == []


def test_a_stop_that_is_being_canceled_protects_nothing() -> None:
    order = stop()
    assert len(said(watched(), taken(order), position("1"), step(OrderPendingCancel, order), tick(1.0))) == 1


def test_longs_and_shorts_that_are_kept_apart_each_have_their_stop() -> None:
    long, short = position("1", side=PositionSide.LONG), position("-2", side=PositionSide.SHORT)
    assert protective(said(watched(), long, short, tick(1.0))) == [(BUY, "2", "105.0"), (SELL, "1", "95.0")]


def test_while_the_books_have_not_said_what_a_fill_made_of_a_position_nothing_is_done() -> None:
    order = stop()
    tape = watched()
    assert said(tape, taken(order), position("1"), filled(order, "0.5", at=0.99), tick(1.0)) == []
    assert said(tape, position("0.5", at=1.01), tick(2.0)) == []
    assert said(tape, filled(order, "0.25", before="0.5", at=2.1), tick(3.0)) == []
    assert len(said(tape, tick(4.0), tick(5.0))) == 1


def test_only_what_is_to_be_watched_is_watched() -> None:
    assert said(watched(enabled=False), position("1"), tick(1.0)) == []
    assert said(watched(strategies=("other",)), position("1"), tick(1.0)) == []
    assert said(watched(instruments=(ETH,)), position("1"), tick(1.0)) == []


# -- what fails --------------------------------------------------------------------------------------------------------


def test_a_refused_stop_is_wished_for_again_later_and_later() -> None:
    tape = watched(retry_ms=1_000, retry_max_ms=4_000)
    tried = []
    tape.play([position("1")])
    for second in range(1, 20):
        for wish in said(tape, tick(second)):
            assert isinstance(wish, ProtectiveIntent)
            tried.append(second)
            tape.play([refused(wish.order, at=second)])
    assert tried == [1, 2, 4, 8, 12, 16]
    failures = [alert for alert in tape.of_type(Alert) if alert.code == "stop_failed"]
    assert len(failures) == 6
    assert failures[0].severity is Severity.CRITICAL
    assert "reduce_only: nothing to reduce" in failures[0].message


def test_a_success_ends_the_growing_pauses() -> None:
    tape = watched()
    (first,) = said(tape, position("1"), tick(1.0))
    assert isinstance(first, ProtectiveIntent)
    (second,) = said(tape, refused(first.order, at=1.0), tick(2.0))
    assert isinstance(second, ProtectiveIntent)
    tape.play([taken(second.order, at=2.0), tick(3.0)])
    (third,) = said(tape, gone(second.order, at=3.5), tick(4.5))
    assert isinstance(third, ProtectiveIntent)


def test_a_stop_that_the_venue_rejects_is_placed_again() -> None:
    tape, order = placed()
    assert said(tape, step(OrderRejected, order, at=1.0, reason="no")) == []
    assert protective(said(tape, tick(2.0))) == [(SELL, "1", "95.0")]
    assert alerts(tape) == ["stop_failed", "stop_repaired"]


def test_a_stop_that_ends_when_nothing_is_held_any_more_has_not_failed() -> None:
    tape, order = placed()
    left = position("0", strategy=LEAVES_IT_TO_US, at=1.0)
    triggered = step(OrderTriggered, order, price=Decimal(95), at=1.0)
    said(tape, triggered, left, step(OrderRejected, order, at=1.1, reason="nothing to reduce"), tick(2.0))
    assert alerts(tape) == []


@pytest.mark.parametrize("by_risk", [True, False])
def test_a_stop_that_cannot_be_changed_is_completed_or_replaced(*, by_risk: bool) -> None:
    def no(at: float) -> Event:
        if not by_risk:
            return step(OrderUpdateRejected, order, at=at, reason="no")
        wanted = Amendment(
            client_order_id=order.client_order_id,
            instrument=BTC,
            quantity=Decimal(2),
            limit_price=None,
            trigger_price=None,
        )
        reasons = (Denial(rail=Rail.ORDER_TERMS, detail="no"),)
        return AmendRejected(ts_event=ns(at), ts_init=ns(at), amendment=wanted, reasons=reasons)

    tape, order = placed()
    (amend,) = said(tape, position("2", strategy=LEAVES_IT_TO_US, at=1.0))
    assert isinstance(amend, AmendIntent)
    assert protective(said(tape, no(1.0), tick(2.0))) == [(SELL, "1", "95.0")]


def test_a_cancel_that_is_not_heard_of_is_asked_for_again() -> None:
    tape, order = placed(answer_ms=2_000)
    assert len(said(tape, position("0", strategy=LEAVES_IT_TO_US, at=0.1))) == 1
    again = said(tape, *(tick(second) for second in range(1, 6)))
    assert [wish.client_order_id for wish in again if isinstance(wish, CancelIntent)] == [order.client_order_id]


# -- leaving everything ------------------------------------------------------------------------------------------------


def flatten(*, at: float = 1.0) -> Event:
    return replace(trading(TradingState.HALTED, at=at), flatten=True)


def test_flatten_cancels_the_stops_and_leaves_every_position_at_once() -> None:
    tape = watched(strategies=("nobody",))
    own = stop()
    wishes = said(tape, taken(own), position("1"), position("-2", strategy="other", instrument=ETH), flatten())
    canceled = [wish.client_order_id for wish in wishes if isinstance(wish, CancelIntent)]
    leaving = [wish.order for wish in wishes if isinstance(wish, ProtectiveIntent)]
    assert canceled == [own.client_order_id]
    assert [(o.strategy, o.instrument, o.side, o.quantity, o.order_type, o.reduce_only) for o in leaving] == [
        (KEEPS_ITS_OWN, BTC, SELL, Decimal(1), OrderType.MARKET, True),
        ("other", ETH, BUY, Decimal(2), OrderType.MARKET, True),
    ]


def test_flatten_tries_again_until_it_is_flat() -> None:
    tape = watched()
    (first,) = said(tape, position("1"), flatten())
    assert isinstance(first, ProtectiveIntent)
    assert said(tape, refused(first.order, at=1.1)) == []
    (second,) = said(tape, tick(3.0))
    assert isinstance(second, ProtectiveIntent)
    tape.play([taken(second.order, at=3.0), filled(second.order, "0.6", at=3.1), position("0.4", at=3.1)])
    assert said(tape, tick(4.0)) == []
    (third,) = said(tape, gone(second.order, at=4.1), tick(7.0))
    assert isinstance(third, ProtectiveIntent)
    assert third.order.quantity == Decimal("0.4")
    tape.play([taken(third.order, at=7.0), filled(third.order, at=7.1), position("0", at=7.1)])
    assert said(tape, *(tick(second) for second in range(8, 20))) == []


def test_what_is_filled_after_the_halt_is_left_too() -> None:
    tape = watched()
    assert said(tape, flatten()) == []
    assert len(said(tape, position("1", at=1.5))) == 1


def test_a_halt_alone_leaves_positions_and_their_stops() -> None:
    tape = watched()
    assert said(tape, taken(stop()), position("1"), trading(TradingState.HALTED), tick(1.0)) == []


def test_a_halt_again_does_not_end_a_flatten_and_trading_does() -> None:
    tape = watched()
    tape.play([flatten(), trading(TradingState.HALTED, at=1.1)])
    (wish,) = said(tape, position("1", at=1.2))
    assert isinstance(wish, ProtectiveIntent)
    assert wish.order.order_type is OrderType.MARKET
    tape.play([refused(wish.order, at=1.2), trading(TradingState.ACTIVE, at=1.3)])
    (wish,) = said(tape, tick(3.0))
    assert isinstance(wish, ProtectiveIntent)
    assert wish.order.order_type is OrderType.STOP_MARKET


def test_nothing_is_kept_of_what_is_flat_and_uncovered() -> None:
    tape, order = placed()
    tape.play([gone(order, at=1.0), position("0", strategy=LEAVES_IT_TO_US, at=1.0), tick(2.0)])
    stops = Stops(StopsSettings(), LISTING)
    MemoryTape([stops]).play([taken(order), position("1"), gone(order, at=1.0), position("0", at=1.0), tick(2.0)])
    assert (stops.holdings, stops.covers) == ({}, {})
