"""Laws of the simulated exchange, whatever the market and our commands are."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import encode
from contracts.event import Event
from contracts.market import Quote, Trade
from contracts.orders import OrderTerms
from contracts.types import InstrumentId, Liquidity, Side, TimeInForce
from contracts.venue import (
    AmendOrder,
    CancelOrder,
    QueryOrder,
    SubmitOrder,
    VenueAccepted,
    VenueAmended,
    VenueAmendRejected,
    VenueBalance,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueRejected,
    VenueReport,
)
from tests.builders import BTC, ETH, LISTING, amendment, cancel, listed, ns, quote, submit, terms, trade
from venues.simulated import SelfTrade, SimulatedExchange, SimulationSettings

Heard = list[tuple[Event, list[Event]]]

ZERO = Decimal(0)
LOT = LISTING[BTC].lot
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
    order = terms(
        draw(st.sampled_from(Side)),
        draw(st.sampled_from(["0.1", "0.5", "1", "2", "0.0005"])),
        limit=draw(st.none() | TENTHS.map(lambda count: str(tenths(count)))),
        time_in_force=draw(st.sampled_from(TimeInForce)),
        reduce_only=draw(st.sampled_from([False, False, False, True])),
        order_id=draw(st.sampled_from("abcdefgh")),
        strategy=draw(st.sampled_from(["trend", "scalper"])),
        instrument=draw(INSTRUMENTS),
    )
    immediate = order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
    rests = order.limit_price is not None and not immediate
    return replace(order, post_only=rests and draw(st.booleans()))


@st.composite
def amendments(draw: st.DrawFn) -> AmendOrder:
    wanted = amendment(
        draw(orders()),
        quantity=draw(st.sampled_from(["0.1", "0.3", "1", "3", "0.0005"])),
        limit=draw(st.none() | TENTHS.map(lambda count: str(tenths(count)))),
    )
    return AmendOrder(ts_event=ns(0), ts_init=ns(0), amendment=wanted)


def queried(order: OrderTerms) -> QueryOrder:
    return QueryOrder(ts_event=ns(0), ts_init=ns(0), client_order_id=order.client_order_id, instrument=order.instrument)


@st.composite
def sessions(draw: st.DrawFn, *, asks: bool = True) -> list[Event]:
    """A market and our commands, in time; with `asks`, also what became of an order."""
    trades = st.builds(trade, TENTHS.map(tenths), SIZES, aggressor=st.sampled_from(Side), instrument=INSTRUMENTS)
    shown = st.one_of(quotes(), quotes(), trades)
    commands = [orders().map(submit), orders().map(submit), orders().map(cancel), amendments()]
    given_ = st.one_of(*commands, *([orders().map(queried)] if asks else []))
    events: list[Event] = draw(st.lists(st.one_of(shown, given_), max_size=16))
    return [replace(event, ts_event=ns(number / 100), ts_init=ns(number / 100)) for number, event in enumerate(events)]


QUIET = sessions(asks=False)
"""Sessions in which nothing is said twice."""
SELF_TRADE = st.sampled_from(SelfTrade)
LATENCIES = st.sampled_from([0.0, 0.0, 5.0, 25.0])


def run(events: Iterable[Event], latency_ms: float, **settings: Any) -> Heard:  # noqa: ANN401
    exchange = SimulatedExchange(LISTING, SimulationSettings(latency_ms=latency_ms, **settings))
    return [(event, reports(exchange, event)) for event in events]


def reports(exchange: SimulatedExchange, event: Event) -> list[Event]:
    if isinstance(event, Quote):
        return listed(exchange.on_quote(event))
    if isinstance(event, Trade):
        return listed(exchange.on_trade(event))
    assert isinstance(event, SubmitOrder | CancelOrder | AmendOrder | QueryOrder)
    return listed(exchange.command(event))


def lives(heard: Heard) -> dict[str, list[VenueReport]]:
    """What was reported of each order, without refused requests: those say nothing of an order."""
    said: dict[str, list[VenueReport]] = defaultdict(list)
    for _, answers in heard:
        for report in answers:
            assert isinstance(report, VenueReport)
            if not isinstance(report, VenueCancelRejected | VenueAmendRejected):
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


@given(QUIET, LATENCIES, SELF_TRADE)
def test_fills_keep_the_terms_of_their_order_and_the_rules_of_its_instrument(
    events: list[Event], latency_ms: float, self_trade: SelfTrade
) -> None:
    ordered = first_orders(events)
    for name, life in lives(run(events, latency_ms, self_trade=self_trade)).items():
        order, filled = ordered[name], Decimal(0)
        for report in life:
            if isinstance(report, VenueAmended):
                order = replace(order, quantity=report.quantity, limit_price=report.limit_price)
            if not isinstance(report, VenueFilled):
                continue
            filled += report.quantity
            assert filled <= order.quantity
            assert (report.side, report.instrument) == (order.side, order.instrument)
            assert order.limit_price is None or report.side.sign * (report.price - order.limit_price) <= 0
            assert order.limit_price is not None or report.liquidity is Liquidity.TAKER
            assert not order.post_only or report.liquidity is Liquidity.MAKER
            assert LISTING[report.instrument].is_price(report.price)
            assert LISTING[report.instrument].is_quantity(report.quantity)


@given(QUIET, LATENCIES)
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


@given(st.none() | st.floats(0, 10), st.integers(1, 9_999), st.integers(0, 3))
def test_an_order_takes_the_smaller_of_what_it_wants_and_of_what_is_displayed_in_whole_lots(
    size: float | None, lots: int, zeros: int
) -> None:
    """None: just as much is displayed. The digits are those that come of whole lots."""
    wanted = Decimal(lots * 10**zeros).scaleb(-3 - zeros)
    shown = float(wanted) if size is None else size
    order = terms(Side.BUY, str(wanted), order_id="z")
    filled = [str(fill.quantity) for fill in fills(run([quote(99.0, 100.0, size=shown), submit(order)], 0.0))]
    expected = (min(Decimal(repr(shown)), wanted) / LOT).to_integral_value(ROUND_DOWN) * LOT
    assert filled == ([str(expected)] if expected else [])


@given(QUIET, LATENCIES, SELF_TRADE)
def test_an_account_without_limits_trades_like_one_that_can_pay_everything(
    events: list[Event], latency_ms: float, self_trade: SelfTrade
) -> None:
    rich = {name: Decimal(10**12) for name in ("USDT", "BTC", "ETH")}
    paid = run(events, latency_ms, self_trade=self_trade, balances=rich)
    assert run(events, latency_ms, self_trade=self_trade) == [
        (event, [report for report in answers if not isinstance(report, VenueBalance)]) for event, answers in paid
    ]


@given(QUIET)
def test_no_order_is_taken_twice_in_whatever_instrument_nor_after_a_restart(events: list[Event]) -> None:
    exchange, again = (SimulatedExchange(LISTING, SimulationSettings()) for _ in range(2))
    for event in events:
        reports(exchange, event)
    again.restore(exchange.state())
    for order in first_orders(events).values():
        for instrument in (BTC, ETH):
            assert reports(again, submit(replace(order, instrument=instrument))) == []


@given(QUIET, LATENCIES)
def test_a_trade_fills_at_most_its_size_of_ours(events: list[Event], latency_ms: float) -> None:
    for event, answers in run(events, latency_ms):
        if isinstance(event, Trade):
            makers = [r for r in answers if isinstance(r, VenueFilled) and r.liquidity is Liquidity.MAKER]
            assert sum(fill.quantity for fill in makers) <= Decimal(repr(event.size))
            for fill in makers:
                through = fill.side.sign * (fill.price - Decimal(repr(event.price)))
                assert through > 0 or (through == 0 and event.aggressor is fill.side.opposite)


@given(QUIET, LATENCIES)
def test_what_others_trade_at_a_price_bounds_what_we_are_filled_there_behind_them(
    events: list[Event], latency_ms: float
) -> None:
    traded: dict[tuple[InstrumentId, Side, Decimal], Decimal] = defaultdict(Decimal)
    for event, answers in run(events, latency_ms):
        if not isinstance(event, Trade):
            continue
        price, maker_side = Decimal(repr(event.price)), event.aggressor.opposite
        traded[event.instrument, maker_side, price] += Decimal(repr(event.size))
        for fill in answers:
            if isinstance(fill, VenueFilled) and fill.liquidity is Liquidity.MAKER and fill.price == price:
                traded[fill.instrument, fill.side, price] -= fill.quantity
                assert traded[fill.instrument, fill.side, price] >= 0


@given(QUIET)
def test_whoever_waits_behind_others_is_filled_only_by_what_is_traded_beyond_them(events: list[Event]) -> None:
    first = quote(99.0, 100.0, size=2.5)
    resting = submit(terms(Side.BUY, "1", limit="99", order_id="z"))
    same_or_better = [e for e in events if isinstance(e, Trade) and e.instrument == BTC and e.price >= 99.0]
    sold = sum((Decimal(repr(e.size)) for e in same_or_better if e.aggressor is Side.SELL and e.price == 99.0), ZERO)
    filled = sum((fill.quantity for fill in fills(run([first, resting, *same_or_better], 0.0))), ZERO)
    assert filled == min(max(sold - Decimal("2.5"), ZERO), 1)


@given(QUIET, LATENCIES)
def test_every_order_is_taken_or_refused_once_and_ends_at_most_once(events: list[Event], latency_ms: float) -> None:
    ordered = first_orders(events)
    for client_order_id, (first, *rest) in lives(run(events, latency_ms)).items():
        assert isinstance(first, VenueAccepted) or (isinstance(first, VenueRejected) and not rest)
        left = ordered[client_order_id].quantity
        before = left
        for number, report in enumerate(rest, start=1):
            last = number == len(rest)
            if isinstance(report, VenueAmended):
                left, before = left + report.quantity - before, report.quantity
            else:
                assert isinstance(report, VenueFilled) or (isinstance(report, VenueCanceled | VenueExpired) and last)
                left -= report.quantity if isinstance(report, VenueFilled) else 0
            assert left > 0 or last


@given(QUIET, LATENCIES, SELF_TRADE)
def test_what_only_reduces_never_opens_or_turns_a_position(
    events: list[Event], latency_ms: float, self_trade: SelfTrade
) -> None:
    ordered = first_orders(events)
    held: dict[tuple[str, InstrumentId], Decimal] = defaultdict(Decimal)
    for fill in fills(run(events, latency_ms, self_trade=self_trade)):
        order = ordered[fill.client_order_id]
        key = (order.strategy, order.instrument)
        before = held[key]
        held[key] += fill.side.sign * fill.quantity
        if order.reduce_only:
            assert abs(held[key]) < abs(before)
            assert held[key] * before >= 0


@given(QUIET)
def test_without_latency_every_command_is_answered_at_once_unless_it_repeats(events: list[Event]) -> None:
    seen = set()
    for event, answers in run(events, latency_ms=0.0):
        if isinstance(event, SubmitOrder):
            assert bool(answers) is (event.order.client_order_id not in seen)
            seen.add(event.order.client_order_id)
        elif isinstance(event, CancelOrder):
            assert len(answers) == 1
        elif isinstance(event, AmendOrder):
            assert isinstance(answers[0], VenueAmended | VenueAmendRejected)


@given(QUIET)
def test_who_asks_hears_all_trades_again_and_how_it_stands(events: list[Event]) -> None:
    exchange = SimulatedExchange(LISTING, SimulationSettings())
    heard = [(event, reports(exchange, event)) for event in events]
    said, ordered = lives(heard), first_orders(events)
    for name, order in ordered.items():
        again = reports(exchange, queried(order))
        traded = [report.trade_id for report in said[name] if isinstance(report, VenueFilled)]
        assert [report.trade_id for report in again if isinstance(report, VenueFilled)] == traded
        end = [type(r) for r in said[name] if isinstance(r, VenueCanceled | VenueExpired | VenueRejected)]
        assert [type(r) for r in again if isinstance(r, VenueCanceled | VenueExpired | VenueRejected)] == end
        assert reports(exchange, submit(order)) == []


@given(QUIET, SELF_TRADE)
def test_the_coins_and_the_money_of_a_kept_account_are_what_was_traded_and_never_below_zero(
    events: list[Event], self_trade: SelfTrade
) -> None:
    begin = {"USDT": Decimal(250), "BTC": Decimal(1)}
    flows: dict[str, Decimal] = defaultdict(Decimal, begin)
    for _, answers in run(events, 0.0, balances=begin, self_trade=self_trade):
        for report in answers:
            if isinstance(report, VenueFilled):
                signed = report.side.sign * report.quantity
                flows[LISTING[report.instrument].base_currency] += signed
                flows["USDT"] -= signed * report.price + report.fee
            elif isinstance(report, VenueBalance):
                assert report.total == flows[report.currency] >= 0
                assert report.free <= report.total


@given(QUIET)
def test_immediate_orders_never_rest(events: list[Event]) -> None:
    ordered = first_orders(events)
    for client_order_id, life in lives(run(events, latency_ms=0.0)).items():
        order = ordered[client_order_id]
        total = sum(report.quantity for report in life if isinstance(report, VenueFilled))
        if order.time_in_force is TimeInForce.FOK:
            assert total in (0, order.quantity)
        if order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK) and isinstance(life[0], VenueAccepted):
            assert total == order.quantity or isinstance(life[-1], VenueExpired)


@given(sessions(), LATENCIES, st.integers(0, 16))
def test_the_same_session_gives_the_same_reports_and_the_future_cannot_change_them(
    events: list[Event], latency_ms: float, cut: int
) -> None:
    whole = run(events, latency_ms)
    assert run(events[:cut], latency_ms) == whole[:cut]
    assert all(encode(report) for _, answers in whole for report in answers)
