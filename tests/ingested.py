"""What was ingested, as a test looks at it; and an exchange that has a history."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from nats.aio.client import Client

from contracts.control import Alert
from contracts.data import DataChunk
from contracts.market import Bar
from contracts.types import InstrumentId, Interval
from eventstore.chunkledger import ChunkLedger
from eventstore.chunks import from_parquet
from services.ingest.app import Ingest
from services.ingest.settings import IngestSettings, Source
from tape.history import History
from tape.host import HostState
from tape.objects import Objects
from tape.wire import Wire
from tests.live import client, messages, until
from venues.emulator import Candle, Emulator, EmulatorSettings

HMM = Path(sys.executable).with_name("hmm")
BTC = InstrumentId("binance.BTCUSDT")
SECOND, MINUTE = 10**9, 60 * 10**9
START = 1_699_999_200 * SECOND
KLINES = "GET /api/v3/klines"


@asynccontextmanager
async def ingesting(url: str, settings: IngestSettings, history: History | None = None) -> AsyncIterator[Ingest]:
    """An ingest of its own connection; it gives up its place in the end."""
    async with client(url) as nc:
        ingest = Ingest(settings, history)
        await ingest.start(Wire(nc))
        running = asyncio.create_task(ingest.run())
        try:
            await until(lambda: ingest.state is HostState.LIVE or running.done())
            yield ingest
            assert not running.done(), running.exception()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await ingest.stop()


async def chunks(nc: Client) -> list[DataChunk]:
    return [message.event for message in await messages(nc, "data.>") if isinstance(message.event, DataChunk)]


async def alerts(nc: Client) -> list[Alert]:
    return [message.event for message in await messages(nc, "alert.>") if isinstance(message.event, Alert)]


async def ledger(nc: Client) -> ChunkLedger:
    """What the chunks on the tape cover; none of them was in vain."""
    known = ChunkLedger()
    for chunk in await chunks(nc):
        assert known.hear(chunk)
    return known


async def stored(nc: Client, instrument: InstrumentId = BTC, interval: Interval = Interval.M1) -> list[Bar]:
    """The bars of all chunks, in order, each chunk checked against what was told of it."""
    found: list[Bar] = []
    for chunk in (await ledger(nc)).chunks(instrument, interval):
        bars = from_parquet(await Objects(nc, "chunks").get(chunk.sha256))
        assert (len(bars), bars[0].instrument, bars[0].interval) == (chunk.rows, instrument, interval)
        assert chunk.first <= bars[0].ts_open <= bars[-1].ts_open <= chunk.last
        found += bars
    return found


async def has_bars(nc: Client, count: int, instrument: InstrumentId = BTC, interval: Interval = Interval.M1) -> bool:
    return sum(c.rows for c in await chunks(nc) if (c.instrument, c.interval) == (instrument, interval)) >= count


def history(first: int, count: int) -> list[Candle]:
    """Candles of minutes, by their number since the epoch."""
    made = []
    for minute in range(first, first + count):
        price = Decimal(60_000 + minute % 11)
        made.append(
            Candle(minute * 60_000, price, price + 5, price - 5, price + 1, Decimal(2), price * 2, 9, Decimal(1), price)
        )
    return made


@asynccontextmanager
async def emulated(minutes: int = 3_000) -> AsyncIterator[tuple[Emulator, int]]:
    """An exchange with that much history of BTCUSDT up to now; gives it and the number of the present minute."""
    async with Emulator(EmulatorSettings()) as emulator:
        present = emulator.now() // 60_000
        emulator.history("BTCUSDT", history(present - minutes, minutes))
        yield emulator, present


def of_exchange(emulator: Emulator, **settings: object) -> IngestSettings:
    wanted = {
        "source": Source.CCXT,
        "emulator": emulator.rest_url,
        "intervals": (Interval.M1,),
        "symbols": ("BTCUSDT",),
        "chunk_bars": 500,
        "chunk_s": 600,
        "history_s": 3 * 86_400,
        "grace_s": 0.0,
    }
    return IngestSettings.model_validate(wanted | settings)


def environment(**settings: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("HMM_")}
    return own | {f"HMM_{name.upper()}": value for name, value in settings.items()}


def covered(by: str, first: int, last: int) -> DataChunk:
    return DataChunk(
        ts_event=0,
        ts_init=0,
        by=by,
        instrument=BTC,
        interval=Interval.M1,
        first=first * MINUTE,
        last=last * MINUTE,
        rows=last - first + 1,
        missing=0,
        repaired=0,
        sha256="0" * 64,
        source="test",
    )
