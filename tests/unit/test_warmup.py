"""The check of warm-ups: who speaks before he knows enough is found, and how much is enough is told."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.books import PositionClosed
from contracts.event import Event
from contracts.market import Quote
from contracts.orders import ExitPlan, OrderFilled, OrderIntent
from contracts.recorded import Recorded
from contracts.types import Interval, Liquidity, Side
from quant.indicators import Ema
from services.backtest.lookahead.examination import Prepared, Preparing
from services.backtest.settings import BacktestSettings, Unusable
from services.backtest.sources import Change, Source
from services.backtest.warmup.comparing import Comparison, compare
from services.backtest.warmup.decisions import Amount, Decisions, Kind, Positions, decision
from services.backtest.warmup.examination import Examination, Plan, bar_of, examine, from_moment, without_learners
from services.backtest.wiring import Nature, wire
from tape.component import on
from tape.strategy import Strategy
from tests.backtested import USUAL, wired
from tests.builders import BTC, ETH, LISTING, bar, ns, quote, trade
from tests.own_strategy import NAME, with_own
from tests.regime_builders import artifact, promoted, regime_model

PER_BAR = 6
BARS = 80
OWN = Kind(NAME, "OrderIntent")


class Follower(Strategy):
    """Is long while the price is above what it makes of the past."""

    def __init__(self, least: int) -> None:
        super().__init__(NAME)
        self.least, self.count = least, 0

    def middle(self, mid: float) -> float:
        raise NotImplementedError

    @on(Quote)
    def on_quote(self, quote: Quote) -> tuple[OrderIntent] | None:
        self.count += 1
        middle = self.middle(quote.mid)
        wants = quote.mid > middle
        if self.count < self.least or not self.is_free(quote.instrument):
            return None
        if wants is (self.position(quote.instrument) > 0):
            return None
        side = Side.BUY if wants else Side.SELL
        order = self.market_order(
            quote, quote.instrument, side, Decimal("0.1"), reference_price=quote.mid, reason=f"above {middle}"
        )
        return (order,)


class Windowed(Follower):
    """Looks at the last `least` quotes and at nothing before them."""

    def __init__(self, least: int) -> None:
        super().__init__(least)
        self.mids: list[float] = []

    def middle(self, mid: float) -> float:
        self.mids = [*self.mids, mid][-self.least :]
        return sum(self.mids) / len(self.mids)


class Hasty(Follower):
    """Looks at an average over a long time, and speaks as soon as it has a few quotes of it."""

    def __init__(self) -> None:
        super().__init__(least=2)
        self.average = Ema(60)

    def middle(self, mid: float) -> float:
        return self.average.update(mid)


def market() -> list[Event]:
    mids = [1_000 + 20 * ((number * 7919) % 101 - 50) / 50 + (number % 97) for number in range(PER_BAR * BARS)]
    return [quote(mid - 0.1, mid + 0.1, at=number * 60 / PER_BAR) for number, mid in enumerate(mids)]


def preparing(build: Callable[[], Strategy], events: Sequence[Event]) -> Preparing:
    @contextmanager
    def prepare(change: Change) -> Iterator[Prepared]:
        source = Source(change(iter(events)), LISTING, Nature(), lambda: 0, dict)
        yield Prepared(source, with_own(build, "risk.max_spread_bps=10000"))

    return prepare


def checked(build: Callable[[], Strategy], *starts: int, events: Sequence[Event] | None = None) -> Examination:
    plan = Plan(starts=starts or (0, 2, 5, 10, 20), places=2, window=20, tolerance=1e-4)
    told = market() if events is None else events
    return examine(preparing(build, told), BacktestSettings(), plan, lambda _run: lambda _rows, _events: None)


@pytest.fixture(scope="module")
def patient() -> Examination:
    return checked(lambda: Windowed(5 * PER_BAR), 0, 2, 5, 10)


@pytest.fixture(scope="module")
def hasty() -> Examination:
    return checked(Hasty, 0, 5, 20, 35)


def test_whoever_waits_until_it_has_seen_what_it_looks_at_passes(patient: Examination) -> None:
    assert patient.failing == []
    assert patient.of(OWN)[0].whole > 20
    assert patient.enough(OWN) == 5


def test_with_less_past_than_it_looks_at_it_is_only_silent_for_longer(patient: Examination) -> None:
    least = patient.of(OWN)[0]
    assert least.past == 0
    assert least.differing > 0
    assert least.too_early == 0
    assert all(instance.only == "all the past" for instance in least.first)


def test_whoever_speaks_before_its_average_has_settled_is_found_with_its_first_wrong_word(hasty: Examination) -> None:
    assert [one.kind for one in hasty.failing] == [OWN]
    first = hasty.failing[0].early[0].place.at
    assert any(first - window.start < 10 * 60 * 10**9 for window in hasty.windows if first in window)


def test_from_how_much_past_on_nothing_differs_is_told(hasty: Examination) -> None:
    enough = hasty.enough(OWN)
    assert enough is not None
    assert enough > 5
    differing = [one.differing for one in hasty.of(OWN)]
    assert differing == sorted(differing, reverse=True)


def test_windows_lie_over_the_later_half_and_begin_with_bars_of_the_unit(
    patient: Examination,
) -> None:
    found = patient
    assert [window.start % Interval.M1.nanos for window in found.windows] == [0, 0]
    assert [len(window) // Interval.M1.nanos for window in found.windows] == [20, 20]
    assert found.windows[0].start >= ns(60 * (BARS // 2 - 1))
    assert found.windows[-1].stop <= ns(60 * BARS)


def test_what_is_decided_behind_a_window_is_not_compared() -> None:
    assert compared(heard(Decisions(), wish(at=100)), Decisions()).whole == 0
    assert compared(heard(Decisions(), wish(at=99)), Decisions()).whole == 1


def test_starts_for_which_there_is_no_data_are_left_out_and_told() -> None:
    found = checked(lambda: Windowed(PER_BAR), 0, 5, 1_000)
    assert found.left_out == (1_000,)
    assert {one.past for one in found.comparisons} == {0, 5}


def test_without_enough_data_or_decisions_it_says_so() -> None:
    with pytest.raises(Unusable, match="only 39 bars"):
        checked(lambda: Windowed(PER_BAR), 500)
    with pytest.raises(Unusable, match="nobody decided"):
        checked(lambda: Windowed(10_000))
    with pytest.raises(Unusable, match="no events"):
        checked(Hasty, events=[])


def waves(count: int) -> list[Event]:
    """Show a second's quote and trade of a market that rises and falls by turns, under a model promoted before."""
    events: list[Event] = [promoted(artifact(regime_model()), at=0)]
    for number in range(count):
        price = round(100 * (1 + 0.01 * math.sin(number / 40) + 0.0005 * (number * 7919 % 13 - 6)), 1)
        at = ns(number)
        events.append(replace(quote(price - 0.1, price + 0.1), ts_event=at, ts_init=at))
        events.append(trade(price, at=number, trade_id=str(number)))
    return events


