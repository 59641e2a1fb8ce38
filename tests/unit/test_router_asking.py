"""The way to a venue: its rate limit, what goes first, what is done when it does not answer, and how well it trades."""

from dataclasses import replace
from decimal import Decimal

import pytest
from pydantic import ValidationError

from contracts.control import Alert
from contracts.event import Event
from contracts.orders import ExecutionOverride, OrderTerms, Twap
from contracts.types import InstrumentId, OrderStatus, OrderType, Side, TradingState
from contracts.venue import QueryOrder
from services.router.settings import ExecutionSettings, Pace, RouterSettings
from tests.builders import (
    BTC,
    ETH,
    SECOND,
    amend_approved,
    amendment,
    approval,
    cancel_intent,
    conditional,
    quote,
    terms,
    tick,
    trading,
    venue_accepted,
    venue_canceled,
    venue_filled,
    venue_rejected,
)
from tests.routing import Routed, types

SLOW = RouterSettings(pace=Pace(per_s=1, burst=2, reserve=0))


def order(name: str, instrument: InstrumentId = BTC) -> OrderTerms:
    return terms(limit="100", order_id=name, instrument=instrument)


def sent(routed: Routed) -> list[str]:
    return [slice_or_order.client_order_id for slice_or_order in routed.submitted()]


def test_what_a_venue_does_not_take_yet_is_held_and_goes_out_in_time() -> None:
    routed = Routed(approval(order("a")), approval(order("b")), settings=SLOW)
    assert types(routed.hear(approval(order("c")))) == ["OrderInitialized", "OrderHeld"]
    assert routed.hear(tick(0.9)) == []
    assert types(routed.hear(quote(at=1.1))) == ["OrderSubmitted", "SubmitOrder"]
    assert sent(routed) == ["a", "b", "c"]
    assert routed.violations() == []


def test_no_more_goes_out_than_the_venue_takes_at_any_time() -> None:
    orders = [order(f"o{number}") for number in range(10)]
    routed = Routed(*map(approval, orders), settings=SLOW)
    counts = []
    for second in range(1, 10):
        routed.hear(tick(second + 0.01), *map(venue_accepted, routed.submitted()[-2:]))
        counts.append(len(sent(routed)))
    assert counts == [3, 4, 5, 6, 7, 8, 9, 10, 10]
    assert sent(routed) == [f"o{number}" for number in range(10)]


def test_another_venue_has_a_rate_of_its_own() -> None:
    settings = RouterSettings(pace=Pace(per_s=1, burst=1, reserve=0), paces={"other": Pace()})
    elsewhere = [order(f"x{number}", InstrumentId("other.BTCUSDT")) for number in range(3)]
    routed = Routed(*(approval(one) for one in (order("a"), order("b"), *elsewhere)), settings=settings)
    assert sent(routed) == ["a", "x0", "x1", "x2"]


def test_cancels_and_what_protects_go_out_before_changes_and_these_before_new_orders() -> None:
    resting = [order("a"), order("b")]
    stop = conditional(OrderType.STOP_MARKET, Side.SELL, trigger="95", reduce_only=True, order_id="stop")
    routed = Routed(*map(approval, resting), *map(venue_accepted, resting), settings=SLOW)
    routed.hear(approval(order("new")), amend_approved(amendment(resting[0], quantity="2")), approval(stop))
    routed.hear(cancel_intent(resting[1]), quote(94, 95))
    waiting = [routed.hear(tick(second + 0.01)) for second in range(1, 5)]
    assert [types(said)[-1] for said in waiting] == ["CancelOrder", "SubmitOrder", "AmendOrder", "SubmitOrder"]
    assert sent(routed)[-2:] == ["stop", "new"]
    assert routed.violations() == []


def test_some_room_is_kept_for_what_takes_risk_away() -> None:
    routed = Routed(
        approval(order("a")), approval(order("b")), settings=RouterSettings(pace=Pace(per_s=1, burst=2, reserve=1))
    )
    assert sent(routed) == ["a"]
    assert types(routed.hear(cancel_intent(order("a")))) == ["OrderPendingCancel", "CancelOrder"]


def test_an_order_that_is_canceled_while_it_waits_never_goes_out() -> None:
    routed = Routed(*(approval(order(name)) for name in "abc"), settings=SLOW)
    assert types(routed.hear(cancel_intent(order("c")))) == ["OrderCanceled"]
    assert routed.hear(tick(4)) == []
    assert sent(routed) == ["a", "b"]


