"""The simulated exchange: what a venue would do with our orders, given the market that others saw."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from contracts.event import Event
from contracts.market import Quote, Trade
from contracts.orders import OrderTerms
from contracts.types import Liquidity, Side, TimeInForce, instrument_id
from contracts.venue import (
    CancelOrder,
    SubmitOrder,
    VenueAccepted,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueRejected,
)
from tests.builders import BTC, ETH, LISTING, cancel, listed, ns, quote, submit, terms, trade
from venues.simulated import SimulatedExchange, SimulationSettings, memory

BUY, SELL = Side.BUY, Side.SELL
TENTHS = [count / 10 for count in range(2, 40)]
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK


def reports(*events: Event, latency_ms: float = 0) -> list[Event]:
    """All that the exchange reports of these events."""
    settings = SimulationSettings(latency_ms=latency_ms, maker_fee=Decimal("0.001"), taker_fee=Decimal("0.002"))
    venue = SimulatedExchange(LISTING, settings)
    return [report for event in events for report in heard(venue, event)]


def heard(venue: SimulatedExchange, event: Event) -> list[Event]:
    if isinstance(event, Quote):
        return listed(venue.on_quote(event))
    if isinstance(event, Trade):
        return listed(venue.on_trade(event))
    assert isinstance(event, SubmitOrder | CancelOrder)
    return listed(venue.command(event))


def fills(*events: Event, latency_ms: float = 0) -> list[tuple[str, str]]:
    """Price and quantity of each fill."""
    said = reports(*events, latency_ms=latency_ms)
    return [(plain(fill.price), plain(fill.quantity)) for fill in said if isinstance(fill, VenueFilled)]


def plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def kinds(said: Sequence[Event]) -> tuple[type[Event], ...]:
    return tuple(map(type, said))


@pytest.mark.parametrize(("side", "price"), [(BUY, "101.0"), (SELL, "99.0")])
def test_a_market_order_fills_at_the_other_side_of_the_quote(side: Side, price: str) -> None:
    accepted, fill = reports(quote(99.0, 101.0), submit(terms(side, "0.5")))
    assert isinstance(accepted, VenueAccepted)
    assert isinstance(fill, VenueFilled)
    assert (fill.side, fill.price, fill.quantity) == (side, Decimal(price), Decimal("0.5"))


def test_a_taker_pays_the_takers_fee_on_its_notional() -> None:
    _, fill = reports(quote(99.0, 101.0), submit(terms(BUY, "0.5")))
    assert isinstance(fill, VenueFilled)
    assert (fill.liquidity, fill.fee, fill.currency) == (Liquidity.TAKER, Decimal("0.101"), "USDT")


def test_a_resting_order_pays_the_makers_fee() -> None:
    *_, fill = reports(quote(99.0, 101.0), submit(terms(BUY, "0.5", limit="100")), quote(98.0, 100.0))
    assert isinstance(fill, VenueFilled)
    assert (fill.liquidity, fill.price, fill.fee) == (Liquidity.MAKER, Decimal(100), Decimal("0.05"))


def test_a_market_order_takes_the_displayed_size_and_the_rest_of_the_next_quotes() -> None:
    order = submit(terms(BUY, "2.5"))
    assert fills(quote(ask=101.0, size=1), order, quote(ask=102.0, size=1), quote(ask=103.0, size=1)) == [
        ("101", "1"),
        ("102", "1"),
        ("103", "0.5"),
    ]


def test_displayed_size_is_taken_once_until_the_next_quote() -> None:
    first, second = submit(terms(BUY, "0.7", order_id="a")), submit(terms(BUY, "0.7", order_id="b"))
    assert fills(quote(size=1), first, second) == [("101", "0.7"), ("101", "0.3")]
    assert fills(quote(size=1), first, quote(size=1), second) == [("101", "0.7"), ("101", "0.7")]


def test_the_two_sides_of_a_quote_are_taken_separately() -> None:
    buy, sell = submit(terms(BUY, "1", order_id="a")), submit(terms(SELL, "1", order_id="b"))
    assert fills(quote(size=1), buy, sell) == [("101", "1"), ("99", "1")]


def test_what_is_displayed_below_a_lot_cannot_be_taken() -> None:
    assert fills(quote(size=0.0019), submit(terms(BUY, "1"))) == [("101", "0.001")]
    assert fills(quote(size=0.0009), submit(terms(BUY, "1"))) == []


def test_a_limit_order_that_the_quote_does_not_reach_rests() -> None:
    assert kinds(reports(quote(99.0, 101.0), submit(terms(BUY, limit="100.9")), quote(99.0, 101.0))) == (VenueAccepted,)


def test_a_limit_order_beyond_the_quote_takes_at_the_quote() -> None:
    assert fills(quote(99.0, 101.0), submit(terms(BUY, limit="105"))) == [("101", "1")]
    assert fills(quote(99.0, 101.0), submit(terms(SELL, limit="95"))) == [("99", "1")]


def test_a_limit_exactly_at_the_quote_fills_whatever_the_float_hides() -> None:
    for price in TENTHS:
        assert len(fills(quote(price, price), submit(terms(BUY, limit=str(price))))) == 1
        assert len(fills(quote(price, price), submit(terms(SELL, limit=str(price))))) == 1


def test_immediate_or_cancel_takes_what_is_displayed_and_expires() -> None:
    said = reports(quote(size=0.4), submit(terms(BUY, "1", time_in_force=IOC)), quote(size=5))
    assert kinds(said) == (VenueAccepted, VenueFilled, VenueExpired)


def test_immediate_or_cancel_that_is_filled_whole_does_not_expire() -> None:
    assert kinds(reports(quote(size=1), submit(terms(BUY, "1", time_in_force=IOC)))) == (VenueAccepted, VenueFilled)


def test_fill_or_kill_fills_whole_or_not_at_all() -> None:
    order = submit(terms(BUY, "1", time_in_force=FOK))
    assert kinds(reports(quote(size=1), order)) == (VenueAccepted, VenueFilled)
    assert kinds(reports(quote(size=0.999), order, quote(size=5))) == (VenueAccepted, VenueExpired)


def test_fill_or_kill_does_not_count_size_that_we_took() -> None:
    order = submit(terms(BUY, "1", order_id="b", time_in_force=FOK))
    said = reports(quote(size=1), submit(terms(BUY, "0.1", order_id="a")), order)
    assert kinds(said)[2:] == (VenueAccepted, VenueExpired)


@pytest.mark.parametrize(("side", "limit", "price"), [(BUY, "100", 99.9), (SELL, "100", 100.1)])
def test_a_trade_through_the_limit_fills_a_resting_order_at_its_limit(side: Side, limit: str, price: float) -> None:
    resting = submit(terms(side, "1", limit=limit))
    assert fills(quote(99.0, 101.0), resting, trade(price, 0.4)) == [("100", "0.4")]


def test_a_trade_at_the_limit_fills_nothing_until_those_before_us_are_filled() -> None:
    for price in TENTHS:
        buying, selling = submit(terms(BUY, limit=str(price))), submit(terms(SELL, limit=str(price)))
        sold, bought = trade(price, 5.0, aggressor=SELL), trade(price, 5.0, aggressor=BUY)
        assert fills(quote(price, price + 1, size=5.0), buying, sold) == []
        assert fills(quote(price - 0.1, price, size=5.0), selling, bought) == []


def test_a_trade_is_shared_by_resting_orders_in_their_order_of_arrival() -> None:
    first, second = (
        submit(terms(BUY, "1", limit="100", order_id="a")),
        submit(terms(BUY, "1", limit="100", order_id="b")),
    )
    assert fills(quote(99.0, 101.0), first, second, trade(99.5, 1.5)) == [("100", "1"), ("100", "0.5")]


def test_a_trade_fills_no_market_order() -> None:
    assert fills(quote(size=0), submit(terms(BUY, "1")), trade(101.0, 5.0)) == []


def test_a_command_takes_effect_when_event_time_has_come_its_latency_further() -> None:
    order = submit(terms(BUY, "1"), at=0.0)
    before, after = quote(ask=102.0, at=0.049), quote(ask=103.0, at=0.050)
    assert reports(quote(at=0.0), order, before, latency_ms=50) == []
    accepted, fill = reports(quote(at=0.0), order, before, after, latency_ms=50)
    assert (accepted.ts_init, fill.ts_init) == (ns(0.050), ns(0.050))
    assert isinstance(fill, VenueFilled)
    assert fill.price == Decimal("103.0")


@pytest.mark.parametrize("later", [quote(at=0.1, instrument=ETH), trade(3.0, at=0.1, instrument=ETH)])
def test_any_market_event_moves_event_time_for_commands_under_way(later: Event) -> None:
    assert fills(quote(at=0.0), submit(terms(BUY, "1"), at=0.0), later, latency_ms=50) == [("101", "1")]


def test_a_command_of_another_clock_takes_its_latency_on_event_time_and_holds_up_nobody() -> None:
    resting, later = terms(BUY, "1", limit="90", order_id="a"), terms(BUY, "1", order_id="b")
    of_tomorrow = cancel(resting, at=86_400)
    said = reports(
        quote(at=0.0), submit(resting), quote(at=0.1), of_tomorrow, submit(later, at=0.1), quote(at=0.2), latency_ms=50
    )
    assert kinds(said) == (VenueAccepted, VenueCanceled, VenueAccepted, VenueFilled)


def test_the_same_order_brought_twice_is_one_order() -> None:
    order = submit(terms(BUY, "0.2"))
    assert kinds(reports(quote(), order, order)) == (VenueAccepted, VenueFilled)


def test_the_oldest_orders_are_forgotten_and_open_ones_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "REMEMBERED_ORDERS", 2)
    resting, *quick = [submit(terms(BUY, "0.1", order_id=name, limit="90" if name == "r" else None)) for name in "rabc"]
    assert kinds(reports(quote(size=9), resting, *quick, resting)) == (
        VenueAccepted,
        *(VenueAccepted, VenueFilled) * 3,
    )
    assert kinds(reports(quote(size=9), *quick, quick[2], quick[0]))[-4:] == (VenueAccepted, VenueFilled) * 2


def test_no_command_overtakes_one_under_way_when_the_latency_was_made_shorter() -> None:
    slow, fast = (SimulatedExchange(LISTING, SimulationSettings(latency_ms=latency)) for latency in (50, 0))
    order = terms(BUY, "1")
    assert [heard(slow, event) for event in (quote(at=0.0), submit(order))] == [[], []]
    fast.restore(slow.state())
    assert heard(fast, cancel(order)) == []
    assert kinds(heard(fast, quote(size=0, at=0.05))) == (VenueAccepted, VenueCanceled)


def test_what_is_not_listed_any_more_is_gone_with_our_orders_there() -> None:
    before, after = (SimulatedExchange(listing, SimulationSettings()) for listing in (LISTING, {ETH: LISTING[ETH]}))
    order = terms(BUY, limit="90")
    assert kinds([*heard(before, quote()), *heard(before, submit(order))]) == (VenueAccepted,)
    after.restore(before.state())
    assert heard(after, quote(80.0, 81.0)) == []
    assert kinds(heard(after, cancel(order))) == (VenueCancelRejected,)


def test_a_canceled_order_is_gone() -> None:
    order = terms(BUY, limit="100")
    said = reports(quote(), submit(order), cancel(order), quote(98.0, 99.0))
    assert kinds(said) == (VenueAccepted, VenueCanceled)


@pytest.mark.parametrize(
    "order", [terms(BUY, "0.5"), terms(BUY, order_id="unheard-of"), terms(order_id="x", instrument=ETH)]
)
def test_what_is_not_open_cannot_be_canceled(order: OrderTerms) -> None:
    filled = submit(terms(BUY, "0.5"))
    assert kinds(reports(quote(), filled, cancel(order)))[-1] is VenueCancelRejected


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (terms(instrument=instrument_id("sim", "NONE")), "not listed"),
        (terms(instrument=ETH), "no quote"),
        (terms(quantity="0.0015"), "lot 0.001"),
        (terms(limit="100.05"), "tick 0.1"),
        (terms(quantity="1e80"), "lot 0.001"),
        (terms(limit="1e80"), "tick 0.1"),
    ],
)
def test_an_order_against_the_rules_is_refused_with_the_reason(order: OrderTerms, reason: str) -> None:
    (refusal,) = reports(quote(), submit(order))
    assert isinstance(refusal, VenueRejected)
    assert reason in refusal.reason


def test_market_data_of_what_is_not_listed_is_ignored() -> None:
    elsewhere = instrument_id("sim", "NONE")
    assert reports(quote(instrument=elsewhere), trade(1.0, instrument=elsewhere)) == []


def test_fills_of_an_order_are_numbered() -> None:
    said = reports(quote(size=1), submit(terms(BUY, "2")), quote(size=1))
    assert [fill.trade_id for fill in said if isinstance(fill, VenueFilled)] == ["trend-1-0-1", "trend-1-0-2"]


def test_settings_refuse_a_latency_below_zero_and_fees_above_the_notional() -> None:
    with pytest.raises(ValueError, match="latency_ms"):
        SimulationSettings(latency_ms=-1)
    with pytest.raises(ValueError, match="taker_fee"):
        SimulationSettings(taker_fee=Decimal(2))


def test_reports_name_the_order_and_its_instrument() -> None:
    for report in reports(quote(), submit(terms(BUY, "0.5"))):
        assert isinstance(report, VenueAccepted | VenueFilled)
        assert (report.client_order_id, report.instrument) == ("trend-1-0", BTC)
