"""Which components run in a backtest and under which settings; what cannot be meant is named, with what there is."""

from decimal import Decimal

import pytest

from contracts.control import LeaseTaken
from contracts.types import Interval, instrument_id
from services.backtest.listed import assumed, listing_with
from services.backtest.settings import BacktestSettings, DataKind, DataSource, Unusable
from services.backtest.wiring import ABSENT, ORDER, STRATEGIES, Nature, Wiring, wire
from services.bars.settings import BarsSettings, PriceSource
from services.catalog import BLUEPRINTS
from services.cli.settings import SERVICES
from services.portfolio.bookable import QUANTITY_PLACES
from services.scheduler.settings import SchedulerSettings
from tests.backtested import USUAL, wired
from venues.instruments import LISTING, InstrumentKind


def asked(*changes: str, **wanted: object) -> Wiring:
    return wire(BacktestSettings.model_validate({"changes": changes, **wanted}), USUAL, LISTING, Nature())


def value(wiring: Wiring, place: str) -> object:
    name, _, key = place.partition(".")
    found: object = wiring.settings[name]
    for word in key.split("."):
        found = getattr(found, word)
    return found


def test_every_component_of_the_live_stack_runs_or_is_named_with_a_reason() -> None:
    assert set(ORDER) | set(ABSENT) == set(BLUEPRINTS)
    assert set(BLUEPRINTS) <= set(SERVICES)


def test_components_are_built_in_the_order_in_which_they_hear() -> None:
    assert [component.name for component in wired().build()] == list(ORDER)


def test_only_the_strategies_that_are_named_trade_and_the_rest_runs() -> None:
    names = list(wired(strategies=["trend"]).settings)
    assert [name for name in ORDER if name not in names] == [name for name in STRATEGIES if name != "trend"]


def test_time_is_that_of_the_market_and_orders_go_to_the_simulated_exchange() -> None:
    assert str(value(wired(), "clock.source")) == "ClockSource.MARKET"
    assert str(value(wired(), "gateway.mode")) == "GatewayMode.SIMULATED"


@pytest.mark.parametrize(
    ("option", "given", "places"),
    [
        ("capital", Decimal(5_000), {"portfolio.capital": 5_000, "allocator.capital_each": 5_000}),
        ("capital", Decimal(5_000), {"risk.starting_capital": 5_000}),
        ("seed", 42, {"params.seed": 42}),
        ("latency_ms", 250, {"gateway.latency_ms": 250}),
        ("maker_fee_bps", Decimal(-1), {"gateway.maker_fee": Decimal("-0.0001")}),
        ("taker_fee_bps", Decimal(4), {"gateway.taker_fee": Decimal("0.0004"), "hmm_ensemble.fee_bps": 4}),
        ("taker_fee_bps", Decimal(4), {"gateway.perpetuals.taker_fee": Decimal("0.0004")}),
    ],
)
def test_an_argument_reaches_every_setting_that_it_means(option: str, given: object, places: dict[str, object]) -> None:
    wiring = asked(**{option: given})
    assert {place: value(wiring, place) for place in places} == places


def test_what_is_not_asked_for_stays_as_usual() -> None:
    others = {name: settings for name, settings in wired().settings.items() if name != "clock"}
    assert others == {name: USUAL[name] for name in ORDER if name != "clock"}


def test_strategies_decide_on_the_bars_that_the_data_consists_of() -> None:
    wiring = wire(BacktestSettings(), USUAL, LISTING, Nature(interval=Interval.M5))
    assert {value(wiring, f"{name}.interval") for name in STRATEGIES} == {Interval.M5}
    assert value(wiring, "bars.intervals") == (Interval.M5,)


def test_a_price_is_as_old_as_bars_are_long() -> None:
    usual = value(wired(), "risk.max_mark_age_ms")
    assert value(wire(BacktestSettings(), USUAL, LISTING, Nature(Interval.M5)), "risk.max_mark_age_ms") == 300_000
    assert value(wire(BacktestSettings(), USUAL, LISTING, Nature(Interval.S1)), "risk.max_mark_age_ms") == usual


def test_what_a_model_said_is_believed_for_ten_bars_where_bars_are_long() -> None:
    wiring = wire(BacktestSettings(), USUAL, LISTING, Nature(Interval.M1))
    ages = [value(wiring, f"hmm_ensemble.max_{what}_age_s") for what in ("regime", "direction")]
    assert ages == [600, 600]
    assert value(wired(), "hmm_ensemble.max_regime_age_s") == 120


