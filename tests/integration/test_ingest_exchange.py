"""Ingestion of an exchange by the real ccxt: all of it, once, through all of its troubles."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from nats.aio.client import Client

from contracts.types import Interval
from services.ingest import exchange as exchange_module
from services.ingest.exchange import Exchange
from tape.consumers import provision_consumers
from tests.ingested import KLINES, MINUTE, alerts, chunks, emulated, has_bars, history, ingesting, of_exchange, stored
from tests.live import PATIENCE_S, tape, until
from venues.emulator import Emulator, EmulatorSettings
from venues.emulator.faults import Fault, FaultKind
from venues.live.outcomes import Refused

pytestmark = pytest.mark.integration


@pytest.fixture
async def nc(fresh_nats_url: str) -> AsyncIterator[Client]:
    async with tape(fresh_nats_url) as nc:
        await provision_consumers(nc)
        yield nc


async def test_candles_of_an_exchange_become_chunks(nc: Client, fresh_nats_url: str) -> None:
    async with emulated() as (emulator, present), ingesting(fresh_nats_url, of_exchange(emulator)):
        await until(lambda: has_bars(nc, 2_900))
        bars = await stored(nc)
    opens = [bar.ts_open // MINUTE for bar in bars]
    assert opens == list(range(present - 3_000, present - 3_000 + len(opens)))
    assert (bars[0].high, bars[0].close - bars[0].open, bars[0].volume) == (bars[0].open + 5, 1.0, 2.0)
    assert {(chunk.by, chunk.source) for chunk in await chunks(nc)} == {("ingest", "binance")}


async def test_new_candles_are_taken_when_they_have_closed(
    nc: Client, fresh_nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "LOOK_AT_ITS_CLOCK_EVERY_S", 0.0)
    async with emulated(30) as (emulator, present):
        async with ingesting(fresh_nats_url, of_exchange(emulator, chunk_s=60.0)):
            await until(lambda: has_bars(nc, 28))
            emulator.history("BTCUSDT", history(present, 5))
            emulator.skew_ms += 3 * 60_000
            await until(lambda: has_bars(nc, 31))
            await asyncio.sleep(1.5)
        opens = [bar.ts_open // MINUTE for bar in await stored(nc)]
        assert opens == list(range(present - 30, opens[-1] + 1))
        assert present <= opens[-1] < emulator.now() // 60_000


async def test_faults_of_the_exchange_are_outlasted(
    nc: Client, fresh_nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "FIRST_WAIT_S", 0.05)
    async with emulated() as (emulator, present):
        emulator.faults.add(
            Fault(kind=FaultKind.REFUSE, at=KLINES, nth=1, status=503),
            Fault(kind=FaultKind.REFUSE, at=KLINES, nth=2, status=502),
            Fault(kind=FaultKind.DROP_BEFORE, at=KLINES, nth=3),
            Fault(kind=FaultKind.DROP_AFTER, at=KLINES, nth=4),
            Fault(kind=FaultKind.HOLD, at=KLINES, nth=5, seconds=5),
        )
        async with ingesting(fresh_nats_url, of_exchange(emulator, request_timeout_s=1.0)):
            await until(lambda: has_bars(nc, 2_900), within_s=2 * PATIENCE_S)
        assert len(emulator.faults.log) == 5
    opens = [bar.ts_open // MINUTE for bar in await stored(nc)]
    assert opens == list(range(present - 3_000, present - 3_000 + len(opens)))


async def test_an_exchange_that_says_wait_is_left_alone_for_so_long() -> None:
    async with emulated(100) as (emulator, present):
        exchange = Exchange("binance", emulator.rest_url, 5.0)
        await exchange.open()
        emulator.faults.add(Fault(kind=FaultKind.REFUSE, at=KLINES, times=None, status=429))
        asking = asyncio.create_task(exchange.candles("BTCUSDT", Interval.M1, (present - 50) * MINUTE))
        await until(lambda: len(emulator.faults.log) == 1)
        await asyncio.sleep(3)
        assert len(emulator.faults.log) == 1 and not asking.done()
        asking.cancel()
        await exchange.close()


async def test_what_an_exchange_refuses_is_not_asked_again_and_again() -> None:
    async with emulated(100) as (emulator, present):
        exchange = Exchange("binance", emulator.rest_url, 5.0)
        await exchange.open()
        with pytest.raises(Refused, match="-1120"):
            await exchange.candles("BTCUSDT", Interval.S1, (present - 50) * MINUTE)
        await exchange.close()


async def test_wrong_candles_and_gaps_are_told_and_the_rest_is_taken(nc: Client, fresh_nats_url: str) -> None:
    async with Emulator(EmulatorSettings()) as emulator:
        present = emulator.now() // 60_000
        made = history(present - 1_000, 1_000)
        made[100] = replace(made[100], high=made[100].low - 1)
        del made[200:203]
        emulator.history("BTCUSDT", made)
        async with ingesting(fresh_nats_url, of_exchange(emulator)):
            await until(lambda: has_bars(nc, 950))
    opens = {bar.ts_open // MINUTE - (present - 1_000) for bar in await stored(nc)}
    assert not opens & {100, 200, 201, 202}
    assert sum(chunk.missing for chunk in await chunks(nc)) == 4
    assert {alert.code for alert in await alerts(nc)} == {"candles_inconsistent", "candles_gap"}
    (wrong,) = [alert for alert in await alerts(nc) if alert.code == "candles_inconsistent"]
    assert wrong.message.startswith("binance.BTCUSDT 1m: inconsistent 1x, first at ")


async def test_what_the_exchange_does_not_list_is_told_and_left_out(nc: Client, fresh_nats_url: str) -> None:
    async with emulated() as (emulator, _):
        settings = of_exchange(emulator, symbols=("NONEUSDT", "BTCUSDT"))
        async with ingesting(fresh_nats_url, settings):
            await until(lambda: has_bars(nc, 2_900))
    (alert,) = await alerts(nc)
    assert alert.code == "not_listed"
    assert alert.message.startswith("binance lists no NONEUSDT")


async def test_what_the_exchange_refuses_is_told_and_the_rest_goes_on(nc: Client, fresh_nats_url: str) -> None:
    intervals = (Interval.S1, Interval.M1)
    async with emulated() as (emulator, _), ingesting(fresh_nats_url, of_exchange(emulator, intervals=intervals)):
        await until(lambda: has_bars(nc, 2_900))
    (alert,) = await alerts(nc)
    assert alert.code == "refused"
    assert alert.message.startswith("binance.BTCUSDT 1s: ")
