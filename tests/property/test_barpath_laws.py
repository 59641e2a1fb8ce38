"""Laws of the path inside a bar: whatever the bar, it shows no more and nothing else than the bar tells."""

import math
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import encode
from contracts.event import Event
from contracts.market import Bar, Quote, Trade
from contracts.types import InstrumentId, Interval
from services.bars.rules import Bars
from services.bars.settings import BarsSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, START, ns, tick
from venues.simulated.barpath import BarPath, BarPathSettings, PathOrder, Prints, QuoteBounds

prices = st.floats(min_value=1e-6, max_value=1e6)


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    low, *middle, high = sorted(draw(st.lists(prices, min_size=4, max_size=4)))
    open_, close = draw(st.permutations(middle))
    interval = draw(st.sampled_from(Interval))
    return Bar(
        ts_event=START + interval.nanos,
        ts_init=START + interval.nanos,
        instrument=BTC,
        interval=interval,
        ts_open=START,
        ts_close=START + interval.nanos,
        open=draw(st.sampled_from([open_, low, high])),
        high=high,
        low=low,
        close=draw(st.sampled_from([close, low, high])),
        volume=draw(st.sampled_from([0.0, 1.0, 123.456])),
        trades=0,
    )


settings = st.builds(
    BarPathSettings,
    order=st.sampled_from(PathOrder),
    spread_bps=st.floats(min_value=0, max_value=500),
    share=st.floats(min_value=0.001, max_value=1),
    steps=st.integers(min_value=0, max_value=7),
)


def split(bar: Bar, chosen: BarPathSettings) -> tuple[list[Quote], list[Trade]]:
    shown = BarPath(chosen).quotes(bar)
    return [one for one in shown if isinstance(one, Quote)], [one for one in shown if isinstance(one, Trade)]


@given(bar=bars(), chosen=settings)
def test_no_price_is_outside_the_bar(bar: Bar, chosen: BarPathSettings) -> None:
    quotes, trades = split(bar, chosen)
    assert all(bar.low <= quote.bid <= quote.ask <= bar.high for quote in quotes)
    assert all(bar.low <= trade.price <= bar.high for trade in trades)


@given(bar=bars(), chosen=settings)
def test_a_quote_is_as_wide_as_the_spread_or_the_bar(bar: Bar, chosen: BarPathSettings) -> None:
    for shown, after in pairwise(BarPath(chosen).quotes(bar)):
        if isinstance(shown, Quote) and isinstance(after, Trade):
            spread = min(after.price * chosen.spread_bps / 10_000, bar.high - bar.low)
            assert math.isclose(shown.ask - shown.bid, spread, rel_tol=1e-6, abs_tol=after.price * 1e-12)


@given(bar=bars(), chosen=settings)
def test_a_trade_is_never_beyond_the_quote_before_it(bar: Bar, chosen: BarPathSettings) -> None:
    for shown, after in pairwise(BarPath(chosen).quotes(bar)):
        if isinstance(after, Trade):
            assert isinstance(shown, Quote)
            slack = after.price * 1e-12
            assert shown.bid - slack <= after.price <= shown.ask + slack


@given(bar=bars(), chosen=settings)
def test_it_begins_at_the_open_visits_both_extremes_and_ends_at_the_close(bar: Bar, chosen: BarPathSettings) -> None:
    _, trades = split(bar, chosen)
    visited = [trade.price for trade in trades]
    assert (visited[0], visited[-1]) == (bar.open, bar.close)
    assert {bar.low, bar.high} <= set(visited)


@given(bar=bars(), chosen=settings)
def test_its_times_lie_inside_the_bar_and_rise(bar: Bar, chosen: BarPathSettings) -> None:
    quotes, trades = split(bar, chosen)
    for shown in (quotes, trades):
        times = [one.ts_init for one in shown]
        assert times[0] == bar.ts_open and times[-1] < bar.ts_close
        assert all(before < after for before, after in pairwise(times))


@given(bar=bars(), chosen=settings)
def test_no_more_than_the_share_is_displayed_or_printed(bar: Bar, chosen: BarPathSettings) -> None:
    quotes, trades = split(bar, chosen)
    most = bar.volume * chosen.share * (1 + 1e-9)
    assert sum(quote.bid_size for quote in quotes) <= most
    assert sum(quote.ask_size for quote in quotes) <= most
    assert sum(trade.size for trade in trades) <= most


@given(bar=bars(), chosen=settings, whole=st.booleans())
def test_bars_made_of_the_path_are_the_bars_of_the_file(bar: Bar, chosen: BarPathSettings, whole: bool) -> None:  # noqa: FBT001
    prints = Prints.WHOLE if whole else Prints.SHARE
    tape = MemoryTape([Bars(BarsSettings(intervals=(bar.interval,)))])
    tape.play(BarPath(chosen.model_copy(update={"prints": prints})).quotes(bar))
    tape.play([tick(bar.interval.nanos / 1e9)])
    (made,) = tape.of_type(Bar)
    assert (made.open, made.high, made.low, made.close) == (bar.open, bar.high, bar.low, bar.close)
    assert (made.ts_open, made.ts_close) == (bar.ts_open, bar.ts_close)
    if whole:
        assert math.isclose(made.volume, bar.volume, rel_tol=1e-9)


@given(bar=bars(), chosen=settings, bounds=st.sampled_from(QuoteBounds))
def test_all_of_it_can_be_on_the_tape(bar: Bar, chosen: BarPathSettings, bounds: QuoteBounds) -> None:
    for one in BarPath(chosen.model_copy(update={"bounds": bounds})).quotes(bar):
        encode(one)


@given(chosen=settings, data=st.data())
def test_paths_that_are_merged_are_all_there_in_order_of_time(chosen: BarPathSettings, data: st.DataObject) -> None:
    drawn = st.tuples(bars(), st.sampled_from([BTC, ETH]), st.integers(0, 40))
    shifted = [shifted_by(bar, name, steps) for bar, name, steps in data.draw(st.lists(drawn, max_size=12))]
    played: list[Event] = sorted([*shifted, *(tick(60.0 * at) for at in range(20))], key=lambda event: event.ts_init)
    longest = max((bar.interval for bar in shifted), key=lambda interval: interval.nanos, default=Interval.S1)
    path = BarPath(chosen)
    merged = list(path.walk(played, longest))
    expected = [one for event in played for one in (path.quotes(event) if isinstance(event, Bar) else (event,))]
    assert merged == sorted(expected, key=lambda event: event.ts_init)


def shifted_by(bar: Bar, instrument: InstrumentId, steps: int) -> Bar:
    ts_open = bar.ts_open + steps * bar.interval.nanos
    ts_close = ts_open + bar.interval.nanos
    return replace(bar, instrument=instrument, ts_open=ts_open, ts_close=ts_close, ts_event=ts_close, ts_init=ts_close)


@given(bar=bars(), chosen=settings)
def test_the_adverse_path_shows_the_worst_of_both_sides_before_any_extreme(bar: Bar, chosen: BarPathSettings) -> None:
    quotes, _ = split(bar, chosen.model_copy(update={"order": PathOrder.ADVERSE}))
    worst = quotes[1]
    assert (worst.bid, worst.ask) == (bar.low, bar.high)
    assert worst.ts_init < ns(bar.interval.nanos / 1e9)
