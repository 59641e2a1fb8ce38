"""What the simulated exchange does with orders beyond a plain trade: queues, amendments, questions, and ourselves."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from contracts.event import Event
from contracts.market import Trade
from contracts.orders import OrderTerms
from contracts.types import InstrumentState, OrderType, Side, TimeInForce
from contracts.venue import (
    AmendOrder,
    InstrumentStatus,
    QueryOrder,
    VenueAccepted,
    VenueAmended,
    VenueAmendRejected,
    VenueCanceled,
    VenueExpired,
    VenueFilled,
    VenueRejected,
)
from tests.asked_exchange import heard
from tests.builders import BTC, ETH, LISTING, amendment, cancel, conditional, ns, quote, submit, terms, trade
from venues.simulated import Halt, QueueModel, SelfTrade, SimulatedExchange, SimulationSettings, memory

BUY, SELL = Side.BUY, Side.SELL
FREE: dict[str, Any] = {"maker_fee": Decimal(0), "taker_fee": Decimal(0)}


def venue(**settings: Any) -> SimulatedExchange:  # noqa: ANN401 (settings are of any kind)
    return SimulatedExchange(LISTING, SimulationSettings.model_validate({**FREE, **settings}))


def reports(*events: Event, **settings: Any) -> list[Event]:  # noqa: ANN401
    return heard(venue(**settings), *events)


def kinds(said: Iterable[Event]) -> tuple[type[Event], ...]:
    return tuple(map(type, said))


def fills(said: Iterable[Event]) -> list[tuple[str, str, str]]:
    """Order, price and quantity of each trade."""
    return [
        (fill.client_order_id, f"{fill.price.normalize():f}", f"{fill.quantity.normalize():f}")
        for fill in said
        if isinstance(fill, VenueFilled)
    ]


def amend(
    order: OrderTerms, quantity: str | None = None, *, limit: str | None = None, trigger: str | None = None
) -> AmendOrder:
    wanted = amendment(order, quantity=quantity, limit=limit, trigger=trigger)
    return AmendOrder(ts_event=ns(0), ts_init=ns(0), amendment=wanted)


def query(order: OrderTerms) -> QueryOrder:
    return QueryOrder(ts_event=ns(9), ts_init=ns(9), client_order_id=order.client_order_id, instrument=order.instrument)


def post_only(order: OrderTerms) -> OrderTerms:
    return replace(order, post_only=True)


def of(strategy: str, order: OrderTerms) -> OrderTerms:
    return replace(order, strategy=strategy)


# -- the queue ---------------------------------------------------------------------------------------------------------

RESTING = terms(BUY, "1", limit="99", order_id="r")


def sold(size: float, price: float = 99.0) -> Trade:
    return trade(price, size, aggressor=SELL)


def test_a_trade_at_our_price_reaches_us_behind_what_was_displayed_when_we_came() -> None:
    before = (quote(99.0, 101.0, size=3.0), submit(RESTING))
    assert fills(reports(*before, sold(3.0))) == []
    assert fills(reports(*before, sold(3.4))) == [("r", "99", "0.4")]
    assert fills(reports(*before, sold(2.0), sold(1.5))) == [("r", "99", "0.5")]


def test_we_move_up_when_less_is_displayed_than_was_before_us_and_never_back() -> None:
    shrunk, grown = quote(99.0, 101.0, size=1.0), quote(99.0, 101.0, size=9.0)
    said = reports(quote(99.0, 101.0, size=3.0), submit(RESTING), shrunk, grown, sold(1.5))
    assert fills(said) == [("r", "99", "0.5")]


def test_nobody_is_before_us_at_a_better_price_than_theirs() -> None:
    assert fills(reports(quote(98.0, 101.0, size=3.0), submit(RESTING), sold(0.5))) == [("r", "99", "0.5")]
    was_before = (quote(99.0, 101.0, size=3.0), submit(RESTING), quote(98.0, 101.0, size=3.0))
    assert fills(reports(*was_before, sold(0.5))) == [("r", "99", "0.5")]


def test_away_from_the_best_price_the_queue_is_known_when_the_market_comes_there() -> None:
    away = (quote(100.0, 101.0, size=9.0), submit(RESTING))
    assert fills(reports(*away, sold(50.0))) == []
    assert fills(reports(*away, quote(99.0, 101.0, size=2.0), sold(2.5))) == [("r", "99", "0.5")]


def test_a_purchase_at_our_bid_is_none_from_us() -> None:
    bought = trade(99.0, 50.0, aggressor=BUY)
    assert fills(reports(quote(98.0, 101.0), submit(RESTING), bought)) == []


@pytest.mark.parametrize(("model", "filled"), [(QueueModel.FRONT, "0.5"), (QueueModel.BACK, None)])
def test_the_front_of_the_queue_trades_first_and_its_back_never(model: QueueModel, filled: str | None) -> None:
    said = reports(quote(99.0, 101.0, size=3.0), submit(RESTING), sold(0.5), queue=model)
    assert fills(said) == ([] if filled is None else [("r", "99", filled)])


def test_of_our_own_the_better_price_trades_first_and_of_equal_ones_the_older() -> None:
    worse, better, later = (
        submit(terms(BUY, "1", limit=limit, order_id=name)) for name, limit in (("w", "98"), ("b", "99"), ("l", "99"))
    )
    said = reports(quote(97.0, 101.0), worse, better, later, trade(97.0, 2.5))
    assert fills(said) == [("b", "99", "1"), ("l", "99", "1"), ("w", "98", "0.5")]


def test_what_trades_before_a_later_order_of_ours_includes_the_earlier_one() -> None:
    first, second = (submit(terms(BUY, "1", limit="99", order_id=name)) for name in "ab")
    said = reports(quote(99.0, 101.0, size=1.0), first, second, sold(2.5))
    assert fills(said) == [("a", "99", "1"), ("b", "99", "0.5")]


# -- post only, conditions ---------------------------------------------------------------------------------------------


def test_post_only_rests_or_is_refused() -> None:
    rests, takes = post_only(terms(BUY, "1", limit="100.9")), post_only(terms(BUY, "1", limit="101"))
    assert kinds(reports(quote(), submit(rests))) == (VenueAccepted,)
    (refusal,) = reports(quote(), submit(takes))
    assert isinstance(refusal, VenueRejected)
    assert "post only" in refusal.reason


def test_post_only_is_judged_when_it_arrives() -> None:
    order = post_only(terms(BUY, "1", limit="100.9"))
    said = reports(quote(), submit(order), quote(99.0, 100.5, at=0.1), latency_ms=50)
    assert kinds(said) == (VenueRejected,)


def test_an_order_that_waits_for_a_price_is_refused() -> None:
    (refusal,) = reports(quote(), submit(conditional(OrderType.STOP_MARKET, trigger="90")))
    assert isinstance(refusal, VenueRejected)
    assert "stop_market" in refusal.reason


# -- what only reduces -------------------------------------------------------------------------------------------------

HELD = (quote(size=9.0), submit(terms(BUY, "1", order_id="entry")))


def leave(quantity: str = "1", *, side: Side = SELL, limit: str | None = None, strategy: str = "trend") -> OrderTerms:
    order = terms(side, quantity, limit=limit, order_id=f"exit-{strategy}", reduce_only=True)
    return of(strategy, order)


def test_what_only_reduces_never_turns_a_position() -> None:
    said = reports(*HELD, submit(leave("3")))
    assert kinds(said)[2:] == (VenueAccepted, VenueFilled, VenueExpired)
    assert fills(said)[-1] == ("exit-trend", "99", "1")


@pytest.mark.parametrize("order", [leave(side=BUY), leave(strategy="other")])
def test_what_could_only_add_or_is_of_another_strategy_is_refused(order: OrderTerms) -> None:
    refusal = reports(*HELD, submit(order))[-1]
    assert isinstance(refusal, VenueRejected)
    assert "reduce only" in refusal.reason


def test_a_resting_exit_expires_when_it_would_trade_and_nothing_is_left() -> None:
    resting = leave(limit="105")
    said = reports(*HELD, submit(resting), submit(terms(SELL, "1", order_id="other")), quote(106.0, 107.0))
    assert kinds(said)[-1] is VenueExpired
    assert len(fills(said)) == 2


def test_fill_or_kill_counts_what_can_be_reduced() -> None:
    order = replace(leave("3"), time_in_force=TimeInForce.FOK)
    assert kinds(reports(*HELD, submit(order)))[2:] == (VenueAccepted, VenueExpired)


# -- amendments --------------------------------------------------------------------------------------------------------


def test_an_amended_order_goes_on_under_its_new_terms() -> None:
    said = reports(quote(99.0, 101.0, size=9.0), submit(RESTING), amend(RESTING, "2", limit="98.5"))
    amended = said[-1]
    assert isinstance(amended, VenueAmended)
    assert (amended.quantity, amended.limit_price) == (Decimal(2), Decimal("98.5"))


def test_an_amended_quantity_includes_what_was_filled() -> None:
    at = venue()
    heard(at, quote(98.0, 101.0), submit(RESTING), sold(0.4))
    assert kinds(heard(at, amend(RESTING, "0.5"))) == (VenueAmended,)
    assert fills(heard(at, sold(5.0))) == [("r", "99", "0.1")]


@pytest.mark.parametrize(("change", "filled"), [({"quantity": "0.8"}, "0.5"), ({"quantity": "1.5"}, None)])
def test_only_a_smaller_order_keeps_its_place_in_the_queue(change: dict[str, str], filled: str | None) -> None:
    more_came = quote(99.0, 101.0, size=9.0)
    said = reports(quote(99.0, 101.0, size=1.0), submit(RESTING), more_came, amend(RESTING, **change), sold(1.5))
    assert fills(said) == ([] if filled is None else [("r", "99", filled)])


def test_an_order_that_is_moved_over_the_spread_takes() -> None:
    said = reports(quote(99.0, 101.0), submit(RESTING), amend(RESTING, limit="102"))
    assert fills(said) == [("r", "101", "1")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quantity": "0.3"}, "not above the 0.4 that are filled"),
        ({"quantity": "0.9999"}, "lot 0.001"),
        ({"limit": "99.05"}, "tick 0.1"),
        ({"trigger": "90"}, "trigger_price"),
    ],
)
def test_an_amendment_that_makes_no_order_is_refused_and_changes_nothing(change: dict[str, str], reason: str) -> None:
    at = venue()
    heard(at, quote(98.0, 101.0), submit(RESTING), sold(0.4))
    (refusal,) = heard(at, amend(RESTING, **change))
    assert isinstance(refusal, VenueAmendRejected)
    assert reason in refusal.reason
    assert fills(heard(at, sold(5.0))) == [("r", "99", "0.6")]


def test_what_is_not_open_cannot_be_amended() -> None:
    assert kinds(reports(quote(), amend(RESTING, "2"))) == (VenueAmendRejected,)
    assert kinds(reports(quote(), amend(replace(RESTING, instrument=ETH), "2"))) == (VenueAmendRejected,)


def test_a_post_only_order_is_not_moved_over_the_spread() -> None:
    order = post_only(RESTING)
    (refusal,) = reports(quote(), submit(order), amend(order, limit="101"))[1:]
    assert isinstance(refusal, VenueAmendRejected)
    assert "post only" in refusal.reason


# -- questions ---------------------------------------------------------------------------------------------------------


def test_who_asks_is_told_again_what_was_said_of_an_open_order() -> None:
    at = venue()
    said = heard(at, quote(98.0, 101.0), submit(RESTING), sold(0.4))
    again = heard(at, query(RESTING))
    assert kinds(again) == kinds(said) == (VenueAccepted, VenueFilled)
    assert fills(again) == fills(said)
    assert [report.trade_id for report in again if isinstance(report, VenueFilled)] == ["r-1"]
    assert all(report.ts_init == ns(9) for report in again)
    heard(at, amend(RESTING, "2"))
    assert kinds(heard(at, query(RESTING))) == (VenueAccepted, VenueAmended, VenueFilled)


IOC_TAKES_HALF = terms(BUY, "2", order_id="i", time_in_force=TimeInForce.IOC)


@pytest.mark.parametrize(
    ("order", "then", "answer"),
    [
        (terms(BUY, "1", order_id="m"), None, (VenueFilled,)),
        (IOC_TAKES_HALF, None, (VenueFilled, VenueExpired)),
        (terms(BUY, "0.0001", order_id="x"), None, (VenueRejected,)),
        (RESTING, cancel(RESTING), (VenueCanceled,)),
    ],
)
def test_who_asks_is_told_how_an_order_ended(
    order: OrderTerms, then: Event | None, answer: tuple[type[Event], ...]
) -> None:
    at = venue()
    said = heard(at, quote(), submit(order), *([then] if then else []))
    again = heard(at, query(order))
    assert kinds(again) == answer
    assert getattr(again[-1], "reason", "") == getattr(said[-1], "reason", "")


@pytest.mark.parametrize("order", [terms(order_id="unheard-of"), replace(RESTING, instrument=ETH)])
def test_of_what_never_came_the_venue_says_so(order: OrderTerms) -> None:
    at = venue()
    heard(at, quote(), submit(terms(BUY, "1", order_id="r")))
    (answer,) = heard(at, query(order))
    assert isinstance(answer, VenueRejected)
    assert answer.reason == "unknown to the venue"


def test_of_what_ended_long_ago_nothing_is_said_rather_than_that_it_never_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "REMEMBERED_ENDS", 1)
    at = venue()
    old, new = (terms(BUY, "0.1", order_id=name) for name in ("old", "new"))
    heard(at, quote(), submit(old), submit(new))
    assert heard(at, query(old)) == []
    assert heard(at, submit(old)) == []
    assert kinds(heard(at, query(new))) == (VenueFilled,)


# -- ourselves ---------------------------------------------------------------------------------------------------------

MAKER, TAKER = terms(BUY, "1", limit="100", order_id="maker"), terms(SELL, "2", order_id="taker")


@pytest.mark.parametrize(
    ("mode", "ends", "traded"),
    [
        (SelfTrade.CANCEL_MAKER, ["maker"], [("taker", "99", "2")]),
        (SelfTrade.CANCEL_TAKER, ["taker"], []),
        (SelfTrade.CANCEL_BOTH, ["maker", "taker"], []),
        (SelfTrade.ALLOW, [], [("maker", "100", "1"), ("taker", "100", "1"), ("taker", "99", "1")]),
    ],
)
def test_two_orders_of_ours_meet_as_the_settings_have_it(
    mode: SelfTrade, ends: list[str], traded: list[tuple[str, str, str]]
) -> None:
    said = reports(quote(size=5.0), submit(MAKER), submit(TAKER), self_trade=mode)
    assert fills(said) == traded
    assert [report.client_order_id for report in said if isinstance(report, VenueExpired)] == ends


def test_two_orders_of_ours_that_do_not_meet_are_left_alone() -> None:
    outbid = quote(100.1, 101.0, size=5.0)
    assert fills(reports(quote(size=5.0), submit(MAKER), outbid, submit(TAKER))) == [("taker", "100.1", "2")]
    above = terms(SELL, "1", limit="100.5", order_id="above")
    assert kinds(reports(quote(size=5.0), submit(MAKER), submit(above))) == (VenueAccepted, VenueAccepted)


def test_at_the_best_price_we_meet_ourselves_only_behind_the_others() -> None:
    joined = (quote(100.0, 101.0, size=5.0), submit(MAKER))
    assert [r.client_order_id for r in reports(*joined, submit(TAKER)) if isinstance(r, VenueExpired)] == []
    larger = replace(TAKER, quantity=Decimal(6))
    assert [r.client_order_id for r in reports(*joined, submit(larger)) if isinstance(r, VenueExpired)] == ["maker"]


# -- halts -------------------------------------------------------------------------------------------------------------


def test_while_an_instrument_is_halted_nothing_trades_and_nothing_new_is_taken() -> None:
    halts = (Halt(instrument=BTC, begins_at=ns(1), ends_at=ns(2)),)
    at = venue(halts=halts)
    assert kinds(heard(at, quote(), submit(RESTING))) == (VenueAccepted,)
    (halted,) = heard(at, quote(97.0, 98.0, at=1.0))
    assert isinstance(halted, InstrumentStatus)
    assert (halted.instrument, halted.state, halted.ts_init) == (BTC, InstrumentState.BREAK, ns(1))
    (refusal,) = heard(at, submit(terms(order_id="n")))
    assert isinstance(refusal, VenueRejected)
    assert "break" in refusal.reason
    assert kinds(heard(at, amend(RESTING, "2"))) == (VenueAmendRejected,)
    assert kinds(heard(at, quote(97.0, 98.0, at=2.0))) == (InstrumentStatus, VenueFilled)


def test_a_halt_of_another_instrument_is_told_and_changes_nothing() -> None:
    halts = (Halt(instrument=ETH, begins_at=ns(1), ends_at=ns(2)),)
    assert kinds(reports(quote(), submit(RESTING), quote(97.0, 98.0, at=1.0), halts=halts)) == (
        VenueAccepted,
        InstrumentStatus,
        VenueFilled,
    )


def test_what_is_delisted_loses_its_orders() -> None:
    halts = (Halt(instrument=BTC, begins_at=ns(1)),)
    said = reports(quote(), submit(RESTING), quote(at=1.0), quote(97.0, 98.0, at=9.0), halts=halts)
    assert kinds(said) == (VenueAccepted, InstrumentStatus, VenueCanceled)


def test_a_halt_ends_after_it_begins() -> None:
    with pytest.raises(ValueError, match="ends_at"):
        Halt(instrument=BTC, begins_at=2, ends_at=2)


def test_commands_of_every_kind_take_their_latency_and_come_back_from_a_kept_state() -> None:
    order = terms(BUY, "1", limit="98", order_id="r2")
    commands = (submit(order), amend(order, "2"), query(order), cancel(order))
    at = venue(latency_ms=50)
    assert heard(at, quote(), *commands) == []
    assert kinds(heard(at, quote(at=0.05))) == (
        VenueAccepted,
        VenueAmended,
        VenueAccepted,
        VenueAmended,
        VenueCanceled,
    )
