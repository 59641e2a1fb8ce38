"""`hmm backfill`: the history of an exchange as chunks, from where it is not known; run again, it goes on."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import typer

from contracts.types import InstrumentId, Interval, instrument_id
from eventstore.chunkledger import ChunkLedger, Span
from services.cli.chunkwriter import interval_named, write_chunks
from services.cli.errors import ExitCode, fail, misused
from services.cli.progress import Reached, progress
from services.ingest.exchange import Exchange, exchange_problem
from services.ingest.following import Stream, ask
from services.ingest.gathering import Cutting, Gathering
from services.ingest.rules import SECOND
from services.ingest.settings import IngestSettings
from services.ingest.writing import Writing, holder
from tape.settings import load
from venues.live.outcomes import Refused

BACKFILL = "backfill"


@dataclass(slots=True)
class Filling:
    """One instrument: the stretches that are not known, and what came of them."""

    instrument: InstrumentId
    interval: Interval
    spans: tuple[Span, ...]
    bars: int = 0
    flaws: int = 0

    @property
    def wanted(self) -> int:
        """How many bars there is room for."""
        return sum(span.end - span.start for span in self.spans) // self.interval.nanos

    def __str__(self) -> str:
        name = f"{self.instrument} {self.interval.value}"
        if not self.spans:
            return f"{name}: already there"
        lacking = self.wanted - self.bars
        said = f", {lacking:,} not to be had" if lacking else ""
        return f"{name}: {self.bars:,} bars{said}{f', {self.flaws:,} flaws' if self.flaws else ''}"


def backfill(symbols: str, interval: str, since: str, until: str | None, venue: str | None) -> None:
    """Fetch the candles of [`since`, `until`) that no chunk holds, up to where live ingestion has got."""
    settings = load(IngestSettings, "ingest")
    wanted, venue = interval_named(interval), venue or settings.venue
    names = [name.strip() for name in symbols.split(",") if name.strip()]
    within = _span(wanted, since, until)
    if not names:
        misused("--symbols names none", "use for instance BTCUSDT,ETHUSDT")
    if wrong := exchange_problem(venue):
        misused(f"--venue: {wrong}")
    fillings: list[Filling] = []

    async def work(writing: Writing) -> None:
        exchange = Exchange(venue, settings.emulator, settings.request_timeout_s)
        try:
            await exchange.open()
            fillings.extend(await _plan(writing, exchange, names, wanted, within, settings))
            await _fill_all(writing, exchange, fillings, settings)
        except Refused as refused:
            fail(f"{venue} refuses: {refused}", "what was told so far stays")
        finally:
            await exchange.close()

    try:
        write_chunks(BACKFILL, settings, work)
    except KeyboardInterrupt:
        _print(fillings)
        print("stopped; run the same again to go on")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    _print(fillings)


def _print(fillings: Sequence[Filling]) -> None:
    for filling in fillings:
        print(filling)


async def _plan(
    writing: Writing,
    exchange: Exchange,
    names: Sequence[str],
    interval: Interval,
    within: Span,
    settings: IngestSettings,
) -> list[Filling]:
    """Say what is to be fetched of each symbol."""
    for name in names:
        if objection := exchange.objection(name, interval):
            misused(objection, "see --symbols, --interval, --venue")
    live = await holder(writing.known.nc, "ingest") is not None
    now = await exchange.now() - int(settings.grace_s * SECOND)
    ledger = writing.known.ledger
    instruments = [instrument_id(exchange.venue, name) for name in names]
    return [Filling(one, interval, unknown(ledger, one, interval, within, now, live=live)) for one in instruments]


def unknown(
    ledger: ChunkLedger, instrument: InstrumentId, interval: Interval, within: Span, now: int, *, live: bool
) -> tuple[Span, ...]:
    """Give the stretches of `within` that are over by `now`, in no chunk, and not about to be ingested `live`."""
    end = min(within.end, now // interval.nanos * interval.nanos)
    ingested = [chunk.until for chunk in ledger.chunks(instrument, interval) if chunk.by == "ingest"]
    if live and ingested:
        end = min(end, max(ingested))
    return ledger.uncovered(instrument, interval, Span(within.start, end)) if within.start < end else ()


def _span(interval: Interval, since: str, until: str | None) -> Span:
    nanos = interval.nanos
    start = -(-_time("--since", since) // nanos) * nanos
    end = (_time("--until", until) if until else time.time_ns()) // nanos * nanos
    if start >= end:
        misused(f"--since {since} is not before {until or 'now'}")
    return Span(start, end)


def _time(option: str, text: str) -> int:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        misused(f"{option} {text}: no time", "write it as 2024-01-31 or 2024-01-31T12:00:00, in UTC")
    seconds = (read.replace(tzinfo=UTC) if read.tzinfo is None else read).timestamp()
    if seconds < 0:
        misused(f"{option} {text}: before 1970")
    return int(seconds) * SECOND


async def _fill_all(
    writing: Writing, exchange: Exchange, fillings: Sequence[Filling], settings: IngestSettings
) -> None:
    done = 0
    with progress(1, max(sum(filling.wanted for filling in fillings), 1)) as reached:
        for filling in fillings:
            for span in filling.spans:
                moved = _moved(reached, done, filling, span)
                await _fill(writing, exchange, filling, span, settings.cutting_of_the_past, moved)
                done += (span.end - span.start) // filling.interval.nanos


def _moved(reached: Reached, done: int, filling: Filling, span: Span) -> Reached:
    """Show how far a stretch was fetched, as bars of all stretches."""
    return lambda at, bars: reached(done + (min(at, span.end) - span.start) // filling.interval.nanos, bars)


async def _fill(
    writing: Writing, exchange: Exchange, filling: Filling, span: Span, cutting: Cutting, moved: Reached
) -> None:
    """Fetch one stretch page by page; each piece is told as soon as it is complete."""
    stream, gathering = Stream(filling.instrument, filling.interval, span.start), Gathering(cutting)
    while True:
        page = await ask(exchange, stream, 0, span.end)
        await writing.keeper.tell(page.findings, filling.instrument, filling.interval)
        filling.flaws += len(page.findings)
        for piece in gathering.take(page.bars):
            filling.bars += await writing.keep(piece, exchange.venue)
        moved(stream.begins, writing.keeper.bars)
        if page.done:
            break
    if (rest := gathering.rest()) is not None:
        filling.bars += await writing.keep(rest, exchange.venue)
