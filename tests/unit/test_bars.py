"""Bars: what was traded within each interval, closed once and for ever."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import encode
from contracts.event import Event
from contracts.market import Bar, Quote, Trade
from contracts.types import InstrumentId, Interval
from services.bars.rules import MAX_FILLED, Bars
from services.bars.settings import BarsSettings, PriceSource
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, START, ns, quote, tick, trade

S5, M1 = Interval.S5, Interval.M1


def closed(
    *events: Event, intervals: tuple[Interval, ...] = (S5,), source: PriceSource = PriceSource.TRADES
) -> list[Bar]:
    tape = MemoryTape([Bars(BarsSettings(intervals=intervals, source=source))])
    tape.play(events)
    return tape.of_type(Bar)


def test_a_bar_holds_the_first_highest_lowest_and_last_price_and_all_volume() -> None:
    prices = [(0.0, 10.0, 1.0), (1.0, 12.0, 2.0), (2.0, 9.0, 0.5), (4.999, 11.0, 0.25)]
    (bar,) = closed(*(trade(price, size, at=at) for at, price, size in prices), tick(5.0))
    assert (bar.open, bar.high, bar.low, bar.close) == (10.0, 12.0, 9.0, 11.0)
    assert (bar.volume, bar.trades) == (3.75, 4)
    assert (bar.ts_open, bar.ts_close, bar.ts_event, bar.ts_init) == (ns(0), ns(5), ns(5), ns(5))


def test_a_trade_at_the_end_of_an_interval_belongs_to_the_next_one() -> None:
    (bar,) = closed(trade(10.0, at=0.0), trade(11.0, at=5.0))
    assert (bar.close, bar.trades) == (10.0, 1)


@pytest.mark.parametrize("closer", [tick(5.0), trade(11.0, at=5.0), quote(at=5.0)], ids=["clock", "trade", "quote"])
def test_whatever_shows_that_its_time_is_over_closes_a_bar(closer: Event) -> None:
    assert len(closed(trade(10.0, at=0.0), closer)) == 1


def test_an_open_bar_is_not_told() -> None:
    assert closed(trade(10.0, at=0.0), trade(11.0, at=4.9), tick(4.999)) == []


def test_empty_intervals_repeat_the_last_close_without_volume() -> None:
    first, second, third = closed(trade(10.0, at=0.0), trade(12.0, at=1.0), trade(20.0, at=15.0))
    assert first.close == 12.0
    for empty in (second, third):
        assert (empty.open, empty.high, empty.low, empty.close) == (12.0, 12.0, 12.0, 12.0)
        assert (empty.volume, empty.trades) == (0.0, 0)
    assert [bar.ts_open for bar in (first, second, third)] == [ns(0), ns(5), ns(10)]


def test_the_first_trade_of_a_bar_opens_it_whatever_the_last_close_was() -> None:
    bars = closed(trade(10.0, at=0.0), trade(20.0, at=5.0), trade(21.0, at=6.0), tick(10.0))
    assert (bars[1].open, bars[1].low) == (20.0, 20.0)


def test_an_outage_is_not_filled_with_invented_bars() -> None:
    long = (MAX_FILLED + 2) * 5.0
    bars = closed(trade(10.0, at=0.0), trade(11.0, at=long), tick(long + 5))
    assert [(bar.open, bar.ts_open) for bar in bars] == [(10.0, ns(0)), (11.0, ns(long))]


def test_the_longest_silence_that_is_no_outage_is_filled() -> None:
    assert len(closed(trade(10.0, at=0.0), tick((MAX_FILLED + 1) * 5.0))) == 1 + MAX_FILLED


def test_every_interval_has_bars_of_its_own() -> None:
    bars = closed(trade(10.0, at=0.0), trade(11.0, at=58.0), tick(60.0), intervals=(S5, M1))
    assert sum(bar.interval is S5 for bar in bars) == 12
    (minute,) = [bar for bar in bars if bar.interval is M1]
    assert (minute.open, minute.close, minute.trades) == (10.0, 11.0, 2)


def test_bars_begin_where_their_interval_does_and_not_with_the_first_trade() -> None:
    (bar,) = closed(trade(10.0, at=3.0), tick(5.0))
    assert (bar.ts_open, bar.ts_close) == (ns(0), ns(5))


def test_each_instrument_has_bars_of_its_own() -> None:
    bars = closed(trade(10.0, at=0.0), trade(50.0, at=1.0, instrument=ETH), tick(5.0))
    assert {bar.instrument: bar.close for bar in bars} == {BTC: 10.0, ETH: 50.0}


def test_a_trade_that_comes_late_changes_no_closed_bar() -> None:
    bars = closed(trade(10.0, at=4.0), tick(5.0), trade(99.0, at=4.5), tick(10.0))
    assert [bar.close for bar in bars] == [10.0, 99.0]


def test_the_middle_of_quotes_can_be_the_price_instead() -> None:
    quotes = [quote(9.0, 11.0, at=0.0), quote(10.0, 14.0, at=1.0)]
    (bar,) = closed(*quotes, trade(99.0, at=2.0), tick(5.0), source=PriceSource.MID)
    assert (bar.open, bar.close, bar.volume, bar.trades) == (10.0, 12.0, 0.0, 2)


def test_before_the_first_price_there_is_no_bar() -> None:
    assert closed(tick(0.0), quote(at=1.0), tick(100.0)) == []


def test_settings_need_an_interval() -> None:
    with pytest.raises(ValueError, match="intervals"):
        BarsSettings(intervals=())


STEPS = st.sampled_from([0.0, 0.3, 1.0, 4.0, 7.0, 61.0])
MARKETS = st.lists(
    st.tuples(
        STEPS, st.sampled_from(["trade", "quote", "tick"]), st.floats(1.0, 100.0), st.sampled_from([BTC, BTC, ETH])
    ),
    max_size=40,
)
Drawn = list[tuple[float, str, float, InstrumentId]]


def market(drawn: Drawn) -> list[Event]:
    events: list[Event] = []
    at = 0.0
    for step, kind, price, instrument in drawn:
        at += step
        if kind == "tick":
            events.append(tick(at))
        elif kind == "quote":
            events.append(quote(price, price, at=at, instrument=instrument))
        else:
            events.append(trade(price, size=round(price) / 8, at=at, instrument=instrument))
    return events


def trades_of(events: Iterable[Event], bar: Bar) -> list[Trade]:
    return [
        event
        for event in events
        if isinstance(event, Trade)
        and event.instrument == bar.instrument
        and bar.ts_open <= event.ts_init < bar.ts_close
    ]


@given(MARKETS)
def test_a_bar_is_exactly_the_trades_of_its_interval(drawn: Drawn) -> None:
    events = market(drawn)
    for bar in closed(*events, intervals=(S5, M1)):
        traded = trades_of(events, bar)
        assert bar.trades == len(traded)
        assert bar.volume == sum(event.size for event in traded)
        if traded:
            prices = [event.price for event in traded]
            assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert encode(bar)


@given(MARKETS)
def test_every_trade_is_in_exactly_one_bar_of_each_interval(drawn: Drawn) -> None:
    events = [*market(drawn), tick(4000.0)]
    bars = closed(*events, intervals=(S5, M1))
    for interval in (S5, M1):
        of_interval = [bar for bar in bars if bar.interval is interval]
        assert sum(bar.trades for bar in of_interval) == sum(isinstance(event, Trade) for event in events)
        assert sum(bar.volume for bar in of_interval) == sum(e.size for e in events if isinstance(e, Trade))


@given(MARKETS)
def test_bars_follow_each_other_without_a_gap_and_go_on_from_the_last_close(drawn: Drawn) -> None:
    bars = closed(*market(drawn), intervals=(S5, M1))
    for instrument in (BTC, ETH):
        for interval in (S5, M1):
            series = [bar for bar in bars if (bar.instrument, bar.interval) == (instrument, interval)]
            for before, after in pairwise(series):
                assert before.ts_close == after.ts_open
                assert after.trades or after.open == after.close == before.close


@given(MARKETS, st.integers(0, 40))
def test_the_future_cannot_change_a_closed_bar(drawn: Drawn, cut: int) -> None:
    events = market(drawn)
    known = closed(*events[:cut], intervals=(S5, M1))
    assert closed(*events, intervals=(S5, M1))[: len(known)] == known


@given(MARKETS, st.sampled_from(PriceSource))
def test_no_bar_is_told_before_its_time_is_over(drawn: Drawn, source: PriceSource) -> None:
    for bar in closed(*market(drawn), source=source):
        assert START <= bar.ts_open < bar.ts_close <= bar.ts_init


@given(MARKETS)
def test_bars_of_quotes_know_every_quote(drawn: Drawn) -> None:
    events = [*market(drawn), tick(4000.0)]
    bars = closed(*events, source=PriceSource.MID)
    assert sum(bar.trades for bar in bars) == sum(isinstance(event, Quote) for event in events)
