"""Fees in any currency: they leave cash in their own, and count at the rate of the market."""

from dataclasses import replace
from decimal import Decimal

from contracts.books import EquityMarked, MarkedBalance, PositionChanged
from contracts.control import Alert
from contracts.event import Event
from contracts.market import Quote
from contracts.orders import OrderFilled
from contracts.types import InstrumentId, Side
from services.portfolio.ledger import AccountKind
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from tape.memory import MemoryTape
from tests.builders import BTC, filled, quote, terms, tick

BNB = InstrumentId("sim.BNBUSDT")


def kept(*events: Event) -> tuple[Portfolio, MemoryTape]:
    portfolio = Portfolio(PortfolioSettings(capital=Decimal(1000)))
    tape = MemoryTape([portfolio])
    tape.play(events)
    return portfolio, tape


def paid_in(currency: str, fee: str, *, side: Side = Side.BUY) -> OrderFilled:
    return replace(filled(terms(side), price="100", fee=fee), fee_currency=currency)


def bnb_at(price: float, instrument: InstrumentId = BNB) -> Quote:
    return quote(price, price, instrument=instrument)


def test_a_fee_counts_at_the_rate_when_it_was_paid() -> None:
    _, tape = kept(bnb_at(500.0), paid_in("BNB", "0.002"))
    (marked,) = tape.of_type(EquityMarked)
    assert [marked.fees, marked.cash, marked.equity] == [1, 900, 999]
    assert marked.balances == (
        MarkedBalance(currency="BNB", amount=Decimal("-0.002"), rate=Decimal("500.0"), value=Decimal("-1.0000")),
    )
    (changed,) = tape.of_type(PositionChanged)
    assert changed.fees == 1


def test_what_its_currency_gains_afterwards_is_not_a_fee() -> None:
    _, tape = kept(bnb_at(500.0), paid_in("BNB", "0.002"), bnb_at(600.0), tick(1.0))
    marked = tape.of_type(EquityMarked)[-1]
    assert [marked.fees, marked.unrealized_pnl] == [1, Decimal("-0.2")]
    assert marked.equity == 1000 - 1 - Decimal("0.2")


def test_the_ledger_holds_it_in_its_own_currency() -> None:
    portfolio, _ = kept(bnb_at(500.0), paid_in("BNB", "0.002"))
    assert portfolio.ledger.balance(AccountKind.CASH, "trend", "BNB") == Decimal("-0.002")
    assert portfolio.ledger.at_venue("sim", "BNB") == Decimal("-0.002")
    assert portfolio.ledger.at_venue("sim", "USDT") == -100


def test_any_venue_may_say_what_a_currency_is_worth_and_the_own_one_says_it_best() -> None:
    other = InstrumentId("other.BNBUSDT")
    _, far = kept(bnb_at(700.0, other), paid_in("BNB", "0.001"))
    _, near = kept(bnb_at(700.0, other), bnb_at(500.0), paid_in("BNB", "0.001"))
    assert [tape.of_type(EquityMarked)[-1].fees for tape in (far, near)] == [Decimal("0.7"), Decimal("0.5")]


def test_a_purchase_may_pay_in_what_it_buys() -> None:
    _, tape = kept(quote(100.0, 100.0), paid_in("BTC", "0.001"))
    (marked,) = tape.of_type(EquityMarked)
    assert [position.quantity for position in marked.positions] == [1]
    assert [(balance.currency, balance.amount) for balance in marked.balances] == [("BTC", Decimal("-0.001"))]
    assert marked.equity == Decimal("999.9")


def test_a_fee_without_a_rate_waits_for_one_and_a_person_is_told_once() -> None:
    portfolio, tape = kept(paid_in("BNB", "0.002"), paid_in("BNB", "0.001"))
    marked = tape.of_type(EquityMarked)[-1]
    assert [marked.fees, marked.balances, marked.equity] == [0, (), 1000]
    assert portfolio.ledger.balance(AccountKind.CASH, "trend", "BNB") == Decimal("-0.003")
    (alert,) = tape.of_type(Alert)
    assert alert.code == "fee_without_rate"
    assert "BNBUSDT" in alert.message


def test_it_counts_from_the_first_rate_on() -> None:
    _, tape = kept(paid_in("BNB", "0.002"), tick(1.0), bnb_at(500.0), tick(2.0), tick(3.0))
    before, after, later = tape.of_type(EquityMarked)[-3:]
    assert [before.fees, after.fees, later.fees] == [0, 1, 1]
    assert [before.equity, after.equity] == [1000, 999]
    assert after.balances[0].amount == Decimal("-0.002")


def test_flat_books_are_told_of_a_late_fee_too() -> None:
    buy, sell = paid_in("BNB", "0.002"), filled(terms(Side.SELL), price="100")
    _, tape = kept(buy, sell, tick(1.0), bnb_at(500.0), tick(2.0))
    assert tape.of_type(EquityMarked)[-1].equity == 999


def test_a_rebate_in_another_currency_is_ours() -> None:
    _, tape = kept(bnb_at(500.0), paid_in("BNB", "-0.002"))
    (marked,) = tape.of_type(EquityMarked)
    assert [marked.fees, marked.equity] == [-1, 1001]


def test_no_fee_needs_no_rate() -> None:
    _, tape = kept(paid_in("BNB", "0"))
    assert tape.of_type(Alert) == []


def test_what_cannot_be_kept_exactly_is_told_and_not_booked() -> None:
    for strange in (
        replace(filled(terms()), price=Decimal(-1)),
        replace(filled(terms()), quantity=Decimal("1e-13")),
        replace(filled(terms()), price=Decimal("1e12")),
        replace(filled(terms()), fee=Decimal("1e-15")),
    ):
        portfolio, tape = kept(strange)
        (alert,) = [recorded.event for recorded in tape.recorded]
        assert isinstance(alert, Alert)
        assert (alert.code, portfolio.books) == ("unbookable_fill", {})
        assert BTC in alert.message
