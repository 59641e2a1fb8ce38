"""Orders that are put on the grid of their instrument, made smaller, or cut back after bad executions."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.event import Event
from contracts.orders import RiskApproved, RiskRejected
from contracts.types import OrderType, Rail, Side, TradingState
from services.risk.snapping import whole_ticks
from tests.builders import BTC, ETH, LISTING, conditional, intent, linked, terms, trading
from tests.risk_builders import (
    allocated,
    approved,
    bracket,
    equity,
    holding,
    of_list,
    override,
    reasons,
    sampled,
    verdict,
    wish,
)

BUY, SELL = Side.BUY, Side.SELL


@pytest.mark.parametrize(
    ("side", "limit", "snapped"), [(BUY, "100.19", "100.1"), (SELL, "100.11", "100.2"), (BUY, "100.1", "100.1")]
)
def test_a_price_is_put_on_the_tick_where_it_is_no_worse(side: Side, limit: str, snapped: str) -> None:
    assert approved(wish("x", side, limit=limit)).order.limit_price == Decimal(snapped)


@pytest.mark.parametrize(("side", "trigger", "snapped"), [(SELL, "94.91", "95.0"), (BUY, "105.09", "105.0")])
def test_a_stop_is_put_on_the_tick_where_it_ends_a_loss_sooner(side: Side, trigger: str, snapped: str) -> None:
    stop = conditional(OrderType.STOP_MARKET, side, trigger=trigger)
    assert approved(intent(stop)).order.trigger_price == Decimal(snapped)


def test_a_quantity_is_put_on_the_lot_below_it_and_that_is_not_called_resized() -> None:
    verdict_ = approved(wish("x", quantity="1.0019"))
    assert (verdict_.order.quantity, verdict_.resized) == (Decimal("1.001"), ())


def test_what_an_iceberg_shows_is_put_on_the_lot_too() -> None:
    iceberg = replace(terms(BUY, "1.0009", limit="100"), display_quantity=Decimal("0.0005"))
    assert approved(intent(iceberg)).order.display_quantity == Decimal("0.001")


def test_a_refusal_is_on_the_order_as_it_was_wished_for() -> None:
    refused = verdict(trading(TradingState.HALTED), wished := wish("x", quantity="1.0019", limit="100.19"))
    assert isinstance(refused, RiskRejected)
    assert refused.order == wished.order


prices = st.decimals(min_value=Decimal("0.001"), max_value=10**6, places=6)


@given(prices, st.sampled_from(Side))
def test_any_price_is_put_on_the_next_tick_in_the_harmless_direction(price: Decimal, side: Side) -> None:
    instrument = LISTING[BTC]
    snapped = whole_ticks(price, side, instrument)
    assume(instrument.is_price(snapped))
    assert 0 <= (price - snapped) * side.sign < instrument.tick


SIZES: list[tuple[Rail, dict[str, Any], tuple[Event, ...], str]] = [
    (Rail.MAX_NOTIONAL, {"max_order_notional": 150.05}, (), "1.500"),
    (Rail.SYMBOL_EXPOSURE, {"max_symbol_exposure": 300}, (holding(BUY, "2"),), "1.000"),
    (Rail.SYMBOL_EXPOSURE, {"max_symbol_exposure": 300}, (holding(SELL, "2"),), "5.000"),
    (Rail.VENUE_EXPOSURE, {"max_venue_exposure": 299.99}, (holding(BUY, "20", instrument=ETH),), "0.999"),
    (Rail.STRATEGY_EXPOSURE, {"max_strategy_exposure": 300}, (holding(BUY, "20", instrument=ETH),), "1.000"),
    (Rail.TOTAL_EXPOSURE, {"max_total_exposure": 300}, (holding(BUY, "20", instrument=ETH),), "1.000"),
    (Rail.CORRELATED_EXPOSURE, {"max_correlated_exposure": 300}, (holding(BUY, "20", instrument=ETH),), "1.000"),
    (Rail.LEVERAGE, {"max_leverage": 0.3}, (equity("1000"),), "3.000"),
    (Rail.FREE_MARGIN, {"margin_reserve_pct": 50}, (equity("600"),), "3.000"),
    (Rail.CAPITAL, {}, (allocated("300"),), "3.000"),
    (Rail.REDUCE_ONLY, {}, (holding(SELL, "2"),), "2.000"),
]


@pytest.mark.parametrize(("rail", "settings", "before", "quantity"), SIZES, ids=[size[0].value for size in SIZES])
def test_an_order_is_made_as_large_as_a_rail_lets_it_be(
    rail: Rail, settings: dict[str, Any], before: tuple[Event, ...], quantity: str
) -> None:
    order = wish("x", quantity="9", reduce_only=rail is Rail.REDUCE_ONLY)
    verdict_ = approved(*before, order, resize=True, **settings)
    assert str(verdict_.order.quantity) == quantity
    assert {denial.rail for denial in verdict_.resized} == {rail}
    assert set(reasons(*before, order, **settings)) == {rail}


def test_the_smallest_of_several_limits_counts_and_all_of_them_are_named() -> None:
    verdict_ = approved(wish("x", quantity="9"), resize=True, max_order_notional=500, max_symbol_exposure=300)
    assert verdict_.order.quantity == 3
    assert {denial.rail for denial in verdict_.resized} == {Rail.MAX_NOTIONAL, Rail.SYMBOL_EXPOSURE}


def test_what_no_size_can_mend_is_refused_with_all_reasons() -> None:
    halted = trading(TradingState.HALTED)
    assert set(reasons(halted, wish("x", quantity="9"), resize=True, max_order_notional=500)) == {
        Rail.TRADING_STATE,
        Rail.MAX_NOTIONAL,
    }


def test_an_order_is_not_made_smaller_than_the_exchange_takes() -> None:
    refused = reasons(holding(BUY, "2.95"), wish("x", quantity="2"), resize=True, max_symbol_exposure=300)
    assert set(refused) == {Rail.SYMBOL_EXPOSURE, Rail.MIN_NOTIONAL}
    assert refused[Rail.MIN_NOTIONAL] == "5.00 below min_notional 10.00"


def test_a_position_that_outgrew_its_limit_takes_nothing_more() -> None:
    assert set(reasons(holding(BUY, "4"), wish("x"), resize=True, max_symbol_exposure=300)) == {Rail.SYMBOL_EXPOSURE}


def test_exits_of_a_list_shrink_with_its_entry() -> None:
    verdict_ = approved(bracket("4"), resize=True, max_order_notional=100)
    assert [order.quantity for order in (verdict_.order, *verdict_.attached)] == [1, 1, 1]
    verdict_ = approved(bracket("4", exits="2"), resize=True, max_order_notional=100)
    assert [str(order.quantity) for order in verdict_.attached] == ["0.500", "0.500"]


def test_what_an_iceberg_shows_is_never_more_than_its_quantity() -> None:
    iceberg = replace(terms(BUY, "4", limit="100"), display_quantity=Decimal(2))
    verdict_ = approved(intent(iceberg), resize=True, max_order_notional=100)
    assert verdict_.order.quantity == verdict_.order.display_quantity == 1


def test_a_list_of_entries_is_not_made_smaller() -> None:
    first = terms(BUY, "4", limit="100", order_id="low")
    second = conditional(OrderType.STOP_MARKET, BUY, "4", trigger="105", order_id="high")
    listed = of_list(linked(first), linked(second))
    assert set(reasons(listed, resize=True, max_order_notional=100)) == {Rail.MAX_NOTIONAL}


def test_a_cut_is_made_before_limits_are_judged_and_needs_no_leave_to_resize() -> None:
    verdict_ = approved(override(0.5), wish("x", quantity="2"), max_order_notional=100)
    assert verdict_.order.quantity == 1
    (denial,) = verdict_.resized
    assert (denial.rail, denial.detail) == (Rail.EXECUTION, "0.5 of 2 (execution_overrides): it slipped")


def test_exits_of_a_list_are_cut_back_with_its_entry() -> None:
    verdict_ = approved(override(0.5), bracket("2"))
    assert [order.quantity for order in (verdict_.order, *verdict_.attached)] == [1, 1, 1]


def test_a_cut_that_leaves_too_little_is_named_with_what_it_leaves() -> None:
    assert set(reasons(override(0.5), wish("x", quantity="0.1"))) == {Rail.EXECUTION, Rail.MIN_NOTIONAL}


def test_exits_are_neither_cut_back_nor_muted() -> None:
    verdict_ = approved(holding(BUY, "2"), override(0.5, muted_until=60), wish("x", SELL, "2"))
    assert verdict_.order.quantity == 2
    assert verdict_.resized == ()


def test_overrides_can_be_switched_off_and_end_by_themselves() -> None:
    assert approved(override(0.5, muted_until=60), wish("x"), execution_overrides=False).order.quantity == 1
    assert approved(override(0.5, muted_until=60), override(), wish("x")).order.quantity == 1


CAPS = [f"max_{what}_exposure" for what in ("symbol", "venue", "strategy", "total", "correlated")]
CAPS += ["max_order_notional"]


@st.composite
def settings(draw: st.DrawFn) -> dict[str, float]:
    chosen: dict[str, float] = {name: draw(st.floats(20, 2000)) for name in draw(st.sets(st.sampled_from(CAPS)))}
    if draw(st.booleans()):
        chosen["max_leverage"] = draw(st.floats(0.1, 2))
    return chosen | {"margin_reserve_pct": draw(st.floats(0, 90))}


MOVES = sampled([(0.01, 0.02), (0, 0), (0.03, 0.01), (0.01, 0.02)])


@given(
    settings(),
    st.lists(st.tuples(st.sampled_from(Side), st.integers(0, 900), st.booleans(), st.booleans()), max_size=3),
    st.sampled_from(Side),
    st.integers(1, 4000),
    st.sampled_from([[], MOVES]),
)
def test_the_largest_order_that_passes_is_found(
    limits: dict[str, float], held: list[tuple[Side, int, bool, bool]], side: Side, lots: int, moved: list[Event]
) -> None:
    before: list[Event] = [equity("1000"), *moved]
    for held_side, held_lots, is_btc, own in held:
        instrument, unit = (BTC, "0.01") if is_btc else (ETH, "0.1")
        quantity = str((held_lots + 1) * Decimal(unit))
        before.append(holding(held_side, quantity, instrument=instrument, strategy="trend" if own else "scalper"))
    limits = limits | {"correlation_least": 3}

    def judged(count: int, **changes: Any) -> RiskApproved | RiskRejected:  # noqa: ANN401
        order = wish("x", side, str(count * Decimal("0.001")), at=300.0 if moved else 0.0)
        last = verdict(*before, order, **(limits | changes))
        assert isinstance(last, RiskApproved | RiskRejected)
        return last

    found = judged(lots, resize=True)
    if isinstance(found, RiskRejected):
        assert isinstance(judged(lots), RiskRejected)
        floor = 100  # lots that are worth the least notional
        assert isinstance(judged(min(lots, floor)), RiskRejected)
        return
    count = int(found.order.quantity / Decimal("0.001"))
    assert count <= lots
    assert bool(found.resized) is (count < lots)
    assert isinstance(judged(count), RiskApproved)
    if count < lots:
        assert isinstance(judged(count + 1), RiskRejected)
