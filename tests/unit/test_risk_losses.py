"""What losses lead to: pauses that everybody can see, that time or the operator ends, and that let exits pass."""

from typing import Any

import pytest

from contracts.control import Alert
from contracts.event import Event
from contracts.types import LARGEST, Rail, Side
from tests.builders import BTC, ETH, ns
from tests.risk_builders import allocated, closed, equity, holding, lifted, locks, played, reasons, wish

BUY, SELL = Side.BUY, Side.SELL
MIDNIGHT = 7_200.0
"""Seconds from the start until the day (UTC) is over."""
DAY = 86_400.0
ALONE: dict[str, Any] = {"max_total_daily_loss_pct": None, "max_total_drawdown_pct": None}
DAILY = ALONE | {"max_daily_loss_pct": 10, "max_drawdown_pct": None, "max_mark_age_ms": 1e12}
FALLING = ALONE | {"max_daily_loss_pct": None, "max_drawdown_pct": 10, "drawdown_pause_s": 60, "max_mark_age_ms": 1e12}
LOST = (equity("1000"), equity("800", at=1))


def test_a_pause_is_said_with_its_reason_and_end() -> None:
    (lock,) = locks(*LOST, **DAILY)
    assert (lock.rail, lock.strategy, lock.instrument, lock.until) == (Rail.DAILY_LOSS, "trend", None, ns(MIDNIGHT))
    text = "trend lost 20.00 % today, above max_daily_loss_pct 10; locked until 2023-11-15 00:00:00 UTC"
    assert lock.reason == text
    assert reasons(*LOST, wish("x"), **DAILY) == {Rail.DAILY_LOSS: text}


@pytest.mark.parametrize("settings", [DAILY, FALLING], ids=["daily loss", "drawdown"])
def test_a_pause_lets_exits_pass_and_other_strategies(settings: dict[str, Any]) -> None:
    assert len(reasons(*LOST, wish("x", at=1), **settings)) == 1
    assert reasons(*LOST, holding(BUY, "2"), wish("x", SELL, "2", at=1), **settings) == {}
    assert reasons(*LOST, wish("x", strategy="scalper", at=1), **settings) == {}


def test_a_day_begins_anew_at_midnight_in_utc() -> None:
    assert set(reasons(*LOST, wish("x", at=MIDNIGHT - 1), **DAILY)) == {Rail.DAILY_LOSS}
    assert reasons(*LOST, wish("x", at=MIDNIGHT), **DAILY) == {}
    over_night = (equity("1000"), equity("950", at=MIDNIGHT - 1))
    assert locks(*over_night, equity("860", at=MIDNIGHT), **DAILY) == []
    assert len(locks(*over_night, equity("850", at=MIDNIGHT + DAY), **DAILY)) == 1


def test_a_strategy_that_was_not_marked_today_has_lost_nothing_today() -> None:
    total = DAILY | {"max_daily_loss_pct": None, "max_total_daily_loss_pct": 10}
    before = (equity("1000"), equity("1000", strategy="scalper"), equity("850", strategy="scalper", at=1))
    assert locks(*before, equity("900", at=MIDNIGHT), **total) == []
    assert len(locks(*before, equity("800", at=MIDNIGHT), **total)) == 1


def test_what_led_to_a_pause_counts_no_more_after_it() -> None:
    operator = lifted(Rail.DAILY_LOSS, at=2)
    assert reasons(*LOST, operator, equity("800", at=3), wish("x", at=3), **DAILY) == {}
    assert set(reasons(*LOST, operator, equity("719", at=3), wish("x", at=3), **DAILY)) == {Rail.DAILY_LOSS}
    assert reasons(*LOST, equity("721", at=62), wish("x", at=62), **FALLING) == {}
    assert set(reasons(*LOST, equity("719", at=62), wish("x", at=62), **FALLING)) == {Rail.DRAWDOWN}


def test_a_pause_grows_longer_when_it_gets_worse_and_is_not_repeated_else() -> None:
    assert [lock.until for lock in locks(*LOST, equity("700", at=5), **FALLING)] == [ns(61), ns(65)]
    assert len(locks(*LOST, equity("790", at=5), **FALLING)) == 1


def test_a_new_strategy_is_no_gain_and_its_money_no_loss_of_others() -> None:
    total = {"max_total_drawdown_pct": 10, "max_drawdown_pct": None, "max_daily_loss_pct": None}
    before = (equity("1000"), equity("1000", strategy="scalper", at=1))
    assert locks(*before, equity("800", at=2), **total, max_total_daily_loss_pct=None) == []
    (lock,) = locks(*before, equity("799", at=2), **total, max_total_daily_loss_pct=None)
    assert (lock.strategy, lock.instrument) == (None, None)


