"""The ledger: nothing appears and nothing vanishes."""

from decimal import Decimal

import pytest

from contracts.types import PositionSide
from services.portfolio.ledger import Account, AccountKind, Entry, Ledger, Unbalanced, move
from tests.builders import BTC, ETH

CASH, CAPITAL = Account(AccountKind.CASH, "trend", "USDT"), Account(AccountKind.CAPITAL, "trend", "USDT")
VENUE, FEES = Account(AccountKind.VENUE, "sim", "USDT", "sim"), Account(AccountKind.FEES, "trend", "USDT", "sim")


def test_a_posting_moves_between_accounts() -> None:
    ledger = Ledger()
    ledger.post(move(Decimal(5), source=CAPITAL, target=CASH))
    assert ledger.balances == {CAPITAL: Decimal(-5), CASH: Decimal(5)}


def test_a_posting_that_does_not_sum_to_zero_is_refused_and_leaves_nothing() -> None:
    ledger = Ledger()
    with pytest.raises(Unbalanced, match="USDT"):
        ledger.post([Entry(CASH, Decimal(5)), Entry(CAPITAL, Decimal(-4))])
    assert ledger.balances == {}


def test_units_do_not_balance_each_other() -> None:
    with pytest.raises(Unbalanced):
        Ledger().post([Entry(CASH, Decimal(5)), Entry(Account(AccountKind.POSITION, "trend", BTC), Decimal(-5))])


def test_a_way_books_what_the_posting_of_a_move_books() -> None:
    moved, posted = Ledger(), Ledger()
    way = moved.way(source=CAPITAL, target=CASH)
    for amount in (Decimal(5), Decimal("-0.10")):
        way.move(amount)
        posted.post(move(amount, source=CAPITAL, target=CASH))
    assert repr(moved.state()) == repr(posted.state())


def test_there_is_no_way_between_units_and_it_leaves_nothing() -> None:
    ledger = Ledger()
    with pytest.raises(Unbalanced, match="not of one unit"):
        ledger.way(source=CASH, target=Account(AccountKind.POSITION, "trend", BTC))
    assert ledger.balances == {}


def test_a_venue_holds_what_was_moved_there_less_what_it_kept() -> None:
    ledger = Ledger()
    ledger.post(move(Decimal(30), source=CASH, target=VENUE))
    ledger.post(move(Decimal(1), source=CASH, target=FEES))
    ledger.post(move(Decimal(7), source=CASH, target=Account(AccountKind.FEES, "trend", "USDT", "other")))
    assert ledger.at_venue("sim", "USDT") == -31
    assert ledger.balance(AccountKind.CASH, "trend", "USDT") == -38


def test_longs_and_shorts_are_accounts_of_their_own() -> None:
    long = Account(AccountKind.POSITION, "trend", ETH, side=PositionSide.LONG)
    short = Account(AccountKind.POSITION, "trend", ETH, side=PositionSide.SHORT)
    ledger = Ledger()
    ledger.post(move(Decimal(2), source=short, target=long))
    assert ledger.balance(AccountKind.POSITION, "trend", ETH, PositionSide.LONG) == 2
    assert ledger.balance(AccountKind.POSITION, "trend", ETH, PositionSide.SHORT) == -2
