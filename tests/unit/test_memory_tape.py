"""The tape in memory: one order, every output with its cause; the whole system runs on it as it does live."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice

import pytest

from contracts.books import EquityMarked, PositionChanged
from contracts.clock import ClockTick
from contracts.codec import encode
from contracts.control import Alert, DeadLetter
from contracts.event import Event
from contracts.market import Quote, Trade
from contracts.orders import OrderEvent, OrderFilled, OrderInitialized, OrderIntent, RiskApproved
from contracts.recorded import Recorded
from contracts.types import Severity
from contracts.venue import SubmitOrder, VenueFilled
from services.bars.rules import Bars
from services.bars.settings import BarsSettings
from services.clock.rules import MarketClock
from services.gateway.rules import Gateway
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from services.router.rules import Router
from services.router.settings import RouterSettings
from services.trend.rules import Trend
from services.trend.settings import TrendSettings
from tape.blueprint import Blueprint
from tape.component import Component, on
from tape.folding import Folding, failed
from tape.memory import MemoryTape
from tape.span import in_spans
from tests.builders import LISTING, START, quote, tick, trade
from tests.reference_workload import components, mids, outcome, quotes, reference
from venues.market import SimulatedMarket
from venues.simulated import SimulationSettings


class Herald(Component):
    """Answers each quote with as many alerts as it is told, and alerts of its master's with one of its own."""

    def __init__(self, name: str, alerts: int, master: str | None = None) -> None:
        super().__init__(name)
        self.alerts = alerts
        self.master = master
        self.heard: list[tuple[int, Event]] = []

    @on(Quote)
    def on_quote(self, quoted: Quote) -> Iterator[Alert]:
        self.heard.append((self.moment.position, quoted))
        return (alert(self.name, number) for number in range(self.alerts))

    @on(Alert)
    def on_alert(self, heard: Alert) -> Iterator[Alert]:
        self.heard.append((self.moment.position, heard))
        if heard.component == self.master:
            yield alert(self.name, 9)


def alert(component: str, number: int) -> Alert:
    return Alert(
        ts_event=START,
        ts_init=START,
        component=component,
        severity=Severity.INFO,
        code=str(number),
        message="heard",
    )


def told(tape: MemoryTape) -> list[tuple[int, int | None, str]]:
    return [(recorded.position, recorded.cause, recorded.msg_id) for recorded in tape.recorded]


def test_outside_events_take_a_position_each() -> None:
    tape = MemoryTape([])
    tape.play([quote(), trade(1.0), tick(1.0)])
    assert tape.position == 3
    assert tape.recorded == []


def test_what_an_event_leads_to_comes_before_the_next_outside_event() -> None:
    tape = MemoryTape([Herald("a", 2)])
    tape.play([quote(), quote()])
    assert told(tape) == [(2, 1, "a/1/0"), (3, 1, "a/1/1"), (5, 4, "a/4/0"), (6, 4, "a/4/1")]
    assert tape.position == 6


def test_an_answer_is_heard_after_everybody_heard_what_it_answers() -> None:
    first, second = Herald("a", 1, master="b"), Herald("b", 1)
    tape = MemoryTape([first, second])
    tape.play([quote()])
    assert told(tape) == [(2, 1, "a/1/0"), (3, 1, "b/1/0"), (4, 3, "a/3/0")]
    assert [position for position, _ in first.heard] == [position for position, _ in second.heard] == [1, 2, 3, 4]


def test_components_hear_an_event_in_the_order_they_are_given() -> None:
    tape = MemoryTape([Herald("b", 1), Herald("a", 1)])
    tape.play([quote()])
    assert [msg_id for *_, msg_id in told(tape)] == ["b/1/0", "a/1/0"]


def test_playing_goes_on_where_it_stopped() -> None:
    whole, parts = MemoryTape([Herald("a", 1)]), MemoryTape([Herald("a", 1)])
    whole.play([quote(at=0.0), quote(at=1.0)])
    parts.play([quote(at=0.0)])
    parts.play([quote(at=1.0)])
    assert parts.recorded == whole.recorded


