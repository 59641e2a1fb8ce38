"""`hmm import`: files of candles into the object store, told on the tape; wholly, or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eventstore.chunkledger import ChunkLedger, Span
from eventstore.chunks import name_of, to_parquet
from eventstore.marketdata.forms import BadFile
from eventstore.marketdata.times import moment
from services.cli.chunkwriter import interval_named, write_chunks
from services.cli.errors import fail, misused
from services.cli.progress import Reached, progress
from services.ingest.gathering import Cutting, Gathering, Piece
from services.ingest.imports import Imported, Wanted, read_candles
from services.ingest.rules import Flaw, Sifted
from services.ingest.settings import IngestSettings
from services.ingest.writing import Writing
from tape.settings import load

IMPORTER = "importer"


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of one file: how many of its bars are new, in how many chunks."""

    bars: int
    chunks: int
    same: bool
    """Whether what was there is what the file says."""


def import_files(files: Sequence[Path], symbol: str | None, interval: str | None, venue: str) -> None:
    """Import candles of files; each is read and judged before anything of the first one is written."""
    settings = load(IngestSettings, "ingest")
    wanted = Wanted(venue, symbol, interval_named(interval) if interval else None)
    imported = [_read(file, wanted) for file in files]
    _require_apart(imported)
    pieces = [cut(one, settings.cutting_of_the_past) for one in imported]
    for one in imported:
        print(one, flush=True)
    outcomes: list[Kept] = []
    total = sum(len(piece.bars) for each in pieces for piece in each)

    async def work(writing: Writing) -> None:
        with progress(1, total) as reached:
            for one, each in zip(imported, pieces, strict=True):
                outcomes.append(await _keep(writing, each, one.path.name, reached))

    try:
        write_chunks(IMPORTER, settings, work)
    except KeyboardInterrupt:
        fail("stopped", "what was told so far stays; run the same again to go on")
    for one, each, kept in zip(imported, pieces, outcomes, strict=True):
        print(tale(one, each, kept))


def cut(imported: Imported, cutting: Cutting) -> list[Piece]:
    """Cut a file into pieces."""
    gathering = Gathering(cutting)
    pieces = list(gathering.take(Sifted(imported.bars, imported.repeated)))
    rest = gathering.rest()
    return [*pieces, rest] if rest else pieces


def tale(imported: Imported, pieces: Sequence[Piece], kept: Kept) -> str:
    """Say in one line what came of a file."""
    total = sum(len(piece.bars) for piece in pieces)
    name = f"{imported.instrument} {imported.interval.value}"
    if not kept.bars:
        others = "" if kept.same else "; it was told by another source, whose bars stay"
        return f"{name}: already there ({total:,} bars){others}"
    flaws = [finding.flaw for piece in pieces for finding in piece.findings]
    notes = {
        "already there": total - kept.bars,
        "missing": sum(piece.missing for piece in pieces),
        "repaired": len(imported.repeated),
        "outliers": flaws.count(Flaw.OUTLIER),
    }
    said = "".join(f", {count:,} {what}" for what, count in notes.items() if count)
    return f"{name}: {kept.bars:,} bars in {kept.chunks} chunks{said}"


def _read(file: Path, wanted: Wanted) -> Imported:
    try:
        return read_candles(file, wanted)
    except BadFile as bad:
        fail(f"{file}: {bad}", "nothing was imported")


def _require_apart(imported: Sequence[Imported]) -> None:
    """Refuse files that tell of the same time of the same instrument."""
    ledger: dict[tuple[str, str], list[tuple[Span, Path]]] = {}
    for one in imported:
        span = Span(one.bars[0].ts_open, one.bars[-1].ts_close)
        known = ledger.setdefault((one.instrument, one.interval.value), [])
        for other, path in known:
            if other.start < span.end and span.start < other.end:
                misused(f"{one.path.name} and {path.name} both tell of {one.instrument} at {moment(span.start)}")
        known.append((span, one.path))


async def _keep(writing: Writing, pieces: Sequence[Piece], source: str, reached: Reached) -> Kept:
    bars = chunks = done = 0
    same = _are_there(writing.known.ledger, pieces)
    for piece in pieces:
        before = writing.keeper.chunks
        bars += await writing.keep(piece, source)
        chunks += writing.keeper.chunks - before
        done += len(piece.bars)
        reached(done, done)
    return Kept(bars, chunks, same)


def _are_there(ledger: ChunkLedger, pieces: Sequence[Piece]) -> bool:
    """Say whether these very bytes are in the ledger."""
    known = {chunk.sha256 for piece in pieces[:1] for chunk in ledger.chunks(piece.instrument, piece.interval)}
    return bool(known) and all(name_of(to_parquet(piece.bars)) in known for piece in pieces)
