"""Laws of the simulated exchange under slippage, random latency, tiers, interest and scripts of what goes wrong."""

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.codec import encode
from contracts.event import Event
from contracts.market import Quote
from contracts.types import InstrumentId, Side
from contracts.venue import (
    FundingPaid,
    SubmitOrder,
    VenueAmended,
    VenueBalance,
    VenueCanceled,
    VenueExpired,
    VenueFilled,
)
from services.gateway.rules import Gateway, GatewayState
from tests.builders import BTC, LISTING, listed, ns, quote
from tests.property.test_matching_laws import first_orders, sessions
from venues.simulated import SimulatedExchange, SimulationSettings
from venues.simulated.borrow import HOUR
from venues.simulated.latency import Latency
from venues.simulated.slippage import SlippageSettings, slipped

ZERO = Decimal(0)
KEPT = TypeAdapter(GatewayState)
RULES = LISTING[BTC]

LATENCIES = st.sampled_from([0.0, 7.0, "uniform:0,40", "lognormal:10,1", "quantiles:0,0,5,100"])
SLIPPAGES = st.fixed_dictionaries(
    {
        "constant_bps": st.sampled_from([0.0, 0.5, 30.0]),
        "impact_bps": st.sampled_from([0.0, 1.0, 80.0]),
        "against": st.sampled_from(["displayed", "traded"]),
        "window_s": st.just(60),
    }
)
TIERS = [{"from_volume": 50, "maker_fee": "0.0005", "taker_fee": "0.0008"}]


@st.composite
def spans(draw: st.DrawFn, /, **more: st.SearchStrategy[Any]) -> dict[str, object]:
    begin = draw(st.integers(0, 14))
    end = begin + draw(st.integers(1, 6))
    return {
        "begins_at": ns(begin / 100),
        "ends_at": ns(end / 100),
        **{name: draw(choice) for name, choice in more.items()},
    }


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    """Anything that can be wrong with an exchange."""
    return {
        "latency_ms": draw(LATENCIES),
        "report_latency_ms": draw(LATENCIES),
        "feed_latency_ms": draw(LATENCIES),
        "slippage": draw(SLIPPAGES),
        "fee_tiers": draw(st.sampled_from([(), TIERS])),
        "borrow": draw(st.sampled_from([{}, {"per_day": "0.01"}, {"per_day": "0.01", "own": 150}])),
        "outages": draw(st.lists(spans(commands=st.sampled_from(["lost", "refused"])), max_size=2)),
        "rejects": draw(st.lists(spans(share=st.sampled_from([0.5, 1.0])), max_size=1)),
        "slowdowns": draw(st.lists(spans(delay_ms=st.sampled_from([5, 50])), max_size=1)),
        "seed": draw(st.integers(0, 3)),
    }


def gateway(world: dict[str, Any]) -> Gateway:
    return Gateway(SimulationSettings.model_validate(world), LISTING)


def said(at: Gateway, event: Event) -> list[Event]:
    return listed(at.handlers()[type(event)](event))


def until_all_is_heard(session: list[Event]) -> list[Event]:
    """Let the market go on until whatever was under way has arrived, and two hours are paid for."""
    moments = (100.0, 3_700.0, 7_300.0, 7_400.0, 7_500.0)
    shown = [(moment + number, name) for moment in moments for number, name in enumerate(LISTING)]
    after = [quote(99.0, 101.0, size=0.0, at=moment, instrument=name) for moment, name in shown]
    return [*session, *after]


@given(sessions(), worlds(), st.integers(0, 16))
def test_an_exchange_that_was_restored_goes_on_the_same_wherever_it_was(
    session: list[Event], world: dict[str, Any], cut: int
) -> None:
    day = until_all_is_heard(session)
    whole, first, second = gateway(world), gateway(world), gateway(world)
    reports = [said(whole, event) for event in day]
    before = [said(first, event) for event in day[:cut]]
    second.restore(KEPT.validate_json(KEPT.dump_json(first.state())))
    assert before + [said(second, event) for event in day[cut:]] == reports
    assert KEPT.dump_json(second.state()) == KEPT.dump_json(whole.state())
    assert all(encode(report) for answers in reports for report in answers)