def test_books_are_kept_in_the_currency_that_all_is_paid_in() -> None:
    wiring = wire(BacktestSettings(), USUAL, LISTING, Nature(currency="BTC"))
    assert (value(wiring, "portfolio.currency"), value(wiring, "allocator.currency")) == ("BTC", "BTC")


def test_bars_that_are_longer_than_those_of_the_data_are_made_as_usual() -> None:
    usual = {**USUAL, "bars": BarsSettings(intervals=(Interval.S5, Interval.M1, Interval.H1))}
    wiring = wire(BacktestSettings(), usual, LISTING, Nature(interval=Interval.M5))
    assert value(wiring, "bars.intervals") == (Interval.M5, Interval.H1)


@pytest.mark.parametrize(
    ("change", "place", "result"),
    [
        ("trend.slow=20", "trend.slow", 20),
        ("trend.stop_atr=1.5", "trend.stop_atr", 1.5),
        ("trend.shorts=false", "trend.shorts", False),
        ("trend.interval=1m", "trend.interval", Interval.M1),
        ("trend.notional=1000", "trend.notional", Decimal(1000)),
        ('trend.instruments=["binance.BTCUSDT"]', "trend.instruments", ("binance.BTCUSDT",)),
        ("gateway.perpetuals.leverage=5", "gateway.perpetuals.leverage", Decimal(5)),
        ("gateway.queue=back", "gateway.queue.value", "back"),
        ("risk.max_daily_loss_pct=null", "risk.max_daily_loss_pct", None),
    ],
)
def test_any_setting_can_be_changed(change: str, place: str, result: object) -> None:
    assert value(asked(change), place) == result


def test_what_is_set_goes_before_what_the_arguments_mean() -> None:
    assert value(asked("gateway.latency_ms=7", latency_ms=250), "gateway.latency_ms") == 7


@pytest.mark.parametrize(
    ("change", "message", "remedy"),
    [
        ("trend.slow", "not of the form COMPONENT.KEY=VALUE", "trend.slow=20"),
        ("slow=20", "not of the form COMPONENT.KEY=VALUE", "trend.slow=20"),
        ("tend.slow=20", "there is no component 'tend'", "hmm_ensemble"),
        ("scheduler.cron=", "scheduler does not run: no model is trained within the run", "--train"),
        ("trainer.seed=3", "trainer does not run: no model is trained within the run", "--train"),
        ("trend.slo=20", "trend has no such setting", "slow"),
        ("trend.slow.x=20", "slow has no settings of its own", ""),
        ("trend.slow=many", "slow: Input should be a valid integer", ""),
        ("trend.slow=3", "fast (4) must be below slow (3)", ""),
        ("trend.instruments=[", "--set trend.instruments=[", ""),
        ("gateway.perpetuals.leveridge=5", "perpetuals.leveridge: Extra inputs are not permitted", ""),
        ("gateway.mode=live", "a backtest trades on the simulated exchange only", "simulated"),
        ("clock.source=wall", "time is that of the market data", "market"),
    ],
)
def test_a_change_that_cannot_be_made_is_named(change: str, message: str, remedy: str) -> None:
    with pytest.raises(Unusable) as refusal:
        asked(change)
    assert message in str(refusal.value)
    assert remedy in refusal.value.remedy


def test_where_models_are_trained_the_scheduler_runs_and_the_edges_have_their_settings() -> None:
    wiring = asked(
        "trainer.regime.states=[2]", "scheduler.cron=", "ingest.chunk_s=300", train=True, training_s=5, seed=9
    )
    assert [component.name for component in wiring.build()] == [*ORDER, "scheduler"]
    assert (value(wiring, "trainer.regime.states"), value(wiring, "scheduler.cron")) == ((2,), "")
    assert (value(wiring, "ingest.chunk_s"), value(wiring, "trainer.seed")) == (300, 9)
    assert wiring.training_s == 5
    assert wiring.edges() is not None
    assert asked().edges() is None


def test_bars_are_made_of_what_the_data_shows() -> None:
    quotes = wire(BacktestSettings(), USUAL, LISTING, Nature(prices=PriceSource.MID))
    assert value(quotes, "bars.source") is PriceSource.MID
    assert value(wired(), "bars.source") is PriceSource.TRADES


def test_models_are_trained_on_bars_that_are_no_shorter_than_those_of_the_data() -> None:
    wiring = wire(BacktestSettings(train=True), USUAL, LISTING, Nature(Interval.M5))
    assert isinstance(scheduler := wiring.settings["scheduler"], SchedulerSettings)
    assert [plan.interval for plan in scheduler.plans] == [Interval.M5]
    assert value(wiring, "ingest.intervals") == (Interval.M5,)


