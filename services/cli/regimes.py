"""`hmm regimes`: which regime each market is in, and a picture of what a model saw in its history."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from contracts.data import DataChunk
from contracts.market import Bar
from contracts.models import ModelFamily, RegimeModel
from contracts.regimes import UNKNOWN
from eventstore.chunks import BadChunk, from_parquet
from quant.regime import Inference, RegimeFilter
from services.cli.errors import fail, misused
from services.cli.following import wait_for_archive
from services.cli.knowledge import Known, find_champion, instrument_of, ledger_of
from services.cli.modelwords import duration, regime_summaries
from services.cli.modelwords import time as shown_time
from services.cli.output import plain, table
from services.cli.plots import SUFFIXES, Picture, Run, draw, runs
from services.cli.settings import StackSettings, current
from services.cli.store import Row, Store, open_store
from services.cli.tape import connect
from services.cli.temporary import running_servers
from tape.objects import ObjectDamaged, ObjectMissing, Objects, ObjectsAway

_CURRENT = """
    SELECT DISTINCT ON (venue, symbol) * FROM regimes
    WHERE %(symbol)s::text IS NULL OR %(symbol)s IN (symbol, venue || '.' || symbol)
    ORDER BY venue, symbol, position DESC
"""
_LAST = """
    SELECT * FROM regimes WHERE %(symbol)s::text IS NULL OR %(symbol)s IN (symbol, venue || '.' || symbol)
    ORDER BY position DESC LIMIT %(last)s
"""
_NONE_YET = "no regime was inferred from live bars so far; what the model sees in its history: hmm regimes --plot FILE"


def show_regimes(symbol: str | None, last: int | None, *, as_json: bool) -> None:
    """Print the regime that each instrument is in, or the last inferences."""
    with running_servers(current()) as settings, open_store() as store:
        wait_for_archive(settings)
        rows = _inferred(store, symbol, last)
        notes = store.notes("regimes")
        if not rows:
            find_champion(store, ModelFamily.REGIME, symbol)
            notes.append(_NONE_YET)
    if as_json:
        print(json.dumps({"regimes": rows, "notes": notes}, default=plain, indent=2))
        return
    for note in notes:
        print(f"note: {note}")
    if rows:
        columns = ("instrument", "regime", "confidence", "entropy", "probabilities", "close", "at", "model")
        right = frozenset({"confidence", "entropy", "close"})
        table("", columns, [_line(row) for row in rows], right=right)


def plot_regimes(symbol: str | None, file: Path, last: int | None, *, as_json: bool) -> None:
    """Filter an instrument's history by the model that is believed, and draw what it said, window by window."""
    if file.suffix.lower() not in SUFFIXES:
        misused(f"--plot {file}: no kind of picture", f"end it with one of {', '.join(SUFFIXES)}")
    if not file.absolute().parent.is_dir():
        misused(f"--plot {file}: there is no directory {file.parent}", "make it")
    with running_servers(current()) as settings, open_store() as store:
        wait_for_archive(settings)
        known = find_champion(store, ModelFamily.REGIME, symbol)
        history = _history(settings, store, known)
    model = known.artifact.regime
    assert model is not None
    seen = Seen.of(model, history)
    shown = seen if last is None else seen.last(last)
    try:
        draw(_picture(known, model, seen, shown), file)
    except OSError as error:
        fail(f"cannot write {file}: {error.strerror}")
    _report(known, model, shown, file, as_json=as_json)


@dataclass(frozen=True)
class Seen:
    """What a model said of a history: one inference for each window, all of them filtered."""

    inferences: Sequence[Inference]
    runs: Sequence[Run]

    @classmethod
    def of(cls, model: RegimeModel, bars: Sequence[Bar]) -> "Seen":
        online = RegimeFilter(model)
        inferences = [made for bar in bars if (made := online.update(bar)) is not None]
        if not inferences:
            fail(f"{len(bars):,} bars are too few: the model speaks after {online.warm_up:,} without a gap")
        return cls(inferences, runs(inferences, model.fast.labels, model.spec.nanos))

    def last(self, count: int) -> "Seen":
        inferences = self.inferences[-count:]
        since = inferences[0].closed_at
        return Seen(inferences, [run for run in self.runs if run.end >= since])

    def shares(self) -> dict[str, float]:
        """Give the share of time that was spent in each regime."""
        lengths: Counter[str] = Counter()
        for run in self.runs:
            lengths[run.regime] += run.end - run.start
        return {regime: length / lengths.total() for regime, length in lengths.items()}

    def visits(self) -> Counter[str]:
        return Counter(run.regime for run in self.runs)


def _inferred(store: Store, symbol: str | None, last: int | None) -> list[Row]:
    values: dict[str, object] = {"symbol": symbol, "last": last}
    if last is None:
        return store.rows(_CURRENT, values)
    return store.rows(_LAST, values)[::-1]