@given(sessions(), worlds())
def test_the_same_seed_gives_the_same_reports(session: list[Event], world: dict[str, Any]) -> None:
    one, other = gateway(world), gateway(world)
    assert [said(one, event) for event in session] == [said(other, event) for event in session]


@given(sessions(asks=False), worlds())
def test_what_takes_never_pays_less_than_the_quote_that_it_met(session: list[Event], world: dict[str, Any]) -> None:
    shown: dict[tuple[InstrumentId, int], Quote] = {}
    at = gateway({**world, "self_trade": "cancel_both"})
    last: dict[InstrumentId, Quote] = {}
    for event in until_all_is_heard(session):
        if isinstance(event, Quote):
            last[event.instrument] = event
        for name, quoted in last.items():
            shown[name, event.ts_init] = quoted
        for fill in said(at, event):
            if not isinstance(fill, VenueFilled) or fill.liquidity.value == "maker":
                continue
            rules, met = LISTING[fill.instrument], shown[fill.instrument, fill.ts_event]
            best = rules.price(met.ask if fill.side is Side.BUY else met.bid)
            assert fill.side.sign * (fill.price - best) >= 0
            assert rules.is_price(fill.price)


@given(sessions(asks=False), worlds())
def test_orders_are_filled_up_to_their_quantity_and_end_once_whatever_goes_wrong(
    session: list[Event], world: dict[str, Any]
) -> None:
    at, ended = gateway(world), set[str]()
    quantities: dict[str, Decimal] = {}
    for event in until_all_is_heard(session):
        if isinstance(event, SubmitOrder):
            quantities.setdefault(event.order.client_order_id, event.order.quantity)
        for report in said(at, event):
            if isinstance(report, VenueAmended):
                quantities[report.client_order_id] = max(report.quantity, quantities[report.client_order_id])
            if isinstance(report, VenueFilled | VenueCanceled | VenueExpired):
                assert report.client_order_id not in ended
            if isinstance(report, VenueCanceled | VenueExpired):
                ended.add(report.client_order_id)
    for name, quantity in quantities.items():
        assert sum((fill.quantity for fill in _fills(at, name)), ZERO) <= quantity
    working = [order for market in at.exchange.state().markets.values() for order in market.orders.values()]
    assert all(order.leaves > 0 for order in working)


def _id(submitted: SubmitOrder) -> str:
    return submitted.order.client_order_id


def _fills(at: Gateway, name: str) -> list[VenueFilled]:
    state = at.exchange.state()
    past = state.known.get(name)
    open_ = [market.orders[name].fills for market in state.markets.values() if name in market.orders]
    return open_[0] if open_ else past.fills if past is not None else []


@given(sessions(asks=False), worlds())
def test_commands_take_effect_in_the_order_in_which_they_were_sent(session: list[Event], world: dict[str, Any]) -> None:
    at = gateway(world)
    for event in until_all_is_heard(session):
        said(at, event)
        dues = [command.due for command in at.exchange.state().in_flight]
        assert dues == sorted(dues)


@given(sessions(asks=False), worlds())
def test_reports_come_in_time_and_never_before_what_they_are_about(session: list[Event], world: dict[str, Any]) -> None:
    at = gateway(world)
    for event in until_all_is_heard(session):
        for report in said(at, event):
            assert report.ts_event <= report.ts_init == event.ts_init
        dues = [waiting.due for waiting in at.exchange.state().waiting]
        assert dues == sorted(dues)
    assert at.exchange.state().waiting == []


