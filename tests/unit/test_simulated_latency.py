"""How long things take to and from the simulated exchange, and that nothing overtakes anything."""

from statistics import median

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.types import Side
from contracts.venue import VenueAccepted, VenueFilled
from quant.chance import stream
from tests.asked_exchange import heard
from tests.builders import ETH, LISTING, ns, quote, submit, terms
from venues.simulated import SimulatedExchange, SimulationSettings
from venues.simulated.latency import MOST_MS, Delay, Latency

BUY = Side.BUY
DELAY: TypeAdapter[float | Latency] = TypeAdapter(Delay)


def venue(**settings: object) -> SimulatedExchange:
    return SimulatedExchange(LISTING, SimulationSettings.model_validate(settings))


def draws(text: str, count: int = 4_000) -> list[float]:
    distribution, chance = Latency.model_validate(text), stream(1, "test")
    return sorted(distribution.draw(chance) for _ in range(count))


def test_a_uniform_latency_lies_between_its_ends_and_fills_what_is_between() -> None:
    drawn = draws("uniform:10,30")
    assert 10 <= drawn[0] < 10.5
    assert 29.5 < drawn[-1] <= 30
    assert median(drawn) == pytest.approx(20, abs=0.5)


def test_half_of_lognormal_latencies_are_above_the_median_and_a_sixth_beyond_one_sigma() -> None:
    drawn = draws("lognormal:50,0.5")
    assert median(drawn) == pytest.approx(50, rel=0.05)
    beyond = sum(one > 50 * 2.718281828**0.5 for one in drawn) / len(drawn)
    assert beyond == pytest.approx(0.1587, abs=0.02)


def test_a_lognormal_latency_is_cut_where_nobody_waits_longer() -> None:
    assert draws("lognormal:50000,3")[-1] == MOST_MS


def test_measured_quantiles_are_drawn_as_often_as_they_were_measured() -> None:
    drawn = draws("quantiles:5,10,100")
    assert 5 <= drawn[0] <= drawn[-1] <= 100
    assert median(drawn) == pytest.approx(10, abs=1)


@pytest.mark.parametrize("text", ["lognormal:50,0.5", "uniform:0,12.25", "quantiles:1,2,3,400"])
def test_a_distribution_is_written_as_it_is_typed_and_read_again(text: str) -> None:
    read = DELAY.validate_python(text)
    assert DELAY.dump_json(read).decode() == f'"{text}"'
    assert DELAY.validate_json(DELAY.dump_json(read)) == read


def test_a_number_stays_a_number_also_as_text() -> None:
    assert DELAY.validate_python("50") == DELAY.validate_python(50) == 50.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fast", "is no latency"),
        ("normal:5,1", "is no latency"),
        ("lognormal:5;1", "is no latency"),
        ("lognormal:50", "takes MEDIAN,SIGMA"),
        ("lognormal:0,1", "takes MEDIAN,SIGMA"),
        ("uniform:9,3", "takes LOW,HIGH"),
        ("quantiles:3", "takes two or more"),
        ("quantiles:3,2", "takes two or more"),
        ("uniform:1,70000", "less than or equal to 60000"),
        ("uniform:nan,1", "finite"),
        ("-1", "greater than or equal to 0"),
    ],
)
def test_what_is_no_latency_is_refused_with_what_would_be(text: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SimulationSettings.model_validate({"report_latency_ms": text})


def test_a_report_is_heard_with_the_first_event_after_its_way_and_says_when_it_happened() -> None:
    at = venue(report_latency_ms=30)
    assert heard(at, quote(at=0), submit(terms(BUY, "0.5"), at=0), quote(at=0.029)) == []
    accepted, filled = heard(at, quote(at=0.040, instrument=ETH))
    assert isinstance(accepted, VenueAccepted)
    assert isinstance(filled, VenueFilled)
    assert (filled.ts_event, filled.ts_init) == (ns(0), ns(0.040))


def test_the_exchange_knows_at_once_what_is_not_heard_yet() -> None:
    at = venue(report_latency_ms=1_000)
    heard(at, quote(at=0, size=1), submit(terms(BUY, "0.7", order_id="a"), at=0))
    heard(at, submit(terms(BUY, "0.7", order_id="b"), at=0))
    filled = [report for report in heard(at, quote(ask=105.0, at=2)) if isinstance(report, VenueFilled)]
    assert [str(fill.price) for fill in filled[:2]] == ["101.0", "101.0"]
    assert sum(fill.quantity for fill in filled[:2]) == 1


def test_reports_come_in_the_order_in_which_things_happened_however_long_each_takes() -> None:
    at = venue(report_latency_ms="uniform:0,5000")
    names = [f"o{number}" for number in range(20)]
    said = heard(at, quote(at=0, size=50))
    for number, name in enumerate(names):
        said += heard(at, submit(terms(BUY, "0.1", order_id=name), at=number / 10), quote(at=number / 10, size=50))
    said += heard(at, quote(at=60))
    assert [report.client_order_id for report in said if isinstance(report, VenueAccepted)] == names


def test_commands_arrive_in_the_order_in_which_they_were_sent_however_long_each_takes() -> None:
    at = venue(latency_ms="uniform:0,5000")
    names, said = [f"o{number}" for number in range(20)], heard(venue(), quote(at=0))
    heard(at, quote(at=0, size=50))
    for number, name in enumerate(names):
        said += heard(at, submit(terms(BUY, "0.1", order_id=name), at=number / 10), quote(at=number / 10, size=50))
    said += heard(at, quote(at=60, size=50))
    assert [report.client_order_id for report in said if isinstance(report, VenueAccepted)] == names


def test_prices_that_are_seen_late_are_as_late_an_order_and_an_earlier_report() -> None:
    order = submit(terms(BUY, "0.5"), at=0)
    late_feed = venue(latency_ms=20, report_latency_ms=100, feed_latency_ms=80)
    same = venue(latency_ms=100, report_latency_ms=20)
    market = [quote(ask=101 + step / 10, at=step / 100) for step in range(40)]
    assert heard(late_feed, market[0], order, *market[1:]) == heard(same, market[0], order, *market[1:]) != []


def test_nothing_is_heard_of_a_price_before_the_price_is_seen() -> None:
    at = venue(report_latency_ms=5, feed_latency_ms=80)
    said = heard(at, quote(at=0), submit(terms(BUY, "0.5"), at=0), quote(ask=103.0, at=0.080))
    assert [(report.ts_event, report.ts_init) for report in said] == [(ns(0.080), ns(0.080))] * 2


def test_another_seed_draws_other_latencies_and_the_same_seed_the_same() -> None:
    def arrivals(seed: int) -> list[int]:
        at = venue(latency_ms="lognormal:50,1", seed=seed)
        said = heard(at, quote(at=0, size=50), submit(terms(BUY, "0.1", order_id="a"), at=0))
        for step in range(1, 1_000):
            said += heard(at, quote(at=step / 1_000, size=50))
        return [report.ts_init for report in said]

    assert arrivals(1) == arrivals(1) != arrivals(2)
