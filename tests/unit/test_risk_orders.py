"""Lists, orders that end a loss, and other terms for open orders."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from contracts.event import Event
from contracts.orders import AmendApproved, OrderIntent, OrderTerms, RiskApproved, RiskRejected, Twap
from contracts.types import (
    CircuitState,
    InstrumentState,
    OrderType,
    Rail,
    Side,
    TimeInForce,
    TradingState,
    instrument_id,
)
from tests.builders import (
    BTC,
    ETH,
    LISTING,
    amendment,
    canceled,
    conditional,
    filled,
    intent,
    linked,
    ns,
    quote,
    terms,
    trading,
)
from tests.risk_builders import (
    amend,
    approved,
    bracket,
    health,
    holding,
    not_updated,
    of_list,
    override,
    played,
    protective,
    reasons,
    status,
    updated,
    verdict,
    verdicts,
    wish,
)

BUY, SELL = Side.BUY, Side.SELL
HALTED, REDUCE_ONLY = map(trading, (TradingState.HALTED, TradingState.REDUCE_ONLY))
ENTRY = linked(terms(BUY, order_id="entry"))


def exit_of(entry: OrderTerms, quantity: str = "1", *, trigger: str = "95", side: Side = SELL) -> OrderTerms:
    stop = conditional(OrderType.STOP_MARKET, side, quantity, trigger=trigger, reduce_only=True, order_id="stop")
    return linked(stop, parent=entry)


# -- lists -------------------------------------------------------------------------------------------------------------


def test_a_list_gets_one_verdict_on_all_its_orders() -> None:
    (verdict_,) = verdicts(bracket())
    assert verdict_ == approved(bracket())
    assert [order.client_order_id for order in approved(bracket()).attached] == ["stop", "target"]


def test_exits_of_a_list_lean_on_its_entry_and_count_for_no_exposure() -> None:
    assert reasons(bracket("3"), max_symbol_exposure=300) == {}
    assert reasons(bracket("2"), wish("x", quantity="1"), max_symbol_exposure=300) == {}
    assert set(reasons(bracket("2"), wish("x", quantity="1.001"), max_symbol_exposure=300)) == {Rail.SYMBOL_EXPOSURE}


STRANGE_EXITS: list[tuple[OrderIntent, Rail, str]] = [
    (bracket("1", exits="1.001"), Rail.REDUCE_ONLY, "target: only 1 can be reduced, 1.001 wanted"),
    (
        of_list(ENTRY, exit_of(ENTRY, side=BUY, trigger="105")),
        Rail.REDUCE_ONLY,
        "stop: only 0 can be reduced, 1 wanted",
    ),
    (
        bracket(stop="100"),
        Rail.ORDER_TERMS,
        "stop: trigger_price 100 of a stop_market order that sells is not",
    ),
    (bracket(stop="40"), Rail.PRICE_COLLAR, "stop: 40 is 6000.0 bps from the price of its parent 100, above trigger_"),
    (bracket(target="160"), Rail.PRICE_COLLAR, "target: 160 is 6000.0 bps from the price of its parent 100"),
    (bracket("1", exits="0.0005"), Rail.LOT_SIZE, "target: quantity 0.0005 is less than the lot 0.001"),
]


@pytest.mark.parametrize(("listed", "rail", "reason"), STRANGE_EXITS, ids=[rail.value for _, rail, _ in STRANGE_EXITS])
def test_one_bad_order_refuses_the_list_and_is_named(listed: OrderIntent, rail: Rail, reason: str) -> None:
    refusal = reasons(listed)
    assert set(refusal) == {rail}
    assert reason in refusal[rail]


def test_the_exits_of_a_limit_order_are_judged_from_its_limit() -> None:
    entry = linked(terms(BUY, limit="99.5", order_id="entry"))
    assert set(reasons(of_list(entry, exit_of(entry, trigger="99.8")))) == {Rail.ORDER_TERMS}
    assert reasons(of_list(entry, exit_of(entry, trigger="99.4"))) == {}


def test_orders_that_are_no_list_are_refused() -> None:
    assert "linked" in reasons(of_list(terms(order_id="a"), terms(order_id="b")))[Rail.ORDER_TERMS]
    assert "of their own" in reasons(of_list(ENTRY, ENTRY))[Rail.ORDER_TERMS]


def test_an_id_in_a_list_counts_as_judged() -> None:
    assert set(reasons(bracket(), wish("stop"))) == {Rail.DUPLICATE}
    assert set(reasons(wish("stop"), bracket())) == {Rail.DUPLICATE}


def test_two_entries_of_a_list_count_together() -> None:
    low = linked(terms(BUY, "2", limit="100", order_id="low"))
    high = linked(conditional(OrderType.STOP_MARKET, BUY, "1", trigger="105", order_id="high"))
    assert reasons(of_list(low, high), max_symbol_exposure=300) == {}
    more = replace(high, quantity=Decimal("1.001"))
    assert reasons(of_list(low, more), max_symbol_exposure=300)[Rail.SYMBOL_EXPOSURE].startswith("high: 300.10")
    other_side = linked(conditional(OrderType.STOP_MARKET, SELL, "3", trigger="95", order_id="other"))
    assert reasons(of_list(low, other_side), max_symbol_exposure=300) == {}


def test_a_pair_of_exits_leans_on_what_is_held() -> None:
    stop = conditional(OrderType.STOP_MARKET, SELL, "2", trigger="95", reduce_only=True, order_id="stop")
    target = terms(SELL, "2", limit="110", reduce_only=True, order_id="target")
    pair = of_list(linked(stop), linked(target))
    assert reasons(holding(BUY, "2"), pair) == {}
    assert "only 1.9 can be reduced" in reasons(holding(BUY, "1.9"), pair)[Rail.REDUCE_ONLY]


def test_exits_that_stand_by_do_not_hold_back_an_exit_at_once() -> None:
    stop = protective(conditional(OrderType.STOP_MARKET, SELL, "2", trigger="95", order_id="stop"))
    assert reasons(holding(BUY, "2"), stop, wish("x", SELL, "2", reduce_only=True)) == {}


def test_what_stands_by_counts_against_a_new_short() -> None:
    stop = protective(conditional(OrderType.STOP_MARKET, SELL, "2", trigger="95", order_id="stop"))
    sells = wish("x", SELL, "3.001")
    assert set(reasons(holding(BUY, "2"), stop, sells, max_symbol_exposure=300)) == {Rail.SYMBOL_EXPOSURE}


# -- terms -------------------------------------------------------------------------------------------------------------


def gtd(expires: float) -> OrderTerms:
    return replace(terms(limit="100"), time_in_force=TimeInForce.GTD, expires_at=ns(expires))


STRANGE: list[tuple[OrderTerms, str]] = [
    (gtd(0), "is over"),
    (replace(terms(), slice_of="other"), "slice_of"),
    (replace(terms(), twap=Twap(slices=1001, duration_ns=1)), "less than the lot 0.001"),
    (replace(terms(), twap=Twap(slices=1, duration_ns=1)), "twap.slices: at least 2"),
    (replace(terms(), limit_price=Decimal(100)), "limit_price: a market order has none"),
    (conditional(OrderType.STOP_MARKET), "trigger_price: a stop_market order needs one"),
    (conditional(OrderType.MARKET_IF_TOUCHED, BUY, trigger="100.1"), "not below 100"),
]


@pytest.mark.parametrize(("order", "reason"), STRANGE, ids=[reason for _, reason in STRANGE])
def test_terms_that_make_no_sense_are_refused(order: OrderTerms, reason: str) -> None:
    refusal = reasons(intent(order))
    assert set(refusal) == {Rail.ORDER_TERMS}
    assert reason in refusal[Rail.ORDER_TERMS]


def test_terms_that_just_make_sense_pass() -> None:
    assert reasons(intent(gtd(0.001))) == {}
    assert reasons(intent(replace(terms(), twap=Twap(slices=1000, duration_ns=1)))) == {}


def test_a_stop_of_what_is_held_may_trigger_at_once() -> None:
    stop = conditional(OrderType.STOP_MARKET, SELL, trigger="101", reduce_only=True)
    assert reasons(holding(BUY, "1"), intent(stop)) == {}


def test_an_exit_may_rest_farther_from_the_mark_than_an_entry() -> None:
    assert reasons(holding(BUY, "1"), wish("x", SELL, limit="120", reduce_only=True)) == {}
    assert set(reasons(holding(BUY, "1"), wish("x", SELL, limit="90", reduce_only=True))) == {Rail.PRICE_COLLAR}
    assert set(reasons(wish("x", SELL, limit="120"))) == {Rail.PRICE_COLLAR}


# -- orders that end a loss --------------------------------------------------------------------------------------------

STOP = conditional(OrderType.STOP_MARKET, SELL, "2", trigger="95", order_id="stops-1-0")


@pytest.mark.parametrize(
    "trouble",
    [
        (HALTED,),
        (status(InstrumentState.BREAK),),
        (health(CircuitState.OPEN),),
        (override(0.5, muted_until=60),),
        (quote(80, 120),),
    ],
    ids=["a halt", "a break", "an open circuit", "a mute", "a wide spread"],
)
def test_nothing_in_the_market_holds_back_what_ends_a_loss(trouble: tuple[Event, ...]) -> None:
    caps = {"max_symbol_exposure": 1, "max_total_exposure": 1, "allowlist": (ETH,), "order_types": (OrderType.LIMIT,)}
    late = protective(STOP, at=60)
    verdict_ = approved(holding(BUY, "2"), *trouble, late, **caps)
    assert (verdict_.order, verdict_.mark) == (late.order, 100.0)


def test_without_a_quote_it_is_judged_at_the_price_it_was_decided_on() -> None:
    coin = instrument_id("sim", "COIN")
    listed = {coin: replace(LISTING[BTC], id=coin)}
    order = replace(STOP, instrument=coin)
    wanted = protective(order, price=97.0)
    (verdict_,) = played(holding(BUY, "2", instrument=coin), wanted, listed=listed).of_type(RiskApproved)
    assert (verdict_.order, verdict_.mark) == (wanted.order, 97.0)


def test_it_never_does_more_than_reduce() -> None:
    verdict_ = approved(holding(BUY, "1.5"), protective(STOP))
    assert verdict_.order.quantity == Decimal("1.5")
    assert [denial.rail for denial in verdict_.resized] == [Rail.REDUCE_ONLY]
    assert set(reasons(protective(STOP))) == {Rail.REDUCE_ONLY}
    assert set(reasons(holding(SELL, "2"), protective(STOP))) == {Rail.REDUCE_ONLY}


def test_two_of_them_at_once_do_not_reduce_the_same() -> None:
    first, second = (protective(terms(SELL, "2", order_id=name), by="stops") for name in ("s-1", "s-2"))
    assert set(reasons(holding(BUY, "2"), HALTED, first, second)) == {Rail.REDUCE_ONLY}
    assert reasons(holding(BUY, "2"), HALTED, first, canceled(first.order), second) == {}


def test_it_needs_an_id_of_its_own_and_an_instrument_that_is_listed() -> None:
    assert set(reasons(holding(BUY, "2"), protective(STOP), protective(STOP))) == {Rail.DUPLICATE}
    nowhere = replace(STOP, instrument=instrument_id("sim", "NONE"))
    held = holding(BUY, "2", instrument=instrument_id("sim", "NONE"))
    assert set(reasons(held, protective(nowhere))) == {Rail.ALLOWLIST}


def test_a_refused_one_is_told_in_full() -> None:
    refused = verdict(protective(STOP))
    assert isinstance(refused, RiskRejected)
    assert refused.order == protective(STOP).order


# -- other terms -------------------------------------------------------------------------------------------------------

RESTING = terms(BUY, "2", limit="99.5", order_id="trend-7-0")


def asked(*before: Event, by: str = "trend", at: float = 0.0, settings: Any = None, **change: str) -> dict[Rail, str]:  # noqa: ANN401
    return reasons(intent(RESTING), *before, amend(amendment(RESTING, **change), by=by, at=at), **(settings or {}))


def test_other_terms_pass_that_would_pass_as_an_order() -> None:
    assert asked(quantity="3") == {}
    assert asked(quantity="1") == {}
    assert asked(limit="99.1") == {}


def test_other_terms_are_put_on_the_grid() -> None:
    last = verdict(intent(RESTING), amend(amendment(RESTING, quantity="1.0009", limit="99.19")))
    assert isinstance(last, AmendApproved)
    assert (last.amendment.quantity, last.amendment.limit_price) == (Decimal("1.000"), Decimal("99.1"))


def test_only_what_is_added_counts_for_exposure() -> None:
    cap = {"max_symbol_exposure": 300}
    assert asked(quantity="3", settings=cap) == {}
    assert set(asked(quantity="3.001", settings=cap)) == {Rail.SYMBOL_EXPOSURE}


def test_an_approved_growth_is_counted_until_it_is_taken_or_refused() -> None:
    grown = amend(amendment(RESTING, quantity="3"))
    more = wish("x", quantity="0.5")
    cap = {"max_symbol_exposure": 300}
    assert set(reasons(intent(RESTING), grown, more, **cap)) == {Rail.SYMBOL_EXPOSURE}
    assert set(reasons(intent(RESTING), grown, updated(RESTING, "3"), more, **cap)) == {Rail.SYMBOL_EXPOSURE}
    assert reasons(intent(RESTING), grown, not_updated(RESTING), more, **cap) == {}
    assert reasons(intent(RESTING), grown, canceled(RESTING), more, **cap) == {}
    assert reasons(intent(RESTING), updated(RESTING, "1"), more, **cap) == {}


def test_what_is_grown_twice_is_counted_once() -> None:
    first, second = amend(amendment(RESTING, quantity="3")), amend(amendment(RESTING, quantity="4"))
    cap = {"max_symbol_exposure": 400}
    assert reasons(intent(RESTING), first, second, **cap) == {}
    assert set(reasons(intent(RESTING), first, second, wish("x", quantity="0.1"), **cap)) == {Rail.SYMBOL_EXPOSURE}


STRANGE_CHANGES: list[tuple[tuple[Event, ...], dict[str, Any], Rail, str]] = [
    ((canceled(RESTING),), {"quantity": "3"}, Rail.ORDER_TERMS, "trend-7-0 is not known here, or no longer open"),
    ((), {"quantity": "3", "by": "scalper"}, Rail.ORDER_TERMS, "scalper may not amend trend-7-0"),
    ((), {"trigger": "95"}, Rail.ORDER_TERMS, "trigger_price: a limit order has none"),
    ((filled(RESTING, "1"),), {"quantity": "1"}, Rail.ORDER_TERMS, "quantity 1 is not above what is filled, 1"),
    ((), {"limit": "90"}, Rail.PRICE_COLLAR, "above collar_bps 100"),
    ((), {"limit": "99.2", "at": 60.0}, Rail.STALE_MARK, "above max_mark_age_ms"),
    ((), {"quantity": "0.0001"}, Rail.LOT_SIZE, "less than the lot"),
    ((HALTED,), {"limit": "99.2"}, Rail.TRADING_STATE, "halted"),
    ((REDUCE_ONLY,), {"quantity": "3"}, Rail.TRADING_STATE, "only orders that reduce"),
    ((), {"quantity": "100"}, Rail.MAX_NOTIONAL, "above max_order_notional"),
]


@pytest.mark.parametrize(("before", "change", "rail", "reason"), STRANGE_CHANGES, ids=[c[3] for c in STRANGE_CHANGES])
def test_other_terms_are_refused_with_their_reasons(
    before: tuple[Event, ...], change: dict[str, Any], rail: Rail, reason: str
) -> None:
    refusal = asked(*before, **change, settings={"max_symbol_exposure": 1e9, "max_strategy_exposure": 1e9})
    assert rail in refusal
    assert set(refusal) == {rail} or rail in (Rail.MAX_NOTIONAL, Rail.LOT_SIZE)
    assert reason in refusal[rail]


def test_another_instrument_is_another_order() -> None:
    wrong = replace(amendment(RESTING, quantity="1"), instrument=ETH)
    assert "trades sim.BTCUSDT" in reasons(intent(RESTING), amend(wrong))[Rail.ORDER_TERMS]


def test_only_reducing_state_lets_an_order_shrink() -> None:
    assert asked(REDUCE_ONLY, quantity="1") == {}


def test_a_stop_follows_its_position_also_through_a_halt() -> None:
    held, stop = holding(BUY, "3"), protective(STOP)
    grown, beyond = (amend(amendment(STOP, quantity=size), by="stops", at=60) for size in ("3", "3.001"))
    assert reasons(held, stop, HALTED, grown) == {}
    assert set(reasons(held, stop, HALTED, beyond)) == {Rail.REDUCE_ONLY}
    moved = amend(amendment(STOP, trigger="97"), by="stops", at=60)
    assert reasons(held, stop, HALTED, moved) == {}


def test_the_exit_of_a_list_grows_with_an_entry_that_has_not_traded_yet() -> None:
    stop = bracket().attached[0]
    assert reasons(bracket(), amend(amendment(stop, quantity="0.5"))) == {}
    assert set(reasons(bracket(), amend(amendment(stop, quantity="1.001")))) == {Rail.REDUCE_ONLY}
