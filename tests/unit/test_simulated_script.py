"""What goes wrong at the simulated exchange by script: outages, refusals, and slowness."""

from collections.abc import Iterable
from decimal import Decimal

import pytest
from pydantic import ValidationError

from contracts.event import Event
from contracts.types import Side
from contracts.venue import (
    AmendOrder,
    QueryOrder,
    VenueAccepted,
    VenueAmendRejected,
    VenueCancelRejected,
    VenueFilled,
    VenueRejected,
)
from tests.asked_exchange import heard
from tests.builders import BTC, ETH, LISTING, amendment, cancel, ns, quote, submit, terms
from venues.simulated import SimulatedExchange, SimulationSettings

BUY = Side.BUY


def span(begin: float, end: float, **more: object) -> dict[str, object]:
    return {"begins_at": ns(begin), "ends_at": ns(end), **more}


def venue(**settings: object) -> SimulatedExchange:
    return SimulatedExchange(LISTING, SimulationSettings.model_validate(settings))


def kinds(said: Iterable[Event]) -> list[type[Event]]:
    return [type(event) for event in said]


def test_what_is_lost_in_an_outage_is_known_when_it_is_over() -> None:
    at = venue(outages=[span(1, 5)])
    assert heard(at, quote(at=2), submit(terms(BUY), at=2), quote(at=4.9)) == []
    (rejected,) = heard(at, quote(at=5))
    assert isinstance(rejected, VenueRejected)
    assert (rejected.ts_event, rejected.ts_init) == (ns(2), ns(5))
    assert heard(at, quote(at=6), quote(at=7)) == []


def test_a_refusing_exchange_answers_at_once_and_takes_nothing() -> None:
    at = venue(outages=[span(1, 5, commands="refused", reason="maintenance")])
    resting = terms(BUY, limit="90", order_id="a")
    heard(at, quote(at=0), submit(resting, at=0))
    changed = AmendOrder(ts_event=ns(2), ts_init=ns(2), amendment=amendment(resting, quantity="0.5"))
    said = heard(at, quote(at=2), submit(terms(BUY, order_id="b"), at=2), cancel(resting, at=2), changed)
    assert kinds(said) == [VenueRejected, VenueCancelRejected, VenueAmendRejected]
    assert {getattr(report, "reason", None) for report in said} == {"maintenance"}
    assert list(at.state().markets[BTC].orders) == ["a"]


def test_a_question_is_not_answered_while_nobody_can_be_reached() -> None:
    at = venue(outages=[span(1, 5, commands="refused")])
    asked = QueryOrder(ts_event=ns(2), ts_init=ns(2), client_order_id="a", instrument=BTC)
    assert heard(at, quote(at=2), asked, quote(at=6)) == []


def test_orders_trade_on_during_an_outage_and_it_is_heard_afterwards() -> None:
    at = venue(outages=[span(1, 5)])
    heard(at, quote(98.0, 101.0, at=0), submit(terms(BUY, limit="99"), at=0))
    assert heard(at, quote(97.0, 98.0, at=2), quote(103.0, 104.0, at=4)) == []
    (fill,) = heard(at, quote(103.0, 104.0, at=5.5))
    assert isinstance(fill, VenueFilled)
    assert (fill.price, fill.ts_event, fill.ts_init) == (Decimal(99), ns(2), ns(5.5))


def test_a_report_on_its_way_when_the_outage_begins_waits_for_its_end() -> None:
    at = venue(outages=[span(1, 5)], report_latency_ms=200)
    heard(at, quote(at=0.9), submit(terms(BUY), at=0.9))
    assert heard(at, quote(at=1.5), quote(at=4)) == []
    assert kinds(heard(at, quote(at=5))) == [VenueAccepted, VenueFilled]


def test_outages_that_meet_are_one() -> None:
    at = venue(outages=[span(5, 9), span(1, 5)])
    assert heard(at, quote(at=2), submit(terms(BUY), at=2), quote(at=5), quote(at=8)) == []
    assert kinds(heard(at, quote(at=9))) == [VenueRejected]


def test_outside_of_an_outage_reports_come_at_once() -> None:
    at = venue(outages=[span(100, 200)])
    assert kinds(heard(at, quote(at=0), submit(terms(BUY), at=0))) == [VenueAccepted, VenueFilled]


def test_orders_of_an_instrument_are_refused_with_the_reason_and_others_taken() -> None:
    at = venue(rejects=[span(0, 5, instrument=BTC, reason="too busy")])
    heard(at, quote(at=0), quote(at=0, instrument=ETH))
    (rejected,) = heard(at, submit(terms(BUY, order_id="a"), at=1))
    assert isinstance(rejected, VenueRejected)
    assert rejected.reason == "too busy"
    assert kinds(heard(at, submit(terms(BUY, order_id="b", instrument=ETH), at=1)))[0] is VenueAccepted
    heard(at, quote(at=5))
    assert kinds(heard(at, submit(terms(BUY, order_id="c"), at=5)))[0] is VenueAccepted


def test_a_share_of_the_orders_is_refused_and_the_same_ones_again() -> None:
    def refused(seed: int) -> list[str]:
        at = venue(rejects=[span(0, 5, share=0.3)], seed=seed)
        said = heard(at, quote(at=1, size=500))
        for number in range(300):
            said += heard(at, submit(terms(BUY, "0.1", order_id=f"o{number}"), at=1))
        return [report.client_order_id for report in said if isinstance(report, VenueRejected)]

    assert 60 < len(refused(1)) < 120
    assert refused(1) == refused(1) != refused(2)


def test_slowness_is_on_top_of_the_latency_both_ways() -> None:
    at = venue(latency_ms=100, report_latency_ms=100, slowdowns=[span(0, 5, delay_ms=1_000)])
    heard(at, quote(at=1), submit(terms(BUY), at=1))
    assert heard(at, quote(at=2.09), quote(at=2.1), quote(at=3.19)) == []
    assert kinds(heard(at, quote(at=3.2))) == [VenueAccepted, VenueFilled]


def test_a_command_does_not_overtake_one_that_was_slowed_down() -> None:
    at = venue(slowdowns=[span(0, 1, delay_ms=5_000)])
    order = terms(BUY, limit="90")
    heard(at, quote(at=0.5), submit(order, at=0.5), quote(at=2), cancel(order, at=2))
    assert [type(report).__name__ for report in heard(at, quote(at=6))] == ["VenueAccepted", "VenueCanceled"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"outages": [span(5, 5)]}, "must be after begins_at"),
        ({"rejects": [span(1, 5, share=0)]}, "greater than 0"),
        ({"rejects": [span(1, 5, reason="")]}, "at least 1 character"),
        ({"slowdowns": [span(1, 5)]}, "Field required"),
        ({"outages": [span(1, 5, comands="lost")]}, "Extra inputs"),
    ],
)
def test_a_script_that_makes_no_sense_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SimulationSettings.model_validate(wrong)