def test_what_nobody_handles_goes_by() -> None:
    tape = MemoryTape([MarketClock()])
    tape.play([tick(0.0)])
    assert tape.recorded == []


class Stumbling(Herald):
    """Raises amid its second answer to a quote, and at every alert."""

    @on(Quote)
    def on_quote(self, quoted: Quote) -> Iterator[Alert]:
        self.heard.append((self.moment.position, quoted))
        yield alert(self.name, 0)
        raise ValueError("a stone")

    @on(Alert)
    def on_alert(self, heard: Alert) -> Iterator[Alert]:
        raise KeyError(heard.code)


def test_what_a_component_raises_comes_out_and_what_was_said_before_stays() -> None:
    tape = MemoryTape([Herald("a", 1), Stumbling("b", 0)])
    with pytest.raises(ValueError, match="a stone"):
        tape.play([quote()])
    assert told(tape) == [(2, 1, "a/1/0")]


def test_a_component_that_raises_says_a_dead_letter_instead_and_all_goes_on_as_live() -> None:
    tape = MemoryTape([Stumbling("b", 0), Herald("a", 1)], failed)
    tape.play([quote(), quote()])
    live = Folding(Blueprint("b", BarsSettings, lambda _: Stumbling("b", 0)), BarsSettings())
    assert told(tape)[:3] == [(2, 1, "b/1/0"), (3, 1, "a/1/0"), (4, 3, "b/3/0")]
    letters = [recorded for recorded in tape.recorded if isinstance(recorded.event, DeadLetter)]
    assert [letter.cause for letter in letters] == [1, 3, 5, 7]
    heard = {recorded.position: recorded for recorded in tape.recorded}
    heard |= {position: Recorded(position, None, "", START, quote()) for position in (1, 5)}
    for letter in letters:
        assert letter.cause is not None
        assert live.answer(heard[letter.cause]) == (letter.event,)


def test_a_dead_letter_names_what_was_raised_where_and_at_what() -> None:
    tape = MemoryTape([Stumbling("b", 0)], failed)
    tape.play([quote()])
    (letter,) = tape.of_type(DeadLetter)
    assert (letter.component, letter.source) == ("b", "position 1, md.quote.sim.BTCUSDT")
    assert letter.reason.startswith("ValueError: a stone (tests.unit.test_memory_tape:")
    assert letter.reason.endswith(", Stumbling.on_quote)")


def stack() -> tuple[MemoryTape, list[Event]]:
    """The whole system on a small simulated market, and what was played to it."""
    market = SimulatedMarket(list(LISTING.values()), "7", START, {})
    played: list[Event] = list(islice(market.events(quotes_per_s=10.0), 4_000))
    quick = TrendSettings(fast=2, slow=5, rsi=3, rsi_min=0, rsi_max=100, atr=3, notional=Decimal(2_000))
    tape = MemoryTape(
        [
            MarketClock(),
            Gateway(SimulationSettings(latency_ms=40), LISTING),
            Bars(BarsSettings()),
            Trend(quick, LISTING),
            Risk(RiskSettings(), LISTING),
            Router(RouterSettings()),
            Portfolio(PortfolioSettings()),
        ]
    )
    tape.play(played)
    return tape, played


@pytest.fixture(scope="module")
def day() -> list[Recorded]:
    """All positions of the tape of the whole system, what was played to it among them."""
    tape, played = stack()
    said = {recorded.position: recorded for recorded in tape.recorded}
    outside = iter(played)
    return [
        said.get(position) or Recorded(position, None, f"feed/{position}", 0, next(outside))
        for position in range(1, tape.position + 1)
    ]


def chain(day: list[Recorded], recorded: Recorded) -> list[type[Event]]:
    """The types of the events that led to this one, from the first cause on."""
    types = [type(recorded.event)]
    while recorded.cause is not None:
        assert recorded.cause < recorded.position
        recorded = day[recorded.cause - 1]
        types.append(type(recorded.event))
    return types[::-1]


def test_the_system_trades(day: list[Recorded]) -> None:
    assert sum(isinstance(recorded.event, OrderFilled) for recorded in day) > 10
    assert not any(isinstance(recorded.event, Alert) for recorded in day)