def test_regimes_and_signals_are_the_same_once_a_filter_has_seen_its_warm_up() -> None:
    @contextmanager
    def prepare(change: Change) -> Iterator[Prepared]:
        source = Source(change(iter(waves(900))), LISTING, Nature(), lambda: 0, dict)
        yield Prepared(source, wire(BacktestSettings(strategies=("hmm_ensemble",)), USUAL, LISTING, Nature()))

    plan = Plan(starts=(0, 40), places=1, window=100)
    found = examine(prepare, BacktestSettings(), plan, lambda _run: lambda _rows, _events: None)
    regimes = Kind("regime", "RegimeInferred")
    assert found.of(regimes)[0].whole > 80
    assert found.of(regimes)[0].differing > 0
    assert found.of(regimes)[1].differing == 0
    assert Kind("hmm_ensemble", "SignalGiven") in found.kinds


# -- decisions ---------------------------------------------------------------------------------------------------------


def wish(at: float = 1.0, **changes: object) -> OrderIntent:
    class Wisher(Strategy):
        pass

    made = Wisher(NAME).market_order(
        quote(at=at),
        BTC,
        Side.BUY,
        Decimal("0.1"),
        reference_price=100.0,
        reason="why not",
        exit=ExitPlan(stop=90.0, target=None),
    )
    return replace(made, **changes)  # type: ignore[arg-type] # fields of it


def compared(whole: Decisions, part: Decisions, tolerance: float = 0.0) -> Comparison:
    result = Comparison(0, OWN)
    compare(result, whole, part, range(ns(0), ns(100)), tolerance)
    return result


def heard(decisions: Decisions, *events: Event) -> Decisions:
    for number, event in enumerate(events, start=1):
        decisions.hear(Recorded(number, number - 1, f"{NAME}/{number}/0", event.ts_init, event))
    return decisions


def test_ids_and_reasons_are_no_part_of_a_decision() -> None:
    first = wish()
    other = replace(first, order=replace(first.order, client_order_id="own-77-0"), reason="another sentence")
    assert decision(NAME, first) == decision(NAME, other)


