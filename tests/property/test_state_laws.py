"""Laws of kept state: a component that was restored goes on exactly as the one that gave the state would have."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from importlib import import_module
from itertools import islice
from typing import Any

import pytest
from hypothesis import example, given, note, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.books import EquityMarked, PortfolioMarked
from contracts.control import Alert
from contracts.event import Event
from contracts.market import Bar, Quote
from contracts.orders import OrderIntent
from contracts.recorded import Recorded
from contracts.types import Interval, OrderStatus, Side, TimeInForce, TradingState
from services.allocator.rules import Allocator
from services.allocator.settings import AllocatorSettings
from services.bars.rules import Bars
from services.bars.settings import BarsSettings, PriceSource
from services.catalog import BLUEPRINTS
from services.clock.rules import MarketClock
from services.depeg.rules import Depeg
from services.depeg.settings import DepegSettings, Peg, PegSource
from services.funding.rules import FundingGuard
from services.funding.settings import FundingSettings
from services.gateway.rules import Gateway
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from services.probe.rules import Probe
from services.probe.settings import ProbeSettings
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from services.router.rules import Router
from services.router.settings import RouterSettings
from services.stops.rules import Stops
from services.stops.settings import StopsSettings
from services.trend.rules import Trend
from services.trend.settings import TrendSettings
from tape.component import Component
from tape.memory import MemoryTape
from tape.strategy import Strategy, StrategyState
from tests.builders import BTC, ETH, LISTING, START, bars, filled, intent, quote, terms, tick, trade, trading
from tests.played import SETTINGS, learned
from tests.property.event_strategies import events
from tests.property.test_books_laws import HISTORIES
from tests.property.test_matching_laws import sessions
from tests.property.test_router_laws import INPUTS
from tests.servers import ROOT
from venues.market import SimulatedMarket
from venues.simulated import SimulationSettings

S1, S5, S15, M1 = Interval.S1, Interval.S5, Interval.S15, Interval.M1
QUICK = TrendSettings(
    interval=S1,
    fast=1,
    slow=3,
    rsi=2,
    rsi_min=0,
    rsi_max=100,
    atr=2,
    stop_atr=0.5,
    target_atr=1,
    notional=Decimal(4500),
)

PEG = Peg(coin="ETH", sources=(PegSource(instrument=ETH),), parity=2000.0)


def as_played(name: str) -> Component:
    made = BLUEPRINTS[name].build(SETTINGS[name])
    assert made is not None
    return made


SYSTEM: Mapping[str, Callable[[], Component]] = {
    "clock": MarketClock,
    "gateway": lambda: Gateway(SimulationSettings(latency_ms=300), LISTING),
    "bars": lambda: Bars(BarsSettings(intervals=(S1, S5, S15))),
    "trend": lambda: Trend(QUICK, LISTING),
    "risk": lambda: Risk(RiskSettings(), LISTING),
    "router": lambda: Router(RouterSettings(remembered_orders=3), LISTING),
    "portfolio": lambda: Portfolio(PortfolioSettings(mark_every_s=2)),
    "stops": lambda: Stops(StopsSettings(stop_bps=30, retry_ms=1), LISTING),
    "allocator": lambda: Allocator(AllocatorSettings(rebalance_every_s=5, return_every_s=1, least_returns=2)),
    "depeg": lambda: Depeg(DepegSettings(dry_run=False, pegs=(PEG,), interval=S1, min_sources=1), LISTING),
    "funding": lambda: FundingGuard(FundingSettings(dry_run=False), LISTING),
    "probe": lambda: Probe(ProbeSettings(instruments=(BTC,), bars=S1, interval_s=1), LISTING),
    **{name: partial(as_played, name) for name in ("scheduler", "regime", "drift", "params", "hmm_ensemble")},
}
"""Every component, so quick and forgetful that a minute is enough to see all that it does."""

every_component = pytest.mark.parametrize("name", SYSTEM)

ADAPTERS: Mapping[type[Any], TypeAdapter[Any]] = {
    state: TypeAdapter(state) for state in (make().State for make in SYSTEM.values())
}


def kept(component: Component) -> bytes:
    return ADAPTERS[component.State].dump_json(component.state())


def restored(fresh: Component, state: bytes) -> Component:
    fresh.restore(ADAPTERS[fresh.State].validate_json(state))
    return fresh


def answers(component: Component, history: Iterable[Recorded]) -> list[list[str]]:
    """What it says to each event, to the last digit. What goes wrong is an answer too: it becomes a dead letter."""
    handlers = component.handlers()
    return [_answer(component, handlers[type(r.event)], r) for r in history if type(r.event) in handlers]


def _answer(component: Component, handler: Callable[[Event], Iterable[Event] | None], heard: Recorded) -> list[str]:
    component.moment.position = heard.position
    try:
        return list(map(repr, handler(heard.event) or ()))
    except Exception as error:  # noqa: BLE001 # whatever it is, it has to be the same
        return [repr(error)]


PERCENT = st.integers(0, 100)
"""How much of a history comes before the restart."""


def goes_on_the_same(make: Callable[[], Component], history: Sequence[Recorded], percent: float) -> None:
    whole, first = make(), make()
    cut = round(percent / 100 * len(history))
    said = answers(whole, history)
    before = answers(first, history[:cut])
    state = kept(first)
    second = restored(make(), state)
    assert kept(second) == state
    assert before + answers(second, history[cut:]) == said
    assert before + answers(first, history[cut:]) == said
    assert kept(second) == kept(first) == kept(whole)


def placed(told: Iterable[Event]) -> list[Recorded]:
    return [Recorded(position, None, "", 0, event) for position, event in enumerate(told, start=1)]


# -- the whole system, at any moment of its day ------------------------------------------------------------------------

SHOWN = 240
Wish = tuple[Side, int, TimeInForce, bool]
Deed = Wish | TradingState

TICKS_AWAY = st.sampled_from([-40, -15, 0, 5, 15, 40])
WISHES = st.tuples(st.sampled_from(Side), TICKS_AWAY, st.sampled_from(TimeInForce), st.booleans())
DEEDS = st.dictionaries(
    st.integers(0, SHOWN), st.one_of(WISHES, WISHES, WISHES, st.sampled_from(TradingState)), max_size=30
)


def wished(number: int, wish: Wish, shown: Quote) -> OrderIntent:
    """A limit order some ticks away from the bid, from another strategy than trend."""
    side, ticks, time_in_force, reduce_only = wish
    rules = LISTING[shown.instrument]
    order = terms(
        side,
        "0.06" if shown.instrument == BTC else "1.4",
        limit=str(rules.price(shown.bid) + ticks * rules.tick),
        time_in_force=time_in_force,
        reduce_only=reduce_only,
        order_id=f"scalper-{number}-0",
        strategy="scalper",
        instrument=shown.instrument,
    )
    return replace(intent(order, reference_price=shown.mid), ts_event=shown.ts_event, ts_init=shown.ts_init)


def outside(seed: int, deeds: Mapping[int, Deed]) -> Iterator[Event]:
    """A market, and what others than the system do."""
    yield from learned()
    market = SimulatedMarket(list(LISTING.values()), str(seed), START, {})
    for number, shown in enumerate(islice(market.events(quotes_per_s=4.0), SHOWN)):
        yield shown
        deed = deeds.get(number)
        if isinstance(deed, TradingState):
            yield replace(trading(deed), ts_event=shown.ts_event, ts_init=shown.ts_init)
        elif deed is not None and isinstance(shown, Quote):
            yield wished(number, deed, shown)


def day(seed: int, deeds: Mapping[int, Deed]) -> list[Recorded]:
    """All positions of the tape on which the whole system has traded."""
    played = list(outside(seed, deeds))
    tape = MemoryTape([make() for make in SYSTEM.values()])
    tape.play(played)
    said = {recorded.position: recorded for recorded in tape.recorded}
    rest = iter(played)
    return [said.get(p) or Recorded(p, None, "", 0, next(rest)) for p in range(1, tape.position + 1)]


@settings(max_examples=3 * settings().max_examples)
@given(st.integers(0, 999), DEEDS, PERCENT)
def test_every_restored_component_goes_on_as_if_nothing_had_happened(
    seed: int, deeds: dict[int, Deed], percent: int
) -> None:
    history = day(seed, deeds)
    for name, make in SYSTEM.items():
        note(name)
        goes_on_the_same(make, history, percent)


BUSY: dict[int, Deed] = {
    number: (tuple(Side)[number % 2], (-15, 0, 5, 15)[number // 2 % 4], TimeInForce.GTC, False)
    for number in range(5, SHOWN, 3)
}
BUSY |= {90: TradingState.HALTED, 110: TradingState.ACTIVE}


STEP = 13
"""How many positions of that day come between two moments."""


@pytest.fixture(scope="module")
def busy_day() -> list[Recorded]:
    return day(7, BUSY)


@every_component
def test_a_component_can_be_restored_at_any_moment_of_a_busy_day(name: str, busy_day: list[Recorded]) -> None:
    make = SYSTEM[name]
    whole, asked = make(), make()
    said = answers(whole, busy_day)
    before: list[list[str]] = []
    for moment in range(0, len(busy_day), STEP):
        state = kept(asked)
        second = restored(make(), state)
        assert kept(second) == state
        assert before + answers(second, busy_day[moment:]) == said
        assert kept(second) == kept(whole)
        before += answers(asked, busy_day[moment : moment + STEP])
    assert before == said
    assert kept(asked) == kept(whole)


def test_a_busy_day_has_moments_of_every_kind(busy_day: list[Recorded]) -> None:
    """The laws above are worth what the states they were tried on hold."""
    moments: dict[str, list[Any]] = {}
    for name in ("gateway", "router", "risk", "trend", "bars", "portfolio"):
        component = SYSTEM[name]()
        for recorded in busy_day:
            answers(component, [recorded])
            state = ADAPTERS[component.State].validate_json(kept(component))
            moments.setdefault(name, []).append(state)
    exchanges = [state.exchange for state in moments["gateway"]]
    markets = [market for state in exchanges for market in state.markets.values()]
    assert any(len(state.in_flight) > 1 for state in exchanges)
    assert any(working.fills and working.leaves for market in markets for working in market.orders.values())
    assert any(market.taken for market in markets)
    statuses = {order.life.status for state in moments["router"] for order in state.orders.values()}
    assert statuses >= {OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_CANCEL, OrderStatus.CANCELED}
    assert any(len(order.trades) > 1 for state in moments["router"] for order in state.orders.values())
    assert any(len(state.closed) == 3 for state in moments["router"])
    assert any(len(state.exposure.positions) > 2 and state.exposure.pending for state in moments["risk"])
    assert {state.trading.state for state in moments["risk"]} >= {TradingState.ACTIVE, TradingState.HALTED}
    assert any(view.was_above for state in moments["trend"] for view in state.views.values())
    assert any(state.strategy.under_way and any(state.strategy.positions.values()) for state in moments["trend"])
    assert any(state.exits and state.next_exit for state in moments["trend"])
    assert any(all(b.trades for b in bars_.values()) for state in moments["bars"] for bars_ in state.open.values())
    assert any(p.quantity < 0 for s in moments["portfolio"] for b in s.books.values() for p in b.positions.values())


# -- each component alone, whatever comes ------------------------------------------------------------------------------


WHATEVER = {name: st.lists(events(make().consumes()), max_size=20) for name, make in SYSTEM.items()}


@every_component
@given(st.data(), PERCENT)
def test_a_restored_component_goes_on_the_same_whatever_comes(name: str, data: st.DataObject, percent: int) -> None:
    history = data.draw(WHATEVER[name])
    goes_on_the_same(SYSTEM[name], placed(history), percent)


@given(INPUTS, PERCENT)
def test_a_restored_router_goes_on_the_same_whatever_a_venue_reports(inputs: list[Event], percent: int) -> None:
    goes_on_the_same(SYSTEM["router"], placed(inputs), percent)


@given(sessions(), PERCENT, st.sampled_from([0.0, 5.0, 25.0]))
def test_a_restored_exchange_goes_on_the_same_whatever_its_latency(
    session: list[Event], percent: int, latency_ms: float
) -> None:
    goes_on_the_same(lambda: Gateway(SimulationSettings(latency_ms=latency_ms), LISTING), placed(session), percent)


@given(HISTORIES, PERCENT)
def test_restored_books_go_on_the_same_whatever_is_bought_and_sold(history: list[Event], percent: int) -> None:
    goes_on_the_same(SYSTEM["portfolio"], placed(history), percent)


DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)


@given(DECIMALS)
@example(Decimal("0E-8"))
@example(Decimal("1E+2"))
@example(Decimal("-0.00"))
@example(Decimal("1" * 30 + "." + "1" * 30))
@example(Decimal("123e-70"))
def test_amounts_come_back_digit_for_digit(amount: Decimal) -> None:
    state = StrategyState({BTC: amount}, {}, 0, 0)
    adapter = TypeAdapter(StrategyState)
    back = adapter.validate_json(adapter.dump_json(state))
    assert back.positions[BTC].as_tuple() == amount.as_tuple()


def test_a_restored_strategy_numbers_its_wishes_on() -> None:
    first, second = Strategy("twin"), Strategy("twin")

    def wish(strategy: Strategy) -> str:
        strategy.moment.position = 7
        order = strategy.market_order(quote(), BTC, Side.BUY, Decimal(1), reference_price=100.0, reason="test").order
        return order.client_order_id

    assert [wish(first), wish(first)] == ["twin-7-0", "twin-7-1"]
    second.restore_strategy(first.strategy_state())
    assert wish(second) == "twin-7-2"


def test_every_component_of_the_system_is_tried_here() -> None:
    modules = [import_module(f"services.{path.parent.name}.rules") for path in ROOT.glob("services/*/rules.py")]
    components = {
        declared
        for module in modules
        for declared in vars(module).values()
        if isinstance(declared, type) and issubclass(declared, Component) and declared.__module__ == module.__name__
    }
    assert components == {type(make()) for make in SYSTEM.values()}


# -- a person changed a setting between two runs -----------------------------------------------------------------------


def changed(before: Component, history: Iterable[Event], after: Component) -> MemoryTape:
    """Play to one, hand its state to the other, and go on with that one."""
    MemoryTape([before]).play(history)
    return MemoryTape([restored(after, kept(before))])


INTERVALS = st.lists(st.sampled_from([S1, S5, S15, M1]), min_size=1, unique=True).map(tuple)
STEPS = st.sampled_from([0.0, 0.3, 0.3, 1.0, 4.0, 17.0, 61.0])
PRICES = st.one_of(st.none(), st.integers(1, 50), st.integers(1, 50))
"""None: only the clock goes on."""


@st.composite
def markets(draw: st.DrawFn) -> list[Event]:
    """Trades and ticks, the last of which closes every bar."""
    at = 0.0
    told: list[Event] = []
    for _ in range(draw(st.integers(1, 30))):
        at += draw(STEPS)
        price = draw(PRICES)
        told.append(tick(at) if price is None else trade(price, price / 8, at=at, instrument=BTC))
    return [*told, tick(4000.0)]


def of_lengths(said: Iterable[Bar], lengths: Container[Interval]) -> list[Bar]:
    """Bars by what they say; when they were said may differ."""
    chosen = (replace(bar, ts_init=0) for bar in said if bar.interval in lengths)
    return sorted(chosen, key=lambda bar: (bar.ts_open, bar.interval.nanos))


@given(markets(), PERCENT, INTERVALS, INTERVALS)
def test_other_intervals_leave_those_bars_alone_that_are_made_before_and_after(
    market: list[Event], percent: int, old: tuple[Interval, ...], new: tuple[Interval, ...]
) -> None:
    cut = percent * len(market) // 100
    bars_before, bars_after = Bars(BarsSettings(intervals=old)), Bars(BarsSettings(intervals=new))
    before, plain = MemoryTape([bars_before]), MemoryTape([Bars(BarsSettings(intervals=old))])
    before.play(market[:cut])
    plain.play(market)
    after = MemoryTape([restored(bars_after, kept(bars_before))])
    after.play(market[cut:])
    both = set(old) & set(new)
    assert of_lengths(before.of_type(Bar) + after.of_type(Bar), both) == of_lengths(plain.of_type(Bar), both)
    assert {bar.interval for bar in after.of_type(Bar)} <= set(new)


def test_a_bar_of_a_new_interval_begins_with_what_its_finest_bar_holds() -> None:
    history = [trade(10.0, at=0.0), trade(11.0, at=6.0)]
    tape = changed(Bars(BarsSettings(intervals=(S5,))), history, Bars(BarsSettings(intervals=(S5, M1))))
    tape.play([trade(12.0, at=7.0), tick(60.0)])
    (minute,) = [bar for bar in tape.of_type(Bar) if bar.interval is M1]
    assert (minute.ts_open, minute.open, minute.close, minute.trades) == (START, 11.0, 12.0, 2)


def test_a_bar_of_a_new_interval_lies_around_its_finest_bar() -> None:
    tape = changed(Bars(BarsSettings(intervals=(S5,))), [trade(10.0, at=56.0)], Bars(BarsSettings(intervals=(S5, M1))))
    tape.play([tick(60.0)])
    assert [(bar.interval, bar.trades) for bar in tape.of_type(Bar)] == [(S5, 1), (M1, 1)]


def test_a_finer_interval_begins_with_the_next_price() -> None:
    history = [trade(10.0, at=0.0), trade(11.0, at=1.0)]
    tape = changed(Bars(BarsSettings(intervals=(S5,))), history, Bars(BarsSettings(intervals=(S1, S5))))
    tape.play([tick(2.0), tick(7.0)])
    assert [(bar.interval, bar.close, bar.trades) for bar in tape.of_type(Bar)] == [(S5, 11.0, 2)]
    tape.play([trade(12.0, at=8.0), tick(9.0)])
    assert [(bar.interval, bar.open, bar.trades) for bar in tape.of_type(Bar)[1:]] == [(S1, 12.0, 1)]


def test_a_price_that_begins_a_finer_interval_comes_after_the_bars_that_were_due() -> None:
    tape = changed(Bars(BarsSettings(intervals=(S5,))), [trade(10.0, at=1.0)], Bars(BarsSettings(intervals=(S1, S5))))
    tape.play([trade(12.0, at=8.0), tick(10.0)])
    assert [(bar.interval, bar.close) for bar in tape.of_type(Bar)] == [(S5, 10.0), (S1, 12.0), (S1, 12.0), (S5, 12.0)]


def test_what_a_bar_took_in_that_is_not_made_any_more_is_in_the_wider_one() -> None:
    tape = changed(Bars(BarsSettings(intervals=(S5, M1))), [trade(10.0, at=1.0)], Bars(BarsSettings(intervals=(M1,))))
    tape.play([trade(12.0, at=8.0), tick(60.0)])
    assert [(bar.interval, bar.open, bar.close, bar.trades) for bar in tape.of_type(Bar)] == [(M1, 10.0, 12.0, 2)]


def test_bars_of_other_prices_begin_anew() -> None:
    history = [trade(10.0, at=0.0)]
    tape = changed(Bars(BarsSettings(source=PriceSource.TRADES)), history, Bars(BarsSettings(source=PriceSource.MID)))
    tape.play([quote(19.0, 21.0, at=1.0), tick(5.0)])
    (bar,) = tape.of_type(Bar)
    assert (bar.open, bar.low, bar.trades) == (20.0, 20.0, 1)


RISING = [*(float(close) for close in range(110, 100, -1)), 103.0, 106.0, 109.0, 112.0]
LEISURELY = QUICK.model_copy(update={"interval": S5, "fast": 2, "slow": 4})


def holding() -> tuple[Trend, OrderIntent]:
    """A trend that has bought and been filled."""
    trend = Trend(LEISURELY, LISTING)
    tape = MemoryTape([trend])
    tape.play(bars(RISING))
    (entry,) = tape.of_type(OrderIntent)
    tape.play([filled(entry.order)])
    return trend, entry


OTHER_VIEWS = [{"fast": 1}, {"slow": 5}, {"rsi": 3}, {"atr": 3}, {"interval": S1}, {"instruments": (ETH,)}]


@pytest.mark.parametrize("change", OTHER_VIEWS, ids=lambda change: next(iter(change)))
def test_an_average_of_other_bars_begins_anew_and_a_position_is_still_left_at_its_stop(change: dict[str, Any]) -> None:
    before, entry = holding()
    after = Trend(LEISURELY.model_copy(update=change), LISTING)
    tape = changed(before, [], after)
    assert after.views == {}
    assert entry.exit
    tape.play([quote(entry.exit.stop, entry.exit.stop)])
    (leave,) = tape.of_type(OrderIntent)
    assert (leave.order.side, leave.order.quantity) == (Side.SELL, entry.order.quantity)


def test_an_average_of_the_same_bars_goes_on_when_something_else_changed() -> None:
    before, _ = holding()
    after = Trend(LEISURELY.model_copy(update={"stop_atr": 9.0, "shorts": False, "notional": Decimal(1)}), LISTING)
    changed(before, [], after)
    assert after.views == before.views
    assert after.views[BTC].warm


@given(HISTORIES, PERCENT)
def test_books_go_on_with_the_capital_they_were_opened_with(history: list[Event], percent: int) -> None:
    cut = percent * len(history) // 100
    before, after = Portfolio(PortfolioSettings()), Portfolio(PortfolioSettings(capital=Decimal(7)))
    tape = changed(before, history[:cut], after)
    plain = changed(Portfolio(PortfolioSettings()), history[:cut], Portfolio(PortfolioSettings()))
    old = set(before.books)
    tape.play(history[cut:])
    plain.play(history[cut:])
    marks, as_ever = ([m for m in of.of_type(EquityMarked) if m.strategy in old] for of in (tape, plain))
    assert marks == as_ever
    opened_with = {name: books.capital for name, books in after.books.items()}
    assert opened_with == {name: Decimal(100_000 if name in old else 7) for name in after.books}


def test_books_stay_in_their_currency_and_new_ones_are_opened_in_that_of_the_settings() -> None:
    before, after = Portfolio(PortfolioSettings()), Portfolio(PortfolioSettings(currency="EUR"))
    tape = changed(before, [filled(terms(), price="100")], after)
    tape.play([tick(1.0), filled(terms(order_id="trend-2-0"), currency="EUR")])
    marked, together, alert = [recorded.event for recorded in tape.recorded]
    assert isinstance(marked, EquityMarked)
    assert isinstance(together, PortfolioMarked)
    assert (marked.currency, marked.equity) == ("USDT", Decimal(100_000))
    assert isinstance(alert, Alert)
    assert "books are in USDT" in alert.message
    tape.play([filled(terms(strategy="scalper"), currency="EUR")])
    assert tape.of_type(EquityMarked)[-1].currency == "EUR"