def test_every_number_has_a_cause_in_the_market(day: list[Recorded]) -> None:
    for recorded in day:
        assert chain(day, recorded)[0] in (Quote, Trade)


def test_every_order_is_the_end_of_a_chain_from_the_market_over_risk_to_the_venue(day: list[Recorded]) -> None:
    for recorded in day:
        if isinstance(recorded.event, SubmitOrder):
            assert chain(day, recorded)[-3:] == [OrderIntent, RiskApproved, SubmitOrder]
        if isinstance(recorded.event, OrderFilled):
            assert chain(day, recorded)[-2:] == [VenueFilled, OrderFilled]
        if isinstance(recorded.event, PositionChanged):
            assert chain(day, recorded)[-2:] == [OrderFilled, PositionChanged]


def test_every_order_begins_with_what_was_approved(day: list[Recorded]) -> None:
    begun = {r.event.order.client_order_id for r in day if isinstance(r.event, OrderInitialized)}
    approved = {r.event.order.client_order_id for r in day if isinstance(r.event, RiskApproved)}
    assert begun == approved
    assert {r.event.client_order_id for r in day if isinstance(r.event, OrderEvent)} <= begun


def test_all_that_is_said_can_be_written_to_the_tape_under_ids_of_its_own(day: list[Recorded]) -> None:
    assert all(encode(recorded.event) for recorded in day)
    assert len({recorded.msg_id for recorded in day}) == len(day)


def test_equity_is_the_capital_and_what_was_earned_to_the_last_digit(day: list[Recorded]) -> None:
    marks = [recorded.event for recorded in day if isinstance(recorded.event, EquityMarked)]
    capital = PortfolioSettings().capital
    assert len(marks) > 50
    assert all(m.equity == capital + m.realized_pnl + m.unrealized_pnl - m.fees for m in marks)


def test_the_same_market_makes_the_same_tape(day: list[Recorded]) -> None:
    tape, _ = stack()
    assert [recorded for recorded in day if recorded.cause is not None] == tape.recorded


def test_what_was_recorded_can_be_judged_again(day: list[Recorded]) -> None:
    """Run risk alone over its recorded inputs: its verdicts are those on the tape."""
    risk = Risk(RiskSettings(), LISTING)
    again: list[Event] = []
    handlers = risk.handlers()
    for recorded in day:
        if type(recorded.event) in handlers:
            again += handlers[type(recorded.event)](recorded.event) or ()
    verdicts = [recorded.event for recorded in day if recorded.msg_id.startswith("risk/")]
    assert again == verdicts
    assert verdicts


def test_ticks_of_the_market_are_heard_by_the_books(day: list[Recorded]) -> None:
    caused = {type(day[r.cause - 1].event) for r in day if isinstance(r.event, EquityMarked) and r.cause}
    assert caused == {ClockTick, OrderFilled}


@pytest.mark.parametrize(
    ("fast", "slow", "orders", "fees", "pnl"),
    [(50, 200, 107, "25.5469", "-25.6179"), (10, 20, 927, "222.2491", "-224.5241")],
)
def test_the_reference_workload_ends_exactly_as_a_plain_loop_over_it(
    fast: int, slow: int, orders: int, fees: str, pnl: str
) -> None:
    wired = components(fast, slow)
    tape = MemoryTape(wired)
    tape.play(quotes(20_000))
    *_, last_mid = mids(20_000)
    result = outcome(tape, wired, last_mid)
    assert result == reference(20_000, fast, slow)
    assert (result.orders, result.position) == (orders, Decimal("-0.010"))
    assert (f"{result.fees:.4f}", f"{result.pnl:.4f}") == (fees, pnl)


def test_the_reference_workload_in_spans_is_told_as_one_by_one() -> None:
    one_by_one, in_one_go = MemoryTape(components(10, 20)), MemoryTape(components(10, 20))
    one_by_one.play(quotes(5_000))
    in_one_go.play(in_spans(quotes(5_000)))
    assert in_one_go.recorded == one_by_one.recorded
    assert in_one_go.position == one_by_one.position
    assert len(one_by_one.of_type(OrderFilled)) > 200
