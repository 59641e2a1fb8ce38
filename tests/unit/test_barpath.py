"""The path inside a bar: which order of the extremes, and what it does to stops and targets."""

from decimal import Decimal

import pytest

from contracts.event import Event
from contracts.market import Bar, Quote, Trade
from contracts.types import InstrumentId, Interval, Side
from contracts.venue import SubmitOrder, VenueFilled
from tests.builders import BTC, ETH, LISTING, listed, ns, submit, terms, trade
from venues.simulated import SimulatedExchange, SimulationSettings
from venues.simulated.barpath import BarPath, BarPathSettings, PathOrder, Prints, QuoteBounds

RISING = (100.0, 110.0, 90.0, 105.0)
FALLING = (100.0, 110.0, 90.0, 95.0)


def bar(
    values: tuple[float, float, float, float] = RISING,
    *,
    at: float = 0.0,
    volume: float = 100.0,
    interval: Interval = Interval.M1,
    instrument: InstrumentId = BTC,
) -> Bar:
    open_, high, low, close = values
    ts_close = ns(at) + interval.nanos
    return Bar(
        ts_event=ts_close,
        ts_init=ts_close,
        instrument=instrument,
        interval=interval,
        ts_open=ns(at),
        ts_close=ts_close,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        trades=0,
    )


def shown(of: Bar, **chosen: object) -> tuple[Quote | Trade, ...]:
    return BarPath(BarPathSettings.model_validate(chosen)).quotes(of)


def traded(of: Bar, **chosen: object) -> list[float]:
    return [one.price for one in shown(of, **chosen) if isinstance(one, Trade)]


def quoted(of: Bar, **chosen: object) -> list[Quote]:
    return [one for one in shown(of, **chosen) if isinstance(one, Quote)]


@pytest.mark.parametrize(
    ("order", "values", "path"),
    [
        (PathOrder.OPEN_HIGH_LOW_CLOSE, RISING, [100, 110, 90, 105]),
        (PathOrder.OPEN_LOW_HIGH_CLOSE, RISING, [100, 90, 110, 105]),
        (PathOrder.ADVERSE, RISING, [100, 90, 110, 105]),
        (PathOrder.ADVERSE, FALLING, [100, 110, 90, 95]),
    ],
)
def test_the_extremes_come_in_the_order_that_was_chosen(
    order: PathOrder, values: tuple[float, float, float, float], path: list[float]
) -> None:
    assert traded(bar(values), order=order) == path


@pytest.mark.parametrize("values", [RISING, FALLING])
def test_by_default_either_side_meets_its_stop_before_its_target(values: tuple[float, float, float, float]) -> None:
    quotes = quoted(bar(values))
    long_stopped = next(at for at, quote in enumerate(quotes) if quote.bid <= 92)
    long_paid = next(at for at, quote in enumerate(quotes) if quote.bid >= 108)
    short_stopped = next(at for at, quote in enumerate(quotes) if quote.ask >= 108)
    short_paid = next(at for at, quote in enumerate(quotes) if quote.ask <= 92)
    assert long_stopped < long_paid
    assert short_stopped < short_paid


def test_at_the_extremes_the_quote_is_inside_the_bar() -> None:
    _, low, high, _ = quoted(bar(), order=PathOrder.OPEN_LOW_HIGH_CLOSE, spread_bps=100)
    assert [low.bid, low.ask] == pytest.approx([90.0, 90.9])
    assert [high.bid, high.ask] == pytest.approx([108.9, 110.0])
    assert (low.bid, high.ask) == (90.0, 110.0)


def test_around_the_open_the_quote_is_in_the_middle() -> None:
    first = quoted(bar(), spread_bps=100)[0]
    assert (first.bid, first.ask) == (99.5, 100.5)


def test_a_bar_narrower_than_the_spread_is_its_own_spread_or_is_left_by_the_quote() -> None:
    flat = bar((100.0, 100.0, 100.0, 100.0))
    assert {(quote.bid, quote.ask) for quote in quoted(flat, spread_bps=100)} == {(100.0, 100.0)}
    kept = quoted(flat, spread_bps=100, bounds=QuoteBounds.SPREAD, order=PathOrder.OPEN_HIGH_LOW_CLOSE)
    assert {(quote.bid, quote.ask) for quote in kept} == {(99.5, 100.5)}


def test_a_spread_is_at_least_a_tick() -> None:
    first, *_ = BarPath(BarPathSettings(spread_bps=0), LISTING).quotes(bar())
    assert isinstance(first, Quote)
    assert first.ask - first.bid == pytest.approx(0.1)


