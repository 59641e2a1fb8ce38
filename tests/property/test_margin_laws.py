"""Laws of the margin account of the simulated exchange, whatever is traded and wherever the mark goes."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.codec import encode
from contracts.event import Event
from contracts.market import Funding
from contracts.types import Side, instrument_id
from contracts.venue import FundingPaid, VenueBalance, VenueFilled, VenueForeignOrder, VenuePosition
from services.gateway.rules import Gateway, GatewayState
from tests.builders import listed, ns, quote, submit, terms
from venues.instruments import Instrument, InstrumentKind, listing
from venues.simulated import MarginMode, PerpetualSettings, SimulationSettings

BTC, ETH = instrument_id("perp", "BTCUSDT"), instrument_id("perp", "ETHUSDT")
PERPETUALS = listing(
    Instrument(name, base, "USDT", Decimal("0.1"), Decimal("0.001"), Decimal(5), InstrumentKind.PERPETUAL)
    for name, base in ((BTC, "BTC"), (ETH, "ETH"))
)
CAPITAL = Decimal(100)
ZERO = Decimal(0)
INSTRUMENTS = st.sampled_from([BTC, BTC, ETH])
PRICES = st.integers(900, 1100).map(lambda tenths: tenths / 10)
MODES = st.sampled_from(MarginMode)
KEPT = TypeAdapter(GatewayState)


@st.composite
def marks(draw: st.DrawFn) -> Funding:
    price = draw(PRICES)
    return Funding(
        ts_event=ns(0),
        ts_init=ns(0),
        instrument=draw(INSTRUMENTS),
        mark=price,
        index=price,
        rate=draw(st.sampled_from([0.0, 0.001, -0.002])),
        next_at=ns(draw(st.integers(1, 20))),
    )


@st.composite
def deals(draw: st.DrawFn, number: int) -> Event:
    order = terms(
        draw(st.sampled_from(Side)),
        draw(st.sampled_from(["0.3", "1", "2.5", "4"])),
        limit=draw(st.none() | PRICES.map(str)),
        order_id=f"o{number}",
        strategy=draw(st.sampled_from(["trend", "scalper"])),
        reduce_only=draw(st.sampled_from([False, False, True])),
        instrument=draw(INSTRUMENTS),
    )
    return submit(order)


@st.composite
def days(draw: st.DrawFn) -> list[Event]:
    begin: list[Event] = [quote(99.9, 100.0, size=50.0, instrument=name) for name in (BTC, ETH)]
    count = draw(st.integers(1, 20))
    shown = st.builds(lambda bid, name: quote(bid, bid + 0.1, size=1.7, instrument=name), PRICES, INSTRUMENTS)
    happens = [draw(st.one_of(shown, marks(), deals(number))) for number in range(count)]
    return [replace(event, ts_event=ns(at), ts_init=ns(at)) for at, event in enumerate([*begin, *happens])]


def gateway(mode: MarginMode) -> Gateway:
    margined = PerpetualSettings(capital=CAPITAL, margin=mode, leverage=Decimal(20), maintenance=Decimal("0.02"))
    return Gateway(SimulationSettings(perpetuals=margined), PERPETUALS)


def said(at: Gateway, event: Event) -> list[Event]:
    return listed(at.handlers()[type(event)](event))


@given(days(), MODES)
def test_capital_is_what_it_began_with_and_what_trades_fees_and_funding_made_of_it(
    day: list[Event], mode: MarginMode
) -> None:
    at = gateway(mode)
    money = CAPITAL
    for event in day:
        for report in said(at, event):
            if isinstance(report, VenueFilled):
                money -= report.side.sign * report.quantity * report.price + report.fee
            elif isinstance(report, FundingPaid):
                money += report.amount
        account = at.exchange.state().account
        bound = sum((position.cost for position in account.positions.values()), ZERO)
        assert account.wallets["perp"]["USDT"] - bound == money


@given(days(), MODES)
def test_what_strategies_hold_is_together_what_the_account_holds(day: list[Event], mode: MarginMode) -> None:
    at = gateway(mode)
    for event in day:
        said(at, event)
        account = at.exchange.state().account
        held = {name: sum(of.values(), ZERO) for name, of in account.holdings.items()}
        net = {name: position.quantity for name, position in account.positions.items()}
        assert {name: size for name, size in held.items() if size} == net


@given(days(), MODES)
def test_after_a_mark_no_position_is_left_with_too_little_margin(day: list[Event], mode: MarginMode) -> None:
    at = gateway(mode)
    for event in day:
        reports = said(at, event)
        if isinstance(event, Funding):
            account = at.exchange.state().account
            position = account.positions.get(event.instrument)
            if position is not None and mode is MarginMode.ISOLATED:
                mark = Decimal(repr(event.mark))
                margin = abs(position.cost) / 20
                assert margin + position.profit(mark) > abs(position.quantity) * mark * Decimal("0.02")
            for foreign in [report for report in reports if isinstance(report, VenueForeignOrder)]:
                assert foreign.strategy not in account.holdings.get(foreign.instrument, {})
        else:
            assert not [report for report in reports if isinstance(report, VenueForeignOrder)]


@given(days(), MODES)
def test_funding_moves_money_once_for_each_time_and_between_long_and_short(day: list[Event], mode: MarginMode) -> None:
    at = gateway(mode)
    paid = [report for event in day for report in said(at, event) if isinstance(report, FundingPaid)]
    assert len({report.funding_id for report in paid}) == len(paid)
    for report in paid:
        assert report.amount * report.quantity * Decimal(repr(report.rate)) <= 0


@given(days(), MODES, st.integers(0, 22))
def test_a_kept_account_goes_on_the_same_and_every_report_can_be_written(
    day: list[Event], mode: MarginMode, cut: int
) -> None:
    whole, first, second = gateway(mode), gateway(mode), gateway(mode)
    reports = [said(whole, event) for event in day]
    before = [said(first, event) for event in day[:cut]]
    second.restore(KEPT.validate_json(KEPT.dump_json(first.state())))
    assert before + [said(second, event) for event in day[cut:]] == reports
    assert KEPT.dump_json(second.state()) == KEPT.dump_json(whole.state())
    assert all(encode(report) for answers in reports for report in answers)
    kept = [r for answers in reports for r in answers if isinstance(r, VenueBalance | VenuePosition)]
    filled = [r for answers in reports for r in answers if isinstance(r, VenueFilled)]
    assert bool(kept) is bool(filled)