def _history(settings: StackSettings, store: Store, known: Known) -> list[Bar]:
    instrument, interval = instrument_of(known.row), known.artifact.spec.interval
    chunks = ledger_of(store).chunks(instrument, interval)
    if not chunks:
        fail(
            f"there are no {interval.value} bars of {instrument}, which {known.model_id} looks at",
            "bring some in: hmm import FILE, or hmm backfill",
        )
    return asyncio.run(_fetch(settings, chunks))


async def _fetch(settings: StackSettings, chunks: Sequence[DataChunk]) -> list[Bar]:
    nc = await connect(settings)
    bars: list[Bar] = []
    try:
        store = Objects(nc, "chunks")
        for chunk in chunks:
            bars += await _bars_of(chunk, store)
    finally:
        await nc.close()
    return bars


async def _bars_of(chunk: DataChunk, store: Objects) -> list[Bar]:
    try:
        return from_parquet(await store.get(chunk.sha256))
    except (ObjectMissing, ObjectDamaged, ObjectsAway, BadChunk) as error:
        fail(f"the chunk {chunk.sha256} of {chunk.instrument} cannot be read: {error}", "fetch it again: hmm import")


def _picture(known: Known, model: RegimeModel, seen: Seen, shown: Seen) -> Picture:
    spec, source = model.spec, known.artifact.trained_on
    end = source.last + spec.interval.nanos
    instrument = instrument_of(known.row)
    every = f"{len(shown.inferences):,} observations of {duration(spec.nanos / 60e9)}"
    states = f"{len(model.fast.labels)} states{'' if model.slow is None else ' under a slow model'}"
    return Picture(
        title=f"{instrument}: the regime, as it was known",
        subtitle=f"model {known.model_id} ({states}), {every}, each filtered when its window closed; times in UTC",
        labels=model.fast.labels,
        inferences=shown.inferences,
        window=spec.nanos,
        trained=(source.first, end),
        scored_from=_scored_from(known, seen, end, spec.nanos),
        notes=_notes(model, shown),
    )


def _scored_from(known: Known, seen: Seen, end: int, window: int) -> int | None:
    """Give where the hold-out begins: the last observations of the training, as many as the score counts."""
    count = None if known.published is None else known.published.score.observations
    within = [one.closed_at for one in seen.inferences if one.closed_at <= end]
    return within[-count] - window if count and len(within) >= count else None


def _notes(model: RegimeModel, shown: Seen) -> dict[str, str]:
    shares = shown.shares()
    notes = {
        state.label: f"{shares.get(state.label, 0):.0%} of the time"
        + ("" if state.volatility is None else f", volatility {state.volatility:.0%}")
        for state in regime_summaries(model)
    }
    return {**notes, UNKNOWN: f"{shares.get(UNKNOWN, 0):.1%} of the time"}


def _report(known: Known, model: RegimeModel, shown: Seen, file: Path, *, as_json: bool) -> None:
    shares, visits, last = shown.shares(), shown.visits(), shown.inferences[-1]
    now = shown.runs[-1].regime
    labels = [label for label in (*model.fast.labels, UNKNOWN) if label in shares]
    if as_json:
        document: dict[str, Any] = {
            "plot": str(file),
            "model_id": known.model_id,
            "instrument": instrument_of(known.row),
            "observations": len(shown.inferences),
            "last": {"closed_at": last.closed_at, "regime": now, "confidence": last.confidence()},
            "shares": shares,
            "visits": visits,
        }
        print(json.dumps(document, default=plain, indent=2))
        return
    volatility = {state.label: state.volatility for state in regime_summaries(model)}
    minutes = model.spec.nanos / 60e9
    rows = [
        (
            label,
            f"{shares[label]:.1%}",
            f"{visits[label]:,}",
            duration(shares[label] * len(shown.inferences) * minutes / visits[label]),
            "-" if volatility.get(label) is None else f"{volatility[label]:.0%}/year",
        )
        for label in labels
    ]
    columns = ("regime", "share of time", "visits", "mean stay", "volatility")
    table("", columns, rows, right=frozenset(columns) - {"regime"})
    print(f"at {shown_time(last.closed_at)} UTC: {now}, confidence {last.confidence():.1%}, entropy {last.entropy:.2f}")
    print(f"{file}: {len(shown.inferences):,} observations of {instrument_of(known.row)} by {known.model_id}")


def _line(row: Row) -> tuple[str, ...]:
    ranked = sorted(row["probabilities"].items(), key=itemgetter(1), reverse=True)
    shares = " ".join(f"{label} {share:.2f}" for label, share in ranked)
    seconds = time.time() - row["ts_init"] / 1e9
    age = f" ({seconds:,.0f} s ago)" if 0 <= seconds < 3600 else ""
    return (
        instrument_of(row),
        row["regime"],
        f"{row['confidence']:.1%}{'' if row['confident'] else ' (too low)'}",
        f"{row['entropy']:.2f}",
        shares,
        f"{row['close']:,.8g}",
        f"{row['time']:%Y-%m-%d %H:%M:%S}{age}",
        row["model_id"],
    )