def test_between_turning_points_it_jumps_or_walks() -> None:
    values = (100.0, 110.0, 90.0, 100.0)
    assert len(traded(bar(values))) == 4
    walked = traded(bar(values), steps=1, order=PathOrder.OPEN_HIGH_LOW_CLOSE)
    assert walked == [100.0, 105.0, 110.0, 100.0, 90.0, 95.0, 100.0]


def test_whoever_drives_the_price_takes() -> None:
    trades = [one for one in shown(bar(FALLING)) if isinstance(one, Trade)]
    assert [one.aggressor for one in trades] == [Side.BUY, Side.BUY, Side.SELL, Side.BUY]


def test_the_whole_volume_is_printed_on_demand() -> None:
    printed = [one.size for one in shown(bar(), prints=Prints.WHOLE, share=0.1) if isinstance(one, Trade)]
    assert sum(printed) == 100.0
    assert all(quote.bid_size == 2.0 for quote in quoted(bar(), prints=Prints.WHOLE, share=0.1))


def test_what_is_assumed_can_be_said() -> None:
    said = " / ".join(BarPathSettings(prints=Prints.WHOLE).assumptions())
    assert "stops are met before targets" in said
    assert "optimistic" in said


def filled(order: SubmitOrder, *bars: Bar, **chosen: object) -> list[tuple[Decimal, Decimal]]:
    """Give price and quantity of what the simulated exchange trades of an order that comes after the first quote."""
    exchange = SimulatedExchange(LISTING, SimulationSettings())
    said: list[Event] = []
    assumed = BarPath(BarPathSettings.model_validate(chosen), LISTING)
    path = [one for each in bars for one in assumed.quotes(each)]
    for one in path[:1]:
        assert isinstance(one, Quote)
        said += listed(exchange.on_quote(one))
    said += listed(exchange.command(order))
    for one in path[1:]:
        said += listed(exchange.on_quote(one) if isinstance(one, Quote) else exchange.on_trade(one))
    return [(event.price, event.quantity) for event in said if isinstance(event, VenueFilled)]


def test_a_market_order_at_the_open_pays_half_the_spread() -> None:
    ((price, _),) = filled(submit(terms(Side.BUY, "1")), bar(), spread_bps=100)
    assert price == Decimal("100.5")


def test_an_order_that_rests_at_the_very_low_is_not_filled() -> None:
    assert filled(submit(terms(Side.BUY, "1", limit="90")), bar()) == []


def test_an_order_that_rests_above_the_low_is_filled_at_its_price() -> None:
    assert filled(submit(terms(Side.BUY, "1", limit="95")), bar()) == [(Decimal(95), Decimal(1))]


def test_no_more_is_filled_than_the_share_of_the_volume_twice() -> None:
    """Once by quotes that reach it, once by what is printed beyond it."""
    quantities = [quantity for _, quantity in filled(submit(terms(Side.BUY, "90", limit="95")), bar(), share=0.1)]
    assert 0 < sum(quantities) <= 20


def test_a_flat_bar_without_volume_fills_nothing() -> None:
    still = bar((100.0, 100.0, 100.0, 100.0), volume=0.0)
    assert filled(submit(terms(Side.BUY, "1")), still) == []


def walked(*events: Event, longest: Interval = Interval.M1) -> list[Event]:
    return list(BarPath(BarPathSettings()).walk(events, longest))


def test_paths_of_bars_of_one_time_are_merged_by_time() -> None:
    merged = walked(bar(), bar(instrument=ETH), bar(at=60), bar(at=60, instrument=ETH))
    times = [one.ts_init for one in merged]
    assert times == sorted(times)
    assert len(merged) == 4 * len(shown(bar()))


def test_what_is_no_bar_keeps_its_time_among_the_paths() -> None:
    between = trade(2_500.0, at=30.0, instrument=ETH)
    merged = walked(between, bar(), bar(at=60))
    times = [one.ts_init for one in merged]
    assert times == sorted(times)
    assert merged.count(between) == 1


def test_a_long_bar_and_short_ones_are_merged_by_time() -> None:
    minutes = [bar(at=60.0 * at) for at in range(5)]
    merged = walked(*minutes, bar(interval=Interval.M5, instrument=ETH), longest=Interval.M5)
    times = [one.ts_init for one in merged]
    assert times == sorted(times)


def test_little_is_held_back() -> None:
    walking = BarPath(BarPathSettings()).walk((bar(at=60.0 * at) for at in range(1_000_000)), Interval.M1)
    first = [next(walking) for _ in range(10)]
    assert first[0].ts_init == ns(0)
