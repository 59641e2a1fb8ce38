"""Follow candles of an exchange: each stream is asked for what has closed since, one after the other."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from contracts.types import InstrumentId, Interval, symbol_of
from services.ingest.exchange import PAGE, Exchange
from services.ingest.rules import SECOND, Finding, Sifted, sift
from venues.live.outcomes import Refused

logger = logging.getLogger(__name__)

LOOK_AGAIN_AFTER_S = 1.0
"""A candle that is due may take the exchange a moment."""
SLEEP_AT_MOST_S = 1.0
ASK_THE_UNWILLING_AFTER_S = 300.0


@dataclass(slots=True)
class Stream:
    """One instrument and interval; `begins` is when the next candle that we want opens (ns)."""

    instrument: InstrumentId
    interval: Interval
    begins: int
    not_before: int = 0

    def due(self, grace: int) -> int:
        """When it is worth asking (ns of the exchange's time)."""
        return max(self.begins + self.interval.nanos + grace, self.not_before)


@dataclass(frozen=True, slots=True)
class Page:
    """What an exchange had to say of a stream that had closed; `done`: nothing more has."""

    bars: Sifted
    done: bool

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.bars.findings


async def ask(exchange: Exchange, stream: Stream, grace: int, until: int | None = None, page: int = PAGE) -> Page:
    """Ask for the next page of a stream, up to what opens at `until`, and move it on.

    What was seen is not asked for again, be it good or not. Raises `Refused`.
    """
    closed_by = await exchange.now() - grace
    if until is not None:
        closed_by = min(closed_by, until)
    candles = await exchange.candles(symbol_of(stream.instrument), stream.interval, stream.begins, page)
    nanos = stream.interval.nanos
    closed = [one for one in candles if stream.begins <= one.ts_open and one.ts_open + nanos <= closed_by]
    if closed:
        stream.begins = max(one.ts_open for one in closed) // nanos * nanos + nanos
    done = not closed or stream.begins + nanos > closed_by
    return Page(sift(closed, stream.instrument, stream.interval, closed_by), done)


async def follow(
    exchange: Exchange, streams: list[Stream], grace: int
) -> AsyncGenerator[tuple[Stream, Page | Refused], None]:
    """Give page after page of all streams, for ever; what the exchange refuses is asked again after a while."""
    while True:
        stream = min(streams, key=lambda one: one.due(grace))
        while (left := stream.due(grace) - await exchange.now()) > 0:  # noqa: ASYNC110 # it is the exchange's clock
            await asyncio.sleep(min(left / SECOND, SLEEP_AT_MOST_S))
        pause_s = 0.0
        said: Page | Refused
        try:
            said = await ask(exchange, stream, grace)
            pause_s = LOOK_AGAIN_AFTER_S if said.done else 0.0
        except Refused as refusal:
            said, pause_s = refusal, ASK_THE_UNWILLING_AFTER_S
        stream.not_before = await exchange.now() + int(pause_s * SECOND)
        yield stream, said