@pytest.mark.parametrize(
    ("change", "message", "remedy"),
    [
        ('scheduler.plans=[{"interval":"1h"}]', "trained on bars of 1h, and bars.intervals has 5s", "--set both"),
        ('ingest.intervals=["1m"]', "trained on bars of 5s, and ingest.intervals has 1m", '"interval":"1m"'),
        ("ingest.source=ccxt", "a run trains on its own bars only", "tape"),
        ("scheduler.cron=99", "cron: '99' is no cron expression", ""),
        ("trainer.regime.embargo=-1", "regime.embargo: Input should be greater than or equal to 0", ""),
    ],
)
def test_a_training_that_could_never_be_is_named(change: str, message: str, remedy: str) -> None:
    with pytest.raises(Unusable) as refusal:
        asked(change, train=True)
    assert message in str(refusal.value)
    assert remedy in refusal.value.remedy


def test_a_strategy_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(Unusable, match="there is no strategy 'trent'") as refusal:
        asked(strategies=("trent",))
    assert all(name in refusal.value.remedy for name in STRATEGIES)


def test_the_settings_of_a_strategy_that_does_not_trade_cannot_be_changed() -> None:
    with pytest.raises(Unusable, match="hmm_ensemble is not among --strategies"):
        asked("hmm_ensemble.slow=30", strategies=("trend",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frames", "names no kind of data"),
        ("candles:a.csv", "names no kind of data"),
        ("frames:", "names no file"),
        ("frames:/nowhere/a.gz", "there is no file"),
        ("store:5", "not positions"),
        ("store:a-b", "not positions"),
        ("tape:0-5", "positions begin at 1"),
        ("tape:9-5", "positions begin at 1 and go up"),
    ],
)
def test_data_that_cannot_be_meant_is_named(text: str, message: str) -> None:
    with pytest.raises(Unusable, match=message):
        DataSource.parse(text)


@pytest.mark.parametrize(
    ("text", "first", "last"), [("store:1-500", 1, 500), ("store:-", None, None), ("tape:7-", 7, None)]
)
def test_a_stretch_of_a_record_is_read(text: str, first: int | None, last: int | None) -> None:
    source = DataSource.parse(text)
    assert source.kind in (DataKind.STORE, DataKind.TAPE)
    assert (source.first, source.last) == (first, last)


@pytest.mark.parametrize(
    ("symbol", "base", "quote", "kind"),
    [
        ("BTC-PERP", "BTC", "USDT", InstrumentKind.PERPETUAL),
        ("ETHUSDC-PERP", "ETH", "USDC", InstrumentKind.PERPETUAL),
        ("ADABTC", "ADA", "BTC", InstrumentKind.SPOT),
        ("ADA-USD", "ADA", "USD", InstrumentKind.SPOT),
        ("GOLD", "GOLD", "USDT", InstrumentKind.SPOT),
        ("BTC", "BTC", "USDT", InstrumentKind.SPOT),
    ],
)
def test_what_an_unlisted_symbol_trades_is_read_off_it(
    symbol: str, base: str, quote: str, kind: InstrumentKind
) -> None:
    rules = assumed(instrument_id("file", symbol), price=1.0)
    assert (rules.base_currency, rules.quote_currency, rules.kind) == (base, quote, kind)


def test_what_is_assumed_of_unlisted_instruments_is_told_and_listed_ones_keep_their_rules() -> None:
    listed, unlisted = next(iter(LISTING)), instrument_id("file", "ADABTC")
    listing, told = listing_with({listed: 1.0, unlisted: 0.00004})
    assert listing[listed] == LISTING[listed]
    assert unlisted in listing
    assert len(told) == 1
    assert unlisted in told[0]


@pytest.mark.parametrize("price", [0.0000002, 0.00004, 0.4, 1.0, 46_319.0, 1e9])
def test_whatever_an_unlisted_instrument_costs_its_trades_can_be_booked(price: float) -> None:
    rules = assumed(instrument_id("file", "BTC-PERP"), price)
    fee = rules.tick * rules.lot * Decimal("0.0005")
    assert fee == round(fee, QUANTITY_PLACES)
    assert rules.tick <= Decimal(price) / 10


def test_a_lease_holds_settings_that_the_component_is_built_with_again() -> None:
    for name, settings in wired("trend.slow=20").settings.items():
        lease = LeaseTaken(ts_event=1, ts_init=1, component=name, instance="x", settings=settings.model_dump_json())
        assert BLUEPRINTS[name].settings_of(lease, USUAL[name]) == settings
