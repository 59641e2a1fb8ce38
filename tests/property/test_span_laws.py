"""Laws of spans: whether quotes are handled many at a time or one by one shows in nothing that anybody says."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.event import Event
from contracts.market import Bar, Quote
from contracts.orders import CancelIntent, OrderIntent, Trail
from contracts.types import Interval, Side, TrailKind, TriggerBy, instrument_id
from quant.indicators import Ema
from services.bars.rules import Bars
from services.bars.settings import BarsSettings, PriceSource
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
from tape.component import Component, on
from tape.folding import failed
from tape.memory import MemoryTape
from tape.span import LONGEST, Span, in_spans
from tape.strategy import Strategy
from tests.builders import BTC, LISTING, quote, tick, trade
from tests.reference_workload import Cross
from venues.simulated import SimulationSettings

OTHER = instrument_id("sim", "ETHUSDT")


class Resting(Strategy):
    """Lets a limit order, a stop and a trailing one come and go with bars, and one order a market quote by quote."""

    def __init__(self) -> None:
        super().__init__("resting")
        self.bars = 0

    @on(Bar)
    def on_bar(self, bar: Bar) -> Iterator[OrderIntent | CancelIntent]:
        self.bars += 1
        near, tick = LISTING[BTC].price(bar.close), LISTING[BTC].tick
        if bar.instrument != BTC:
            return
        if self.bars % 4 == 0:
            yield from self.cancel_all(bar, BTC, "anew")
        elif self.bars % 4 == 1:
            order = self.limit(BTC, Side.BUY, Decimal("0.5"), near - tick)
            yield self.wish(bar, order, reference_price=bar.close, reason="below the market")
        elif self.bars % 4 == 2:
            order = self.stop(BTC, Side.BUY, Decimal("0.5"), near + tick, reduce_only=False)
            yield self.wish(bar, order, reference_price=bar.close, reason="above the market")
            order = self.stop(
                BTC, Side.SELL, Decimal("0.5"), near - tick, trigger_by=TriggerBy.MARK, reduce_only=self.bars % 3 == 0
            )
            yield self.wish(bar, order, reference_price=bar.close, reason="below the middle of it")
        elif self.bars % 8 == 3:
            order = self.trailing_stop(BTC, Side.SELL, Decimal("0.5"), Trail(offset=2 * tick, kind=TrailKind.ABSOLUTE))
            yield self.wish(bar, order, reference_price=bar.close, reason="behind the market")


class Stumbling(Component):
    """Raises at every quote of a round size, after it has heard it."""

    produces: ClassVar[tuple[type[Event], ...]] = ()

    def __init__(self) -> None:
        super().__init__("stumbling")
        self.heard: list[tuple[int, Quote]] = []

    @on(Quote)
    def on_quote(self, quoted: Quote) -> None:
        self.heard.append((self.moment.position, quoted))
        if quoted.bid_size == 2.0:
            raise ValueError("a stone")


def system(source: PriceSource, exchange: dict[str, Any]) -> list[Component]:
    intervals = (Interval.S1, Interval.S5)
    trend = {"interval": "1s", "fast": 2, "slow": 3, "rsi": 2, "atr": 2, "rsi_min": 0, "rsi_max": 100, "notional": 50}
    loose: dict[str, Any] = {"collar_bps": 2_000, "max_mark_age_ms": 60_000, "max_spread_bps": 2_000}
    return [
        Gateway(SimulationSettings(**exchange), LISTING),
        MarketClock(),
        Bars(BarsSettings(source=source, intervals=intervals)),
        Trend(TrendSettings.model_validate(trend), LISTING),
        Cross(2, 4),
        Resting(),
        Risk(RiskSettings(**loose), LISTING),
        Router(RouterSettings(), LISTING),
        Portfolio(PortfolioSettings()),
    ]


@st.composite
def markets(draw: st.DrawFn) -> list[Event]:
    """Quotes mostly, of one instrument for a while; now and then a trade, a clock, another instrument, or old news."""
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from("qqqqqqqqqqqqto"),
                st.integers(-3, 3),
                st.sampled_from((1, 20, 50, 50, 100, 400, 1_500, -30)),
                st.sampled_from((1.0, 1.0, 2.0)),
            ),
            min_size=20,
            max_size=120,
        )
    )
    events: list[Event] = []
    ticks, now_ms = 30_000, 0
    for kind, move, ms, size in steps:
        ticks, now_ms = ticks + move, max(now_ms + ms, 0)
        instrument = OTHER if kind == "o" else BTC
        if kind == "t":
            events.append(trade(ticks / 10, at=now_ms / 1_000))
        else:
            events.append(
                quote((ticks - 1) / 10, (ticks + 1) / 10, size=size, at=now_ms / 1_000, instrument=instrument)
            )
    return events


def states(wired: Sequence[Component]) -> list[object]:
    return [one.state() for one in wired if type(one).state is not Component.state]


@given(
    markets(),
    st.sampled_from(PriceSource),
    st.sampled_from(({}, {"latency_ms": 30}, {"report_latency_ms": 30}, {"latency_ms": 30, "report_latency_ms": 70})),
)
def test_a_system_says_the_same_to_spans_as_to_each_quote(
    market: list[Event], source: PriceSource, exchange: dict[str, Any]
) -> None:
    one_by_one, at_once = system(source, exchange), system(source, exchange)
    expected, tape = MemoryTape(one_by_one), MemoryTape(at_once)
    expected.play(market)
    tape.play(in_spans(market))
    assert tape.recorded == expected.recorded
    assert tape.position == expected.position
    assert states(at_once) == states(one_by_one)


@given(markets())
def test_who_wants_each_quote_hears_each_at_its_position_even_if_it_raises(market: list[Event]) -> None:
    one_by_one, at_once = Stumbling(), Stumbling()
    expected, tape = MemoryTape([MarketClock(), one_by_one], failed), MemoryTape([MarketClock(), at_once], failed)
    expected.play(market)
    tape.play(in_spans(market))
    assert at_once.heard == one_by_one.heard
    assert tape.recorded == expected.recorded


@given(markets())
def test_spans_hold_all_events_in_their_order(market: list[Event]) -> None:
    found: list[Event] = []
    for one in in_spans(market):
        found.extend(one.quotes if isinstance(one, Span) else [one])
    assert found == market


@given(markets())
def test_a_span_is_of_one_instrument_and_goes_on_in_time(market: list[Event]) -> None:
    for span in in_spans(market):
        if isinstance(span, Span):
            assert {one.instrument for one in span.quotes} == {span.instrument}
            assert span.times == sorted(one.ts_init for one in span.quotes)


def test_a_span_has_an_end() -> None:
    lengths = [len(one.quotes) for one in in_spans([quote()] * (LONGEST + 7)) if isinstance(one, Span)]
    assert lengths == [LONGEST, 7]


def test_what_came_before_an_error_of_the_market_comes_out_before_it() -> None:
    def market() -> Iterator[Event]:
        yield from (quote(), quote(), tick(1.0), quote(), quote())
        raise ValueError("line 6")

    found: list[Event | Span] = []
    with pytest.raises(ValueError, match="line 6"):
        found.extend(in_spans(market()))
    assert found == [quote(), quote(), tick(1.0), quote(), quote()]


@given(st.integers(1, 9), st.integers(0, 9), st.lists(st.floats(1, 100), max_size=30))
def test_an_average_that_looks_ahead_finds_what_its_updates_lead_to(period: int, before: int, xs: list[float]) -> None:
    average, other = Ema(period), Ema(period)
    for number in range(before):
        average.update(float(number))
        other.update(float(number))
    assert average.ahead(xs) == [other.update(x) for x in xs]
    assert average.updates == before
