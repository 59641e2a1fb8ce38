"""The live gateway: commands on the tape become orders at an exchange, and what becomes of them comes back once."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from nats.aio.client import Client

from contracts.control import Alert
from contracts.event import Event
from contracts.types import InstrumentId, InstrumentState, ReconciliationKind, TimeInForce, instrument_id, venue_of
from contracts.venue import (
    FundingPaid,
    InstrumentStatus,
    Reconciled,
    VenueAccepted,
    VenueAmended,
    VenueAmendRejected,
    VenueBalance,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueForeignOrder,
    VenuePosition,
    VenueRejected,
)
from tape.consumers import provision_consumers
from tests.emulated import exchange_at, quoted_emulator
from tests.live import messages, tape, until
from tests.trading_live import PERP, SPOT, Trader, gateway_at, order_of, patient_settings
from venues.emulator import Board, Emulator, Fault, FaultKind, Phase

pytestmark = pytest.mark.integration

BOTH = pytest.mark.parametrize("instrument", [SPOT, PERP])


@pytest.fixture
async def nc(fresh_nats_url: str) -> AsyncIterator[Client]:
    async with tape(fresh_nats_url) as nc:
        await provision_consumers(nc)
        yield nc


@pytest.fixture
async def trader(nc: Client) -> Trader:
    return Trader(nc)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with quoted_emulator() as emulator:
        yield emulator


@BOTH
async def test_a_market_order_is_accepted_and_filled(
    fresh_nats_url: str, trader: Trader, emulator: Emulator, instrument: InstrumentId
) -> None:
    order = order_of(instrument=instrument)
    async with gateway_at(fresh_nats_url, patient_settings(emulator)):
        position = await trader.submit(order)
        _, fill = await trader.until_reported(order, VenueAccepted, VenueFilled)
    assert isinstance(fill, VenueFilled)
    assert (fill.quantity, fill.price, fill.currency) == (Decimal("0.1"), Decimal("60000.1"), "USDT")
    assert {message.cause for message in await messages(trader.nc, "venue.report.>")} == {position}


@BOTH
async def test_a_resting_order_is_canceled(
    fresh_nats_url: str, trader: Trader, emulator: Emulator, instrument: InstrumentId
) -> None:
    order = order_of(limit="59000", instrument=instrument, post_only=True)
    async with gateway_at(fresh_nats_url, patient_settings(emulator)):
        await trader.submit(order)
        await trader.until_reported(order, VenueAccepted)
        await trader.cancel(order)
        await trader.until_reported(order, VenueAccepted, VenueCanceled)


@BOTH
async def test_a_changed_order_stays_one_order(
    fresh_nats_url: str, trader: Trader, emulator: Emulator, instrument: InstrumentId
) -> None:
    order = order_of(quantity="0.2", limit="59000", instrument=instrument)
    async with gateway_at(fresh_nats_url, patient_settings(emulator)):
        await trader.submit(order)
        await trader.until_reported(order, VenueAccepted)
        await trader.amend(order, quantity="0.3", limit="60000.1")
        reports = await trader.until_reported(order, VenueAccepted, VenueAmended, VenueFilled)
    amended, fill = reports[1:]
    assert isinstance(amended, VenueAmended) and isinstance(fill, VenueFilled)
    assert (amended.quantity, amended.limit_price, fill.quantity) == (
        Decimal("0.3"),
        Decimal("60000.1"),
        Decimal("0.3"),
    )


async def test_a_spot_order_that_is_changed_into_nonsense_stays(
    fresh_nats_url: str, trader: Trader, emulator: Emulator
) -> None:
    order = order_of(limit="59000")
    async with gateway_at(fresh_nats_url, patient_settings(emulator)):
        await trader.submit(order)
        await trader.until_reported(order, VenueAccepted)
        await trader.amend(order, limit="59000.001")
        await trader.until_reported(order, VenueAccepted, VenueAmendRejected)
    assert len(emulator.books.open_orders(Board.SPOT)) == 1


@BOTH
async def test_a_refusal_is_reported_with_the_words_of_the_venue(
    fresh_nats_url: str, trader: Trader, emulator: Emulator, instrument: InstrumentId
) -> None:
    order = order_of(quantity="100", limit="59000", instrument=instrument)
    async with gateway_at(fresh_nats_url, patient_settings(emulator)):
        await trader.submit(order)
        (refused,) = await trader.until_reported(order, VenueRejected)
    assert isinstance(refused, VenueRejected) and "insufficient" in refused.reason


async def test_what_does_not_fit_the_venue_is_refused_before_it_is_sent(
    fresh_nats_url: str, trader: Trader, emulator: Emulator
) -> None:
    odd = order_of(quantity="0.123456", name="odd")
    nowhere = order_of(instrument=instrument_id("binance", "NOPEUSDT"), name="nowhere")
    other = order_of(instrument=instrument_id("kraken", "BTCUSDT"), name="other")
    async with gateway_at(fresh_nats_url, patient_settings(emulator)):
        for order in (odd, nowhere, other):
            await trader.submit(order)
            await trader.until_reported(order, VenueRejected)
    assert emulator.books.orders() == []


async def test_an_order_that_cannot_trade_at_once_expires(
    fresh_nats_url: str, trader: Trader, emulator: Emulator
) -> None:
    order = order_of(limit="59000", time_in_force=TimeInForce.IOC)
    async with gateway_at(fresh_nats_url, patient_settings(emulator)):
        await trader.submit(order)
        await trader.until_reported(order, VenueAccepted, VenueExpired)


async def test_commands_about_unknown_orders_are_answered(
    fresh_nats_url: str, trader: Trader, emulator: Emulator
) -> None:
    order = order_of(limit="59000")
    async with gateway_at(fresh_nats_url, patient_settings(emulator)):
        await trader.cancel(order)
        await trader.until_reported(order, VenueCancelRejected)


@pytest.mark.parametrize(
    "kind", [FaultKind.HOLD, FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER, FaultKind.REFUSE, FaultKind.DO_AND_REFUSE]
)
@BOTH
async def test_an_unheard_answer_neither_loses_nor_doubles_the_order(
    fresh_nats_url: str, trader: Trader, emulator: Emulator, instrument: InstrumentId, kind: FaultKind
) -> None:
    order = order_of(instrument=instrument)
    emulator.faults.add(Fault(kind=kind, at="POST */order", seconds=3.0))
    async with gateway_at(fresh_nats_url, patient_settings(emulator)):
        await trader.submit(order)
        await trader.until_reported(order, VenueAccepted, VenueFilled)
    assert emulator.books.created(order.client_order_id) == 1


async def test_too_many_requests_are_waited_out(fresh_nats_url: str, trader: Trader, emulator: Emulator) -> None:
    emulator.faults.add(Fault(kind=FaultKind.REFUSE, at="POST */order", status=429, seconds=1.0))
    order = order_of()
    async with gateway_at(fresh_nats_url, patient_settings(emulator)):
        await trader.submit(order)
        await trader.until_reported(order, VenueAccepted, VenueFilled)


async def test_a_clock_that_is_off_is_set_right(fresh_nats_url: str, trader: Trader, emulator: Emulator) -> None:
    order = order_of()
    async with gateway_at(fresh_nats_url, patient_settings(emulator)):
        emulator.skew_ms = 5_000
        await trader.submit(order)
        await trader.until_reported(order, VenueAccepted, VenueFilled)


@BOTH
async def test_what_happened_while_the_gateway_was_down_is_corrected_with_evidence(
    fresh_nats_url: str, trader: Trader, emulator: Emulator, instrument: InstrumentId
) -> None:
    order, other = (
        order_of(limit="59000", instrument=instrument),
        order_of(limit="58000", instrument=instrument, name="b"),
    )
    settings = patient_settings(emulator)
    async with gateway_at(fresh_nats_url, settings):
        for one in (order, other):
            await trader.submit(one)
            await trader.until_reported(one, VenueAccepted)
    await emulator.quote("BTCUSDT", 58_900.0, 0.5, 58_900.1, 0.5)
    async with exchange_at(emulator, venue_of(instrument)) as by_hand:
        await by_hand.cancel_order("", by_hand.markets_by_id["BTCUSDT"][0]["symbol"], {"origClientOrderId": "b"})
    async with gateway_at(fresh_nats_url, settings):
        await trader.until_reported(order, VenueAccepted, VenueFilled)
        await trader.until_reported(other, VenueAccepted, VenueCanceled)
    found = {event.subject: event for event in await trader.of_type(Reconciled) if event.subject in ("b", "trend-1-0")}
    assert found["b"].kind is ReconciliationKind.MISSED_END
    assert found["trend-1-0"].kind is ReconciliationKind.MISSED_FILL
    evidence = json.loads(found["b"].evidence)
    assert (evidence["ours"]["phase"], evidence["venue"]["status"]) == ("accepted", "canceled")


@pytest.mark.parametrize("adopts", [False, True])
async def test_a_foreign_order_is_reported_and_adopted_by_setting(
    fresh_nats_url: str,
    trader: Trader,
    emulator: Emulator,
    adopts: bool,  # noqa: FBT001
) -> None:
    often = patient_settings(emulator, adopt_foreign=adopts, reconcile_every_s=2.0)
    async with gateway_at(fresh_nats_url, often):
        async with exchange_at(emulator, "binance") as by_hand:
            await by_hand.create_order("BTC/USDT", "limit", "buy", "0.1", "59000", {"newClientOrderId": "web.1"})
        await until(lambda: _has(trader, VenueForeignOrder))
        await emulator.quote("BTCUSDT", 58_900.0, 0.5, 58_900.1, 0.5)
        if adopts:
            await until(lambda: _has(trader, VenueFilled))
        await asyncio.sleep(0.5)
        (foreign,) = await trader.of_type(VenueForeignOrder)
        fills = await trader.of_type(VenueFilled)
    assert foreign.adopted is adopts
    assert [fill.client_order_id for fill in fills] == ([foreign.client_order_id] if adopts else [])


@BOTH
async def test_lost_doubled_and_late_stream_events_change_nothing(
    fresh_nats_url: str, trader: Trader, emulator: Emulator, instrument: InstrumentId
) -> None:
    for kind in (FaultKind.LOSE, FaultKind.REPEAT, FaultKind.SWAP):
        emulator.faults.add(Fault(kind=kind, at="user *", probability=0.4, times=None, seconds=0.2))
    orders = [order_of(quantity="0.01", name=f"trend-{number}-0", instrument=instrument) for number in range(10)]
    async with gateway_at(fresh_nats_url, patient_settings(emulator)):
        for order in orders:
            await trader.submit(order)
        for order in orders:
            await trader.until_reported(order, VenueAccepted, VenueFilled)


@BOTH
async def test_a_broken_stream_is_built_anew_and_what_it_missed_is_found(
    fresh_nats_url: str, trader: Trader, emulator: Emulator, instrument: InstrumentId
) -> None:
    order, after = order_of(limit="59000", instrument=instrument), order_of(instrument=instrument, name="after")
    async with gateway_at(fresh_nats_url, patient_settings(emulator)):
        await trader.submit(order)
        await trader.until_reported(order, VenueAccepted)
        emulator.disconnect()
        await emulator.quote("BTCUSDT", 58_900.0, 0.5, 58_900.1, 0.5)
        await trader.until_reported(order, VenueAccepted, VenueFilled)
        await trader.submit(after)
        await trader.until_reported(after, VenueAccepted, VenueFilled)


async def test_a_stream_that_has_gone_deaf_is_noticed_and_renewed(
    fresh_nats_url: str, trader: Trader, emulator: Emulator
) -> None:
    order, after = order_of(limit="59000", instrument=PERP), order_of(limit="58000", instrument=PERP, name="after")
    settings = patient_settings(emulator, reconcile_every_s=1.0, grace_s=0.2)
    async with gateway_at(fresh_nats_url, settings) as gateway:
        for one in (order, after):
            await trader.submit(one)
            await trader.until_reported(one, VenueAccepted)
        emulator.expire_listen_key()
        await emulator.quote("BTCUSDT", 58_900.0, 0.5, 58_900.1, 0.5)
        await trader.until_reported(order, VenueAccepted, VenueFilled)
        await asyncio.sleep(4.0)
        await emulator.quote("BTCUSDT", 57_900.0, 0.5, 57_900.1, 0.5)
        await trader.until_reported(after, VenueAccepted, VenueFilled)
        assert gateway.lag == 0
    missed = [one for one in await trader.of_type(Reconciled) if one.kind is ReconciliationKind.MISSED_FILL]
    assert [one.subject for one in missed] == [order.client_order_id]


async def test_what_is_kept_spares_a_restart_the_reading_and_doubles_nothing(
    fresh_nats_url: str, trader: Trader, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.live.KEEP_EVERY_S", 0.2)
    order, settings = order_of(quantity="0.2", limit="59000"), patient_settings(emulator)
    async with gateway_at(fresh_nats_url, settings):
        await trader.submit(order)
        await trader.until_reported(order, VenueAccepted)
        await asyncio.sleep(3.0)
    await emulator.quote("BTCUSDT", 58_900.0, 0.1, 58_900.1, 0.1)
    async with gateway_at(fresh_nats_url, settings) as gateway:
        await trader.until_reported(order, VenueAccepted, VenueFilled)
        assert gateway.handled < gateway.position
        await asyncio.sleep(3.0)
    async with gateway_at(fresh_nats_url, settings):
        await trader.cancel(order)
        await asyncio.sleep(1.0)
        await trader.until_reported(order, VenueAccepted, VenueFilled)


async def test_funds_positions_and_funding_are_reported_when_they_change(
    fresh_nats_url: str, trader: Trader, emulator: Emulator
) -> None:
    spot, perp = order_of(), order_of(instrument=PERP, name="trend-2-0")
    async with gateway_at(fresh_nats_url, patient_settings(emulator, reconcile_every_s=0.5)):
        for order in (spot, perp):
            await trader.submit(order)
            await trader.until_reported(order, VenueAccepted, VenueFilled)
        await emulator.mark("BTCUSDT", 60_000.0)
        await emulator.fund("BTCUSDT", 0.0001)
        await until(lambda: _has(trader, FundingPaid))
        await until(lambda: _has(trader, VenuePosition))
        await asyncio.sleep(2.5)
        (paid,) = await trader.of_type(FundingPaid)
        balances = {(one.venue, one.currency): one.total for one in await trader.of_type(VenueBalance)}
        (position,) = await trader.of_type(VenuePosition)
        alerts = await trader.of_type(Alert)
    assert (paid.amount, paid.quantity, paid.rate) == (Decimal("-0.6"), Decimal("0.1"), 0.0001)
    assert position.quantity == Decimal("0.1")
    assert balances["binance", "BTC"] == emulator.books.balance("BTC")
    assert balances["binance", "USDT"] == emulator.books.balance("USDT")
    assert [alert for alert in alerts if "differs" in alert.code] == []


async def test_a_withdrawal_by_hand_is_told_once_and_not_corrected(
    fresh_nats_url: str, trader: Trader, emulator: Emulator
) -> None:
    async with gateway_at(fresh_nats_url, patient_settings(emulator, reconcile_every_s=0.3)):
        await until(lambda: _has(trader, VenueBalance))
        async with exchange_at(emulator, "binance") as by_hand:
            await by_hand.create_order("ETH/USDT", "limit", "buy", "0.1", "3000", {})
            await emulator.quote("ETHUSDT", 2_900.0, 5.0, 2_901.0, 5.0)
        await until(lambda: _has(trader, Alert))
        await asyncio.sleep(1.0)
        found = [one for one in await trader.of_type(Reconciled) if one.kind is ReconciliationKind.BALANCE]
    assert {one.subject for one in found} == {"ETH", "USDT"}
    assert len(found) == 2 and not any(one.corrected for one in found)


async def test_an_instrument_that_stops_trading_is_told(
    fresh_nats_url: str, trader: Trader, emulator: Emulator
) -> None:
    async with gateway_at(fresh_nats_url, patient_settings(emulator, markets_every_s=0.2)):
        await until(lambda: _has(trader, InstrumentStatus))
        emulator.phase("BTCUSDT", Phase.BREAK, Board.SPOT)

        async def told() -> bool:
            said = [one.state for one in await trader.of_type(InstrumentStatus) if one.instrument == SPOT]
            return said == [InstrumentState.TRADING, InstrumentState.BREAK]

        await until(told)


async def _has(trader: Trader, kind: type[Event]) -> bool:
    return bool(await trader.of_type(kind))
