"""Our account at the simulated exchange: coins, margin, funding and liquidation."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from contracts.books import PositionChanged
from contracts.control import Alert
from contracts.event import Event
from contracts.market import Funding, Quote
from contracts.orders import OrderTerms
from contracts.types import InstrumentId, Side, instrument_id
from contracts.venue import (
    FundingPaid,
    QueryOrder,
    VenueAccepted,
    VenueBalance,
    VenueCanceled,
    VenueExpired,
    VenueFilled,
    VenueForeignOrder,
    VenuePosition,
    VenueRejected,
)
from services.gateway.rules import Gateway
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from services.router.rules import Router
from services.router.settings import RouterSettings
from tape.memory import MemoryTape
from tests.asked_exchange import heard
from tests.builders import BTC, ETH, LISTING, SECOND, approval, cancel, ns, quote, submit, terms
from venues.instruments import Instrument, InstrumentKind, listing
from venues.simulated import MarginMode, PerpetualSettings, SimulatedExchange, SimulationSettings

BUY, SELL = Side.BUY, Side.SELL
PERP, OTHER = instrument_id("perp", "BTCUSDT"), instrument_id("perp", "ETHUSDT")
ALL = {
    **LISTING,
    **listing(
        Instrument(name, base, "USDT", Decimal("0.1"), Decimal("0.001"), Decimal(5), InstrumentKind.PERPETUAL)
        for name, base in ((PERP, "BTC"), (OTHER, "ETH"))
    ),
}
FREE: dict[str, Any] = {"maker_fee": Decimal(0), "taker_fee": Decimal(0)}


def venue(*, perpetuals: dict[str, Any] | None = None, **settings: Any) -> SimulatedExchange:  # noqa: ANN401
    margined = PerpetualSettings.model_validate({**FREE, **(perpetuals or {})})
    return SimulatedExchange(ALL, SimulationSettings.model_validate({**FREE, "perpetuals": margined, **settings}))


def kinds(said: Iterable[Event]) -> tuple[type[Event], ...]:
    return tuple(map(type, said))


def order(
    side: Side = BUY,
    quantity: str = "1",
    *,
    limit: str | None = None,
    name: str = "o",
    strategy: str = "trend",
    instrument: InstrumentId = PERP,
) -> OrderTerms:
    return replace(terms(side, quantity, limit=limit, order_id=name, instrument=instrument), strategy=strategy)


def shown(price: float, *, at: float = 0.0, instrument: InstrumentId = PERP) -> Quote:
    return quote(price, price, size=100.0, at=at, instrument=instrument)


def mark(
    price: float, *, at: float = 0.0, rate: float = 0.0001, next_at: float = 8.0, instrument: InstrumentId = PERP
) -> Funding:
    return Funding(
        ts_event=ns(at),
        ts_init=ns(at),
        instrument=instrument,
        mark=price,
        index=price,
        rate=rate,
        next_at=ns(next_at),
    )


def refusal(said: list[Event]) -> str:
    (report,) = said
    assert isinstance(report, VenueRejected)
    return report.reason


def balances(said: Iterable[Event]) -> dict[str, tuple[Decimal, Decimal]]:
    return {b.currency: (b.total, b.free) for b in said if isinstance(b, VenueBalance)}


# -- spot --------------------------------------------------------------------------------------------------------------

COINS = {"USDT": Decimal(1000)}


def test_without_balances_money_is_not_limited_and_not_told() -> None:
    at = venue()
    said = heard(at, shown(100.0, instrument=BTC), submit(order(SELL, "50", instrument=BTC)))
    assert kinds(said) == (VenueAccepted, VenueFilled)


def test_coins_are_bought_for_money_and_the_fee_is_paid_in_money() -> None:
    at = venue(balances=COINS, taker_fee=Decimal("0.01"))
    said = heard(at, shown(100.0, instrument=BTC), submit(order(BUY, "2", instrument=BTC)))
    assert balances(said) == {"USDT": (Decimal(798), Decimal(798)), "BTC": (Decimal(2), Decimal(2))}


def test_who_has_too_little_money_or_too_few_coins_buys_and_sells_nothing() -> None:
    at = venue(balances=COINS)
    heard(at, shown(100.0, instrument=BTC))
    assert "insufficient funds: 1000.1" in refusal(heard(at, submit(order(BUY, "10.001", instrument=BTC, name="a"))))
    assert "BTC needed" in refusal(heard(at, submit(order(SELL, "1", instrument=BTC, name="b"))))
    assert kinds(heard(at, submit(order(BUY, "10", instrument=BTC, name="c"))))[:2] == (VenueAccepted, VenueFilled)


def test_what_rests_binds_what_it_would_take() -> None:
    at = venue(balances=COINS)
    resting = order(BUY, "8", limit="90", instrument=BTC, name="r")
    heard(at, shown(100.0, instrument=BTC), submit(resting))
    assert "280" in refusal(heard(at, submit(order(BUY, "3", instrument=BTC, name="a"))))
    heard(at, cancel(resting))
    assert kinds(heard(at, submit(order(BUY, "3", instrument=BTC, name="b"))))[0] is VenueAccepted


def test_money_is_free_again_for_what_was_amended_smaller() -> None:
    at = venue(balances=COINS)
    resting = order(BUY, "8", limit="90", instrument=BTC, name="r")
    heard(at, shown(100.0, instrument=BTC), submit(resting))
    said = heard(at, submit(order(BUY, "2", instrument=BTC, name="a")))
    assert balances(said)["USDT"] == (Decimal(800), Decimal(80))


def test_a_market_order_that_money_runs_out_for_expires() -> None:
    at = venue(balances=COINS)
    thin = quote(99.0, 100.0, size=5.0, instrument=BTC)
    heard(at, thin, submit(order(BUY, "10", instrument=BTC)))
    said = heard(at, quote(199.0, 200.0, size=5.0, instrument=BTC))
    (fill,) = [report for report in said if isinstance(report, VenueFilled)]
    assert fill.quantity == Decimal("2.5")
    assert kinds(said)[-1] is VenueExpired
    assert balances(said)["USDT"][0] == 0


# -- perpetuals --------------------------------------------------------------------------------------------------------

CAPITAL: dict[str, Any] = {"capital": Decimal(100), "leverage": Decimal(10), "maintenance": Decimal("0.01")}


def test_perpetuals_have_fees_of_their_own() -> None:
    at = venue(perpetuals={"taker_fee": Decimal("0.02")})
    _, fill = heard(at, shown(100.0), submit(order()))
    assert isinstance(fill, VenueFilled)
    assert fill.fee == Decimal(2)


def test_a_position_needs_its_margin() -> None:
    at = venue(perpetuals=CAPITAL)
    heard(at, shown(100.0))
    assert "insufficient funds: 100.01 USDT needed, 100 free" in refusal(heard(at, submit(order(quantity="10.001"))))
    said = heard(at, submit(order(quantity="10", name="b")))
    assert balances(said) == {"USDT": (Decimal(100), Decimal(0))}
    assert "insufficient" in refusal(heard(at, submit(order(quantity="0.1", name="c"))))


def test_a_position_may_be_turned_with_the_margin_it_has() -> None:
    at = venue(perpetuals=CAPITAL)
    heard(at, shown(100.0), submit(order(quantity="10")))
    assert kinds(heard(at, submit(order(SELL, "20", name="turn"))))[:2] == (VenueAccepted, VenueFilled)
    assert "insufficient" in refusal(heard(at, submit(order(BUY, "20.1", name="more"))))


def test_a_loss_on_the_mark_leaves_less_margin_for_others() -> None:
    at = venue(perpetuals=CAPITAL)
    heard(at, shown(100.0), shown(10.0, instrument=OTHER), submit(order(quantity="5")), mark(95.0))
    assert "free" in refusal(heard(at, submit(order(quantity="26", name="b", instrument=OTHER))))
    assert kinds(heard(at, submit(order(quantity="25", name="c", instrument=OTHER))))[0] is VenueAccepted


def test_a_closed_position_has_moved_its_profit_into_the_capital() -> None:
    at = venue(perpetuals=CAPITAL)
    heard(at, shown(100.0), submit(order(quantity="2")), shown(110.0))
    said = heard(at, submit(order(SELL, "2", name="x")))
    assert balances(said) == {"USDT": (Decimal(120), Decimal(120))}
    (position,) = [report for report in said if isinstance(report, VenuePosition)]
    assert (position.quantity, position.entry_price, position.margin) == (Decimal(0), None, Decimal(0))


@pytest.mark.parametrize(("side", "entry"), [(BUY, "110"), (SELL, "110")])
def test_the_entry_price_is_the_average(side: Side, entry: str) -> None:
    at = venue(perpetuals={"capital": Decimal(1000)})
    heard(at, shown(100.0), submit(order(side, "1", name="a")))
    said = heard(at, shown(120.0), submit(order(side, "1", name="b")))
    (position,) = [report for report in said if isinstance(report, VenuePosition)]
    assert (position.quantity, position.entry_price) == (side.sign * Decimal(2), Decimal(entry))


# -- funding -----------------------------------------------------------------------------------------------------------


def test_each_strategy_pays_for_what_it_holds_when_the_time_has_come() -> None:
    at = venue(perpetuals={"capital": Decimal(1000)})
    heard(at, shown(100.0), submit(order(BUY, "2", name="a")), submit(order(SELL, "1", name="b", strategy="scalper")))
    assert heard(at, mark(200.0, at=1.0, rate=0.001), mark(210.0, at=7.9, rate=0.002)) == []
    said = heard(at, mark(220.0, at=8.1, rate=0.5, next_at=16.0))
    paid = [(p.strategy, p.amount, p.rate, p.quantity, p.ts_event) for p in said if isinstance(p, FundingPaid)]
    assert paid == [
        ("trend", Decimal("-0.84"), 0.002, Decimal(2), ns(8.0)),
        ("scalper", Decimal("0.42"), 0.002, Decimal(-1), ns(8.0)),
    ]
    assert balances(said)["USDT"][0] == Decimal("999.58")
    assert heard(at, mark(220.0, at=9.0, next_at=16.0)) == []


def test_funding_is_paid_once_whatever_the_feed_repeats() -> None:
    at = venue()
    heard(at, shown(100.0), submit(order()), mark(100.0, at=1.0))
    assert kinds(heard(at, mark(100.0, at=8.0), mark(100.0, at=9.0))) == (FundingPaid,)


def test_who_holds_nothing_pays_nothing() -> None:
    at = venue()
    heard(at, shown(100.0), submit(order()), submit(order(SELL, name="x")), mark(100.0, at=1.0))
    assert heard(at, mark(100.0, at=8.0)) == []


def test_a_mark_of_a_spot_market_means_nothing() -> None:
    at = venue()
    heard(at, shown(100.0, instrument=BTC), submit(order(instrument=BTC)))
    assert heard(at, mark(1.0, instrument=BTC), mark(1.0, at=9.0, instrument=BTC)) == []


# -- liquidation -------------------------------------------------------------------------------------------------------


def liquidated(said: Iterable[Event]) -> list[tuple[str, InstrumentId, Side, Decimal]]:
    return [(f.strategy, f.instrument, f.side, f.quantity) for f in said if isinstance(f, VenueForeignOrder)]


@pytest.mark.parametrize(("side", "price"), [(BUY, "90.909"), (SELL, "109.091")])
def test_an_isolated_position_is_liquidated_when_its_margin_is_used_up(side: Side, price: str) -> None:
    isolated = {"margin": MarginMode.ISOLATED, "leverage": Decimal(10), "maintenance": Decimal("0.01")}
    at = venue(perpetuals=isolated)
    said = heard(at, shown(100.0), submit(order(side)))
    (position,) = [report for report in said if isinstance(report, VenuePosition)]
    assert position.margin == Decimal(10)
    limit = position.liquidation_price
    assert limit is not None
    assert abs(limit - Decimal(price)) < Decimal("0.3")
    assert heard(at, mark(float(limit) + side.sign * 0.001)) == []
    said = heard(at, mark(float(limit) - side.sign * 0.001))
    assert liquidated(said) == [("trend", PERP, side.opposite, Decimal(1))]


def test_a_liquidation_is_an_order_of_the_venue_and_its_trade() -> None:
    at = venue(perpetuals={**CAPITAL, "liquidation_fee": Decimal("0.01")})
    heard(at, shown(100.0), submit(order(quantity="5")), submit(order(BUY, "1", limit="70", name="rest")))
    heard(at, shown(82.0))
    canceled, foreign, fill, position, balance = heard(at, mark(80.0, at=1.0))
    assert isinstance(canceled, VenueCanceled)
    assert (canceled.client_order_id, canceled.reason) == ("rest", "liquidation")
    assert isinstance(foreign, VenueForeignOrder)
    assert (foreign.adopted, foreign.reason, foreign.limit_price) == (True, "liquidation", None)
    assert isinstance(fill, VenueFilled)
    assert (fill.client_order_id, fill.price, fill.fee) == (foreign.client_order_id, Decimal("82.0"), Decimal("4.1"))
    assert isinstance(position, VenuePosition)
    assert position.quantity == 0
    assert isinstance(balance, VenueBalance)
    assert balance.total == Decimal(100) - 90 - Decimal("4.1")
    again = QueryOrder(
        ts_event=ns(2), ts_init=ns(2), client_order_id=foreign.client_order_id, instrument=foreign.instrument
    )
    assert kinds(heard(at, again)) == (VenueFilled,)


def test_cross_margin_stands_for_all_positions_and_falls_with_them_together() -> None:
    at = venue(perpetuals=CAPITAL)
    heard(at, shown(100.0), shown(10.0, instrument=OTHER))
    heard(at, submit(order(quantity="4")), submit(order(SELL, "20", name="b", instrument=OTHER, strategy="scalper")))
    assert heard(at, mark(90.0), mark(10.0, instrument=OTHER)) == []
    said = heard(at, mark(13.0, instrument=OTHER))
    assert liquidated(said) == [("trend", PERP, SELL, Decimal(4)), ("scalper", OTHER, BUY, Decimal(20))]


def test_isolated_positions_fall_alone() -> None:
    at = venue(perpetuals={**CAPITAL, "margin": MarginMode.ISOLATED})
    heard(at, shown(100.0), shown(10.0, instrument=OTHER))
    heard(at, submit(order(quantity="4")), submit(order(SELL, "20", name="b", instrument=OTHER)))
    heard(at, mark(100.0), mark(10.0, instrument=OTHER))
    assert liquidated(heard(at, mark(13.0, instrument=OTHER))) == [("trend", OTHER, BUY, Decimal(20))]


def test_every_strategy_is_liquidated_of_what_it_holds() -> None:
    at = venue(perpetuals=CAPITAL)
    heard(at, shown(100.0), submit(order(quantity="5", name="a")))
    heard(at, submit(order(SELL, "1", name="b", strategy="scalper")))
    said = heard(at, mark(50.0))
    assert liquidated(said) == [("trend", PERP, SELL, Decimal(5)), ("scalper", PERP, BUY, Decimal(1))]
    ids = [report.client_order_id for report in said if isinstance(report, VenueForeignOrder)]
    assert len(set(ids)) == 2
    assert all(len(name) <= 36 for name in ids)


def test_without_capital_cross_margin_has_no_end() -> None:
    at = venue()
    heard(at, shown(100.0), submit(order()))
    assert heard(at, mark(0.1)) == []


def test_an_account_goes_on_from_where_it_was_kept() -> None:
    before, after = venue(perpetuals=CAPITAL), venue(perpetuals=CAPITAL)
    heard(before, shown(100.0), submit(order(quantity="5")), mark(99.0))
    after.restore(before.state())
    said = heard(after, mark(70.0, at=1.0))
    assert liquidated(said) == [("trend", PERP, SELL, Decimal(5))]


def test_settings_without_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="maintenance"):
        PerpetualSettings(leverage=Decimal(100), maintenance=Decimal("0.01"))
    with pytest.raises(ValueError, match="balances"):
        SimulationSettings(balances={"USDT": Decimal(-1)})


def test_the_time_of_funding_is_that_of_events() -> None:
    at = venue()
    heard(at, shown(100.0), submit(order()), mark(100.0, at=1.0))
    (paid,) = heard(at, mark(100.0, at=8.0))
    assert isinstance(paid, FundingPaid)
    assert paid.funding_id == f"{PERP}-{ns(0) + 8 * SECOND}-trend"
    assert heard(at, mark(1.0, instrument=ETH)) == []


def test_a_liquidation_and_funding_reach_the_books_of_the_strategy() -> None:
    isolated = PerpetualSettings(margin=MarginMode.ISOLATED, capital=Decimal(1000), taker_fee=Decimal(0))
    gateway = Gateway(SimulationSettings(perpetuals=isolated), ALL)
    tape = MemoryTape([gateway, Router(RouterSettings(), ALL), Portfolio(PortfolioSettings())])
    bought = approval(order(quantity="2"))
    tape.play([shown(100.0), bought, mark(100.0, at=1.0, rate=0.01), mark(100.0, at=8.0, next_at=16.0)])
    assert [said.funding for said in tape.of_type(PositionChanged)][-1] == Decimal(-2)
    tape.play([shown(80.0, at=9.0), mark(80.0, at=9.0, next_at=16.0)])
    last = tape.of_type(PositionChanged)[-1]
    assert (last.strategy, last.quantity, last.realized_pnl) == ("trend", Decimal(0), Decimal(-40))
    assert [alert.code for alert in tape.of_type(Alert)] == []
    account = gateway.exchange.state().account
    assert account.wallets["perp"]["USDT"] == Decimal(1000) + last.realized_pnl - last.fees + last.funding
