"""The gateway's book of a venue: what is missing is reported once, what is strange is told, nothing is guessed."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from contracts.control import Alert
from contracts.event import Event
from contracts.market import Funding
from contracts.orders import Amendment
from contracts.types import Liquidity, ReconciliationKind, Side
from contracts.venue import (
    AmendOrder,
    FundingPaid,
    Reconciled,
    VenueAccepted,
    VenueAmended,
    VenueAmendRejected,
    VenueBalance,
    VenueCanceled,
    VenueCancelRejected,
    VenueFilled,
    VenuePosition,
    VenueRejected,
)
from tests.builders import BTC, START, cancel, submit, terms
from venues.reconciliation.account import AccountBook
from venues.reconciliation.book import VenueBook
from venues.reconciliation.entry import Entry, name_of, read_name
from venues.reconciliation.findings import in_order, reconcile_order, reconcile_trade
from venues.reconciliation.views import (
    AccountView,
    BalanceView,
    FundingView,
    PositionView,
    VenueOrderView,
    VenueStatus,
    VenueTradeView,
)

ORDER = terms(Side.BUY, "2", limit="100", order_id="trend-1-0")
OPEN = VenueOrderView(
    instrument=BTC,
    client_order_id="trend-1-0",
    venue_order_id="77",
    status=VenueStatus.OPEN,
    side=Side.BUY,
    quantity=Decimal(2),
    filled=Decimal(0),
    limit_price=Decimal(100),
    updated_at=START,
)
TRADE = VenueTradeView(
    instrument=BTC,
    trade_id="t1",
    venue_order_id="77",
    side=Side.BUY,
    price=Decimal(100),
    quantity=Decimal(1),
    currency="USDT",
    fee=Decimal("0.1"),
    fee_currency="USDT",
    liquidity=Liquidity.MAKER,
    traded_at=START,
)


@pytest.fixture
def book() -> VenueBook:
    made = VenueBook("sim", adopts=False, replaces=False)
    made.fold(submit(ORDER), 1)
    return made


def kinds(said: list[Event]) -> list[type[Event]]:
    return [type(event) for event in said]


def entry_of(book: VenueBook) -> Entry:
    entry = book.entry("trend-1-0")
    assert entry is not None
    return entry


def test_a_repeated_command_is_one_order(book: VenueBook) -> None:
    book.heard_order(OPEN, START)
    book.fold(submit(ORDER), 9)
    assert (entry_of(book).position, len(book.entries()), book.heard_order(OPEN, START)) == (1, 1, [])


def test_an_end_waits_for_the_trades_before_it(book: VenueBook) -> None:
    canceled = replace(OPEN, status=VenueStatus.CANCELED, filled=Decimal(1))
    assert kinds(book.heard_order(canceled, START)) == [VenueAccepted]
    assert book.lacking_trades() == [entry_of(book)]
    assert kinds(book.heard_trade(TRADE, START)) == [VenueFilled, VenueCanceled]


def test_a_trade_heard_before_its_order_waits_for_it(book: VenueBook) -> None:
    assert book.heard_trade(TRADE, START) == []
    assert kinds(book.heard_order(replace(OPEN, filled=Decimal(1)), START)) == [VenueAccepted, VenueFilled]
    assert book.strays() == ()


def test_a_fill_after_the_end_is_reported(book: VenueBook) -> None:
    book.heard_order(replace(OPEN, status=VenueStatus.CANCELED), START)
    assert kinds(book.heard_trade(TRADE, START)) == [VenueFilled]


def test_an_order_that_was_given_up_and_arrives_all_the_same_is_to_be_taken_back(book: VenueBook) -> None:
    assert kinds(book.refuse(entry_of(book), "never reached the venue", START)) == [VenueRejected]
    assert book.heard_order(OPEN, START) == []
    assert list(book.ghosts) == [(BTC, "77")]


def test_what_is_known_at_the_venue_is_not_refused(book: VenueBook) -> None:
    book.heard_order(OPEN, START)
    assert book.refuse(entry_of(book), "too late", START) == []


def test_a_refusal_by_the_venue_is_its_only_report(book: VenueBook) -> None:
    assert kinds(book.heard_order(replace(OPEN, status=VenueStatus.REJECTED), START)) == [VenueRejected]
    assert not book.live()


def test_a_refused_cancel_is_told_once(book: VenueBook) -> None:
    book.heard_order(OPEN, START)
    book.fold(cancel(ORDER), 2)
    assert kinds(book.refuse_cancel(entry_of(book), "no", START)) == [VenueCancelRejected]
    assert book.refuse_cancel(entry_of(book), "no", START) == []


def test_a_fill_of_what_may_have_grown_waits_for_the_new_terms(book: VenueBook) -> None:
    book.heard_order(OPEN, START)
    book.fold(amend("4"), 2)
    assert book.heard_trade(replace(TRADE, quantity=Decimal(2)), START) == []
    grown = replace(OPEN, quantity=Decimal(4), filled=Decimal(2), updated_at=START + 1)
    assert kinds(book.heard_order(grown, START)) == [VenueAmended, VenueFilled]
    assert entry_of(book).leaves == 2


def test_a_refused_change_lets_the_waiting_fill_pass(book: VenueBook) -> None:
    book.heard_order(OPEN, START)
    book.fold(amend("4"), 2)
    book.heard_trade(replace(TRADE, quantity=Decimal(2)), START)
    assert kinds(book.refuse_amend(entry_of(book), "no", START)) == [VenueAmendRejected, VenueFilled]
    assert not book.live()


def test_an_order_that_is_lost_in_being_replaced_is_over() -> None:
    book = VenueBook("sim", adopts=False, replaces=True)
    book.fold(submit(ORDER), 1)
    book.heard_order(OPEN, START)
    book.fold(amend("4"), 2)
    assert book.heard_order(replace(OPEN, status=VenueStatus.CANCELED), START) == []
    assert kinds(book.refuse_amend(entry_of(book), "refused", START)) == [VenueAmendRejected, VenueCanceled]


def test_old_orders_are_forgotten_and_open_ones_never(book: VenueBook) -> None:
    book.heard_order(OPEN, START)
    book.forget_before(START + 10**18)
    assert len(book.entries()) == 1
    book.heard_order(replace(OPEN, status=VenueStatus.CANCELED), START)
    book.forget_before(START + 1)
    assert book.entries() == []


def test_orders_of_other_venues_are_not_in_the_book() -> None:
    book = VenueBook("binance", adopts=False, replaces=False)
    book.fold(submit(ORDER), 1)
    assert book.entries() == []


def test_a_correction_comes_with_the_evidence_of_both_sides(book: VenueBook) -> None:
    found, *reports = reconcile_order(book, replace(OPEN, filled=Decimal(1), trades=(TRADE,)), START, "start")
    assert isinstance(found, Reconciled) and kinds(reports) == [VenueAccepted, VenueFilled]
    evidence = json.loads(found.evidence)
    assert (found.kind, found.corrected, found.subject) == (ReconciliationKind.MISSED_FILL, True, "trend-1-0")
    assert (evidence["ours"]["filled"], evidence["venue"]["filled"]) == ("0", "1")
    assert evidence["corrections"] == ["VenueAccepted", "VenueFilled t1"]


def test_what_is_known_needs_no_correction(book: VenueBook) -> None:
    book.heard_order(replace(OPEN, filled=Decimal(1), trades=(TRADE,)), START)
    assert reconcile_order(book, OPEN, START, "start") == []
    assert reconcile_trade(book, TRADE, START, "start") == []
    assert in_order("sim", 1, 1, START, "start").kind is ReconciliationKind.IN_ORDER


@pytest.mark.parametrize(("name", "read"), [("a-1", ("a-1", 0)), ("a-1.17", ("a-1", 17)), ("web.x", ("web.x", 0))])
def test_a_name_at_the_venue_says_which_replacement_it_is(name: str, read: tuple[str, int]) -> None:
    assert read_name(name) == read
    assert name_of(*read) == name


# -- accounts ----------------------------------------------------------------------------------------------------------


def account(*balances: tuple[str, str], position: str | None = None) -> AccountView:
    held = tuple(BalanceView(currency, Decimal(total), Decimal(total)) for currency, total in balances)
    positions = () if position is None else (PositionView(BTC, Decimal(position), Decimal(100), None, Decimal(1)),)
    return AccountView(held, positions)


def fill(quantity: str = "1") -> VenueFilled:
    return VenueFilled(
        ts_event=START,
        ts_init=START,
        client_order_id="trend-1-0",
        instrument=BTC,
        trade_id="t1",
        side=Side.BUY,
        price=Decimal(100),
        quantity=Decimal(quantity),
        fee=Decimal("0.1"),
        currency="USDT",
        liquidity=Liquidity.TAKER,
    )


def test_balances_are_told_when_they_change() -> None:
    book = AccountBook("sim", {BTC: "BTC"})
    assert kinds(book.look(account(("USDT", "1000")), START)) == [VenueBalance]
    assert book.look(account(("USDT", "1000")), START) == []


def test_what_our_trades_explain_is_no_difference() -> None:
    book = AccountBook("sim", {BTC: "BTC"})
    book.look(account(("USDT", "1000")), START)
    book.fold(fill())
    assert kinds(book.look(account(("USDT", "899.9"), ("BTC", "1")), START)) == [VenueBalance, VenueBalance]


def test_what_they_do_not_explain_is_told_with_an_alert_and_taken_as_it_is() -> None:
    book = AccountBook("sim", {BTC: "BTC"})
    book.look(account(("USDT", "1000")), START)
    said = book.look(account(("USDT", "900")), START)
    assert kinds(said) == [Reconciled, Alert, VenueBalance]
    assert isinstance(said[0], Reconciled) and not said[0].corrected
    assert book.look(account(("USDT", "900")), START) == []


def test_a_position_that_is_not_ours_is_told() -> None:
    book = AccountBook("sim", {})
    assert kinds(book.look(account(position="1"), START)) == [VenuePosition]
    book.fold(fill("2"))
    assert kinds(book.look(account(position="3"), START)) == [VenuePosition]
    assert kinds(book.look(account(position="1"), START)) == [Reconciled, Alert, VenuePosition]
    assert kinds(book.look(account(), START)) == [Reconciled, Alert, VenuePosition]


def test_funding_is_booked_once_at_the_rate_that_was_announced() -> None:
    book = AccountBook("sim", {})
    book.fold(Funding(ts_event=START, ts_init=START, instrument=BTC, mark=100.0, index=100.0, rate=0.01, next_at=START))
    payment = FundingView("f1", BTC, Decimal(-1), "USDT", START)
    (paid,) = book.pay(payment, book.announced_rate(payment) or 0.0, START)
    assert isinstance(paid, FundingPaid) and (paid.rate, paid.amount) == (0.01, Decimal(-1))
    assert book.pay(payment, 0.01, START) == []


def amend(quantity: str) -> AmendOrder:
    amendment = Amendment(
        client_order_id="trend-1-0",
        instrument=BTC,
        quantity=Decimal(quantity),
        limit_price=None,
        trigger_price=None,
    )
    return AmendOrder(ts_event=START, ts_init=START, amendment=amendment)
