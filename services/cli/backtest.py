"""`hmm backtest`: the live system on another tape, in one process; leaves a log, a manifest and a report."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

import typer

from services.backtest import manifest, rundirectory
from services.backtest.assumptions import assumptions
from services.backtest.figures import Figures
from services.backtest.log import FILE as LOG
from services.backtest.log import LogWriter
from services.backtest.playing import play
from services.backtest.run import Ending, Run
from services.backtest.settings import BacktestSettings, DataSource, Unusable
from services.backtest.summary import Summary
from services.backtest.wiring import Wiring, blueprints, wire
from services.cli.backtestarguments import Arguments, asked_for
from services.cli.backtestdata import opened, usual
from services.cli.errors import ExitCode, fail, misused
from services.cli.output import number, plain
from services.cli.progress import progress
from services.cli.stopping import stopped_by_ctrl_c

FIGURES, REPORT = "figures.json", "report.html"


def backtest(arguments: Arguments, *, as_json: bool) -> None:
    """Run a backtest and say what came of it; exit code 1 if it failed on the way."""
    try:
        data, past = DataSource.parse(arguments.data), _past(arguments)
        asked = asked_for(arguments) if past is None else past.manifest.asked
        _require_own(arguments.out)
        ended = _run(data, asked, past, arguments)
    except Unusable as refusal:
        misused(str(refusal), refusal.remedy)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    _show(ended, arguments.out, as_json=as_json)
    if ended.ending is not Ending.COMPLETE:
        raise typer.Exit(ExitCode.INTERRUPTED if ended.ending is Ending.INTERRUPTED else ExitCode.FAILED)
    if past is not None:
        _judge(ended, past)


def _past(arguments: Arguments) -> manifest.Past | None:
    if arguments.again is None:
        return None
    if arguments.names_settings:
        misused("--again takes all settings from the manifest", "give only --data, --out and what is to be written")
    past = manifest.read(arguments.again)
    for name, why in past.missing.items():
        raise Unusable(f"--again {arguments.again}: {name} traded in it, and cannot now: {why}", "lay its file here")
    return past


def _require_own(out: Path) -> None:
    """Refuse a directory that holds what is none of ours: files in it would be overwritten."""
    if out.exists() and not out.is_dir():
        raise Unusable(f"--out {out}: is no directory")
    if out.is_dir() and any(out.iterdir()) and not (out / manifest.FILE).exists():
        raise Unusable(f"--out {out}: holds files that are no backtest", "name a directory that does not exist yet")


# -- the run -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """What came of a run; `document` is the manifest's result."""

    run_id: str
    ending: Ending
    document: Mapping[str, object]
    figures: Figures
    seconds: float


def _run(data: DataSource, asked: BacktestSettings, past: manifest.Past | None, arguments: Arguments) -> Ended:
    with opened(data, asked) as there:
        if past is None:
            wiring = wire(asked, usual(asked.strategies), there.source.listing, there.source.nature)
        else:
            manifest.require_same_data(past.manifest, there.files, there.positions)
            made_then = blueprints(there.source.listing, past.strategies)
            wiring = Wiring(made_then, past.manifest.settings, asked.training_s)
        made = manifest.manifest_of(data.kind.value, there.files, there.positions, asked, wiring)
        _begin(arguments.out, made)
        taken_for_granted = assumptions(wiring, there.source)
        summary = Summary(assumptions=taken_for_granted, seed=asked.seed or 0)
        with ExitStack() as stack:
            log = stack.enter_context(LogWriter(arguments.out / LOG)) if arguments.log else None
            run = Run(wiring, log, summary)
            began = time.perf_counter()
            with progress(1, there.rows) as reached, stopped_by_ctrl_c(run):
                ending, why = play(run, there.source, asked, reached)
            seconds = time.perf_counter() - began
            sha256 = log.sha256 if log else None
        if not run.events:
            fail(why or "there are no events in that time", "look at --from and --to")
        repairs = there.source.repairs()
        for what, count in repairs.items():
            summary.repaired(what, count)
        for remark in run.remarks():
            summary.remark(remark)
        if ending is not Ending.COMPLETE:
            summary.remark(f"This is not the whole run. It was {ending.value}: {why}.")
        document = manifest.result(run, ending, why, sha256, repairs, taken_for_granted)
        document["listed"] = rundirectory.unlisted(there.source.listing)
        text = manifest.text_of(made, document)
        (arguments.out / manifest.FILE).write_text(text)
        figures = summary.figures()
        (arguments.out / FIGURES).write_text(json.dumps(asdict(figures), indent=2, default=_plain) + "\n")
        if arguments.report:
            from services.backtest.report import write_report  # noqa: PLC0415 # slow to import

            write_report(summary, text, arguments.out)
        return Ended(made.run_id, ending, document, figures, seconds)


def _begin(out: Path, made: manifest.Manifest) -> None:
    """Take over the directory: what was there is gone, and whatever ends us, it is known what this was to be."""
    out.mkdir(parents=True, exist_ok=True)
    for name in (FIGURES, LOG, REPORT):
        (out / name).unlink(missing_ok=True)
    (out / manifest.FILE).write_text(manifest.text_of(made, {"ending": "unfinished"}))


# -- what came of it ---------------------------------------------------------------------------------------------------


def _plain(value: object) -> object:
    return value.value if isinstance(value, Enum) else plain(value)


def _show(ended: Ended, out: Path, *, as_json: bool) -> None:
    if as_json:
        said = {
            "run_id": ended.run_id,
            **ended.document,
            "seconds": round(ended.seconds, 3),
            "figures": asdict(ended.figures),
        }
        print(json.dumps(said, indent=2, default=_plain))
        return
    for line in _lines(ended):
        print(line)
    if (out / REPORT).exists():
        print(f"report: {out / REPORT}")


def _lines(ended: Ended) -> Iterator[str]:
    """Tell the outcome to a person."""
    figures, events = ended.figures, int(str(ended.document["events"]))
    why = f" ({ended.document['why']})" if ended.document["why"] else ""
    rate = events / ended.seconds if ended.seconds else 0.0
    yield f"{ended.ending.value}{why}: {number(events)} events in {ended.seconds:.1f} s ({rate:,.0f}/s)"
    headline, money = figures.headline, figures.currency
    if headline is None or money is None:
        yield "nothing was traded"
    else:
        yield f"net {figures.net_pnl:+,.2f} {money} of {figures.capital:,.2f}, after {figures.fees:,.2f} in fees"
        for one in figures.strategies:
            yield f"  {one.name:<14} {one.net_pnl:+12,.2f} {money}, {one.trades.count} trades"
    for repair in figures.repairs:
        yield f"data: {number(repair.count)} {repair.what}"
    for found in figures.findings:
        if found.code == "dead_letter":
            yield f"dead letters of {found.component}: {number(found.count)}, the first at {found.message}"
    for remark in figures.remarks:
        yield f"note: {remark}"
    if ended.document["log_sha256"]:
        yield f"log {ended.document['log_sha256']}"


def _judge(ended: Ended, past: manifest.Past) -> None:
    """Say whether a run that was run again is the same; exit code 1 if it is not."""
    then, now = past.log_sha256, ended.document["log_sha256"]
    if not (past.complete and then and now):
        print("hmm: the logs cannot be compared: one of the runs is not whole, or left none", file=sys.stderr)
    elif then != now:
        other = "" if past.manifest.code == manifest.code(past.strategies) else "; the code is another one"
        fail(f"the log is another one than that of the manifest, {then}{other}")
