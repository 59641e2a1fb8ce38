"""Laws of the simulated exchange, whatever the market and our commands are."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import encode
from contracts.event import Event
from contracts.market import Quote, Trade
from contracts.orders import OrderTerms
from contracts.types import InstrumentId, Liquidity, Side, TimeInForce
from contracts.venue import (
    CancelOrder,
    SubmitOrder,
    VenueAccepted,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueRejected,
    VenueReport,
)
from tests.builders import BTC, ETH, LISTING, cancel, listed, ns, quote, submit, terms, trade
from venues.simulated import SimulatedExchange, SimulationSettings

Heard = list[tuple[Event, list[Event]]]

INSTRUMENTS = st.sampled_from([BTC, BTC, BTC, ETH])
TENTHS = st.integers(990, 1010)
SIZES = st.sampled_from([0.0, 0.0004, 0.3, 0.7, 1.0, 2.5])


def tenths(count: int) -> float:
    return count / 10


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    bid, spread = draw(TENTHS), draw(st.integers(0, 5))
    return quote(tenths(bid), tenths(bid + spread), size=draw(SIZES), instrument=draw(INSTRUMENTS))


@st.composite
def orders(draw: st.DrawFn) -> OrderTerms:
    return terms(
        draw(st.sampled_from(Side)),
        draw(st.sampled_from(["0.1", "0.5", "1", "2", "0.0005"])),
        limit=draw(st.none() | TENTHS.map(lambda count: str(tenths(count)))),
        time_in_force=draw(st.sampled_from(TimeInForce)),
        order_id=draw(st.sampled_from("abcdefgh")),
        instrument=draw(INSTRUMENTS),
    )


@st.composite
def sessions(draw: st.DrawFn) -> list[Event]:
    """A market and our commands, in time."""
    shown = st.one_of(quotes(), quotes(), st.builds(trade, TENTHS.map(tenths), SIZES, instrument=INSTRUMENTS))
    given_ = st.one_of(orders().map(submit), orders().map(submit), orders().map(cancel))
    events: list[Event] = draw(st.lists(st.one_of(shown, given_), max_size=16))
    return [replace(event, ts_event=ns(number / 100), ts_init=ns(number / 100)) for number, event in enumerate(events)]


LATENCIES = st.sampled_from([0.0, 0.0, 5.0, 25.0])


def run(events: Iterable[Event], latency_ms: float) -> Heard:
    exchange = SimulatedExchange(LISTING, SimulationSettings(latency_ms=latency_ms))
    return [(event, reports(exchange, event)) for event in events]


def reports(exchange: SimulatedExchange, event: Event) -> list[Event]:
    if isinstance(event, Quote):
        return listed(exchange.on_quote(event))
    if isinstance(event, Trade):
        return listed(exchange.on_trade(event))
    assert isinstance(event, SubmitOrder | CancelOrder)
    return listed(exchange.command(event))


def lives(heard: Heard) -> dict[str, list[VenueReport]]:
    """What was reported of each order, without refused cancels: those say nothing of an order."""
    said: dict[str, list[VenueReport]] = defaultdict(list)
    for _, answers in heard:
        for report in answers:
            assert isinstance(report, VenueReport)
            if not isinstance(report, VenueCancelRejected):
                said[report.client_order_id].append(report)
    return said


def first_orders(events: Iterable[Event]) -> dict[str, OrderTerms]:
    found: dict[str, OrderTerms] = {}
    for event in events:
        if isinstance(event, SubmitOrder):
            found.setdefault(event.order.client_order_id, event.order)
    return found


def fills(heard: Heard) -> Iterator[VenueFilled]:
    return (report for _, answers in heard for report in answers if isinstance(report, VenueFilled))


@given(sessions(), LATENCIES)
def test_fills_keep_the_terms_of_their_order_and_the_rules_of_its_instrument(
    events: list[Event], latency_ms: float
) -> None:
    ordered = first_orders(events)
    filled: dict[str, Decimal] = defaultdict(Decimal)
    for fill in fills(run(events, latency_ms)):
        order = ordered[fill.client_order_id]
        filled[fill.client_order_id] += fill.quantity
        assert filled[fill.client_order_id] <= order.quantity
        assert (fill.side, fill.instrument) == (order.side, order.instrument)
        assert order.limit_price is None or fill.side.sign * (fill.price - order.limit_price) <= 0
        assert order.limit_price is not None or fill.liquidity is Liquidity.TAKER
        assert LISTING[fill.instrument].is_price(fill.price)
        assert LISTING[fill.instrument].is_quantity(fill.quantity)


@given(sessions(), LATENCIES)
def test_what_a_quote_displays_is_taken_at_most_once(events: list[Event], latency_ms: float) -> None:
    left: dict[tuple[InstrumentId, Side], Decimal] = {}
    for event, answers in run(events, latency_ms):
        if isinstance(event, Quote):
            left[event.instrument, Side.BUY] = Decimal(repr(event.ask_size))
            left[event.instrument, Side.SELL] = Decimal(repr(event.bid_size))
        for fill in answers:
            of_the_trade = isinstance(event, Trade) and getattr(fill, "liquidity", None) is Liquidity.MAKER
            if isinstance(fill, VenueFilled) and not of_the_trade:
                left[fill.instrument, fill.side] -= fill.quantity
                assert left[fill.instrument, fill.side] >= 0


@given(sessions(), LATENCIES)
def test_a_trade_fills_at_most_its_size_of_ours(events: list[Event], latency_ms: float) -> None:
    for event, answers in run(events, latency_ms):
        if isinstance(event, Trade):
            makers = [r for r in answers if isinstance(r, VenueFilled) and r.liquidity is Liquidity.MAKER]
            assert sum(fill.quantity for fill in makers) <= Decimal(repr(event.size))
            assert all(fill.side.sign * (Decimal(repr(event.price)) - fill.price) < 0 for fill in makers)


@given(sessions(), LATENCIES)
def test_every_order_is_taken_or_refused_once_and_ends_at_most_once(events: list[Event], latency_ms: float) -> None:
    ordered = first_orders(events)
    for client_order_id, (first, *rest) in lives(run(events, latency_ms)).items():
        assert isinstance(first, VenueAccepted) or (isinstance(first, VenueRejected) and not rest)
        left = ordered[client_order_id].quantity
        for number, report in enumerate(rest, start=1):
            last = number == len(rest)
            assert isinstance(report, VenueFilled) or (isinstance(report, VenueCanceled | VenueExpired) and last)
            left -= report.quantity if isinstance(report, VenueFilled) else 0
            assert left > 0 or last


@given(sessions())
def test_without_latency_every_command_is_answered_at_once_unless_it_repeats(events: list[Event]) -> None:
    seen = set()
    for event, answers in run(events, latency_ms=0.0):
        if isinstance(event, SubmitOrder):
            assert bool(answers) is (event.order.client_order_id not in seen)
            seen.add(event.order.client_order_id)
        elif isinstance(event, CancelOrder):
            assert len(answers) == 1


@given(sessions())
def test_immediate_orders_never_rest(events: list[Event]) -> None:
    ordered = first_orders(events)
    for client_order_id, life in lives(run(events, latency_ms=0.0)).items():
        order = ordered[client_order_id]
        total = sum(report.quantity for report in life if isinstance(report, VenueFilled))
        if order.time_in_force is TimeInForce.FOK:
            assert total in (0, order.quantity)
        if order.time_in_force is not TimeInForce.GTC and isinstance(life[0], VenueAccepted):
            assert total == order.quantity or isinstance(life[-1], VenueExpired)


@given(sessions(), LATENCIES, st.integers(0, 16))
def test_the_same_session_gives_the_same_reports_and_the_future_cannot_change_them(
    events: list[Event], latency_ms: float, cut: int
) -> None:
    whole = run(events, latency_ms)
    assert run(events[:cut], latency_ms) == whole[:cut]
    assert all(encode(report) for _, answers in whole for report in answers)
