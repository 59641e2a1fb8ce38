"""Probe: tells how a venue answers to minimal orders, and breaks the circuit to one that does not."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.control import Alert
from contracts.event import Event
from contracts.orders import (
    CancelIntent,
    Denial,
    OrderAccepted,
    OrderDenied,
    OrderIntent,
    OrderRejected,
    OrderSubmitted,
    OrderTerms,
    RiskRejected,
)
from contracts.types import CircuitState, Interval, OrderType, Rail, Severity, Side, instrument_id
from contracts.venue import VenueHealth
from services.gateway.rules import Gateway
from services.probe.blueprint import BLUEPRINT
from services.probe.rules import Probe
from services.probe.settings import ProbeSettings
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from services.router.rules import Router
from services.router.settings import RouterSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, LISTING, accepted, bar, canceled, filled, ns, quote, tick
from venues.simulated import SimulationSettings

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN


def probe(**settings: Any) -> Probe:  # noqa: ANN401 (settings are of any kind)
    return Probe(ProbeSettings.model_validate({"instruments": (BTC,), **settings}), LISTING)


class Bench:
    """A probe, a market that always trades, and a clock; whatever else happens is up to the test."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401
        self.probe = probe(**settings)
        self.tape = MemoryTape([self.probe])
        self.now = 0.0

    def at(self, second: float, *events: Event) -> None:
        """Go on to a second, through each full one before it, and let events happen then."""
        while self.now < second:
            self.now += 1
            if self.now % 5 == 0:
                self.tape.play([bar(100.0, number=round(self.now) // 5 - 1)])
            self.tape.play([tick(self.now)])
        self.tape.play(events)

    @property
    def orders(self) -> list[OrderTerms]:
        return [intent.order for intent in self.tape.of_type(OrderIntent)]

    @property
    def order(self) -> OrderTerms:
        return self.orders[-1]

    @property
    def cancels(self) -> list[str]:
        return [intent.client_order_id for intent in self.tape.of_type(CancelIntent)]

    @property
    def health(self) -> list[VenueHealth]:
        return self.tape.of_type(VenueHealth)

    @property
    def states(self) -> list[CircuitState]:
        return [health.state for health in self.health]

    def codes(self) -> list[str]:
        return [alert.code for alert in self.tape.of_type(Alert)]

    def answer(self, second: float, *, after_ms: float = 40) -> None:
        """Let the venue take the order, and take it back when it is asked to."""
        self.at(second, submitted(self.order, second), held(self.order, second + after_ms / 1000))
        self.tape.play([gone(self.order, second + after_ms / 1000 + 0.1)])


def submitted(order: OrderTerms, at: float) -> OrderSubmitted:
    return OrderSubmitted(
        ts_event=ns(at),
        ts_init=ns(at),
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        instrument=order.instrument,
    )


def held(order: OrderTerms, at: float) -> OrderAccepted:
    return replace(accepted(order), ts_event=ns(at), ts_init=ns(at))


def gone(order: OrderTerms, at: float) -> Event:
    return replace(canceled(order), ts_event=ns(at), ts_init=ns(at))


def turned_away(order: OrderTerms, at: float) -> OrderRejected:
    return OrderRejected(
        ts_event=ns(at),
        ts_init=ns(at),
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        instrument=order.instrument,
        reason="busy",
    )


def refused(order: OrderTerms, at: float) -> RiskRejected:
    reasons = (Denial(rail=Rail.PRICE_COLLAR, detail="too far"),)
    return RiskRejected(ts_event=ns(at), ts_init=ns(at), order=order, reasons=reasons)


def denied(order: OrderTerms, at: float) -> OrderDenied:
    return OrderDenied(
        ts_event=ns(at),
        ts_init=ns(at),
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        instrument=order.instrument,
        reason="muted",
    )


# -- a healthy venue ---------------------------------------------------------------------------------------------------


def test_a_probe_is_the_smallest_post_only_order_away_from_the_market() -> None:
    bench = Bench(far_bps=50, size_factor=1.2)
    bench.at(5)
    assert (bench.order.side, bench.order.order_type, bench.order.post_only) == (Side.BUY, OrderType.LIMIT, True)
    assert bench.order.limit_price == Decimal("99.5")
    assert bench.order.quantity == Decimal("0.121")
    assert bench.order.client_order_id.startswith("probe-")


def test_it_is_taken_back_as_soon_as_it_is_there_and_the_time_until_then_is_told() -> None:
    bench = Bench()
    bench.at(5)
    bench.at(5, submitted(bench.order, 5), held(bench.order, 5.04))
    assert bench.cancels == [bench.order.client_order_id]
    assert bench.health == []
    bench.at(5, gone(bench.order, 5.1))
    (health,) = bench.health
    assert (health.venue, health.state, health.round_trip_ms, health.rejects) == ("sim", CLOSED, 40.0, 0)
    assert health.slippage_bps is None


def test_the_time_that_an_order_waits_for_us_is_not_the_venues() -> None:
    bench = Bench()
    bench.at(5)
    bench.at(8, submitted(bench.order, 8), held(bench.order, 8.03), gone(bench.order, 8.1))
    assert bench.health[0].round_trip_ms == pytest.approx(30.0)


def test_a_healthy_venue_is_tried_once_in_an_interval() -> None:
    bench = Bench(interval_s=60)
    bench.at(5)
    bench.answer(5)
    bench.at(65)
    assert len(bench.orders) == 1
    bench.at(66)
    assert len(bench.orders) == 2


def test_it_is_never_tried_with_two_orders_at_once() -> None:
    bench = Bench(interval_s=1)
    bench.at(5)
    bench.at(5, submitted(bench.order, 5), held(bench.order, 5.04))
    bench.at(300)
    assert len(bench.orders) == 1


def test_reports_that_bring_nothing_new_are_rare() -> None:
    bench = Bench(interval_s=10, report_s=60)
    for second in range(5, 126):
        before = len(bench.orders)
        bench.at(second)
        if len(bench.orders) > before:
            bench.answer(second)
    assert len(bench.orders) == 11
    assert len(bench.health) == 2


def test_the_round_trip_told_is_the_median_of_the_last_ones() -> None:
    bench = Bench(interval_s=10, report_s=1, window=3)
    for number, after_ms in enumerate((900, 10, 30, 20)):
        bench.at(5 + 11 * number)
        bench.answer(5 + 11 * number, after_ms=after_ms)
    assert [health.round_trip_ms for health in bench.health] == pytest.approx([900, 455, 30, 20])


def test_a_far_order_that_traded_after_all_is_sold_again() -> None:
    bench = Bench()
    bench.at(5)
    first = bench.order
    bench.at(5, submitted(first, 5), held(first, 5.04), filled(first, "0.1", at=5.05), gone(first, 5.1))
    bench.at(6)
    assert (bench.order.side, bench.order.order_type) == (Side.SELL, OrderType.MARKET)
    assert (bench.order.quantity, bench.order.reduce_only) == (Decimal("0.1"), True)


def test_a_round_trip_buys_and_sells_the_smallest_size_and_tells_the_slippage() -> None:
    bench = Bench(kind="round_trip", interval_s=60, report_s=1)
    bench.at(5)
    buy = bench.order
    assert (buy.side, buy.order_type, buy.quantity) == (Side.BUY, OrderType.MARKET, Decimal("0.120"))
    bench.at(5, submitted(buy, 5), held(buy, 5.02), replace(filled(buy, at=5.03), slippage_bps=2.0))
    bench.at(6)
    sell = bench.order
    assert (sell.side, sell.quantity, sell.reduce_only) == (Side.SELL, Decimal("0.120"), True)
    bench.at(7, submitted(sell, 7), replace(filled(sell, at=7.03), slippage_bps=4.0))
    assert [health.slippage_bps for health in bench.health] == [2.0, 3.0]
    assert [health.round_trip_ms for health in bench.health] == pytest.approx([20, 25])
    assert bench.cancels == []
    bench.at(66)
    assert len(bench.orders) == 2
    bench.at(68)
    assert len(bench.orders) == 3


def test_each_venue_is_tried_by_itself() -> None:
    other = replace(LISTING[ETH], id=instrument_id("other", "ETHUSDT"))
    both = Probe(ProbeSettings(instruments=(BTC, other.id)), {**LISTING, other.id: other})
    tape = MemoryTape([both])
    tape.play([bar(100.0), bar(10.0, instrument=other.id), tick(6)])
    assert [intent.order.instrument for intent in tape.of_type(OrderIntent)] == [BTC, other.id]


# -- a venue that fails ------------------------------------------------------------------------------------------------


def rejecting(bench: Bench, second: float) -> None:
    bench.at(second, submitted(bench.order, second), turned_away(bench.order, second + 0.05))


def slowly(bench: Bench, second: float) -> None:
    bench.answer(second, after_ms=2001)


def silently(bench: Bench, second: float) -> None:
    bench.at(second, submitted(bench.order, second))
    bench.at(second + 6)
    bench.at(second + 6, gone(bench.order, second + 6.1))


@pytest.mark.parametrize(
    ("failing", "told"), [(rejecting, "3 rejected"), (slowly, "3 slow"), (silently, "3 unanswered")]
)
def test_a_few_failures_open_the_circuit(failing: Callable[[Bench, float], None], told: str) -> None:
    bench = Bench(open_after=3, recheck_s=5, report_s=3600, backoff_s=3600, max_backoff_s=3600)
    for number in range(1, 4):
        while len(bench.orders) < number:
            bench.at(bench.now + 1)
        failing(bench, bench.now)
    assert bench.states == [CLOSED, OPEN]
    assert told in bench.health[-1].reason
    (alert,) = bench.tape.of_type(Alert)
    assert (alert.severity, alert.code) == (Severity.CRITICAL, "circuit_open")
    assert "sim is left alone for 3600 s" in alert.message
    bench.at(bench.now + 300)
    assert len(bench.orders) == 3


def test_an_answer_within_the_limit_is_not_slow() -> None:
    bench = Bench(open_after=1, slow_ms=2000)
    bench.at(5)
    bench.answer(5, after_ms=2000)
    assert bench.states == [CLOSED]


def test_an_order_without_an_answer_is_taken_back_again_and_again_ever_more_slowly() -> None:
    bench = Bench(timeout_ms=5000, open_after=9)
    bench.at(5)
    bench.at(5, submitted(bench.order, 5))
    bench.at(100)
    asked = [(intent.ts_init - ns(0)) / 1e9 for intent in bench.tape.of_type(CancelIntent)]
    assert asked == [10, 20, 40, 80]
    assert len(bench.orders) == 1


def test_an_answer_that_comes_too_late_is_counted_once_and_the_order_taken_back() -> None:
    bench = Bench(open_after=2, report_s=1)
    bench.at(5)
    late = bench.order
    bench.at(5, submitted(late, 5))
    bench.at(11, held(late, 11))
    assert bench.cancels == [late.client_order_id] * 2
    bench.at(12, gone(late, 12))
    assert bench.states == [CLOSED]
    assert bench.probe.patients[BTC].circuit.failures == 1


def opened(**settings: Any) -> Bench:  # noqa: ANN401
    """A venue that has just failed."""
    bench = Bench(open_after=1, backoff_s=10, close_after=2, report_s=3600, recheck_s=5, **settings)
    bench.at(5)
    rejecting(bench, 5)
    return bench


def test_after_a_while_probes_find_out_and_enough_good_answers_close_it() -> None:
    bench = opened()
    bench.at(15)
    assert (bench.states, len(bench.orders)) == ([OPEN], 1)
    bench.at(16)
    assert (bench.states, len(bench.orders)) == ([OPEN, HALF_OPEN], 2)
    bench.answer(16)
    bench.at(22)
    bench.answer(22)
    assert bench.states == [OPEN, HALF_OPEN, CLOSED]
    assert bench.codes() == ["circuit_open", "circuit_closed"]
    assert bench.probe.patients[BTC].circuit.failures == 0


def test_the_report_that_lets_probes_through_comes_before_the_probe() -> None:
    bench = opened()
    bench.at(16)
    kinds = [type(recorded.event) for recorded in bench.tape.recorded]
    assert kinds[-2:] == [VenueHealth, OrderIntent]


def test_it_is_left_alone_twice_as_long_each_time_it_fails_again_up_to_a_limit() -> None:
    bench = opened(max_backoff_s=40)
    for _ in range(4):
        count = len(bench.orders)
        while len(bench.orders) == count:
            bench.at(bench.now + 1)
        rejecting(bench, bench.now)
    openings = [health.ts_init for health in bench.health if health.state is OPEN]
    waits = [(late - early) / 1e9 for early, late in pairwise(openings)]
    assert waits == pytest.approx([11, 21, 41, 41], abs=1)


# -- what is not the venue's fault -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("refusing", "why"), [(refused, "price_collar: too far"), (denied, "muted")])
def test_an_order_that_we_ourselves_stopped_says_nothing_of_the_venue(
    refusing: Callable[[OrderTerms, float], Event], why: str
) -> None:
    bench = Bench(open_after=1, interval_s=60)
    for second in (5, 66):
        bench.at(second)
        bench.at(second, refusing(bench.order, second))
    assert bench.health == []
    (alert,) = bench.tape.of_type(Alert)
    assert alert.code == "probe_hindered"
    assert why in alert.message


def test_an_order_that_was_never_sent_says_nothing_of_the_venue() -> None:
    bench = Bench(open_after=1)
    bench.at(100)
    assert (bench.health, bench.cancels, bench.codes()) == ([], [], ["probe_hindered"])
    bench.answer(100)
    assert bench.states == [CLOSED]


def test_without_a_fresh_price_it_is_not_tried_and_an_operator_told_once() -> None:
    tape = MemoryTape([probe(max_price_age_s=30)])
    tape.play([bar(100.0), replace(bar(90.0, number=9), trades=0), bar(100.0, number=9, interval=Interval.M1)])
    tape.play(map(tick, range(36, 66)))
    assert tape.recorded == []
    tape.play(map(tick, range(66, 99)))
    (alert,) = [recorded.event for recorded in tape.recorded]
    assert isinstance(alert, Alert)
    assert f"{BTC} has not traded for 30 s" in alert.message


def test_an_instrument_that_is_not_listed_is_told_once() -> None:
    tape = MemoryTape([Probe(ProbeSettings(instruments=(BTC,)), {})])
    tape.play(map(tick, range(10)))
    (alert,) = [recorded.event for recorded in tape.recorded]
    assert isinstance(alert, Alert)
    assert f"{BTC} is not listed" in alert.message


def test_orders_of_others_are_not_looked_at() -> None:
    bench = Bench()
    bench.at(5)
    other = replace(bench.order, client_order_id="trend-1-0", strategy="trend")
    before = len(bench.tape.recorded)
    bench.at(5, submitted(other, 5), held(other, 5), filled(other, at=5), turned_away(other, 5), refused(other, 5))
    assert len(bench.tape.recorded) == before


# -- with the others ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "slippage_bps"), [("far", None), ("round_trip", 10.0)])
def test_a_simulated_venue_is_found_healthy(kind: str, slippage_bps: float | None) -> None:
    order_path = (
        Risk(RiskSettings(), LISTING),
        Router(RouterSettings(), LISTING),
        Gateway(SimulationSettings(latency_ms=300), LISTING),
    )
    tape = MemoryTape([probe(kind=kind, interval_s=5, report_s=1), *order_path])
    for tenth in range(300):
        if tenth % 50 == 0:
            tape.play([bar(100.0, number=tenth // 50 - 1)])
        tape.play([quote(99.9, 100.1, size=10, at=tenth / 10)])
        if tenth % 10 == 0:
            tape.play([tick(tenth / 10)])
    told = tape.of_type(VenueHealth)
    assert len(told) > 3
    assert {(health.state, health.round_trip_ms, health.rejects) for health in told} == {(CLOSED, 300.0, 0)}
    assert told[-1].slippage_bps == (None if slippage_bps is None else pytest.approx(slippage_bps))


# -- settings and state ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"instruments": (BTC, ETH)}, "one of each venue"),
        ({"open_after": 21}, "must not be above window"),
        ({"slow_ms": 6000}, "must not be above timeout_ms"),
        ({"backoff_s": 700}, "must not be above max_backoff_s"),
        ({"surprise": 1}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        probe(**settings)


def test_by_default_no_venue_is_tried() -> None:
    assert ProbeSettings().instruments == ()
    assert isinstance(BLUEPRINT.build(ProbeSettings()), Probe)


def test_an_order_of_a_venue_that_is_no_longer_tried_is_still_taken_back() -> None:
    bench = Bench()
    bench.at(5)
    bench.at(5, submitted(bench.order, 5))
    adapter = TypeAdapter(Probe.State)
    after = probe(instruments=())
    after.restore(adapter.validate_json(adapter.dump_json(bench.probe.state())))
    tape = MemoryTape([after])
    tape.play([held(bench.order, 5.2)])
    assert [intent.client_order_id for intent in tape.of_type(CancelIntent)] == [bench.order.client_order_id]
    tape.play([gone(bench.order, 5.3), *map(tick, range(6, 100))])
    assert tape.of_type(OrderIntent) == []
    assert after.patients == {}