def test_what_was_not_needed_any_more_leaves_its_room_to_others() -> None:
    routed = Routed(*(approval(order(name)) for name in "abcd"), cancel_intent(order("c")), settings=SLOW)
    routed.hear(tick(1.01))
    assert sent(routed) == ["a", "b", "d"]


def test_an_order_that_is_changed_while_it_waits_goes_out_changed() -> None:
    routed = Routed(*(approval(order(name)) for name in "abc"), settings=SLOW)
    assert types(routed.hear(amend_approved(amendment(order("c"), quantity="0.5")))) == ["OrderUpdated"]
    routed.hear(tick(1.01))
    assert routed.submitted()[-1].quantity == Decimal("0.5")
    assert routed.violations() == []


def test_a_halt_takes_back_what_waits() -> None:
    routed = Routed(*(approval(order(name)) for name in "abc"), settings=SLOW)
    assert types(routed.hear(trading(TradingState.HALTED)))[-1] == "OrderCanceled"
    assert routed.status(order("c")) is OrderStatus.CANCELED


def test_slices_wait_for_room_like_everything_else() -> None:
    sliced = replace(terms(quantity="1", order_id="twap"), twap=Twap(slices=2, duration_ns=10 * SECOND))
    routed = Routed(approval(order("a")), approval(order("b")), settings=SLOW)
    assert types(routed.hear(approval(sliced))) == ["OrderInitialized", "OrderHeld"]
    assert types(routed.hear(tick(1.01))) == ["OrderSubmitted", "SubmitOrder"]
    assert routed.violations() == []


def test_the_rate_is_that_of_the_state_that_it_goes_on_from() -> None:
    routed = Routed(approval(order("a")), approval(order("b")), settings=SLOW)
    routed.router.restore(Routed(settings=SLOW).router.state())
    routed.hear(*(approval(order(name)) for name in "cde"))
    assert sent(routed) == ["a", "b", "c", "d"]


def test_a_reserve_that_leaves_nothing_is_no_setting() -> None:
    with pytest.raises(ValidationError, match="reserve"):
        Pace(burst=5, reserve=5)


# -- a venue that does not answer --------------------------------------------------------------------------------------

ORDER = terms(quantity="3")


def test_a_venue_that_says_nothing_is_asked_ever_more_rarely_and_then_a_person_never_is_it_sent_again() -> None:
    routed = Routed(approval(ORDER), settings=RouterSettings(query_after_ms=1000, query_attempts=2))
    assert types(routed.hear(tick(0.9), tick(1))) == ["QueryOrder"]
    assert types(routed.hear(tick(2.9), tick(3))) == ["QueryOrder"]
    assert routed.hear(tick(6.9)) == []
    (alert,) = routed.hear(tick(7))
    assert isinstance(alert, Alert)
    assert (alert.code, ORDER.client_order_id in alert.message) == ("no_answer", True)
    assert routed.hear(tick(100)) == []
    assert len(routed.submitted()) == 1
    assert routed.violations() == []


@pytest.mark.parametrize("answer", [venue_accepted(ORDER), venue_rejected(ORDER), venue_filled(ORDER, "3")])
def test_a_venue_that_has_answered_is_not_asked(answer: Event) -> None:
    routed = Routed(approval(ORDER), answer)
    assert routed.hear(tick(1000)) == []


def test_a_cancel_and_a_change_want_answers_of_their_own() -> None:
    routed = Routed(approval(ORDER), venue_accepted(ORDER), cancel_intent(ORDER, at=100.0))
    assert routed.hear(tick(104)) == []
    assert types(routed.hear(tick(106))) == ["QueryOrder"]
    routed = Routed(approval(ORDER), venue_accepted(ORDER), amend_approved(amendment(ORDER, quantity="2"), at=100.0))
    assert types(routed.hear(tick(106))) == ["QueryOrder"]


def test_an_answer_that_says_what_is_known_already_is_no_news() -> None:
    routed = Routed(approval(ORDER), tick(6))
    assert types(routed.hear(venue_accepted(ORDER))) == ["OrderAccepted"]
    assert routed.hear(venue_accepted(ORDER)) == []
    assert types(routed.hear(venue_canceled(ORDER))) == ["OrderCanceled"]
    assert routed.hear(venue_canceled(ORDER)) == []