def test_equity_of_nothing_is_a_loss_of_all() -> None:
    assert {lock.rail for lock in locks(equity("0"), equity("-5", at=1))} == {Rail.DAILY_LOSS, Rail.DRAWDOWN}
    assert Rail.LEVERAGE in reasons(equity("-5"), wish("x"))


@pytest.mark.parametrize(
    ("scope", "freed"),
    [
        ({}, {"trend", "scalper"}),
        ({"strategy": "trend"}, {"trend"}),
        ({"strategy": "trend", "instrument": BTC}, {"trend"}),
        ({"instrument": BTC}, {"trend", "scalper"}),
        ({"instrument": ETH}, set()),
    ],
)
def test_the_operator_lifts_what_he_names(scope: dict[str, Any], freed: set[str]) -> None:
    paused = (closed("1"), closed("1", strategy="scalper"), lifted(Rail.COOLDOWN, **scope))
    settings = {"cooldown": {"pause_s": 60}}
    for strategy in ("trend", "scalper"):
        refusal = reasons(*paused, wish("x", strategy=strategy), **settings)
        assert refusal.keys() == (set() if strategy in freed else {Rail.COOLDOWN})


def test_lifting_what_is_not_locked_is_answered() -> None:
    (alert,) = played(lifted(Rail.COOLDOWN, strategy="trend")).of_type(Alert)
    assert alert.message == "alice lifts cooldown of trend, any instrument: nothing such is locked"
    assert played(closed("1"), lifted(Rail.COOLDOWN), cooldown={"pause_s": 60}).of_type(Alert) == []


def test_a_win_ends_a_row_of_losses() -> None:
    rows = (closed("-1"), closed("-1"), closed("1"), closed("-1"), closed("-1"))
    assert locks(*rows, max_consecutive_losses=2) == []
    (lock,) = locks(*rows, closed("-1", at=1), max_consecutive_losses=2, losses_pause_s=5)
    assert lock.until == ns(6)


STOPPED = (closed("-1", stopped=True), closed("-1", stopped=True, instrument=ETH, at=1))


def test_the_stoploss_guard_counts_losing_stops_of_one_strategy() -> None:
    guard = {"stoploss_guard": {"stops": 2}}
    assert [lock.instrument for lock in locks(*STOPPED, **guard)] == [None]
    assert locks(closed("5", stopped=True), closed("-1", stopped=True), **guard) == []
    assert locks(closed("-1", stopped=True, strategy="scalper"), closed("-1", stopped=True), **guard) == []


def test_the_stoploss_guard_may_judge_each_instrument_alone() -> None:
    guard = {"stoploss_guard": {"stops": 2, "per_instrument": True}}
    assert locks(*STOPPED, **guard) == []
    (lock,) = locks(*STOPPED, closed("-1", stopped=True, at=2), **guard)
    assert lock.instrument == BTC


def test_low_profit_pauses_the_instrument_alone() -> None:
    settings = {"low_profit": {"trades": 2, "least_pct": 0}}
    poor = (closed("-1"), closed("-1"))
    assert set(reasons(*poor, wish("x"), **settings)) == {Rail.LOW_PROFIT}
    assert reasons(*poor, wish("x", instrument=ETH, quantity="5"), **settings) == {}
    assert locks(closed("-1"), **settings) == []


def test_old_trades_are_forgotten() -> None:
    settings = {"max_drawdown": {"trades": 2, "most_pct": 1, "within_s": 60}}
    old, young = closed("-9"), closed("-9", at=61)
    assert locks(equity("1000"), old, young, **settings) == []
    assert len(locks(equity("1000"), old, closed("-9", at=60), **settings)) == 1


def test_a_pause_never_ends_beyond_what_an_event_can_tell() -> None:
    (lock,) = locks(closed("1"), cooldown={"pause_s": 1e12})
    assert lock.until == LARGEST


def test_before_anything_is_known_a_strategy_has_its_starting_capital() -> None:
    small = {"starting_capital": 1000, "margin_reserve_pct": 0, "max_leverage": 0.1}
    assert reasons(wish("x"), **small) == {}
    assert set(reasons(wish("x", quantity="1.001"), **small)) == {Rail.LEVERAGE}
    assert set(reasons(wish("x", quantity="2"), starting_capital=100)) == {Rail.FREE_MARGIN, Rail.CAPITAL}


def test_capital_is_what_was_allocated_last() -> None:
    events: tuple[Event, ...] = (allocated("100"), allocated("300"), allocated("9", strategy="scalper"))
    assert reasons(*events, wish("x", quantity="3")) == {}
    assert set(reasons(*events, allocated("0"), wish("x", quantity="3"))) == {Rail.CAPITAL}
