"""The rails: what passes at the limit, what fails one step beyond it, and what the refusal says."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import encode
from contracts.event import Event
from contracts.orders import OrderTerms, RiskApproved, RiskRejected, Trail
from contracts.types import (
    CircuitState,
    InstrumentId,
    InstrumentState,
    OrderType,
    Rail,
    Side,
    TradingState,
    TrailKind,
    TriggerBy,
    instrument_id,
)
from services.risk.rails import RAILS
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from services.risk.table import SAID_ELSEWHERE, SETTINGS, documented
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, LISTING, canceled, conditional, filled, intent, quote, terms, trading
from tests.risk_builders import (
    QUOTES,
    allocated,
    bracket,
    closed,
    equity,
    health,
    holding,
    marked,
    override,
    reasons,
    sampled,
    status,
    verdicts,
    wish,
)
from tests.servers import ROOT

BUY, SELL = Side.BUY, Side.SELL
HALTED, REDUCE_ONLY, ACTIVE = map(trading, (TradingState.HALTED, TradingState.REDUCE_ONLY, TradingState.ACTIVE))
UNRELATED = sampled([(0.01, -0.01), (0, 0), (0.01, -0.01), (0, 0)])
UNRELATED_UNTIL = 300.0
"""Moves that do not go together, and when the last one is over."""


def test_an_order_without_fault_is_approved_at_the_mark_it_was_judged_on() -> None:
    order = terms(BUY, "1")
    (approved,) = verdicts(intent(order))
    assert isinstance(approved, RiskApproved)
    assert (approved.order, approved.mark) == (order, 100.0)


LIMITS: list[tuple[Rail, dict[str, Any], tuple[Event, ...], tuple[Event, ...], str]] = [
    (
        Rail.ALLOWLIST,
        {"allowlist": (ETH,)},
        (wish("x", quantity="5", instrument=ETH),),
        (wish("x"),),
        "allowlist",
    ),
    (
        Rail.STRATEGY_INSTRUMENTS,
        {"strategy_instruments": {"trend": (ETH,)}},
        (wish("x", strategy="scalper"), wish("y", quantity="5", instrument=ETH)),
        (wish("x"),),
        "strategy_instruments of trend",
    ),
    (
        Rail.INSTRUMENT_STATUS,
        {},
        (
            status(InstrumentState.DELISTED),
            status(InstrumentState.TRADING),
            status(InstrumentState.BREAK, ETH),
            wish("x"),
        ),
        (status(InstrumentState.DELISTED), wish("x")),
        "delisted: maintenance",
    ),
    (Rail.LOT_SIZE, {"snap": False}, (wish("x", quantity="1.001"),), (wish("x", quantity="1.0015"),), "lot 0.001"),
    (Rail.LOT_SIZE, {"snap": False}, (wish("x"),), (wish("x", quantity="1.0015"),), "with snap off"),
    (
        Rail.LOT_SIZE,
        {},
        (holding(BUY, "1"), wish("x", SELL, "0.001")),
        (holding(BUY, "1"), wish("x", SELL, "0.0009")),
        "0.0009 is less than the lot 0.001",
    ),
    (Rail.PRICE_TICK, {"snap": False}, (wish("x", limit="100.1"),), (wish("x", limit="100.15"),), "tick 0.1"),
    (
        Rail.PRICE_TICK,
        {"snap": False},
        (intent(conditional(OrderType.STOP_MARKET, trigger="95.1")),),
        (intent(conditional(OrderType.STOP_MARKET, trigger="95.15")),),
        "trigger_price 95.15",
    ),
    (
        Rail.ORDER_TERMS,
        {"order_types": (OrderType.LIMIT,)},
        (wish("x", limit="100"),),
        (wish("x"),),
        "market is not among order_types",
    ),
    (
        Rail.ORDER_TERMS,
        {},
        (intent(conditional(OrderType.STOP_MARKET, trigger="99.9")),),
        (intent(conditional(OrderType.STOP_MARKET, trigger="100")),),
        "not below 100",
    ),
    (
        Rail.ORDER_TERMS,
        {},
        (intent(conditional(OrderType.MARKET_IF_TOUCHED, trigger="100.1")),),
        (intent(conditional(OrderType.MARKET_IF_TOUCHED, trigger="100")),),
        "not above 100",
    ),
    (
        Rail.ORDER_TERMS,
        {},
        (marked(95.0), intent(conditional(OrderType.STOP_MARKET, trigger="94.9", trigger_by=TriggerBy.MARK))),
        (marked(95.0), intent(conditional(OrderType.STOP_MARKET, trigger="95", trigger_by=TriggerBy.MARK))),
        "not below 95",
    ),
    (
        Rail.STALE_MARK,
        {"max_mark_age_ms": 500},
        (intent(terms(), at=0.5),),
        (intent(terms(), at=0.501),),
        "above max_mark_age_ms 500",
    ),
    (
        Rail.SPREAD,
        {"max_spread_bps": 300},
        (quote(98.5, 101.5), wish("x")),
        (quote(98.4, 101.6), wish("x")),
        "above max_spread_bps 300.0",
    ),
    (Rail.MIN_NOTIONAL, {}, (wish("x", quantity="0.1"),), (wish("x", quantity="0.099"),), "min_notional 10.00"),
    (
        Rail.MAX_NOTIONAL,
        {"max_order_notional": 150},
        (wish("x", quantity="1.5"),),
        (wish("x", quantity="1.501"),),
        "above max_order_notional 150.00",
    ),
    (
        Rail.PRICE_COLLAR,
        {"collar_bps": 110},
        (wish("x", limit="101.1"),),
        (wish("x", limit="101.2"),),
        "above collar_bps 110.0",
    ),
    (
        Rail.PRICE_COLLAR,
        {"collar_bps": 110},
        (intent(terms(), reference_price=98.91),),
        (intent(terms(), reference_price=98.89),),
        "above collar_bps 110.0",
    ),
    (
        Rail.PRICE_COLLAR,
        {"trigger_collar_bps": 1000},
        (intent(conditional(OrderType.STOP_MARKET, trigger="90")),),
        (intent(conditional(OrderType.STOP_MARKET, trigger="89.9")),),
        "above trigger_collar_bps 1000.0",
    ),
    (
        Rail.PRICE_COLLAR,
        {"collar_bps": 110},
        (intent(conditional(OrderType.STOP_LIMIT, BUY, trigger="110", limit="111.2")),),
        (intent(conditional(OrderType.STOP_LIMIT, BUY, trigger="110", limit="111.3")),),
        "from the trigger 110, above collar_bps 110.0",
    ),
    (
        Rail.PRICE_COLLAR,
        {"trigger_collar_bps": 1000},
        (intent(conditional(OrderType.TRAILING_STOP, trail=Trail(offset=Decimal(10), kind=TrailKind.PERCENT))),),
        (intent(conditional(OrderType.TRAILING_STOP, trail=Trail(offset=Decimal("10.1"), kind=TrailKind.ABSOLUTE))),),
        "above trigger_collar_bps 1000.0",
    ),
    (
        Rail.SYMBOL_EXPOSURE,
        {"max_symbol_exposure": 300},
        (holding(BUY, "2"), wish("x", quantity="1")),
        (holding(BUY, "2"), wish("x", quantity="1.001")),
        "above max_symbol_exposure 300.00",
    ),
    (
        Rail.SYMBOL_EXPOSURE,
        {"max_symbol_exposure": 300},
        (holding(SELL, "2", strategy="scalper"), wish("x", quantity="1")),
        (holding(SELL, "2", strategy="scalper"), wish("x", quantity="1.001")),
        "above max_symbol_exposure 300.00",
    ),
    (
        Rail.VENUE_EXPOSURE,
        {"max_venue_exposure": 300},
        (holding(BUY, "20", instrument=ETH), holding(BUY, "9", instrument=instrument_id("sea", "X")), wish("x")),
        (holding(BUY, "20", instrument=ETH), wish("x", quantity="1.001")),
        "above max_venue_exposure 300.00",
    ),
    (
        Rail.STRATEGY_EXPOSURE,
        {"max_strategy_exposure": 300},
        (holding(BUY, "20", instrument=ETH), wish("x", quantity="1")),
        (holding(BUY, "20", instrument=ETH), wish("x", quantity="1.001")),
        "above max_strategy_exposure 300.00",
    ),
    (
        Rail.TOTAL_EXPOSURE,
        {"max_total_exposure": 300},
        (holding(BUY, "20", strategy="scalper", instrument=ETH), wish("x", quantity="1")),
        (holding(BUY, "20", strategy="scalper", instrument=ETH), wish("x", quantity="1.001")),
        "above max_total_exposure 300.00",
    ),
    (
        Rail.CORRELATED_EXPOSURE,
        {"max_correlated_exposure": 500, "correlation_least": 4, "correlation_samples": 8},
        (*UNRELATED, holding(BUY, "30", instrument=ETH), wish("x", quantity="4", at=UNRELATED_UNTIL)),
        (*UNRELATED, holding(BUY, "30", instrument=ETH), wish("x", quantity="4.001", at=UNRELATED_UNTIL)),
        "above max_correlated_exposure 500.00",
    ),
    (
        Rail.LEVERAGE,
        {"max_leverage": 0.5, "margin_reserve_pct": 0},
        (equity("600"), holding(BUY, "20", instrument=ETH), wish("x", quantity="1")),
        (equity("600"), holding(BUY, "20", instrument=ETH), wish("x", quantity="1.001")),
        "above 300.00, max_leverage 0.5 times the equity 600.00",
    ),
    (
        Rail.FREE_MARGIN,
        {"margin_reserve_pct": 10, "max_leverage": 10},
        (equity("1000"), holding(BUY, "60", instrument=ETH), wish("x", quantity="3")),
        (equity("1000"), holding(BUY, "60", instrument=ETH), wish("x", quantity="3.001")),
        "above 900.00: the equity 1000.00 less margin_reserve_pct 10",
    ),
    (
        Rail.CAPITAL,
        {"max_capital_use_pct": 50},
        (allocated("600"), holding(BUY, "20", instrument=ETH), wish("x", quantity="1")),
        (allocated("600"), holding(BUY, "20", instrument=ETH), wish("x", quantity="1.001")),
        "above 300.00: max_capital_use_pct 50 of the capital 600.00",
    ),
    (
        Rail.CAPITAL,
        {"max_capital_use_pct": 0.3},
        (wish("x", quantity="3"),),
        (wish("x", quantity="3.001"),),
        "of the capital 100000.00",
    ),
    (
        Rail.OPEN_ORDERS,
        {"max_open_orders": 2},
        (wish("a", strategy="scalper"), wish("b")),
        (wish("a", strategy="scalper"), wish("b"), wish("c")),
        "3 orders would be under way, above max_open_orders 2",
    ),
    (
        Rail.OPEN_ORDERS,
        {"max_strategy_open_orders": 2},
        (wish("a", strategy="scalper"), wish("b"), wish("c")),
        (wish("a", strategy="scalper"), wish("b"), wish("c"), wish("d")),
        "above max_strategy_open_orders 2",
    ),
    (
        Rail.OPEN_ORDERS,
        {"max_strategy_open_orders": 3},
        (bracket(),),
        (wish("a"), bracket()),
        "4 orders would be under way",
    ),
    (
        Rail.ORDER_RATE,
        {"order_rate_per_s": 2, "order_burst": 2},
        (wish("a"), wish("b"), wish("c", at=0.5)),
        (wish("a"), wish("b"), wish("c", at=0.499)),
        "left of order_burst 2, order_rate_per_s 2",
    ),
    (
        Rail.REDUCE_ONLY,
        {},
        (holding(BUY, "2"), wish("x", SELL, "2", reduce_only=True)),
        (holding(BUY, "2"), wish("x", SELL, "2.001", reduce_only=True)),
        "only 2 can be reduced, 2.001 wanted",
    ),
    (Rail.DUPLICATE, {}, (wish("x"), wish("y")), (wish("x"), wish("x")), "x was judged before"),
    (
        Rail.DUPLICATE,
        {"duplicate_window_ms": 500},
        (wish("x"), wish("y", at=0.501), wish("z", quantity="1.001", at=0.501)),
        (wish("x"), wish("y", at=0.5)),
        "the same was approved 500 ms ago, within duplicate_window_ms 500",
    ),
    (Rail.TRADING_STATE, {}, (HALTED, ACTIVE, wish("x")), (HALTED, wish("x")), "halted"),
    (
        Rail.TRADING_STATE,
        {},
        (holding(BUY, "2"), REDUCE_ONLY, wish("x", SELL, "2")),
        (holding(BUY, "2"), REDUCE_ONLY, wish("x", SELL, "2.001")),
        "reduce",
    ),
    (
        Rail.VENUE_HEALTH,
        {},
        (health(CircuitState.OPEN, "sea"), health(CircuitState.OPEN), health(CircuitState.CLOSED), wish("x")),
        (holding(BUY, "2"), health(CircuitState.OPEN), wish("x", SELL, "2")),
        "the circuit of sim is open",
    ),
    (
        Rail.VENUE_HEALTH,
        {"probe_strategy": "doctor"},
        (health(CircuitState.HALF_OPEN), wish("x", strategy="doctor")),
        (health(CircuitState.HALF_OPEN), wish("x")),
        "half open: only probe_strategy doctor",
    ),
    (
        Rail.EXECUTION,
        {},
        (override(muted_until=5), wish("x", at=5)),
        (override(muted_until=5), wish("x", at=4)),
        "muted for 1 s (execution_overrides): it slipped",
    ),
    (
        Rail.DAILY_LOSS,
        {"max_daily_loss_pct": 4},
        (equity("1000"), equity("960"), wish("x")),
        (equity("1000"), equity("959.99"), wish("x")),
        "above max_daily_loss_pct 4; locked until 2023-11-15 00:00:00 UTC",
    ),
    (
        Rail.DAILY_LOSS,
        {"max_total_daily_loss_pct": 2},
        (equity("1000"), equity("1000", strategy="scalper"), equity("960", strategy="scalper"), wish("x")),
        (equity("1000"), equity("1000", strategy="scalper"), equity("959.9", strategy="scalper"), wish("x")),
        "all strategies lost 2.00 % today, above max_total_daily_loss_pct 2",
    ),
    (
        Rail.DRAWDOWN,
        {"max_drawdown_pct": 10, "max_daily_loss_pct": None, "max_total_daily_loss_pct": None},
        (equity("1000"), equity("900"), wish("x")),
        (equity("1000"), equity("899.9"), wish("x")),
        "above max_drawdown_pct 10",
    ),
    (
        Rail.DRAWDOWN,
        {"max_total_drawdown_pct": 5},
        (equity("1000", peak="1050"), equity("995", strategy="scalper", peak="1050"), wish("x")),
        (equity("1000", peak="1050"), equity("994.9", strategy="scalper", peak="1050"), wish("x")),
        "above max_total_drawdown_pct 5",
    ),
    (
        Rail.CONSECUTIVE_LOSSES,
        {"max_consecutive_losses": 2},
        (closed("-1"), closed("5"), closed("-1"), closed("-1"), wish("x")),
        (closed("5"), closed("-1"), closed("-1"), closed("1", fees="2"), wish("x")),
        "trend lost 3 times in a row, above max_consecutive_losses 2",
    ),
    (
        Rail.STOPLOSS_GUARD,
        {"stoploss_guard": {"stops": 2, "within_s": 60}},
        (closed("-1", stopped=True), closed("-1", stopped=True, at=60.1), closed("-1", at=60.2), wish("x", at=5)),
        (closed("-1", stopped=True), closed("-1", stopped=True, at=60), wish("x", at=5)),
        "2 stops within 60 s, stoploss_guard.stops",
    ),
    (
        Rail.COOLDOWN,
        {"cooldown": {"pause_s": 5}},
        (closed("1"), wish("x", at=5), wish("y", instrument=ETH, quantity="5")),
        (closed("1"), wish("x", at=4.9)),
        "cooldown.pause_s 5",
    ),
    (
        Rail.LOW_PROFIT,
        {"low_profit": {"trades": 2, "least_pct": 0.1}},
        (closed("0"), closed("2"), wish("x")),
        (closed("0"), closed("1.9"), wish("x")),
        "2 trades earned 0.095 %, below low_profit.least_pct 0.1",
    ),
    (
        Rail.MAX_DRAWDOWN,
        {"max_drawdown": {"trades": 3, "most_pct": 1}},
        (equity("1000"), closed("5"), closed("-3"), closed("-7"), wish("x")),
        (equity("1000"), closed("5"), closed("-3"), closed("-7.1"), wish("x")),
        "3 trades fell 1.01 % from their best sum, above max_drawdown.most_pct 1",
    ),
]


@pytest.mark.parametrize(
    ("rail", "settings", "at_the_limit", "beyond", "reason"), LIMITS, ids=[f"{limit[0].value}" for limit in LIMITS]
)
def test_a_rail_lets_pass_what_is_at_its_limit_and_refuses_one_step_beyond(
    rail: Rail,
    settings: dict[str, Any],
    at_the_limit: tuple[Event, ...],
    beyond: tuple[Event, ...],
    reason: str,
) -> None:
    assert reasons(*at_the_limit, **settings) == {}
    refusal = reasons(*beyond, **settings)
    assert set(refusal) == {rail}
    assert reason in refusal[rail]


def test_every_rail_is_in_this_table() -> None:
    assert {rail for rail, *_ in LIMITS} == set(RAILS) == set(Rail)


def test_every_rail_has_a_limit_and_every_setting_is_of_a_rail_but_for_how_verdicts_are_made() -> None:
    assert set(SETTINGS) | set(SAID_ELSEWHERE) == set(Rail)
    named = {name for names in SETTINGS.values() for name in names}
    assert set(RiskSettings.model_fields) - named == {"resize"}
    assert named <= set(RiskSettings.model_fields)


def test_the_rails_are_documented_as_they_are() -> None:
    document = (ROOT / "docs/risk.md").read_text()
    assert document == documented(document)
    assert all(f"| `{rail.value}` |" in document for rail in Rail)


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = terms(BUY, "100.0005", limit="200.05", reduce_only=True)
    caps = {"max_order_notional": 50, "max_total_exposure": 50, "max_correlated_exposure": 50, "max_venue_exposure": 50}
    assert set(reasons(HALTED, intent(wrong, at=60.0), snap=False, **caps)) == {
        Rail.TRADING_STATE,
        Rail.LOT_SIZE,
        Rail.PRICE_TICK,
        Rail.REDUCE_ONLY,
        Rail.STALE_MARK,
        Rail.MAX_NOTIONAL,
        Rail.PRICE_COLLAR,
        Rail.SYMBOL_EXPOSURE,
        Rail.TOTAL_EXPOSURE,
        Rail.VENUE_EXPOSURE,
        Rail.CORRELATED_EXPOSURE,
    }


def test_an_instrument_that_nobody_lists_or_quotes_is_refused() -> None:
    nowhere = instrument_id("sim", "NONE")
    assert set(reasons(intent(terms(instrument=nowhere)))) == {Rail.ALLOWLIST, Rail.STALE_MARK}


def test_the_kill_switch_holds_back_even_what_reduces() -> None:
    assert set(reasons(holding(BUY, "2"), HALTED, wish("x", SELL, "1"))) == {Rail.TRADING_STATE}


def test_what_reduces_a_position_is_held_back_by_no_exposure_and_no_least_notional() -> None:
    caps = {"max_symbol_exposure": 1, "max_strategy_exposure": 1, "max_total_exposure": 1}
    assert reasons(holding(BUY, "2"), wish("x", SELL, "0.001"), **caps) == {}


def test_a_pending_order_counts_as_if_it_were_filled() -> None:
    first, second = wish("a", quantity="2"), wish("b", quantity="2")
    assert set(reasons(first, second, max_symbol_exposure=300)) == {Rail.SYMBOL_EXPOSURE}


@pytest.mark.parametrize(
    "end",
    [canceled(terms(BUY, "2", order_id="a")), filled(terms(BUY, "2", order_id="a"), "0.5")],
    ids=["canceled", "filled in part and canceled"],
)
def test_an_order_that_ended_no_longer_counts(end: Event) -> None:
    over = canceled(terms(BUY, "2", order_id="a"))
    assert reasons(wish("a", quantity="2"), end, over, wish("b", quantity="2"), max_symbol_exposure=300) == {}


def test_a_fill_moves_what_was_pending_into_the_position() -> None:
    part = filled(terms(BUY, "2", order_id="a"), "1.5")
    assert reasons(wish("a", quantity="2"), part, wish("b", quantity="1"), max_symbol_exposure=300) == {}
    assert set(reasons(wish("a", quantity="2"), part, wish("b", quantity="1.001"), max_symbol_exposure=300)) == {
        Rail.SYMBOL_EXPOSURE
    }


def test_pending_orders_of_both_sides_do_not_excuse_each_other() -> None:
    sold, bought = wish("a", SELL, "2"), wish("b", BUY, "3")
    assert reasons(sold, bought, max_symbol_exposure=300) == {}
    assert set(reasons(sold, wish("b", BUY, "3.001"), max_symbol_exposure=300)) == {Rail.SYMBOL_EXPOSURE}


def test_two_orders_cannot_reduce_the_same_position() -> None:
    first, second = (wish(order_id, SELL, "2", reduce_only=True) for order_id in "ab")
    assert set(reasons(holding(BUY, "3"), first, second)) == {Rail.REDUCE_ONLY}


def test_strategies_do_not_reduce_each_others_positions() -> None:
    assert set(reasons(holding(BUY, "3", strategy="scalper"), wish("x", SELL, "1", reduce_only=True))) == {
        Rail.REDUCE_ONLY
    }


@pytest.mark.parametrize("order", [terms(quantity="1e90"), terms(limit="1e90"), terms(quantity="1e-90")])
def test_an_order_of_absurd_size_gets_a_verdict_like_any_other(order: OrderTerms) -> None:
    (verdict,) = verdicts(intent(order))
    assert isinstance(verdict, RiskRejected)
    assert encode(verdict)


def test_settings_refuse_limits_of_nothing_and_name_them() -> None:
    choices = {"snap", "resize", "execution_overrides", "margin_reserve_pct"}
    for name in set(RiskSettings.model_fields) - {"allowlist"} - choices:
        with pytest.raises(ValueError, match=name):
            RiskSettings.model_validate({name: 0})
    with pytest.raises(ValueError, match="correlation_least"):
        RiskSettings(correlation_least=30, correlation_samples=20)
    with pytest.raises(ValueError, match="allowlist"):
        RiskSettings.model_validate({"allowlist": ("BTCUSDT",)})


CAPS = {"max_symbol_exposure": 500, "max_strategy_exposure": 700, "max_total_exposure": 900}


@st.composite
def orders(draw: st.DrawFn) -> OrderTerms:
    instrument = draw(st.sampled_from([BTC, ETH]))
    return terms(
        draw(st.sampled_from(Side)),
        draw(st.sampled_from(["0.5", "1", "2", "3.5"] if instrument == BTC else ["5", "10", "35"])),
        strategy=draw(st.sampled_from(["trend", "scalper"])),
        reduce_only=draw(st.booleans()),
        instrument=instrument,
    )


def worst(risk: Risk, *, instrument: InstrumentId | None = None, strategy: str | None = None) -> Decimal:
    """The largest exposure that fills of what is pending could bring about, computed plainly."""
    marks = {BTC: Decimal(100), ETH: Decimal(10)}
    holdings = {*risk.exposure.positions, *(pending.holding for pending in risk.exposure.pending.values())}
    total = Decimal(0)
    for holding_ in holdings:
        held = risk.exposure.positions.get(holding_, Decimal(0))
        sums = {
            side: sum(p.leaves for p in risk.exposure.pending.values() if p.holding == holding_ and p.side is side)
            for side in Side
        }
        if strategy in (None, holding_[0]) and instrument in (None, holding_[1]):
            total += max(abs(held + sums[BUY]), abs(held - sums[SELL])) * marks[holding_[1]]
    return total


@given(st.lists(st.tuples(orders(), st.sampled_from(["fill", "part", "cancel", "wait", "wait"])), max_size=25))
def test_no_sequence_of_orders_and_ends_gets_beyond_a_cap(wishes: list[tuple[OrderTerms, str]]) -> None:
    risk = Risk(RiskSettings(**CAPS), LISTING)  # type: ignore[arg-type]
    tape = MemoryTape([risk])
    tape.play(QUOTES)
    for number, (wished, fate) in enumerate(wishes):
        order = terms(
            wished.side,
            str(wished.quantity),
            order_id=f"o{number}",
            strategy=wished.strategy,
            reduce_only=wished.reduce_only,
            instrument=wished.instrument,
        )
        tape.play([intent(order, reference_price=100.0 if order.instrument == BTC else 10.0)])
        if tape.recorded[-1].event.__class__ is RiskApproved:
            half = str(order.quantity / 2)
            ends = {"fill": filled(order), "part": filled(order, half), "cancel": canceled(order)}
            tape.play([ends[fate]] if fate in ends else [])
        assert all(worst(risk, instrument=instrument) <= CAPS["max_symbol_exposure"] for instrument in (BTC, ETH))
        assert all(worst(risk, strategy=name) <= CAPS["max_strategy_exposure"] for name in ("trend", "scalper"))
        assert worst(risk) <= CAPS["max_total_exposure"]


@given(st.lists(st.tuples(orders(), st.sampled_from("abc")), max_size=15), st.sampled_from(TradingState))
def test_every_intent_gets_exactly_one_verdict(wishes: list[tuple[OrderTerms, str]], state: TradingState) -> None:
    tape = MemoryTape([Risk(RiskSettings(**CAPS), LISTING)])  # type: ignore[arg-type]
    tape.play([*QUOTES[:1], trading(state)])
    for number, (order, _) in enumerate(wishes, start=1):
        tape.play([intent(order)])
        assert len(tape.recorded) == number
        verdict = tape.recorded[-1].event
        assert isinstance(verdict, RiskApproved | RiskRejected)
        assert verdict.order == order