@given(sessions(asks=False), worlds(), st.sampled_from(["cancel_maker", "allow"]))
def test_a_kept_account_is_what_it_began_with_and_what_was_traded_at_every_fee(
    session: list[Event], world: dict[str, Any], self_trade: str
) -> None:
    begin = {"USDT": Decimal(250), "BTC": Decimal(1)}
    at = gateway({**world, "borrow": {}, "balances": begin, "self_trade": self_trade})
    flows: dict[str, Decimal] = defaultdict(Decimal, begin)
    for event in until_all_is_heard(session):
        for report in said(at, event):
            if isinstance(report, VenueFilled):
                signed = report.side.sign * report.quantity
                flows[LISTING[report.instrument].base_currency] += signed
                flows["USDT"] -= signed * report.price + report.fee
            elif isinstance(report, VenueBalance):
                assert report.total == flows[report.currency] >= 0


@given(sessions(asks=False), worlds())
def test_interest_is_paid_never_got_once_an_hour_and_for_what_is_borrowed(
    session: list[Event], world: dict[str, Any]
) -> None:
    at = gateway({**world, "borrow": {"per_day": "0.01", "own": 50}})
    payments = [
        report for event in until_all_is_heard(session) for report in said(at, event) if isinstance(report, FundingPaid)
    ]
    assert len({payment.funding_id for payment in payments}) == len(payments)
    for payment in payments:
        assert payment.amount <= 0
        assert payment.ts_event % HOUR == 0
        assert payment.amount * payment.quantity * Decimal(repr(payment.rate)) <= 0


@given(sessions(asks=False), worlds())
def test_what_a_strategy_has_is_its_own_and_what_trades_and_interest_made_of_it(
    session: list[Event], world: dict[str, Any]
) -> None:
    at, own = gateway({**world, "borrow": {"per_day": "0.01", "own": 50}}), Decimal(50)
    flows: dict[str, Decimal] = defaultdict(lambda: own)
    ordered = first_orders(session)
    session = [event for event in session if not isinstance(event, SubmitOrder) or event.order is ordered[_id(event)]]
    for event in until_all_is_heard(session):
        for report in said(at, event):
            if isinstance(report, FundingPaid):
                assert report.strategy is not None
                flows[report.strategy] += report.amount
    for name, loans in at.exchange.state().lent.loans.items():
        booked = [fill for of, order in ordered.items() if order.strategy == name for fill in _fills(at, of)]
        spent = sum((fill.side.sign * fill.quantity * fill.price + fill.fee for fill in booked), ZERO)
        assert loans.purses["USDT"].cash == flows[name] - spent


@given(st.integers(1, 10_000), st.sampled_from(Side), st.floats(0, 5_000))
def test_a_slipped_price_is_a_price_on_the_worse_side_and_within_a_tick_of_the_formula(
    tenths: int, side: Side, bps: float
) -> None:
    price = Decimal(tenths) / 10
    moved = slipped(RULES, side, price, bps)
    exact = price * (1 + side.sign * Decimal(repr(bps)) / 10_000)
    assert RULES.is_price(moved)
    assert moved > 0
    assert side.sign * (moved - price) >= 0 or price < RULES.tick
    assert abs(moved - exact) < RULES.tick or moved == RULES.tick


@given(st.decimals("0.001", "1000", places=3), st.decimals("0.001", "1000", places=3), st.floats(0.1, 100))
def test_more_costs_more_and_four_times_as_much_twice_the_impact(quantity: Decimal, size: Decimal, bps: float) -> None:
    settings = SlippageSettings(impact_bps=bps, most_bps=5_000)
    once, four = settings.of(quantity, size), settings.of(4 * quantity, size)
    assert once <= four <= 5_000
    assert four == 5_000 or abs(four - 2 * once) < 1e-6 * four


@given(st.sampled_from(["uniform:3,9", "lognormal:20,1.5", "quantiles:0,1,1,8"]), st.integers(0, 2**63 - 1))
def test_a_latency_is_never_negative_and_drawn_once_for_each(text: str, seed: int) -> None:
    at = SimulatedExchange(LISTING, SimulationSettings.model_validate({"latency_ms": text, "seed": seed}))
    state = at.state()
    drawn = Latency.model_validate(text).draw(replace(state.chances.orders))
    assert 0 <= drawn <= 60_000
    assert state.chances.orders.drawn == 0
