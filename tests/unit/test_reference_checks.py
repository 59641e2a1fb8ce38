"""What a backtest ends with, against what can be computed without one: to the cent, or within a known error."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from statistics import fmean, stdev
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.books import EquityMarked, PositionClosed
from contracts.event import Event
from contracts.market import Funding, Quote
from contracts.orders import OrderFilled, OrderIntent
from contracts.types import Liquidity, Side, TimeInForce
from quant.chance import stream
from services.backtest.run import Run
from services.backtest.settings import BacktestSettings
from services.backtest.summary import Summary
from services.portfolio.settings import PortfolioSettings
from tape.component import on
from tape.strategy import Strategy
from tests.builders import BTC, LISTING, ns, quote
from tests.own_strategy import NAME, heard, with_own
from venues.instruments import InstrumentKind

E = TypeVar("E", bound=Event)

CAPITAL = PortfolioSettings().capital
CENT = Decimal("0.01")
LOOSE = ("risk.execution_overrides=false", "risk.collar_bps=10000", "risk.max_spread_bps=10000")
FREE = BacktestSettings(maker_fee_bps=Decimal(0), taker_fee_bps=Decimal(0))


def of_type(kind: type[E], said: Sequence[object]) -> list[E]:
    return [event for one in said if isinstance(event := getattr(one, "event", None), kind)]


def walk(count: int, *, seed: int, spread_ticks: int = 2, size: float = 1_000.0, step_ticks: int = 5) -> list[Quote]:
    """Quote a mid price that is as likely to rise as to fall, once a second; ticks are of 0.1."""
    chance, mid, quotes = stream(seed, "walk"), 10_000, []
    for number in range(count):
        mid += step_ticks if chance.uniform() < 0.5 else -step_ticks
        bid, ask = (mid - spread_ticks // 2) / 10, (mid + spread_ticks // 2) / 10
        quotes.append(quote(bid, ask, size=size, at=number))
    return quotes


# -- buy and hold ------------------------------------------------------------------------------------------------------


class BuyAndHold(Strategy):
    """Buys at the first quote, and sells at the quote of number `leaves_at`, if there is one."""

    def __init__(self, quantity: str, leaves_at: int | None = None) -> None:
        super().__init__(NAME)
        self.quantity, self.leaves_at, self.count = Decimal(quantity), leaves_at, 0

    @on(Quote)
    def on_quote(self, quote: Quote) -> tuple[OrderIntent] | None:
        self.count += 1
        if self.count not in (1, self.leaves_at):
            return None
        side = Side.BUY if self.count == 1 else Side.SELL
        order = self.market_order(
            quote, quote.instrument, side, self.quantity, reference_price=quote.mid, reason="to hold"
        )
        return (order,)


def exact(price: float) -> Decimal:
    return Decimal(repr(price))


def test_buy_and_hold_is_worth_what_was_not_spent_and_what_is_held_at_the_middle() -> None:
    quotes = walk(300, seed=1)
    fee, quantity = Decimal("0.00075"), Decimal("1.234")
    asked = BacktestSettings(taker_fee_bps=Decimal("7.5"))
    said = heard(with_own(lambda: BuyAndHold("1.234"), *LOOSE, asked=asked), quotes)
    bought, last = exact(quotes[0].ask), quotes[-1]
    expected = CAPITAL - quantity * bought * (1 + fee) + quantity * (exact(last.bid) + exact(last.ask)) / 2
    assert of_type(EquityMarked, said)[-1].equity == expected


def test_bought_and_sold_again_it_is_what_the_two_prices_and_fees_leave() -> None:
    quotes = walk(300, seed=2)
    fee, quantity = Decimal("0.001"), Decimal("0.5")
    summary = Summary()
    wiring = with_own(lambda: BuyAndHold("0.5", leaves_at=200), *LOOSE)
    Run(wiring, None, summary).take(quotes)
    bought, sold = exact(quotes[0].ask), exact(quotes[199].bid)
    expected = quantity * (sold - bought - fee * (sold + bought))
    assert abs(Decimal(repr(summary.figures().net_pnl)) - expected) < CENT
    assert summary.trades.count == 1


def test_a_perpetual_that_is_held_pays_its_funding_and_nothing_else() -> None:
    listing = {**LISTING, BTC: replace(LISTING[BTC], kind=InstrumentKind.PERPETUAL)}
    quotes, rates = walk(300, seed=3), (0.0001, -0.0002, 0.0003)
    told = [
        Funding(
            ts_event=ns(at), ts_init=ns(at), instrument=BTC, mark=1_000.0, index=1_000.0, rate=rate, next_at=ns(at + 50)
        )
        for at, rate in zip((40, 140, 240), rates, strict=True)
    ]
    paid_at = [replace(one, ts_event=one.next_at, ts_init=one.next_at, next_at=ns(10_000)) for one in told]
    events: list[Event] = sorted([*quotes, *told, *paid_at], key=lambda event: event.ts_init)
    quantity, fee = Decimal("0.7"), Decimal("0.0005")
    said = heard(with_own(lambda: BuyAndHold("0.7"), *LOOSE, listing=listing), events)
    bought = exact(quotes[0].ask)
    funding = sum((-quantity * 1_000 * exact(rate) for rate in rates), Decimal(0))
    last = of_type(EquityMarked, said)[-1]
    assert last.funding == funding
    assert last.equity == CAPITAL + quantity * (1_000 - bought) - quantity * bought * fee + funding


# -- a coin that is flipped --------------------------------------------------------------------------------------------


class CoinFlip(Strategy):
    """Takes a side by chance, holds it for `hold` quotes, leaves, and does it again."""

    def __init__(self, seed: int, hold: int) -> None:
        super().__init__(NAME)
        self.chance, self.hold, self.count = stream(seed, "coin"), hold, 0

    @on(Quote)
    def on_quote(self, quote: Quote) -> tuple[OrderIntent] | None:
        self.count += 1
        held = self.position(quote.instrument)
        if self.count % self.hold or not self.is_free(quote.instrument):
            return None
        side = (Side.BUY if self.chance.uniform() < 0.5 else Side.SELL) if held == 0 else _leaving(held)
        order = self.market_order(
            quote, quote.instrument, side, Decimal("0.1"), reference_price=quote.mid, reason="the coin says so"
        )
        return (order,)


def _leaving(held: Decimal) -> Side:
    return Side.SELL if held > 0 else Side.BUY


@dataclass(frozen=True)
class Band:
    """The mean of what trips brought, less what they should have, and its standard error."""

    off: float
    error: float


TRIPS_FEE = 10.0
HOLD = 2


@pytest.fixture(scope="module")
def trips() -> list[PositionClosed]:
    said = heard(
        with_own(lambda: CoinFlip(5, HOLD), *LOOSE, asked=BacktestSettings(taker_fee_bps=Decimal(repr(TRIPS_FEE)))),
        walk(3_000, seed=4, spread_ticks=4),
    )
    return of_type(PositionClosed, said)


def band(trips: Sequence[PositionClosed], fee_bps: float, spread: float) -> Band:
    """Compare with a trip that loses the spread once and the fee twice, and wins nothing."""
    off = [
        float(trip.net_pnl)
        + float(trip.quantity) * (spread + fee_bps / 10_000 * float(trip.entry_price + trip.exit_price))
        for trip in trips
    ]
    return Band(fmean(off), stdev(off) / math.sqrt(len(off)))


def test_a_coin_flip_loses_fees_and_spread_and_nothing_else_within_three_standard_errors(
    trips: list[PositionClosed],
) -> None:
    found = band(trips, TRIPS_FEE, spread=0.4)
    assert len(trips) > 700
    assert abs(found.off) < 3 * found.error


@pytest.mark.parametrize(("fee_bps", "spread"), [(TRIPS_FEE * 0.9, 0.4), (TRIPS_FEE * 1.1, 0.4), (TRIPS_FEE, 0.0)])
def test_the_band_is_so_narrow_that_another_fee_or_no_spread_lies_outside(
    trips: list[PositionClosed], fee_bps: float, spread: float
) -> None:
    found = band(trips, fee_bps, spread)
    assert abs(found.off) > 3 * found.error


# -- never better than the quote allows --------------------------------------------------------------------------------


class Anything(Strategy):
    """Orders at random: markets, and limits of all kinds near the price."""

    def __init__(self, seed: int) -> None:
        super().__init__(NAME)
        self.chance = stream(seed, "anything")

    @on(Quote)
    def on_quote(self, quote: Quote) -> Iterator[OrderIntent]:
        if self.chance.uniform() < 0.5:
            return
        side = Side.BUY if self.chance.uniform() < 0.5 else Side.SELL
        quantity = Decimal(1 + self.chance.word() % 40) / 10
        if self.chance.uniform() < 0.4:
            order = self.market(quote.instrument, side, quantity)
        else:
            near = Decimal(round(quote.mid * 10) + self.chance.word() % 9 - 4) / 10
            kinds = (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)
            order = self.limit(
                quote.instrument, side, quantity, near, time_in_force=kinds[self.chance.word() % len(kinds)]
            )
        yield self.wish(quote, order, reference_price=quote.mid, reason="why not")


@st.composite
def markets(draw: st.DrawFn) -> list[Quote]:
    steps = draw(
        st.lists(st.tuples(st.integers(-6, 6), st.integers(0, 5), st.integers(1, 30)), min_size=5, max_size=40)
    )
    mid, quotes = 5_000, []
    for number, (step, spread, size) in enumerate(steps):
        mid += step
        quotes.append(quote(mid / 10, (mid + spread) / 10, size=size / 10, at=number))
    return quotes


@settings(max_examples=40)
@given(quotes=markets(), seed=st.integers(0, 2**32), latency_ms=st.sampled_from([0, 700, 2_500]))
def test_no_fill_is_better_or_larger_than_the_quote_allows(quotes: list[Quote], seed: int, latency_ms: int) -> None:
    said = heard(with_own(lambda: Anything(seed), *LOOSE, f"gateway.latency_ms={latency_ms}"), quotes)
    limits = {
        one.event.order.client_order_id: one.event.order.limit_price
        for one in said
        if isinstance(one.event, OrderIntent)
    }
    shown = {one.ts_init: one for one in quotes}
    taken: dict[tuple[int, Side], Decimal] = {}
    for fill in of_type(OrderFilled, said):
        now, limit = shown[fill.ts_init], limits[fill.client_order_id]
        buys = fill.side is Side.BUY
        if fill.liquidity is Liquidity.TAKER:
            assert fill.price >= exact(now.ask) if buys else fill.price <= exact(now.bid)
        else:
            assert fill.price == limit
            assert exact(now.ask) <= fill.price if buys else exact(now.bid) >= fill.price
        assert limit is None or (fill.price <= limit if buys else fill.price >= limit)
        taken[fill.ts_init, fill.side] = taken.get((fill.ts_init, fill.side), Decimal(0)) + fill.quantity
    for (at, side), quantity in taken.items():
        assert quantity <= exact(shown[at].ask_size if side is Side.BUY else shown[at].bid_size)


# -- the vectorised computation ----------------------------------------------------------------------------------------


class MeanCross(Strategy):
    """Holds 1 long while the mean of the last `fast` mids is above that of `slow`, 1 short while it is below."""

    def __init__(self, fast: int, slow: int) -> None:
        super().__init__(NAME)
        self.fast, self.slow = fast, slow
        self.mids: list[int] = []

    @on(Quote)
    def on_quote(self, quote: Quote) -> tuple[OrderIntent] | None:
        self.mids = [*self.mids[-self.slow + 1 :], round(quote.mid * 10)]
        if len(self.mids) < self.slow:
            return None
        above = sum(self.mids[-self.fast :]) * self.slow - sum(self.mids) * self.fast
        held = self.position(quote.instrument)
        change = (above > 0) - (above < 0) - held
        if change == 0:
            return None
        side = Side.BUY if change > 0 else Side.SELL
        order = self.market_order(
            quote, quote.instrument, side, abs(change), reference_price=quote.mid, reason="means crossed"
        )
        return (order,)


@dataclass(frozen=True)
class Vectorised:
    """What an array computation says: changes of the position, and equity above the capital at each quote.

    `before` is with what was held when the quote came, `after` with what is held behind it.
    """

    changes: "np.ndarray[tuple[int], np.dtype[np.float64]]"
    before: "np.ndarray[tuple[int], np.dtype[np.float64]]"
    after: "np.ndarray[tuple[int], np.dtype[np.float64]]"


def vectorised(quotes: Sequence[Quote], fast: int, slow: int) -> Vectorised:
    bid, ask = (np.array([getattr(one, name) for one in quotes]) for name in ("bid", "ask"))
    ticks = np.rint((bid + ask) / 2 * 10).astype(np.int64)
    sums = np.concatenate([[0], np.cumsum(ticks)])
    ends = np.arange(slow, len(quotes) + 1)
    above = (sums[ends] - sums[ends - fast]) * slow - (sums[ends] - sums[ends - slow]) * fast
    held = np.concatenate([np.zeros(slow - 1), np.sign(above)])
    changes = np.diff(held, prepend=0.0)
    cash = np.cumsum(-changes * np.where(changes > 0, ask, bid))
    mid = (bid + ask) / 2
    earlier = np.concatenate([[0.0], held[:-1]]), np.concatenate([[0.0], cash[:-1]])
    return Vectorised(changes, earlier[1] + earlier[0] * mid, cash + held * mid)


@pytest.mark.parametrize(("fast", "slow", "spread_ticks"), [(3, 8, 2), (5, 20, 0), (10, 50, 4)])
def test_without_latency_fees_and_limits_of_size_it_is_the_vectorised_computation(
    fast: int, slow: int, spread_ticks: int
) -> None:
    quotes = walk(800, seed=9, spread_ticks=spread_ticks, size=1e6)
    said = heard(with_own(lambda: MeanCross(fast, slow), *LOOSE, asked=FREE), quotes)
    expected = vectorised(quotes, fast, slow)
    fills = of_type(OrderFilled, said)
    traded = {fill.ts_init: fill.side.sign * float(fill.quantity) for fill in fills}
    assert traded == {
        one.ts_init: change for one, change in zip(quotes, expected.changes.tolist(), strict=True) if change
    }
    marked: dict[int, list[float]] = {}
    for mark in of_type(EquityMarked, said):
        marked.setdefault(mark.ts_init, []).append(float(mark.equity - CAPITAL))
    assert len(marked) > 600
    for one, before, after in zip(quotes, expected.before.tolist(), expected.after.tolist(), strict=True):
        equities = marked.get(one.ts_init)
        if equities is not None:
            assert equities[-1] == pytest.approx(after, abs=1e-9)
            assert equities[0] == pytest.approx(before if one.ts_init not in traded else equities[0], abs=1e-9)
    assert float(of_type(EquityMarked, said)[-1].equity - CAPITAL) == pytest.approx(expected.after[-1], abs=1e-9)


def test_the_walk_is_fair_and_moves_on_the_tick() -> None:
    quotes = walk(2_000, seed=6)
    moves = [round((two.mid - one.mid) * 10) for one, two in pairwise(quotes)]
    assert set(moves) == {-5, 5}
    assert abs(sum(moves)) < 3 * 5 * math.sqrt(len(moves))
