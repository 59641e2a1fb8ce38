"""Put a piece into the object store, then tell of it on the tape: in this order a crash leaves no tale of nothing."""

import asyncio
import logging
import time
from collections.abc import Iterable

from prometheus_client import Counter

from contracts.codec import encode
from contracts.control import Alert
from contracts.data import DataChunk
from contracts.event import Event
from contracts.types import InstrumentId, Interval
from eventstore.chunkledger import ChunkLedger
from eventstore.chunks import name_of, to_parquet
from services.ingest.gathering import Piece
from services.ingest.rules import Finding, alerts
from tape.headers import new_trace, write_headers
from tape.objects import Objects, ObjectsAway
from tape.publisher import Publisher
from tape.wire import Wire

logger = logging.getLogger(__name__)

BARS = Counter("ingest_bars_total", "Bars put into chunks", ["instrument", "interval"])
CHUNKS = Counter("ingest_chunks_total", "Chunks told on the tape", ["instrument", "interval"])
MISSING = Counter("ingest_missing_bars_total", "Bars that chunks lack", ["instrument", "interval"])
FLAWS = Counter("ingest_flaws_total", "What was wrong with candles", ["flaw"])
TRY_AGAIN_AFTER_S = 1.0


class Keeper:
    """Writes chunks under one name. `patience_s`: how long it tries to reach an object store that is away."""

    def __init__(self, wire: Wire, publisher: Publisher, by: str, patience_s: float) -> None:
        self.by = by
        self.chunks = 0
        self.bars = 0
        self._publisher = publisher
        self._objects = Objects(wire.nc, "chunks")
        self._patience_s = patience_s

    async def keep(self, piece: Piece, source: str) -> DataChunk:
        """Store a piece that came from `source`, and tell of it; it is on the tape then. Raises `ObjectsAway`."""
        data = await asyncio.to_thread(to_parquet, piece.bars)
        name = name_of(data)
        await self._put(name, data, f"{piece.instrument} {piece.interval.value}, {len(piece.bars)} bars")
        now = time.time_ns()
        chunk = piece.chunk(self.by, name, source, now)
        await self._say(chunk, f"{self.by}/chunk-{name}", now)
        await self.tell(piece.findings, piece.instrument, piece.interval)
        await self._publisher.flush()
        self._count(piece)
        return chunk

    async def keep_uncovered(self, piece: Piece, source: str, ledger: ChunkLedger) -> int:
        """Keep what of a piece no chunk covers, and let the ledger know; gives the number of its bars."""
        kept = 0
        for span in ledger.uncovered(piece.instrument, piece.interval, piece.span()):
            if (part := piece.within(span)) is not None:
                ledger.hear(await self.keep(part, source))
                kept += len(part.bars)
        return kept

    async def tell(self, findings: Iterable[Finding], instrument: InstrumentId, interval: Interval) -> None:
        """Say on the tape what was wrong with candles."""
        found = list(findings)
        for finding in found:
            FLAWS.labels(finding.flaw.value).inc()
        now = time.time_ns()
        for alert in alerts(found, self.by, f"{instrument} {interval.value}", now):
            await self.alert(alert)

    async def alert(self, alert: Alert) -> None:
        logger.warning("%s", alert.message)
        await self._say(alert, f"{self.by}/alert-{alert.code}-{time.time_ns()}", alert.ts_init)

    async def _put(self, name: str, data: bytes, description: str) -> None:
        until = time.monotonic() + self._patience_s
        while True:
            try:
                await self._objects.put(name, data, description)
                return
            except ObjectsAway as away:
                if time.monotonic() > until:
                    raise
                logger.warning("a chunk has to wait: %s", away)
            await asyncio.sleep(TRY_AGAIN_AFTER_S)

    async def _say(self, event: Event, msg_id: str, now: int) -> None:
        headers = write_headers(event, msg_id, None, now, new_trace(now, self.chunks))
        await self._publisher.publish(type(event).subject_of(event), encode(event), headers)

    def _count(self, piece: Piece) -> None:
        self.chunks += 1
        self.bars += len(piece.bars)
        stream = (piece.instrument, piece.interval.value)
        BARS.labels(*stream).inc(len(piece.bars))
        CHUNKS.labels(*stream).inc()
        MISSING.labels(*stream).inc(piece.missing)
