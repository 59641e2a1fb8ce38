"""Ingest closed bars, of the tape or of an exchange, into chunks: the ingest edge.

What it knows it has from the tape: which stretches chunks cover, and which bars none does yet. So it can be killed at
any moment: bars that were gathered and not told of are gathered again.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable
from contextlib import aclosing

from prometheus_client import Gauge

from contracts.control import Alert
from contracts.data import DataChunk
from contracts.market import Bar
from contracts.recorded import Recorded, Unreadable
from contracts.types import MAX_TEXT, InstrumentId, Interval, Severity, instrument_id
from eventstore.chunkledger import ChunkLedger
from eventstore.history import stored_history
from services.ingest.exchange import Exchange, exchange_problem
from services.ingest.following import Stream, follow
from services.ingest.gathering import Gathering, Piece
from services.ingest.keeping import Keeper
from services.ingest.past import Past, merged, past
from services.ingest.rules import SECOND
from services.ingest.settings import IngestSettings, Source
from tape.edge import ReadingEdge
from tape.history import History
from tape.host import HostState
from tape.provision import TAPE
from tape.service import serve_edge
from tape.settings import load
from venues.instruments import LISTING
from venues.live.outcomes import Refused

logger = logging.getLogger(__name__)

WATERMARK = Gauge("ingest_watermark_seconds", "When the last bar in a chunk closed", ["instrument", "interval"])
WAITING = Gauge("ingest_waiting_bars", "Bars that are in no chunk yet", ["instrument", "interval"])
TRY_AGAIN_AFTER_S = 1.0
FOR_EVER = float("inf")
TAPE_BARS, SIMULATED_PAST = "tape", "simulated past"

Key = tuple[InstrumentId, Interval]


class Ingest(ReadingEdge):
    """One instance. It follows the tape up to its own `LeaseTaken` in silence, and writes chunks from then on."""

    def __init__(self, settings: IngestSettings, history: History | None) -> None:
        super().__init__("ingest", settings, history)
        self.settings = settings
        self.ledger = ChunkLedger()
        self._keeper: Keeper | None = None
        self._exchange: Exchange | None = None
        self._loose: dict[Key, list[Bar]] = {}
        """Bars of the tape that no chunk covers yet, until we write ourselves."""
        self._gatherings: dict[Key, Gathering] = {}
        self._pasts: dict[InstrumentId, tuple[int, float | None]] = {}
        """Where the simulated past of an instrument ends (ns), and at which price, if that is known."""
        self._caught_up = asyncio.Event()

    @property
    def detail(self) -> str:
        waiting = sum(gathering.held for gathering in self._gatherings.values())
        kept = f"{self._keeper.chunks} chunks of {self._keeper.bars} bars" if self._keeper else "nothing"
        return f"{self.settings.source.value}: {kept} kept, {waiting} bars waiting"

    async def stop(self) -> None:
        await super().stop()
        if self._exchange is not None:
            await self._exchange.close()

    # -- from nothing to live ------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        assert self._wire is not None and self._seat is not None
        self.state = HostState.CATCHING_UP
        self._keeper = Keeper(self._wire, self._seat.publisher, "ingest", FOR_EVER)
        position = await self._read_what_the_tape_lost()
        await self._read_from(position + 1)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reading())
            await self._caught_up.wait()
            self.state = HostState.LIVE
            if self.settings.source is Source.SIM:
                tasks.create_task(self._make_the_past())
            elif self.settings.source is Source.CCXT:
                tasks.create_task(self._follow())

    async def _read_what_the_tape_lost(self) -> int:
        """Fold from the event store what the tape no longer holds; gives the position up to which that is."""
        assert self._wire is not None
        lost = (await self._wire.nc.jetstream(timeout=10).stream_info(TAPE)).state.first_seq - 1
        if lost <= 0:
            return 0
        history, _ = await self._archived(
            lost,
            f"{TAPE} begins at position {lost + 1} and ingest has to know every chunk: set HMM_DATABASE_URL, so "
            "that they can be read from the event store",
        )
        await asyncio.to_thread(self._fold_stored, history, lost)
        return lost

    def _fold_stored(self, history: History, stop: int) -> None:
        for received in history.read(1, stop, (DataChunk, Bar) if self._wants_bars else (DataChunk,)):
            if isinstance(received, Recorded):
                self._fold(received.event)

    # -- the tape ------------------------------------------------------------------------------------------------

    @property
    def _wants_bars(self) -> bool:
        return self.settings.source is not Source.CCXT

    def _handle(self, received: Recorded | Unreadable, _trace: str) -> Awaitable[None] | None:
        if not self._caught_up.is_set():
            if isinstance(received, Recorded):
                self._fold(received.event)
            return self._begin() if received.position >= self._leads_from > 0 else None
        if isinstance(received, Unreadable):
            return None
        if isinstance(received.event, DataChunk):
            self._hear(received.event)
        elif isinstance(received.event, Bar) and self._is_wanted(received.event):
            return self._gather(received.event)
        return None

    def _fold(self, event: object) -> None:
        """Learn what is covered, and which bars are not."""
        if isinstance(event, DataChunk):
            self._hear(event)
            loose = self._loose.get((event.instrument, event.interval))
            if loose:
                loose[:] = [bar for bar in loose if not event.first <= bar.ts_open <= event.last]
        elif isinstance(event, Bar) and self._is_wanted(event):
            self._loose.setdefault((event.instrument, event.interval), []).append(event)

    def _hear(self, chunk: DataChunk) -> None:
        self.ledger.hear(chunk)
        self._show_watermark(chunk.instrument, chunk.interval)

    def _show_watermark(self, instrument: InstrumentId, interval: Interval) -> None:
        watermark = self.ledger.watermark(instrument, interval)
        WATERMARK.labels(instrument, interval.value).set(watermark / SECOND)

    def _is_wanted(self, bar: Bar) -> bool:
        return self._wants_bars and bar.interval in self.settings.intervals

    async def _begin(self) -> None:
        """Gather the bars that were on the tape before us."""
        self._plan_the_past()
        loose, self._loose = self._loose, {}
        for bars in loose.values():
            for bar in bars:
                if (keeping := self._gather(bar)) is not None:
                    await keeping
        self._caught_up.set()

    def _gather(self, bar: Bar) -> Awaitable[None] | None:
        """Take a bar that no chunk covers; what is awaited then is that a piece was kept."""
        if self.ledger.holds(bar.instrument, bar.interval, bar.ts_open):
            return None
        gathering = self._gathering((bar.instrument, bar.interval))
        piece = gathering.add(bar)
        WAITING.labels(bar.instrument, bar.interval.value).set(gathering.held)
        return None if piece is None else self._keep(piece, TAPE_BARS)

    def _gathering(self, key: Key) -> Gathering:
        return self._gatherings.setdefault(key, Gathering(self.settings.cutting))

    async def _keep(self, piece: Piece, source: str) -> None:
        """Keep what others have not covered meanwhile."""
        assert self._keeper is not None
        await self._keeper.keep_uncovered(piece, source, self.ledger)
        self._show_watermark(piece.instrument, piece.interval)

    # -- a past for the simulated market ---------------------------------------------------------------------------

    def _plan_the_past(self) -> None:
        """Say where the past of an instrument ends that no chunk tells of: where its bars on the tape begin, or now."""
        if self.settings.source is not Source.SIM:
            return
        known = {instrument for instrument, _ in self.ledger.streams()}
        whole = max(interval.nanos for interval in self.settings.intervals)
        for symbol in self.settings.symbols:
            instrument = instrument_id(self.settings.venue, symbol)
            if instrument not in known:
                loose = [bars[0] for (its, _), bars in self._loose.items() if its == instrument and bars]
                first = min(loose, key=lambda bar: bar.ts_open, default=None)
                end = (first.ts_open if first else time.time_ns()) // whole * whole
                self._pasts[instrument] = (end, first.open if first else None)

    async def _make_the_past(self) -> None:
        finest, *wider = sorted(set(self.settings.intervals), key=lambda interval: interval.nanos)
        whole = wider[-1].nanos if wider else finest.nanos
        for instrument, (end, ends_at) in self._pasts.items():
            begin = (end - int(self.settings.history_s * SECOND)) // whole * whole
            stretch = Past(f"past/{self.settings.seed}", begin, end, self.settings.quotes_per_s)
            bars = await asyncio.to_thread(past, LISTING[instrument], stretch, finest, ends_at)
            for made in (bars, *(merged(bars, interval) for interval in wider)):
                await self._keep_all(made)
            logger.info("%s has a simulated past of %.0f s", instrument, (end - begin) / SECOND)

    async def _keep_all(self, bars: list[Bar]) -> None:
        gathering = Gathering(self.settings.cutting_of_the_past)
        for bar in bars:
            if (piece := gathering.add(bar)) is not None:
                await self._keep(piece, SIMULATED_PAST)
        if (rest := gathering.rest()) is not None:
            await self._keep(rest, SIMULATED_PAST)

    # -- an exchange ---------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        assert self._keeper is not None
        settings, grace = self.settings, int(self.settings.grace_s * SECOND)
        arguments = (settings.venue, settings.emulator, settings.request_timeout_s)
        self._exchange = exchange = await asyncio.to_thread(Exchange, *arguments)
        await exchange.open()
        streams = await self._streams(exchange)
        async with aclosing(follow(exchange, streams, grace)) as pages:
            async for stream, page in pages:
                if isinstance(page, Refused):
                    await self._warn("refused", f"{stream.instrument} {stream.interval.value}: {page}")
                    continue
                await self._keeper.tell(page.findings, stream.instrument, stream.interval)
                gathering = self._gathering((stream.instrument, stream.interval))
                for piece in gathering.take(page.bars):
                    await self._keep(piece, settings.venue)
                WAITING.labels(stream.instrument, stream.interval.value).set(gathering.held)

    async def _streams(self, exchange: Exchange) -> list[Stream]:
        """Name what is followed, each from where the ledger ends; what the exchange does not have is told."""
        earliest = await exchange.now() - int(self.settings.history_s * SECOND)
        streams = []
        for symbol in self.settings.symbols:
            for interval in self.settings.intervals:
                if wrong := exchange.objection(symbol, interval):
                    await self._warn("not_listed", f"{wrong}: it is left out. See HMM_INGEST_SYMBOLS, _INTERVALS")
                    continue
                instrument = instrument_id(self.settings.venue, symbol)
                begins = -(-earliest // interval.nanos) * interval.nanos
                streams.append(Stream(instrument, interval, self.ledger.watermark(instrument, interval) or begins))
        if not streams:
            raise ValueError(f"{self.settings.venue} has none of HMM_INGEST_SYMBOLS at any of HMM_INGEST_INTERVALS")
        return streams

    async def _warn(self, code: str, text: str) -> None:
        assert self._keeper is not None
        now = time.time_ns()
        await self._keeper.alert(
            Alert(
                ts_event=now,
                ts_init=now,
                component="ingest",
                severity=Severity.WARNING,
                code=code,
                message=text[:MAX_TEXT],
            )
        )


def problem(settings: IngestSettings) -> str | None:
    """Say why this cannot be ingested; None if it can."""
    if settings.source is Source.CCXT and (wrong := exchange_problem(settings.venue)):
        return f"HMM_INGEST_VENUE: {wrong}"
    if settings.source is not Source.SIM:
        return None
    unknown = [symbol for symbol in settings.symbols if instrument_id(settings.venue, symbol) not in LISTING]
    if unknown:
        return f"HMM_INGEST_SYMBOLS: no {', '.join(unknown)} of {settings.venue}; there are {', '.join(LISTING)}"
    return None


if __name__ == "__main__":
    wanted = load(IngestSettings, "ingest")
    if wrong := problem(wanted):
        sys.exit(f"ingest: {wrong}")
    serve_edge("ingest", Ingest(wanted, stored_history()))
