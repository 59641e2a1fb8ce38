"""Parity: the same decisions are found on both sides, and all that differs has a cause whose shares add up exactly."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists

from contracts.books import EquityMarked
from contracts.codec import encode
from contracts.market import Bar
from contracts.orders import OrderIntent
from contracts.recorded import Recorded
from contracts.types import InstrumentId, Side
from services.backtest.parity import Parity, compare, matched
from services.backtest.paritycauses import Aspect, Cause
from services.backtest.parityorders import Order, Trigger
from services.backtest.paritypage import Told, page_of
from services.backtest.paritysession import Session
from tests.backtested import events_of, played, waves, wired
from tests.builders import BTC

WINDOW = 10_000_000_000

Log = list[Recorded]
Runs = Callable[..., Log]


@pytest.fixture(scope="module")
def run_with(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The log of a run of one market, under other settings."""
    folder = tmp_path_factory.mktemp("market")
    events, logs = events_of(waves(folder)), dict[tuple[str, ...], Log]()

    def run(*changes: str) -> Log:
        if changes not in logs:
            logs[changes] = played(events, tmp_path_factory.mktemp("run"), wired(*changes)).log
        return logs[changes]

    return run


def session(log: Log) -> Session:
    heard = Session()
    for recorded in log:
        heard.hear(recorded)
    return heard


def compared(live: Log, run: Log) -> Parity:
    return compare(session(live), session(run), WINDOW)


def profit(log: Log) -> Decimal:
    """By the books: the last equity less the first."""
    marked = [one.event for one in log if isinstance(one.event, EquityMarked) and one.event.strategy == "trend"]
    return marked[-1].realized_pnl + marked[-1].unrealized_pnl - marked[-1].fees


def causes_of(parity: Parity, aspect: Aspect) -> set[Cause]:
    return {one.cause for match in parity.matches for one in match.differences if one.aspect is aspect}


def test_a_session_beside_itself_differs_in_nothing(run_with: Runs) -> None:
    parity = compared(run_with(), run_with())
    assert parity.both == len(parity.matches) > 0
    assert parity.differing == []
    assert parity.causes == {}
    assert parity.live_pnl == parity.run_pnl


def test_the_profit_is_that_of_the_books(run_with: Runs) -> None:
    parity = compared(run_with("gateway.latency_ms=700"), run_with())
    assert parity.live_pnl == pytest.approx(float(profit(run_with("gateway.latency_ms=700"))), abs=1e-6)
    assert parity.run_pnl == pytest.approx(float(profit(run_with())), abs=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        ("gateway.latency_ms=700",),
        ("gateway.taker_fee=0.002",),
        ("trend.notional=400",),
        ("params.seed=5",),
        ('bars.intervals=["1s","5s"]', "trend.interval=1s"),
        ("risk.max_order_notional=200",),
    ],
)
def test_what_the_causes_are_worth_is_together_what_the_profits_differ_by(
    run_with: Runs, changes: tuple[str, ...]
) -> None:
    parity = compared(run_with(*changes), run_with())
    assert parity.differing
    together = sum(counted.worth for counted in parity.causes.values())
    assert together == pytest.approx(parity.live_pnl - parity.run_pnl, abs=1e-9)


def test_a_command_that_takes_longer_meets_later_quotes_and_that_is_why_it_paid_another_price(run_with: Runs) -> None:
    parity = compared(run_with("gateway.latency_ms=700"), run_with())
    entries = [match for match in parity.matches if match.live and match.run and match.live.by == "trend"]
    first = entries[0]
    assert first.live is not None
    assert first.run is not None
    assert first.live.decided_at == first.run.decided_at
    late, prompt = first.live.fills[0], first.run.fills[0]
    assert late.top is not None
    assert prompt.top is not None
    assert late.top.number > prompt.top.number
    (price,) = [one for one in first.differences if one.aspect is Aspect.PRICE]
    assert price.cause is Cause.LATENCY
    moved = late.price - prompt.price
    signed = first.live.filled * (-1 if first.live.side is Side.BUY else 1)
    assert price.worth == pytest.approx(moved * signed)


def test_another_fee_is_told_as_a_fee_and_as_nothing_else(run_with: Runs) -> None:
    parity = compared(run_with("gateway.taker_fee=0.002"), run_with())
    assert causes_of(parity, Aspect.PRICE) == set()
    assert causes_of(parity, Aspect.FEES) == {Cause.FEES}
    paid = sum(match.live.fees - match.run.fees for match in parity.matches if match.live and match.run)
    assert parity.causes[Cause.FEES].worth == pytest.approx(-paid)


