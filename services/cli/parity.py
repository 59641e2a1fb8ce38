"""`hmm parity`: a recorded session on the simulated exchange beside a backtest of its market, and why they differ."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import typer
from pydantic import BaseModel, ValidationError

from contracts.recorded import Recorded
from services.backtest import manifest, rundirectory
from services.backtest.assumptions import assumptions
from services.backtest.log import FILE as LOG
from services.backtest.log import LogWriter, read_log
from services.backtest.parity import Parity, compare
from services.backtest.paritypage import Told, page_of
from services.backtest.paritysession import HEARS, Session
from services.backtest.playing import play
from services.backtest.run import Ending, Run
from services.backtest.settings import BacktestSettings, DataKind, DataSource, Unusable
from services.backtest.wiring import STRATEGIES, wire
from services.catalog import BLUEPRINTS
from services.cli.audit import judge_all, silent_about_the_past
from services.cli.backtestdata import opened as opened_data
from services.cli.backtestdata import usual
from services.cli.errors import ExitCode, fail, misused
from services.cli.paritywords import json_of, print_told
from services.cli.progress import progress
from services.cli.record import Record, Source, chosen_span, opened, source_named
from services.cli.settings import current
from services.cli.verdicts import Outcome

DOCUMENT, PAGE = "parity.json", "parity.html"


@dataclass(frozen=True)
class Asked:
    """The command as it was typed; positions are those whose decisions are compared."""

    source: str
    first: int | None
    last: int | None
    changes: Sequence[str]
    window_s: float
    tolerance: float | None
    out: Path | None


@dataclass(frozen=True)
class Live:
    """What is on record: what was done, under which settings, and whether it can be judged again."""

    source: Source
    first: int
    """Where the record begins, and so does the run."""
    compared_from: int
    last: int
    since: int
    """The time at which comparing begins; 0: with the record."""
    settings: Mapping[str, BaseModel]
    session: Session
    audit: Outcome


def parity(asked: Asked, *, as_json: bool) -> None:
    """Compare, and say how far both differ and why; exit code 1 if the record itself does not hold."""
    source = source_named(asked.source)
    try:
        with silent_about_the_past():
            live = asyncio.run(_live(source, asked))
        with _directory(asked.out) as out:
            run, notes = _run(live, asked, out)
            compared = compare(live.session, run, int(asked.window_s * 1e9), live.since)
            told = _told(compared, live, (*_remarks(live), *notes))
            if asked.out is not None:
                (out / DOCUMENT).write_text(json.dumps(json_of(told), indent=2) + "\n")
                (out / PAGE).write_text(page_of(told))
    except Unusable as refusal:
        misused(str(refusal), refusal.remedy)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if as_json:
        print(json.dumps(json_of(told), indent=2))
    else:
        print_told(told, asked.out)
    _judge(compared, live.audit, asked.tolerance)


def _told(compared: Parity, live: Live, notes: tuple[str, ...]) -> Told:
    audited = sum(verdict.compared for verdict in live.audit.verdicts)
    where = live.source.words
    return Told(compared, where, live.compared_from, live.last, audited, live.audit.diverging, notes)


def _judge(compared: Parity, audit: Outcome, tolerance: float | None) -> None:
    if audit.diverging:
        fail(
            f"the record diverges from what its components say now in {audit.diverging:,} outputs",
            "see hmm audit --all",
        )
    apart = abs(compared.live_pnl - compared.run_pnl)
    if tolerance is not None and apart > tolerance:
        fail(f"the profits are {apart:,.4f} apart, and {tolerance:,.4f} are tolerated")


# -- what is on record -------------------------------------------------------------------------------------------------


async def _live(source: Source, asked: Asked) -> Live:
    async with opened(source, current()) as record:
        extent = await record.extent()
        compared_from, last = chosen_span(extent, asked.first, asked.last, source)
        settings = await _settings(record)
        session, since = await _session(record, extent.first, compared_from, last)
        audit = await judge_all(record, source, compared_from, last)
    return Live(source, extent.first, compared_from, last, since, settings, session, audit)


async def _settings(record: Record) -> Mapping[str, BaseModel]:
    """Give the settings that components began with; those of this machine for who is in no lease."""
    settings = dict(usual())
    began = 0
    for name in BLUEPRINTS:
        lease = await record.first_lease(name)
        if lease is None or name not in settings:
            continue
        try:
            settings[name] = BLUEPRINTS[name].settings.model_validate_json(lease.settings)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            place = ".".join(map(str, problem["loc"]))
            raise Unusable(
                f"{name} began under settings that this code does not take: {place}: {problem['msg']}"
            ) from None
        began += 1
    if not began:
        raise Unusable("no component took a lease on this record: it is of no session", "start one with hmm up")
    return settings


async def _session(record: Record, first: int, compared_from: int, last: int) -> tuple[Session, int]:
    session, since, events = Session(), 0, 0
    with progress(first, last) as reached:
        async with aclosing(record.messages(first, last, HEARS)) as batches:
            async for batch in batches:
                for message in batch:
                    if isinstance(message, Recorded):
                        if not since and message.position >= compared_from > first:
                            since = message.event.ts_init
                        session.hear(message)
                events += len(batch)
                reached(batch[-1].position, events)
    if session.first is None:
        raise Unusable(f"positions {first} to {last} hold no quotes: there is no market to run on")
    return session, since


def _remarks(live: Live) -> Iterator[str]:
    """Say what a reader must know before he believes the rest."""
    if live.first > 1:
        yield (
            f"the record begins at position {live.first:,}: what was known and held before is not known to the run, "
            "which begins flat and with cold indicators"
        )
    for name, told in live.session.leases.items():
        if len(told) > 1:
            at = ", ".join(f"{position:,}" for position, _ in told[1:])
            yield f"{name} went on under other settings from position {at} on: the run has those it began with"
    absent = [name for name in STRATEGIES if name not in live.session.leases]
    if absent:
        yield f"{', '.join(absent)} did not trade in the session, and so does not in the run"


# -- the run -----------------------------------------------------------------------------------------------------------


class _Deaf:
    """Hears nothing: what was said is read from the log."""

    def hear(self, recorded: Recorded) -> None:
        del recorded


@contextmanager
def _directory(out: Path | None) -> Iterator[Path]:
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())) and not (out / DOCUMENT).exists():
        raise Unusable(f"--out {out}: holds files that are no parity", "name a directory that does not exist yet")
    with nullcontext(out) if out is not None else TemporaryDirectory(prefix="hmm-parity-") as place:
        directory = Path(place)
        directory.mkdir(parents=True, exist_ok=True)
        yield directory


def _run(live: Live, asked: Asked, out: Path) -> tuple[Session, list[str]]:
    """Trade the market of the record anew, under the settings of the session."""
    kind = DataKind(live.source.value)
    trading = tuple(name for name in STRATEGIES if name in live.session.leases) or ("all",)
    wanted = BacktestSettings(strategies=trading, changes=tuple(asked.changes))
    with opened_data(DataSource(kind, (), live.first, live.last), wanted) as there:
        wiring = wire(wanted, live.settings, there.source.listing, there.source.nature)
        made = manifest.manifest_of(kind.value, there.files, there.positions, wanted, wiring)
        with LogWriter(out / LOG) as log:
            run = Run(wiring, log, _Deaf())
            with progress(1, there.rows) as reached:
                ending, why = play(run, there.source, wanted, reached)
            sha256 = log.sha256
        taken = assumptions(wiring, there.source)
        document = manifest.result(run, ending, why, sha256, there.source.repairs(), taken)
        document["listed"] = rundirectory.unlisted(there.source.listing)
    (out / manifest.FILE).write_text(manifest.text_of(made, document))
    session = Session()
    for recorded in read_log(out / LOG, HEARS):
        session.hear(recorded)
    return session, [] if ending is Ending.COMPLETE else [f"the run ended early: {why}"]