def test_sides_sizes_and_stops_are() -> None:
    first = wish()
    assert (
        decision(NAME, first).exact != decision(NAME, replace(first, order=replace(first.order, side=Side.SELL))).exact
    )
    assert decision(NAME, first).amounts != decision(NAME, wish(exit=ExitPlan(stop=91.0, target=None))).amounts
    assert decision(NAME, first) != decision(NAME, wish(exit=None))


@given(value=st.floats(1e-9, 1e9), share=st.floats(0, 0.5))
def test_prices_are_compared_by_ratio_whatever_their_size(value: float, share: float) -> None:
    one, two = Amount("price", value, by_ratio=True), Amount("price", value * (1 - share), by_ratio=True)
    assert one.differs_by(two) == pytest.approx(share, abs=1e-9)
    assert one.differs_by(two) == two.differs_by(one)


def test_a_probability_near_nothing_does_not_differ_by_its_ratio() -> None:
    assert Amount("up", 1e-12, by_ratio=False).differs_by(Amount("up", 1e-15, by_ratio=False)) < 1e-11


@pytest.mark.parametrize(("stop", "differing"), [(90.0, 0), (90.005, 0), (90.05, 1)])
def test_amounts_within_the_tolerance_are_the_same(stop: float, differing: int) -> None:
    whole = heard(Decisions(), wish())
    part = heard(Decisions(), wish(exit=ExitPlan(stop=stop, target=None)))
    result = compared(whole, part, 1e-4)
    assert result.differing == differing
    assert result.largest == pytest.approx((stop - 90) / stop)


def fill(at: float, side: Side, quantity: str = "0.1") -> OrderFilled:
    return OrderFilled(
        ts_event=ns(at),
        ts_init=ns(at),
        client_order_id="own-1-0",
        strategy=NAME,
        instrument=BTC,
        trade_id="1",
        side=side,
        price=Decimal(100),
        quantity=Decimal(quantity),
        cumulative=Decimal(quantity),
        leaves=Decimal(0),
        fee=Decimal(0),
        currency="USDT",
        liquidity=Liquidity.TAKER,
    )


def test_what_was_held_is_told_by_fills_before_that_time() -> None:
    positions = Positions()
    positions.take(fill(1, Side.BUY))
    positions.take(fill(5, Side.SELL))
    whose = (NAME, BTC)
    assert positions.before(whose, ns(1)) is None
    assert positions.before(whose, ns(3)) == (Decimal("0.1"), ns(1))
    assert positions.before(whose, ns(6)) is None
    assert positions.before((NAME, ETH), ns(3)) is None


def test_who_holds_another_position_is_not_asked_why_it_decides_otherwise() -> None:
    whole = heard(Decisions(), wish(at=0), fill(1, Side.BUY), wish(at=2))
    same = compared(whole, heard(Decisions(), wish(at=0), fill(1, Side.BUY)))
    other = compared(whole, heard(Decisions(), wish(at=0)))
    assert (same.differing, same.too_early) == (1, 1)
    assert (other.differing, other.too_early) == (1, 0)


def test_silence_before_the_first_word_is_no_fault() -> None:
    whole = heard(Decisions(), wish(at=0), wish(at=2))
    result = compared(whole, heard(Decisions(), wish(at=2)))
    assert (result.differing, result.undue, result.too_early) == (1, 1, 0)


def test_the_market_before_a_moment_is_left_out_and_everything_else_stays() -> None:
    closed = PositionClosed(
        ts_event=ns(0),
        ts_init=ns(0),
        strategy=NAME,
        instrument=BTC,
        side=Side.BUY,
        quantity=Decimal(1),
        entry_price=Decimal(1),
        exit_price=Decimal(1),
        realized_pnl=Decimal(0),
        fees=Decimal(0),
        funding=Decimal(0),
        opened_at=0,
        closed_at=0,
        closed_by="own-1-0",
        stopped=False,
    )
    events: list[Event] = [closed, quote(at=1), bar(100.0), quote(at=7)]
    assert list(from_moment(iter(events), ns(2))) == [closed, events[3]]
    assert list(from_moment(iter(events), ns(0))) == events


def test_nobody_learns_from_trades_while_warm_ups_are_compared() -> None:
    assert "params" in wired().settings
    assert set(wired().settings) - set(without_learners(wired()).settings) == {"params"}


def test_the_unit_is_the_longest_bar_that_a_strategy_decides_on() -> None:
    assert bar_of(wired("trend.interval=1m").settings) is Interval.M1
    assert bar_of(wired("trend.interval=5s", strategies=["trend"]).settings) is Interval.S5