def test_an_order_that_only_one_side_has_names_what_was_known_otherwise(run_with: Runs) -> None:
    parity = compared(run_with("gateway.latency_ms=25000"), run_with())
    alone = [match for match in parity.matches if match.live is None or match.run is None]
    assert alone
    assert causes_of(parity, Aspect.EXISTENCE) <= {Cause.FOLLOWS, Cause.CHANCE, Cause.END}
    assert all(one.detail for match in alone for one in match.differences)


def entry_of(log: Log) -> tuple[str, int]:
    """Name the second order of the strategy, and the position of the bar that it was decided on."""
    wishes = [one for one in log if isinstance(one.event, OrderIntent) and not one.event.order.reduce_only]
    wish = wishes[1]
    assert isinstance(wish.event, OrderIntent)
    assert wish.cause is not None
    return wish.event.order.client_order_id, wish.cause


def without(log: Log, order_id: str) -> Log:
    return [one for one in log if f'"{order_id}"'.encode() not in encode(one.event)]


def test_a_bar_that_shows_something_else_is_why_nothing_was_decided_on_it(run_with: Runs) -> None:
    run = run_with()
    order_id, position = entry_of(run)
    live = [
        replace(one, event=replace(one.event, close=one.event.close - 5.0))
        if one.position == position and isinstance(one.event, Bar)
        else one
        for one in without(run, order_id)
    ]
    (match,) = compared(live, run).differing
    assert match.live is None
    (why,) = match.differences
    assert (why.cause, why.aspect) == (Cause.BARS, Aspect.EXISTENCE)
    assert "close" in why.detail


def test_a_bar_that_was_never_closed_is_why_nothing_was_decided_on_it(run_with: Runs) -> None:
    run = run_with()
    order_id, position = entry_of(run)
    live = [one for one in without(run, order_id) if one.position != position]
    (match,) = compared(live, run).differing
    assert match.differences[0].cause is Cause.BARS


def test_what_nothing_explains_is_said_to_be_unexplained(run_with: Runs) -> None:
    run = run_with()
    order_id, _ = entry_of(run)
    (match,) = compared(without(run, order_id), run).differing
    assert [one.cause for one in match.differences] == [Cause.UNEXPLAINED]


def test_what_was_decided_at_the_very_end_is_no_more_than_cut_off(run_with: Runs) -> None:
    run = run_with()
    order_id, _ = entry_of(run)
    decided_at = session(run).orders[order_id].decided_at
    whole = [one for one in run if one.event.ts_init <= decided_at]
    (match,) = compared(without(whole, order_id), whole).differing
    assert [one.cause for one in match.differences] == [Cause.END]


def test_the_page_shows_each_decision_that_differs_and_escapes_what_it_is_told(run_with: Runs) -> None:
    parity = compared(run_with("gateway.latency_ms=700"), run_with())
    page = page_of(Told(parity, "the <tape>", 1, 9, 10, 0, ("a & b",)))
    assert "the &lt;tape&gt;" in page
    assert "a &amp; b" in page
    for match in parity.differing:
        assert match.order.order_id in page


# -- matching ----------------------------------------------------------------------------------------------------------

MODEL = Order(
    "x", "trend", InstrumentId(BTC), Side.BUY, "trend", Decimal(1), "market", 1.0, 1, 1, 1, Trigger("market"), None
)


def decided(moments: list[int]) -> list[Order]:
    return [
        replace(MODEL, order_id=f"trend-{place}-0", position=place, decided_at=moment, fills=[])
        for place, moment in enumerate(sorted(moments), start=1)
    ]


moments = lists(integers(0, 60), max_size=25)


@given(live=moments, run=moments, window=integers(0, 20))
def test_each_decision_is_in_exactly_one_pair_and_none_are_further_apart_than_the_window(
    live: list[int], run: list[int], window: int
) -> None:
    pairs = list(matched(decided(live), decided(run), window))
    assert sorted(one.decided_at for one, _ in pairs if one) == sorted(live)
    assert sorted(other.decided_at for _, other in pairs if other) == sorted(run)
    assert all(abs(one.decided_at - other.decided_at) <= window for one, other in pairs if one and other)


@given(live=moments, run=moments, window=integers(0, 20))
def test_none_is_left_alone_that_has_another_lonely_one_within_the_window(
    live: list[int], run: list[int], window: int
) -> None:
    pairs = list(matched(decided(live), decided(run), window))
    lonely = [one.decided_at for one, other in pairs if one and not other]
    others = [other.decided_at for one, other in pairs if other and not one]
    assert all(abs(one - other) > window for one in lonely for other in others)


@given(both=moments, window=integers(0, 20))
def test_the_same_decisions_are_paired_with_themselves(both: list[int], window: int) -> None:
    pairs = matched(decided(both), decided(both), window)
    assert all(one is not None and other is not None and one.order_id == other.order_id for one, other in pairs)
