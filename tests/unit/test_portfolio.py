"""The books: every fill is booked twice, and what a strategy holds and is worth follows to the last digit."""

from decimal import Decimal

import pytest

from contracts.books import EquityMarked, PositionChanged
from contracts.control import Alert
from contracts.event import Event
from contracts.orders import OrderFilled
from contracts.types import Severity, Side
from services.portfolio.position import Position
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, filled, quote, terms, tick

BUY, SELL = Side.BUY, Side.SELL


def books(*events: Event, capital: int = 1000, mark_every_s: int = 1) -> MemoryTape:
    tape = MemoryTape([Portfolio(PortfolioSettings(capital=Decimal(capital), mark_every_s=mark_every_s))])
    tape.play(events)
    return tape


def bought(quantity: str, price: str, *, fee: str = "0") -> OrderFilled:
    return filled(terms(BUY, quantity), price=price, fee=fee)


def sold(quantity: str, price: str, *, fee: str = "0") -> OrderFilled:
    return filled(terms(SELL, quantity), price=price, fee=fee)


def test_a_purchase_opens_a_position_at_its_price() -> None:
    (position,) = books(bought("2", "100", fee="0.5")).of_type(PositionChanged)
    assert position.quantity == 2
    assert position.average_price == 100
    assert position.realized_pnl == 0
    assert position.fees == Decimal("0.5")


@pytest.mark.parametrize(
    ("fills", "quantity", "average_price", "realized_pnl"),
    [
        ((bought("1", "100"), bought("3", "104")), "4", "103", "0"),
        ((bought("4", "100"), sold("1", "110")), "3", "100", "10"),
        ((bought("4", "100"), sold("4", "90")), "0", None, "-40"),
        ((sold("2", "100"), bought("1", "90")), "-1", "100", "10"),
        ((bought("1", "100"), sold("3", "110")), "-2", "110", "10"),
        ((sold("1", "100"), bought("3", "110")), "2", "110", "-10"),
        ((bought("1", "100"), sold("1", "101"), bought("1", "200")), "1", "200", "1"),
        ((bought("3", "1"), bought("3", "2"), sold("1", "2")), "5", "1.5", "0.5"),
    ],
)
def test_average_cost(fills: tuple[Event, ...], quantity: str, average_price: str | None, realized_pnl: str) -> None:
    last = books(*fills).of_type(PositionChanged)[-1]
    assert last.quantity == Decimal(quantity)
    assert last.average_price == (None if average_price is None else Decimal(average_price))
    assert last.realized_pnl == Decimal(realized_pnl)


def test_an_average_that_no_decimal_holds_loses_nothing() -> None:
    last = books(bought("1", "1"), bought("2", "2"), sold("1", "3"), sold("2", "3")).of_type(EquityMarked)[-1]
    assert last.equity == last.cash == 1004


def test_a_mark_is_the_exact_middle_of_the_last_quote() -> None:
    (marked,) = books(quote(0.1, 0.2), bought("3", "0.2")).of_type(EquityMarked)
    (position,) = marked.positions
    assert (position.mark, position.value) == (Decimal("0.15"), Decimal("0.45"))
    assert position.unrealized_pnl == Decimal("-0.15")


def test_each_position_is_worth_what_its_own_instrument_is() -> None:
    coin = terms(BUY, "3", instrument=ETH, order_id="trend-2-0")
    quotes = quote(100.0, 102.0), quote(10.0, 12.0, instrument=ETH)
    marked = books(*quotes, bought("1", "100"), filled(coin, price="10")).of_type(EquityMarked)[-1]
    assert {position.instrument: position.mark for position in marked.positions} == {BTC: 101, ETH: 11}


def test_before_the_first_quote_a_position_is_worth_what_was_paid() -> None:
    (marked,) = books(bought("2", "100", fee="1")).of_type(EquityMarked)
    assert [marked.cash, marked.equity, marked.unrealized_pnl] == [799, 999, 0]


def test_equity_is_marked_on_the_clock_while_something_is_held() -> None:
    tape = books(bought("2", "100"), quote(99.0, 111.0), tick(1.0), sold("2", "105"), tick(2.0))
    assert [marked.equity for marked in tape.of_type(EquityMarked)] == [1000, 1010, 1010]


def test_equity_is_marked_on_every_nth_tick() -> None:
    tape = books(bought("2", "100"), *(tick(float(second)) for second in range(6)), mark_every_s=3)
    assert len(tape.of_type(EquityMarked)) == 1 + 2


def test_the_peak_is_the_highest_equity_so_far() -> None:
    quotes = [quote(price, price) for price in (110.0, 130.0, 90.0, 120.0)]
    tape = books(bought("1", "100"), *(event for mark in quotes for event in (mark, tick(1.0))))
    assert [marked.peak for marked in tape.of_type(EquityMarked)] == [1000, 1010, 1030, 1030, 1030]


def test_each_strategy_has_books_of_its_own() -> None:
    mine, theirs = terms(strategy="trend"), terms(strategy="scalper", order_id="scalper-1-0")
    first, second = books(filled(mine, price="100", fee="1"), filled(theirs, price="200")).of_type(EquityMarked)
    assert first.strategy == "trend"
    assert [first.cash, first.equity] == [899, 999]
    assert second.strategy == "scalper"
    assert [second.cash, second.equity] == [800, 1000]


def test_each_instrument_is_a_position_of_its_own() -> None:
    coin = terms(BUY, "3", instrument=ETH, order_id="trend-2-0")
    marked = books(bought("1", "100"), filled(coin, price="10")).of_type(EquityMarked)[-1]
    assert {position.instrument: position.quantity for position in marked.positions} == {BTC: 1, ETH: 3}


def test_a_fill_in_a_currency_of_no_books_is_a_critical_alert_and_is_not_booked() -> None:
    tape = books(filled(terms(), currency="EUR"), tick(1.0))
    (said,) = [recorded.event for recorded in tape.recorded]
    assert isinstance(said, Alert)
    assert said.severity is Severity.CRITICAL
    assert "EUR" in said.message


def test_settings_refuse_books_without_capital() -> None:
    with pytest.raises(ValueError, match="capital"):
        PortfolioSettings(capital=Decimal(0))


def test_a_position_that_was_never_traded_is_worth_nothing() -> None:
    assert Position().average_price is None
    assert Position().unrealized_pnl(Decimal(100)) == 0
