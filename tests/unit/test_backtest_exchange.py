"""What the options of a backtest mean for its exchange, and which assumptions they leave."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from contracts.types import instrument_id
from services.backtest.assumptions import assumptions
from services.backtest.script import Script
from services.backtest.settings import BacktestSettings, Unusable
from services.backtest.sources import Source
from services.backtest.wiring import Nature, Wiring, wire
from services.gateway.settings import GatewaySettings
from tests.backtested import USUAL, wired
from venues.instruments import LISTING
from venues.simulated.disturbances import Outage, Rejects
from venues.simulated.latency import Latency

SHA = "0" * 64
SECOND = 1_000_000_000


def gateway(*changes: str, **wanted: object) -> GatewaySettings:
    asked = BacktestSettings.model_validate({"changes": changes, **wanted})
    settings = wire(asked, USUAL, LISTING, Nature()).settings["gateway"]
    assert isinstance(settings, GatewaySettings)
    return settings


def told(wiring: Wiring) -> tuple[str, ...]:
    return assumptions(wiring, Source(iter(()), LISTING, Nature(), lambda: 0, dict))


def script(**entries: object) -> Script:
    return Script.model_validate({"name": "bad.csv", "sha256": SHA, **entries})


def test_a_latency_may_be_a_distribution_each_way() -> None:
    settings = gateway(latency_ms="lognormal:50,0.5", report_latency_ms=30, feed_latency_ms="uniform:1,5")
    assert settings.latency_ms == Latency.model_validate("lognormal:50,0.5")
    assert (settings.report_latency_ms, str(settings.feed_latency_ms)) == (30, "uniform:1,5")


def test_a_latency_can_be_set_as_text() -> None:
    assert str(gateway("gateway.report_latency_ms=quantiles:1,2,50").report_latency_ms) == "quantiles:1,2,50"


def test_slippage_and_impact_leave_the_rest_of_the_model_as_it_is() -> None:
    slippage = gateway("gateway.slippage.against=traded", slippage_bps=1.5, impact_bps=8).slippage
    assert (slippage.constant_bps, slippage.impact_bps, slippage.counts_trades) == (1.5, 8, True)


def test_interest_is_of_a_day_and_ones_own_money_is_the_capital_that_is_asked_for() -> None:
    borrow = gateway(borrow_bps=Decimal(3), capital=Decimal(5_000)).borrow
    assert (borrow.per_day, borrow.own) == (Decimal("0.0003"), Decimal(5_000))


def test_fees_that_are_asked_for_are_paid_in_every_tier() -> None:
    tiers = '[{"from_volume":1,"maker_fee":"0","taker_fee":"0"}]'
    usual = gateway(f"gateway.fee_tiers={tiers}")
    asked = BacktestSettings(maker_fee_bps=Decimal(1), taker_fee_bps=Decimal(2))
    settings = wire(asked, {**USUAL, "gateway": usual}, LISTING, Nature()).settings["gateway"]
    assert isinstance(settings, GatewaySettings)
    assert (len(usual.fee_tiers), settings.fee_tiers, settings.perpetuals.fee_tiers) == (1, (), ())


def test_the_seed_is_that_of_the_exchange_too() -> None:
    assert gateway(seed=42).seed == 42


def test_a_script_is_on_top_of_what_goes_wrong_as_usual() -> None:
    usual = GatewaySettings(outages=(Outage(begins_at=1, ends_at=2),))
    asked = BacktestSettings(script=script(outages=[{"begins_at": 5, "ends_at": 6}]))
    settings = wire(asked, {**USUAL, "gateway": usual}, LISTING, Nature()).settings["gateway"]
    assert isinstance(settings, GatewaySettings)
    assert [outage.begins_at for outage in settings.outages] == [1, 5]


def test_a_script_about_what_is_not_traded_is_refused() -> None:
    unknown = Rejects(begins_at=1, ends_at=2, instrument=instrument_id("binance", "NONE"))
    with pytest.raises(Unusable, match=r"gateway\.rejects: binance\.NONE is not listed"):
        gateway(script=script(rejects=[unknown]))


@pytest.mark.parametrize("latency", ["soon", "lognormal:5", -1])
def test_a_latency_that_is_none_is_named(latency: object) -> None:
    with pytest.raises(ValidationError) as refused:
        BacktestSettings.model_validate({"latency_ms": latency})
    assert refused.value.errors()[0]["loc"][0] == "latency_ms"


ALL = (
    ("gateway.latency_ms=50", "there is no latency"),
    ("gateway.report_latency_ms=uniform:1,5", "known to us at once"),
    ("gateway.feed_latency_ms=5", "prices are seen at the time"),
    (f'gateway.outages=[{{"begins_at":1,"ends_at":{SECOND}}}]', "the exchange answers always"),
    ("gateway.queue=back", "a resting order is behind"),
    ("gateway.slippage.constant_bps=1", "gets the displayed price"),
    ("gateway.slippage.impact_bps=1", "does not depend on its share"),
    ('gateway.balances={"USDT":1}', "coins that are sold short"),
    ('gateway.balances={"USDT":1}', "money that a strategy spends"),
    ('gateway.borrow={"per_day":"0.001","own":"5"}', "money that a strategy spends"),
    ("gateway.perpetuals.capital=1000", "perpetuals are never liquidated"),
    ("gateway.perpetuals.margin=isolated", "perpetuals are never liquidated"),
)


@pytest.mark.parametrize(("change", "words"), ALL)
def test_every_assumption_that_flatters_is_told_and_gone_when_it_is_not_made(change: str, words: str) -> None:
    assert sum(words in one for one in told(wired())) == 1
    assert not any(words in one for one in told(wired(change)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("gateway.slippage.constant_bps=1", "never pays slippage beyond"),
        ("gateway.perpetuals.capital=1000", "a liquidation closes the whole position"),
        ("gateway.queue=front", "the first in its queue"),
        ("gateway.maker_fee=0", "nothing is paid as maker fee"),
        ("gateway.borrow.per_day=0.001", "at a rate that stays the same"),
    ],
)
def test_what_a_setting_takes_for_granted_is_told_where_it_is_set(change: str, words: str) -> None:
    assert not any(words in one for one in told(wired()))
    assert sum(words in one for one in told(wired(change))) == 1