def test_a_slice_is_asked_for_under_its_own_id() -> None:
    sliced = replace(ORDER, twap=Twap(slices=2, duration_ns=60 * SECOND))
    routed = Routed(approval(sliced), tick(6))
    assert [query.client_order_id for query in routed.tape.of_type(QueryOrder)] == ["trend-1-0-s0"]


# -- execution overrides -----------------------------------------------------------------------------------------------

STRICT = RouterSettings(
    execution=ExecutionSettings(
        slippage_bps=20, fills=2, good_fills=3, smallest=0.25, recover_s=100, rejects=2, rejects_within_s=10, mute_s=30
    )
)


def traded(routed: Routed, price: str, *, name: str) -> list[ExecutionOverride]:
    """Trade one order at a price, where the middle of the market was 100 when it came."""
    one = terms(order_id=name)
    said = routed.hear(approval(one, mark=100.0), venue_filled(one, "1", price=price))
    return [event for event in said if isinstance(event, ExecutionOverride)]


def test_bad_slippage_cuts_the_size_and_good_fills_bring_it_back() -> None:
    routed = Routed(settings=STRICT)
    factors = []
    for number, price in enumerate(
        ["100.3", "100.3", "100.3", "100.3", "101", "101", "100", "100", "100"] + ["100"] * 3
    ):
        factors += [override.size_factor for override in traded(routed, price, name=f"o{number}")]
    assert factors == [0.5, 0.25, 0.5, 1.0]


def test_slippage_at_the_limit_is_good_enough() -> None:
    routed = Routed(settings=STRICT)
    assert [traded(routed, "100.2", name=f"o{number}") for number in range(5)] == [[]] * 5


def test_only_the_last_fills_are_judged() -> None:
    routed = Routed(settings=STRICT)
    prices = ["100", "100", "100", "100.3", "100.3"]
    judged = [traded(routed, price, name=f"o{number}") for number, price in enumerate(prices)]
    assert [len(overrides) for overrides in judged] == [0, 0, 0, 0, 1]


def test_time_brings_the_size_back_too() -> None:
    routed = Routed(settings=STRICT)
    traded(routed, "101", name="a")
    traded(routed, "101", name="b")
    assert routed.hear(tick(99)) == []
    (override,) = routed.hear(tick(100))
    assert isinstance(override, ExecutionOverride)
    assert (override.instrument, override.size_factor, override.muted_until) == (BTC, 1.0, None)


def test_rejections_mute_an_instrument_for_a_while() -> None:
    a, b = terms(order_id="a"), terms(order_id="b")
    routed = Routed(approval(a), approval(b), venue_rejected(a), settings=STRICT)
    said = routed.hear(venue_rejected(b))
    assert types(said) == ["OrderRejected", "ExecutionOverride"]
    assert said[1].muted_until == venue_rejected(b).ts_init + 30 * SECOND  # type: ignore[attr-defined]
    assert routed.hear(tick(29)) == []
    (over,) = routed.hear(tick(30))
    assert isinstance(over, ExecutionOverride)
    assert over.muted_until is None


# -- what it costs -----------------------------------------------------------------------------------------------------


def test_a_quote_that_concerns_no_order_is_left_alone_at_once() -> None:
    routed = Routed(approval(conditional(OrderType.STOP_MARKET, trigger="95")))
    assert routed.router.on_quote(quote(90, 91, instrument=ETH)) is None
    assert routed.router.on_quote(quote(99, 101)) is not None


def test_alarms_that_mean_nothing_any_more_do_not_pile_up() -> None:
    routed = Routed()
    for number in range(1000):
        one = terms(order_id=f"o{number}")
        routed.hear(approval(one), venue_filled(one, "1"))
    assert len(routed.router.desk.timers.heap) < 100


def test_an_iceberg_that_is_made_as_small_as_its_tip_while_it_waits_still_goes_out_as_a_slice() -> None:
    iceberg = replace(terms(quantity="3", limit="99", order_id="iceberg"), display_quantity=Decimal(1))
    routed = Routed(approval(order("a")), approval(order("b")), approval(iceberg), settings=SLOW)
    routed.hear(amend_approved(amendment(iceberg, quantity="1")), tick(1.01))
    assert (routed.submitted()[-1].slice_of, routed.submitted()[-1].quantity) == ("iceberg", Decimal(1))
    assert routed.violations() == []
