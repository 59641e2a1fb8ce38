"""Funding of perpetuals, whose mark is what their venue settles on."""

from dataclasses import replace
from decimal import Decimal

import pytest

from contracts.books import EquityMarked, PositionChanged, PositionClosed
from contracts.control import Alert
from contracts.event import Event
from contracts.market import Funding
from contracts.orders import OrderFilled
from contracts.types import Severity, Side
from contracts.venue import FundingPaid
from services.portfolio.bookable import divided
from services.portfolio.position import CENT_OF_COST
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, START, filled, quote, terms, tick

BUY, SELL = Side.BUY, Side.SELL


def books(*events: Event, hedging: tuple[str, ...] = ()) -> MemoryTape:
    tape = MemoryTape([Portfolio(PortfolioSettings(capital=Decimal(1000), hedging=hedging))])
    tape.play(events)
    return tape


def held(side: Side, quantity: str, strategy: str = "trend") -> OrderFilled:
    return filled(terms(side, quantity, strategy=strategy, order_id=f"{strategy}-1-0"), price="100")


def paid(amount: str, strategy: str | None = "trend", *, funding_id: str = "f1", currency: str = "USDT") -> FundingPaid:
    return FundingPaid(
        ts_event=START,
        ts_init=START,
        instrument=BTC,
        strategy=strategy,
        amount=Decimal(amount),
        currency=currency,
        rate=0.0001,
        quantity=Decimal(1),
        funding_id=funding_id,
    )


def mark(price: float) -> Funding:
    return Funding(ts_event=START, ts_init=START, instrument=BTC, mark=price, index=price, rate=0.0001, next_at=START)


def test_funding_moves_cash_and_is_told_with_the_position() -> None:
    tape = books(held(BUY, "2"), paid("-0.5"))
    changed, marked = (recorded.event for recorded in tape.recorded[-2:])
    assert isinstance(changed, PositionChanged)
    assert [changed.quantity, changed.funding] == [2, Decimal("-0.5")]
    assert isinstance(marked, EquityMarked)
    assert (marked.funding, marked.cash, marked.equity) == (Decimal("-0.5"), Decimal("799.5"), Decimal("999.5"))


def test_what_nobody_is_named_for_is_divided_by_what_is_held() -> None:
    tape = books(held(BUY, "3", "trend"), held(SELL, "1", "scalper"), paid("-2", None))
    last = {said.strategy: said.funding for said in tape.of_type(PositionChanged)}
    assert last == {"trend": Decimal(-3), "scalper": Decimal(1)}


def test_what_cannot_be_divided_evenly_loses_nothing() -> None:
    assert sum(divided(Decimal(-1), [Decimal(1), Decimal(1), Decimal(1)], CENT_OF_COST)) == -1


def test_a_trade_bears_the_funding_of_its_time() -> None:
    tape = books(held(BUY, "2"), paid("-0.5"), held(SELL, "2"), held(BUY, "2"), held(SELL, "2"))
    assert [closed.funding for closed in tape.of_type(PositionClosed)] == [Decimal("-0.5"), 0]


def test_long_and_short_of_one_strategy_bear_it_by_what_they_are() -> None:
    tape = books(held(BUY, "3"), held(SELL, "1"), paid("-2"), hedging=("trend",))
    assert [said.funding for said in tape.of_type(PositionChanged)[-2:]] == [Decimal(-3), Decimal(1)]


def test_a_strategy_that_has_just_left_still_gets_what_is_named_as_its_own() -> None:
    marked = books(held(BUY, "2"), held(SELL, "2"), paid("0.25")).of_type(EquityMarked)[-1]
    assert (marked.funding, marked.equity) == (Decimal("0.25"), Decimal("1000.25"))


@pytest.mark.parametrize(
    ("funding", "severity", "code"),
    [
        (paid("1", "nobody"), Severity.CRITICAL, "unbookable_funding"),
        (replace(paid("1", None), instrument=ETH), Severity.CRITICAL, "unbookable_funding"),
        (paid("1", currency="EUR"), Severity.CRITICAL, "unbookable_funding"),
        (paid("1e-20"), Severity.CRITICAL, "unbookable_funding"),
        (paid("1", funding_id="f0"), Severity.WARNING, "repeated_funding"),
    ],
)
def test_what_cannot_be_booked_is_told_and_changes_nothing(funding: FundingPaid, severity: Severity, code: str) -> None:
    before = (held(BUY, "2"), paid("1", funding_id="f0"))
    portfolio = Portfolio(PortfolioSettings(capital=Decimal(1000)))
    tape = MemoryTape([portfolio])
    tape.play(before)
    balances = dict(portfolio.ledger.balances)
    tape.play([funding])
    alert = tape.recorded[-1].event
    assert isinstance(alert, Alert)
    assert (alert.severity, alert.code) == (severity, code)
    assert funding.funding_id in alert.message
    assert portfolio.ledger.balances == balances


def test_a_perpetual_is_worth_its_mark_price() -> None:
    tape = books(quote(100.0, 102.0), mark(110.0), held(BUY, "2"), quote(120.0, 122.0), tick(1.0))
    assert [marked.equity for marked in tape.of_type(EquityMarked)] == [1020, 1020]
