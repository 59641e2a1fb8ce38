"""Trades that end, what they were of, and longs and shorts that are kept apart."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import pytest

from contracts.books import EquityMarked, PortfolioMarked, PositionChanged, PositionClosed
from contracts.control import Alert
from contracts.event import Event
from contracts.orders import OrderFilled, OrderInitialized, OrderTerms
from contracts.types import OrderType, PositionSide, Severity, Side, TriggerBy
from services.portfolio.ledger import AccountKind
from services.portfolio.rules import Portfolio
from services.portfolio.settings import CostMethod, PortfolioSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, START, filled, ns, quote, terms, tick

BUY, SELL = Side.BUY, Side.SELL
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
FIFO = PortfolioSettings(capital=Decimal(1000), cost=CostMethod.FIFO)
HEDGING = PortfolioSettings(capital=Decimal(1000), hedging=("trend",))


def books(*events: Event, settings: PortfolioSettings | None = None) -> MemoryTape:
    tape = MemoryTape([Portfolio(settings or PortfolioSettings(capital=Decimal(1000)))])
    tape.play(events)
    return tape


def begun(order: OrderTerms) -> OrderInitialized:
    return OrderInitialized(ts_event=START, ts_init=START, order=order)


def traded(side: Side, quantity: str, price: str, *, fee: str = "0", order_id: str = "trend-1-0") -> OrderFilled:
    return filled(terms(side, quantity, order_id=order_id), price=price, fee=fee)


def reduced(side: Side, quantity: str, price: str) -> list[Event]:
    order = terms(side, quantity, order_id=f"trend-9-{price}", reduce_only=True)
    return [begun(order), filled(order, price=price)]


def sides(said: Iterable[PositionChanged]) -> dict[PositionSide, Decimal]:
    return {changed.position_side: changed.quantity for changed in said}


def test_a_position_that_is_flat_again_is_told_as_one_trade() -> None:
    order = terms(SELL, "3", order_id="trend-7-0")
    tape = books(
        replace(traded(BUY, "1", "100", fee="0.1"), ts_event=ns(5)),
        traded(BUY, "2", "103", fee="0.2"),
        filled(order, "1", price="110"),
        replace(filled(order, "2", before="1", price="107", fee="0.3"), ts_event=ns(9)),
    )
    (closed,) = tape.of_type(PositionClosed)
    assert [closed.side, closed.quantity] == [BUY, 3]
    assert [closed.entry_price, closed.exit_price] == [102, 108]
    assert [closed.realized_pnl, closed.fees, closed.net_pnl] == [18, Decimal("0.6"), Decimal("17.4")]
    assert (closed.opened_at, closed.closed_at) == (ns(5), ns(9))
    assert (closed.closed_by, closed.stopped) == ("trend-7-0", False)


def test_it_is_said_between_the_position_and_the_equity() -> None:
    tape = books(traded(BUY, "1", "100"), traded(SELL, "1", "101"))
    assert [type(recorded.event) for recorded in tape.recorded[-3:]] == [PositionChanged, PositionClosed, EquityMarked]


def test_a_fill_that_turns_long_into_short_ends_one_trade_and_begins_the_next() -> None:
    tape = books(traded(BUY, "1", "100"), traded(SELL, "3", "110", fee="0.9"), traded(BUY, "2", "105"))
    first, second = tape.of_type(PositionClosed)
    assert [first.side, first.quantity, first.realized_pnl, first.fees] == [BUY, 1, 10, Decimal("0.3")]
    assert [second.side, second.quantity, second.realized_pnl, second.fees] == [SELL, 2, 10, Decimal("0.6")]


def test_a_trade_that_a_protective_stop_ended_says_so() -> None:
    stop = replace(
        terms(SELL, "1", order_id="trend-2-0", reduce_only=True),
        order_type=OrderType.STOP_MARKET,
        trigger_price=Decimal(95),
        trigger_by=TriggerBy.BID_ASK,
    )
    (closed,) = books(begun(stop), traded(BUY, "1", "100"), filled(stop, price="95")).of_type(PositionClosed)
    assert (closed.stopped, closed.closed_by) == (True, "trend-2-0")


@pytest.mark.parametrize(
    ("fills", "average_price", "realized_pnl"),
    [
        ((traded(BUY, "1", "100"), traded(BUY, "1", "120"), traded(SELL, "1", "130")), "120", "30"),
        ((traded(BUY, "1", "100"), traded(BUY, "3", "120"), traded(SELL, "2", "130")), "120", "40"),
        ((traded(SELL, "2", "100"), traded(SELL, "2", "80"), traded(BUY, "3", "90")), "80", "10"),
        ((traded(BUY, "1", "100"), traded(BUY, "1", "120"), traded(SELL, "5", "130")), "130", "40"),
    ],
)
def test_first_in_first_out(fills: tuple[Event, ...], average_price: str, realized_pnl: str) -> None:
    last = books(*fills, settings=FIFO).of_type(PositionChanged)[-1]
    assert (last.average_price, last.realized_pnl) == (Decimal(average_price), Decimal(realized_pnl))


def test_a_long_and_a_short_live_side_by_side() -> None:
    tape = books(traded(BUY, "3", "100"), traded(SELL, "2", "110"), quote(105.0, 105.0), tick(1.0), settings=HEDGING)
    assert sides(tape.of_type(PositionChanged)) == {LONG: Decimal(3), SHORT: Decimal(-2)}
    marked = tape.of_type(EquityMarked)[-1]
    assert {(one.position_side, one.unrealized_pnl) for one in marked.positions} == {
        (LONG, Decimal(15)),
        (SHORT, Decimal(10)),
    }
    assert marked.equity == 1025


def test_an_order_that_only_reduces_closes_the_other_side() -> None:
    tape = books(traded(BUY, "3", "100"), traded(SELL, "2", "110"), *reduced(BUY, "2", "104"), settings=HEDGING)
    assert sides(tape.of_type(PositionChanged)) == {LONG: Decimal(3), SHORT: Decimal(0)}
    (closed,) = tape.of_type(PositionClosed)
    assert [closed.side, closed.realized_pnl] == [SELL, 12]


def test_what_was_reduced_too_much_opens_the_other_side_and_a_person_is_told() -> None:
    tape = books(traded(BUY, "1", "100"), *reduced(SELL, "3", "90"), settings=HEDGING)
    assert sides(tape.of_type(PositionChanged)) == {LONG: Decimal(0), SHORT: Decimal(-2)}
    (alert,) = tape.of_type(Alert)
    assert (alert.code, alert.severity) == ("closed_too_much", Severity.CRITICAL)
    assert "trend-9-90" in alert.message


def test_the_ledger_keeps_longs_and_shorts_apart() -> None:
    portfolio = Portfolio(HEDGING)
    MemoryTape([portfolio]).play([traded(BUY, "3", "100"), traded(SELL, "2", "110")])
    balance = portfolio.ledger.balance
    assert [balance(AccountKind.POSITION, "trend", BTC, side) for side in (LONG, SHORT)] == [3, -2]


def test_how_positions_are_kept_changes_only_when_nothing_is_held() -> None:
    netting, hedging = Portfolio(PortfolioSettings()), Portfolio(HEDGING)
    MemoryTape([netting]).play([traded(BUY, "3", "100")])
    hedging.restore(netting.state())
    tape = MemoryTape([hedging])
    tape.play([traded(SELL, "2", "100"), traded(SELL, "1", "100"), traded(SELL, "1", "100")])
    assert [said.position_side for said in tape.of_type(PositionChanged)] == [PositionSide.NET, PositionSide.NET, SHORT]


def test_all_strategies_together_are_marked_behind_the_single_ones() -> None:
    short = filled(terms(SELL, "2", strategy="scalper", instrument=ETH, order_id="scalper-1-0"), price="50")
    tape = books(traded(BUY, "1", "100", fee="1"), short, quote(109.0, 111.0), tick(1.0))
    assert isinstance(tape.recorded[-1].event, PortfolioMarked)
    marked = tape.of_type(PortfolioMarked)[-1]
    assert [marked.equity, marked.peak] == [2009, 2009]
    assert [marked.gross, marked.net] == [210, 10]
    assert [marked.unrealized_pnl, marked.fees] == [10, 1]


def test_when_everything_is_flat_it_is_said_once() -> None:
    tape = books(traded(BUY, "1", "100"), traded(SELL, "1", "110"), *(tick(float(second)) for second in range(5)))
    (marked,) = tape.of_type(PortfolioMarked)
    assert [marked.equity, marked.gross, marked.realized_pnl] == [1010, 0, 10]


def test_a_new_strategy_does_not_hide_a_loss_of_the_others() -> None:
    lost = (traded(BUY, "1", "100"), tick(1.0), traded(SELL, "1", "60"), tick(2.0))
    newcomer = filled(terms(strategy="scalper", order_id="scalper-1-0"), price="100")
    marked = books(*lost, newcomer, tick(3.0)).of_type(PortfolioMarked)[-1]
    assert marked.peak - marked.equity == 40


def test_books_of_what_others_placed_for_us_begin_without_cash() -> None:
    foreign = filled(terms(BUY, "1", strategy="external", order_id="ext-1"), price="100")
    (marked,) = books(foreign, quote(109.0, 111.0)).of_type(EquityMarked)
    assert [marked.cash, marked.equity, marked.peak] == [-100, 0, 0]
