"""Candles of an exchange through ccxt: pages in order, its rate limits respected, its troubles outlasted."""

import asyncio
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from prometheus_client import Counter

from contracts.types import Interval
from services.ingest.rules import Candle
from venues.live.outcomes import NotNow, Refused, Unheard, VenueFailure, failure_of

logger = logging.getLogger(__name__)

T = TypeVar("T")

REQUESTS = Counter("ingest_requests_total", "Requests to the exchange", ["outcome"])
MS = 1_000_000
PAGE = 1_000
"""Candles asked for at once."""
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
WAIT_UNLESS_TOLD_S = 5.0
LOOK_AT_ITS_CLOCK_EVERY_S = 600.0
EMULATOR_KEYS = ("emulator-key", "emulator-secret")


_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,32}")


class Exchange:
    """One exchange. Requests are repeated for as long as it is away; only what it refuses is raised, as `Refused`."""

    def __init__(self, venue: str, emulator: str, timeout_s: float) -> None:
        self.venue = venue
        self._timeout_s = timeout_s
        self._ccxt = _exchange(venue, emulator, timeout_s)
        self._ahead_ms = 0
        self._clock_seen = -math.inf

    async def open(self) -> None:
        """Learn what it lists. Raises `Refused`."""
        await self._asked("markets", self._ccxt.load_markets)

    async def close(self) -> None:
        await self._ccxt.close()

    def objection(self, symbol: str, interval: Interval) -> str | None:
        """Say why there are no such candles; None if there are."""
        if symbol not in self._ccxt.markets_by_id:
            return f"{self.venue} lists no {symbol}"
        if not _TOKEN.fullmatch(symbol):
            return f"{symbol} cannot be part of an instrument's name here: letters, digits, _ and - only"
        if interval.value not in (self._ccxt.timeframes or {}):
            return f"{self.venue} has no candles of {interval.value}"
        return None

    async def now(self) -> int:
        """Give the exchange's time (ns)."""
        if time.monotonic() - self._clock_seen > LOOK_AT_ITS_CLOCK_EVERY_S:
            self._clock_seen = time.monotonic()
            if self._ccxt.has.get("fetchTime"):
                its = await self._asked("time", self._ccxt.fetch_time)
                self._ahead_ms = int(its) - time.time_ns() // MS
        return time.time_ns() + self._ahead_ms * MS

    async def candles(self, symbol: str, interval: Interval, since: int, limit: int = PAGE) -> list[Candle]:
        """Give the first candles that open at `since` (ns) or later, the one that still goes on among them."""
        market = self._ccxt.markets_by_id[symbol][0]["symbol"]
        rows = await self._asked(
            f"{symbol} {interval.value}",
            lambda: self._ccxt.fetch_ohlcv(market, interval.value, since // MS, limit),
        )
        return [_candle(row) for row in rows]

    async def _asked(self, what: str, request: Callable[[], Awaitable[T]]) -> T:
        wait_s = FIRST_WAIT_S
        while True:
            try:
                async with asyncio.timeout(self._timeout_s + 1):
                    answer = await request()
            except Exception as error:  # noqa: BLE001 # ccxt raises anything
                failure = failure_of(error, self._ccxt.last_response_headers or {}, WAIT_UNLESS_TOLD_S)
                pause = _pause_after(failure, wait_s)
            else:
                REQUESTS.labels("answered").inc()
                return answer
            REQUESTS.labels(type(failure).__name__.lower()).inc()
            logger.warning("%s: %s has to wait %.1f s: %s", self.venue, what, pause, str(failure)[:200])
            await asyncio.sleep(pause)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _pause_after(failure: VenueFailure, wait_s: float) -> float:
    """Say how long to wait before asking again; raises what will not change."""
    if isinstance(failure, NotNow):
        return max(failure.after_s, FIRST_WAIT_S)
    if isinstance(failure, Unheard):
        return wait_s
    REQUESTS.labels("refused").inc()
    raise Refused(str(failure)) from None


def _candle(row: list[Any]) -> Candle:
    open_, high, low, close, volume = (math.nan if value is None else float(value) for value in row[1:6])
    return Candle(int(row[0]) * MS, open_, high, low, close, volume)


def exchange_problem(venue: str) -> str | None:
    """Say why there are no candles of such an exchange; None if there are."""
    import ccxt  # noqa: PLC0415 # it takes seconds and 100 MB, which nobody else shall pay for

    if venue not in ccxt.exchanges:
        return f"ccxt knows no exchange {venue}; for instance binance, binanceusdm, kraken"
    return None if getattr(ccxt, venue)().has.get("fetchOHLCV") else f"{venue} gives no candles by ccxt"


def _exchange(venue: str, emulator: str, timeout_s: float) -> Any:  # noqa: ANN401 # ccxt has no types
    import ccxt.async_support as ccxt  # noqa: PLC0415 # as above

    types = {"binance": ["spot"], "binanceusdm": ["linear"]}.get(venue)
    options = {"fetchCurrencies": False, **({"fetchMarkets": {"types": types}} if types else {})}
    exchange = getattr(ccxt, venue)({"enableRateLimit": True, "timeout": int(timeout_s * 1000), "options": options})
    if emulator:
        from venues.emulator.pointing import point  # noqa: PLC0415 # it brings the emulator along

        point(exchange, emulator, emulator.replace("http", "ws", 1), *EMULATOR_KEYS)
    return exchange
