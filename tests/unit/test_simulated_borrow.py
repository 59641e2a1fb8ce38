"""Interest on what is borrowed on spot: for each hour begun, on the most that was borrowed within it."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from contracts.control import Alert
from contracts.event import Event
from contracts.market import Quote
from contracts.types import InstrumentId, Side
from contracts.venue import FundingPaid, SubmitOrder
from services.gateway.rules import Gateway
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from services.router.rules import Router
from services.router.settings import RouterSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, LISTING, approval, listed, quote, submit, terms
from venues.simulated import SimulatedExchange, SimulationSettings

BUY, SELL = Side.BUY, Side.SELL
HOUR = 3_600.0
DAILY = {"per_day": "0.0024"}
"""A ten thousandth an hour."""


def settings(**borrow: object) -> SimulationSettings:
    return SimulationSettings.model_validate({"borrow": borrow, "maker_fee": 0, "taker_fee": 0})


def shown(at: float, price: float = 1000.0, instrument: InstrumentId = BTC) -> Quote:
    return quote(price, price, size=100, at=at, instrument=instrument)


def traded(side: Side, quantity: str, at: float, name: str, instrument: InstrumentId = BTC) -> SubmitOrder:
    return submit(terms(side, quantity, order_id=name, instrument=instrument), at=at)


def paid(wanted: SimulationSettings, *events: Event) -> list[FundingPaid]:
    at, said = SimulatedExchange(LISTING, wanted), []
    for event in events:
        if isinstance(event, Quote):
            said += listed(at.on_quote(event))
        else:
            assert isinstance(event, SubmitOrder)
            said += listed(at.command(event))
    return [report for report in said if isinstance(report, FundingPaid)]


def amounts(payments: list[FundingPaid]) -> list[Decimal]:
    return [payment.amount.normalize() for payment in payments]


def test_coins_sold_short_cost_interest_every_hour_at_the_price_of_buying_them_back() -> None:
    payments = paid(
        settings(**DAILY), shown(0), traded(SELL, "2", 0, "a"), shown(HOUR, 1100.0), shown(1.5 * HOUR), shown(2 * HOUR)
    )
    assert amounts(payments) == [Decimal("-0.22"), Decimal("-0.2")]
    assert {payment.strategy for payment in payments} == {"trend"}


def test_an_hour_begun_costs_a_whole_one_on_the_most_that_was_short_within_it() -> None:
    payments = paid(
        settings(**DAILY),
        *(shown(100), traded(SELL, "2", 100, "a"), traded(BUY, "1.5", 200, "b"), traded(BUY, "0.5", 300, "c")),
        *(shown(HOUR), shown(2 * HOUR)),
    )
    assert amounts(payments) == [Decimal("-0.2")]


def test_hours_without_data_are_paid_with_the_next_price() -> None:
    payments = paid(settings(**DAILY), shown(0), traded(SELL, "1", 0, "a"), shown(5 * HOUR))
    assert amounts(payments) == [Decimal("-0.5")]


def test_what_is_held_long_with_ones_own_money_costs_nothing() -> None:
    assert paid(settings(**DAILY, own=5_000), shown(0), traded(BUY, "2", 0, "a"), shown(9 * HOUR)) == []


def test_money_beyond_ones_own_costs_interest_shared_by_what_was_bought() -> None:
    payments = paid(
        settings(**DAILY, own=2_000),
        *(shown(0), shown(0, 500.0, ETH)),
        *(traded(BUY, "3", 0, "a"), traded(BUY, "2", 0, "b", ETH), shown(HOUR)),
    )
    assert {payment.instrument: payment.amount.normalize() for payment in payments} == {
        BTC: Decimal("-0.15"),
        ETH: Decimal("-0.05"),
    }


def test_interest_itself_is_paid_from_ones_own_money() -> None:
    payments = paid(settings(**DAILY, own=1_000), shown(0), traded(BUY, "2", 0, "a"), shown(HOUR), shown(2 * HOUR))
    assert amounts(payments) == [Decimal("-0.1"), Decimal("-0.10001")]


def test_each_currency_may_have_its_own_rate() -> None:
    lent = settings(per_day="0.0024", per_day_of={"BTC": "0.024", "USDT": 0}, own=0)
    short = paid(lent, shown(0), traded(SELL, "1", 0, "a"), shown(HOUR))
    long = paid(lent, shown(0), traded(BUY, "1", 0, "a"), shown(HOUR))
    assert (amounts(short), long) == ([Decimal(-1)], [])


def test_a_payment_says_for_what_and_at_which_rate_as_any_funding_does() -> None:
    (payment,) = paid(settings(**DAILY), shown(0), traded(SELL, "2", 0, "a"), shown(HOUR))
    assert payment.quantity == -2
    assert payment.amount == -payment.quantity * 1000 * Decimal(repr(payment.rate))
    assert payment.funding_id.startswith("borrowed-BTC-")


def test_without_a_rate_nothing_is_kept_of_it() -> None:
    at = SimulatedExchange(LISTING, SimulationSettings())
    listed(at.on_quote(shown(0)))
    listed(at.command(traded(SELL, "1", 0, "a")))
    assert at.state().lent.loans == {}


def test_the_books_of_the_strategy_pay_it_and_nobody_is_alarmed() -> None:
    tape = MemoryTape(
        [
            Gateway(settings(**DAILY), LISTING),
            Router(RouterSettings(), LISTING),
            portfolio := Portfolio(PortfolioSettings()),
        ]
    )
    tape.play([shown(0), approval(terms(SELL, "2", order_id="trend-1-0")), shown(HOUR), shown(2 * HOUR, 1100.0)])
    assert not [one.event for one in tape.recorded if isinstance(one.event, Alert)]
    assert portfolio.books["trend"].funding == Decimal("-0.42")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"borrow": {"per_day": 2}}, "less than or equal to 1"),
        ({"borrow": {"per_day_of": {"BTC": -1}}}, "between 0 and 1, not BTC -1"),
        ({"borrow": DAILY, "balances": {"USDT": 1}}, "with balances nothing is lent"),
    ],
)
def test_loans_that_nobody_gives_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SimulationSettings.model_validate(wrong)
