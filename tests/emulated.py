"""The real ccxt.pro turned to an emulated exchange."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import ccxt.pro

from venues.emulator import Emulator, EmulatorSettings

SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
BID, ASK = 60_000.0, 60_000.1

Ccxt: TypeAlias = Any
"""An exchange of ccxt, which has no types."""

QUICK = {"enableRateLimit": False, "timeout": 5_000}


@asynccontextmanager
async def exchange_at(emulator: Emulator, name: str, **config: object) -> AsyncIterator[Ccxt]:
    """Open a `binance` or `binanceusdm` that knows its markets."""
    exchange = getattr(ccxt.pro, name)({**QUICK, **config})
    emulator.point(exchange)
    try:
        await exchange.load_markets()
        yield exchange
    finally:
        await exchange.close()


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds: machines are busy, so time says nothing."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what holds has no event
            await asyncio.sleep(0.005)


async def listened(emulator: Emulator, subscriptions: int = 1) -> None:
    """Wait until so many subscriptions to its streams stand."""
    await eventually(lambda: emulator.listeners >= subscriptions)


@asynccontextmanager
async def quoted_emulator(**settings: object) -> AsyncIterator[Emulator]:
    """Open an emulator with half a bitcoin shown at each level on both boards."""
    async with Emulator(EmulatorSettings.model_validate(settings)) as emulator:
        await emulator.quote("BTCUSDT", BID, 0.5, ASK, 0.5)
        yield emulator
