"""What orders pay that take: never better than the quote, and worse by a formula that can be checked."""

from decimal import Decimal

import pytest

from contracts.event import Event
from contracts.market import Funding
from contracts.types import Liquidity, Side, TimeInForce, instrument_id
from contracts.venue import VenueBalance, VenueExpired, VenueFilled
from tests.asked_exchange import heard
from tests.builders import LISTING, ns, quote, submit, terms, trade
from venues.instruments import Instrument, InstrumentKind
from venues.simulated import PerpetualSettings, SimulatedExchange, SimulationSettings
from venues.simulated.slippage import SlippageSettings, slipped

BUY, SELL = Side.BUY, Side.SELL
BTC_RULES = next(iter(LISTING.values()))
PERP = Instrument(
    instrument_id("perp", "BTCUSDT"),
    "BTC",
    "USDT",
    Decimal("0.1"),
    Decimal("0.001"),
    Decimal(5),
    InstrumentKind.PERPETUAL,
)


def venue(slippage: dict[str, object], **settings: object) -> SimulatedExchange:
    listing = {**LISTING, PERP.id: PERP}
    return SimulatedExchange(listing, SimulationSettings.model_validate({"slippage": slippage, **settings}))


def paid(slippage: dict[str, object], *events: Event) -> list[Decimal]:
    return [fill.price for fill in heard(venue(slippage), *events) if isinstance(fill, VenueFilled)]


@pytest.mark.parametrize(("side", "price"), [(BUY, "1001.0"), (SELL, "989.0")])
def test_constant_slippage_is_paid_by_both_sides(side: Side, price: str) -> None:
    assert paid({"constant_bps": 10}, quote(990.0, 1000.0), submit(terms(side, "1"))) == [Decimal(price)]


@pytest.mark.parametrize(("side", "price"), [(BUY, "1000.1"), (SELL, "999.9")])
def test_a_price_off_the_tick_is_rounded_against_us(side: Side, price: str) -> None:
    assert slipped(BTC_RULES, side, Decimal(1000), 0.01) == Decimal(price)


def test_an_order_of_all_that_is_displayed_pays_the_impact_and_one_of_a_quarter_half_of_it() -> None:
    settings = SlippageSettings(impact_bps=20)
    assert settings.of(Decimal(4), Decimal(4)) == 20
    assert settings.of(Decimal(1), Decimal(4)) == 10


def test_constant_and_impact_add_up_and_the_most_is_the_most() -> None:
    settings = SlippageSettings(constant_bps=1, impact_bps=20, most_bps=50)
    assert settings.of(Decimal(1), Decimal(4)) == 11
    assert settings.of(Decimal(100), Decimal(1)) == 50


def test_an_order_pays_for_its_whole_size_also_while_it_takes_parts() -> None:
    order, first, second = submit(terms(BUY, "4")), quote(ask=1000.0, size=1), quote(ask=1000.0, size=4)
    assert paid({"impact_bps": 100}, first, order, second) == [Decimal(1020), Decimal(1010)]


def test_impact_against_what_was_traded_falls_with_it_and_forgets_what_is_long_past() -> None:
    against = {"impact_bps": 100, "against": "traded", "window_s": 60}
    order = submit(terms(BUY, "1"), at=30)
    before = [quote(ask=1000.0, size=1), trade(1000.0, 50.0, at=1), trade(1000.0, 50.0, at=20)]
    assert paid(against, *before, quote(ask=1000.0, size=1, at=30), order) == [Decimal(1001)]
    assert paid(against, *before, quote(ask=1000.0, size=1, at=300), order) == [Decimal(1010)]


def test_a_limit_is_never_passed() -> None:
    order = submit(terms(BUY, "1", limit="1000.5"))
    assert paid({"constant_bps": 10}, quote(ask=1000.0), order) == [Decimal("1000.5")]


def test_a_resting_order_trades_at_its_own_price() -> None:
    resting = submit(terms(BUY, "1", limit="999"))
    said = heard(venue({"constant_bps": 10}), quote(998.0, 1000.0), resting, quote(997.0, 998.5))
    (fill,) = [report for report in said if isinstance(report, VenueFilled)]
    assert (fill.price, fill.liquidity) == (Decimal(999), Liquidity.MAKER)


def test_a_sale_never_slips_to_nothing() -> None:
    cheap = slipped(BTC_RULES, SELL, Decimal("0.1"), 5_000)
    assert cheap == BTC_RULES.tick


def test_money_is_bound_at_the_price_that_is_paid() -> None:
    at = venue({"constant_bps": 1_000}, balances={"USDT": Decimal(1000)}, taker_fee=Decimal(0), maker_fee=Decimal(0))
    said = heard(at, quote(ask=1000.0), submit(terms(BUY, "1")))
    (fill,) = [report for report in said if isinstance(report, VenueFilled)]
    assert (fill.price, fill.quantity) == (Decimal(1100), Decimal("0.909"))
    assert isinstance(said[-1], VenueExpired)
    assert all(report.total >= 0 for report in said if isinstance(report, VenueBalance))


def test_fill_or_kill_asks_whether_the_slipped_price_can_be_paid() -> None:
    at = venue({"constant_bps": 1_000}, balances={"USDT": Decimal(1050)}, taker_fee=Decimal(0), maker_fee=Decimal(0))
    said = heard(at, quote(ask=1000.0), submit(terms(BUY, "1", time_in_force=TimeInForce.FOK)))
    assert isinstance(said[-1], VenueExpired)
    assert not [report for report in said if isinstance(report, VenueFilled)]


def test_a_liquidation_slips_too() -> None:
    margined = PerpetualSettings(capital=Decimal(200), leverage=Decimal(20))
    at = venue({"constant_bps": 50}, perpetuals=margined)
    heard(at, quote(999.0, 1000.0, size=5, instrument=PERP.id), submit(terms(BUY, "2", instrument=PERP.id)))
    heard(at, quote(900.0, 901.0, size=5, instrument=PERP.id))
    mark = Funding(ts_event=ns(0), ts_init=ns(0), instrument=PERP.id, mark=900.0, index=900.0, rate=0.0, next_at=ns(9))
    (fill,) = [report for report in heard(at, mark) if isinstance(report, VenueFilled)]
    assert fill.price == Decimal("895.5")
