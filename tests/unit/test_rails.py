"""The rails: what passes at the limit, what fails one step beyond it, and what the refusal says."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import encode
from contracts.event import Event
from contracts.orders import OrderIntent, OrderTerms, RiskApproved, RiskRejected
from contracts.types import InstrumentId, Rail, Side, TradingState, instrument_id
from services.risk.rails import RAILS
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, LISTING, canceled, filled, intent, quote, terms, trading

BUY, SELL = Side.BUY, Side.SELL
QUOTES = (quote(99.0, 101.0), quote(9.0, 11.0, instrument=ETH))
"""Marks of 100 and 10."""
HALTED, REDUCE_ONLY, ACTIVE = map(trading, (TradingState.HALTED, TradingState.REDUCE_ONLY, TradingState.ACTIVE))


def verdicts(*events: Event, **settings: Any) -> list[RiskApproved | RiskRejected]:  # noqa: ANN401 (settings are of any kind)
    tape = MemoryTape([Risk(RiskSettings(**settings), LISTING)])
    tape.play([*QUOTES, *events])
    return [r.event for r in tape.recorded if isinstance(r.event, RiskApproved | RiskRejected)]


def reasons(*events: Event, **settings: Any) -> dict[Rail, str]:  # noqa: ANN401
    """What is wrong with the last intent; empty if it was approved."""
    verdict = verdicts(*events, **settings)[-1]
    return {} if isinstance(verdict, RiskApproved) else {denial.rail: denial.detail for denial in verdict.reasons}


def holding(side: Side, quantity: str, *, strategy: str = "trend", instrument: InstrumentId = BTC) -> Event:
    """A position that came from a fill before this risk began."""
    return filled(terms(side, quantity, order_id=f"before-{strategy}", strategy=strategy, instrument=instrument))


def wish(order_id: str, side: Side = BUY, quantity: str = "1", **changes: Any) -> OrderIntent:  # noqa: ANN401
    instrument = changes.get("instrument", BTC)
    return intent(
        terms(side, quantity, order_id=order_id, **changes), reference_price=100.0 if instrument == BTC else 10.0
    )


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
    (Rail.LOT_SIZE, {}, (wish("x", quantity="1.001"),), (wish("x", quantity="1.0015"),), "lot 0.001"),
    (Rail.PRICE_TICK, {}, (wish("x", limit="100.1"),), (wish("x", limit="100.15"),), "tick 0.1"),
    (
        Rail.STALE_MARK,
        {"max_mark_age_ms": 500},
        (intent(terms(), at=0.5),),
        (intent(terms(), at=0.501),),
        "above max_mark_age_ms 500",
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
        Rail.REDUCE_ONLY,
        {},
        (holding(BUY, "2"), wish("x", SELL, "2", reduce_only=True)),
        (holding(BUY, "2"), wish("x", SELL, "2.001", reduce_only=True)),
        "only 2 can be reduced, 2.001 wanted",
    ),
    (Rail.DUPLICATE, {}, (wish("x"), wish("y")), (wish("x"), wish("x")), "x was judged before"),
    (Rail.TRADING_STATE, {}, (HALTED, ACTIVE, wish("x")), (HALTED, wish("x")), "halted"),
    (
        Rail.TRADING_STATE,
        {},
        (holding(BUY, "2"), REDUCE_ONLY, wish("x", SELL, "2")),
        (holding(BUY, "2"), REDUCE_ONLY, wish("x", SELL, "2.001")),
        "reduce",
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


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = terms(BUY, "100.0005", limit="200.05", reduce_only=True)
    assert set(reasons(HALTED, intent(wrong, at=60.0), max_order_notional=50, max_total_exposure=50)) == {
        Rail.TRADING_STATE,
        Rail.LOT_SIZE,
        Rail.PRICE_TICK,
        Rail.REDUCE_ONLY,
        Rail.STALE_MARK,
        Rail.MAX_NOTIONAL,
        Rail.PRICE_COLLAR,
        Rail.SYMBOL_EXPOSURE,
        Rail.TOTAL_EXPOSURE,
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
    for name in set(RiskSettings.model_fields) - {"allowlist"}:
        with pytest.raises(ValueError, match=name):
            RiskSettings.model_validate({name: 0})
    with pytest.raises(ValueError, match="allowlist"):
        RiskSettings.model_validate({"allowlist": ("BTCUSDT",)})


CAPS = {"max_symbol_exposure": 500, "max_strategy_exposure": 700, "max_total_exposure": 900}
Step = Callable[[MemoryTape, Risk], None]


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
