"""`hmm sweep`: the past under many settings, in several processes, and how much of the best result is luck."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import Enum
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TypeVar

import typer
from pydantic import BaseModel
from typer.models import OptionInfo

from eventstore.ahead import garbage_looked_for_rarely
from services.backtest import manifest
from services.backtest.settings import BacktestSettings, DataSource, Unusable
from services.backtest.sources import Source
from services.backtest.sweep import store as stores
from services.backtest.sweep.folds import SECOND, Folds, cut, duration
from services.backtest.sweep.luck import Luck, judge, words
from services.backtest.sweep.objective import Objective, per_year
from services.backtest.sweep.results import SUMMARY, best_command, document, luck_document, write_results
from services.backtest.sweep.running import Progress, Sweep
from services.backtest.sweep.space import Space, read_space
from services.backtest.sweep.staging import Stage, look_through, perform
from services.backtest.sweep.store import Pruner, Sampler, Search
from services.backtest.sweep.trials import Fate, Trial, best_of
from services.backtest.sweep.workers import workers
from services.backtest.wiring import participants
from services.cli.backtestarguments import Arguments, asked_for
from services.cli.backtestdata import Opened, opened, usual
from services.cli.errors import ExitCode, misused
from services.cli.output import number, table
from services.cli.stopping import stopped_by_ctrl_c

_SHOWN = 10
"""Trials in the table on the terminal; all are in the files."""
_FOR_THE_END = (
    "optuna.importance",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "services.backtest.sweep.report",
)
"""What only the report needs: to import it takes as long as a short trial."""


@dataclass(frozen=True)
class Wanted:
    """The options of the sweep itself, as they were typed."""

    space: Path | None
    varied: Sequence[str]
    trials: int
    processes: int
    sampler: str
    pruner: str
    objective: str
    folds: int
    warm_up: str | None
    embargo: str
    out: Path


def sweep(arguments: Arguments, wanted: Wanted, *, as_json: bool) -> None:
    """Run a sweep, or go on with it, and say what came of it."""
    try:
        with garbage_looked_for_rarely():
            swept = _swept(arguments, wanted, quiet=as_json)
    except Unusable as refusal:
        misused(str(refusal), refusal.remedy)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if as_json:
        print((wanted.out / SUMMARY).read_text(), end="")
    else:
        _show(swept, wanted)
    if swept.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if swept.best is None:
        raise typer.Exit(ExitCode.FAILED)


@dataclass(frozen=True)
class Swept:
    """What there is in the end; `interrupted`: the same command goes on with it."""

    trials: Sequence[Trial]
    objective: Objective
    luck: Luck
    words: Sequence[str]
    command: str
    interrupted: bool
    played: int
    seconds: float

    @property
    def best(self) -> Trial | None:
        return best_of(self.trials)


def _swept(arguments: Arguments, wanted: Wanted, *, quiet: bool) -> Swept:
    data, asked = DataSource.parse(arguments.data), asked_for(arguments)
    objective, settings = _one_of(Objective, "--objective", wanted.objective), usual(asked.strategies)
    space = read_space(wanted.space, wanted.varied, {name: settings[name] for name in participants(asked)})
    search = _search(space, wanted, asked)
    search.require()
    _require_own(wanted.out)
    stage, made = _stage(data, asked, settings, wanted)
    identity = _identity(made, stage.folds, search, objective)
    scale = per_year(stage.folds.step, stage.folds.returns * stage.folds.step)
    wanted.out.mkdir(parents=True, exist_ok=True)
    with (
        workers(wanted.processes, lambda changes, closed: perform(stage, changes, closed), _import_ahead) as started,
        stores.opened(wanted.out, identity, search) as store,
    ):
        played = Sweep(store, space, stage.wiring, objective, scale, wanted.trials)
        began = time.perf_counter()
        with _shown(wanted.trials, quiet=quiet) as shown, stopped_by_ctrl_c(played):
            played.run(started, shown)
        seconds = time.perf_counter() - began
        trials, importance = store.trials(), store.importance()
    if not trials:
        raise KeyboardInterrupt
    luck = judge(trials, objective, scale)
    said, best = tuple(words(luck)), best_of(trials)
    command = best_command(_options(arguments), best, wanted.out) if best else ""
    summary = {
        "trials": dict(Counter(trial.fate.value for trial in trials)),
        "best": None if best is None else document(best, scale),
        "command": command,
        "luck": luck_document(luck, said),
        "importance": dict(importance),
        "interrupted": played.stopping,
        "sweep": identity,
    }
    write_results(wanted.out, trials, luck, summary)
    _write_page(trials, space, stage, objective, importance, luck, said, command, identity, wanted.out)
    return Swept(trials, objective, luck, said, command, played.stopping, played.progress.own, seconds)


def _import_ahead() -> None:
    for name in _FOR_THE_END:
        import_module(name)


def _search(space: Space, wanted: Wanted, asked: BacktestSettings) -> Search:
    return Search(
        space=space,
        sampler=_one_of(Sampler, "--sampler", wanted.sampler),
        pruner=_one_of(Pruner, "--pruner", wanted.pruner),
        seed=asked.seed or 0,
        folds=wanted.folds,
        processes=wanted.processes,
    )


Word = TypeVar("Word", bound=Enum)


def _one_of(kind: type[Word], option: str, text: str) -> Word:
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(str(one.value) for one in kind)
        raise Unusable(f"{option} {text}: there is none of that name", f"there are {known}") from None


def _require_own(out: Path) -> None:
    """Refuse a directory that holds what is none of ours: files in it would be overwritten."""
    if out.exists() and not out.is_dir():
        raise Unusable(f"--out {out}: is no directory")
    ours = (stores.FILE, stores.LOCK)
    if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in ours):
        raise Unusable(f"--out {out}: holds files that are no sweep", "name a directory that does not exist yet")


def _stage(
    data: DataSource, asked: BacktestSettings, settings: Mapping[str, BaseModel], wanted: Wanted
) -> tuple[Stage, manifest.Manifest]:
    """Look through the data, cut its time, and say what all trials have in common."""
    seen: list[Opened] = []

    @contextmanager
    def opening() -> Iterator[Source]:
        with opened(data, asked) as there:
            seen.append(there)
            yield there.source

    embargo = duration("--embargo", wanted.embargo)
    warm_up = None if wanted.warm_up is None else duration("--warm-up", wanted.warm_up)
    material = look_through(opening, asked)
    files, positions = seen[0].files, seen[0].positions
    folds = cut(material.first, material.last, wanted.folds, warm_up, embargo)
    stage = Stage(material, asked, settings, folds)
    return stage, manifest.manifest_of(data.kind.value, files, positions, asked, stage.wiring(()))


def _identity(made: manifest.Manifest, folds: Folds, search: Search, objective: Objective) -> Mapping[str, object]:
    """Say all that the results follow from: a store with another one is of another sweep."""
    document = made.document()
    return {
        "format": document["format"],
        "data": document["data"],
        "arguments": document["arguments"],
        "settings": document["components"],
        "code": document["code"],
        "space": search.space.document(),
        "folds": asdict(folds),
        "objective": objective.value,
        "sampler": search.sampler.value,
        "pruner": search.pruner.value,
        "seed": search.seed,
    }


def _write_page(
    trials: Sequence[Trial],
    space: Space,
    stage: Stage,
    objective: Objective,
    importance: Mapping[str, float],
    luck: Luck,
    said: Sequence[str],
    command: str,
    identity: Mapping[str, object],
    out: Path,
) -> None:
    from services.backtest.sweep.report import Told, write_report  # noqa: PLC0415 # slow to import

    span = (stage.material.last - stage.material.first) / SECOND
    subject = f"{len(trials):,} trials on {stage.material.events:,} events over {span / 86_400:,.2f} days"
    told = Told(
        trials, space, stage.folds, objective, importance, luck, said, subject, command, json.dumps(identity, indent=2)
    )
    write_report(told, out)


@contextmanager
def _shown(trials: int, *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Show how many trials ended, how many come in a minute, and the best value so far."""
    if quiet or not sys.stderr.isatty():
        yield lambda _progress: None
        return
    from rich.console import Console  # noqa: PLC0415 # slow to import
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (
        TextColumn("trials"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.2f} trials/s  best {task.fields[best]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=trials, rate=0.0, best="-")
        began = time.monotonic()

        def shown(now: Progress) -> None:
            rate = now.own / max(1e-3, time.monotonic() - began)
            best = "-" if now.best is None else f"{now.best:.4g}"
            bar.update(task, completed=now.trials, rate=rate, best=best)

        yield shown


# -- what came of it ---------------------------------------------------------------------------------------------------


def _options(arguments: Arguments) -> list[str]:
    """Write the options of the data and settings as they are typed for `hmm backtest`."""
    from services.cli.research import backtest  # noqa: PLC0415 # it imports this file

    written: list[str] = []
    for name, parameter in signature(backtest).parameters.items():
        key = "changes" if name == "assignments" else name
        if name in ("out", "log", "report", "again", "as_json"):
            continue
        value = getattr(arguments, key)
        if value in (parameter.default, None, ()):
            continue
        option = _option(name, parameter.annotation)
        if value is True:
            written.append(option)
        elif isinstance(value, str | int | float | Path):
            written += [option, str(value)]
        else:
            written += [word for one in value for word in (option, str(one))]
    return written


def _option(name: str, annotation: object) -> str:
    """Find how an option is typed: typer takes its first word for a default until it makes the command."""
    for told in getattr(annotation, "__metadata__", ()):
        if isinstance(told, OptionInfo):
            for word in (told.default, *(told.param_decls or ())):
                if isinstance(word, str) and word.startswith("--"):
                    return word
    return f"--{name.replace('_', '-')}"


def _show(swept: Swept, wanted: Wanted) -> None:
    for line in _lines(swept):
        print(line)
    _show_table(swept)
    print()
    for said in swept.words:
        print(said)
    print(f"\nreport: {wanted.out / 'sweep.html'}")
    if swept.command:
        print(f"the best one with log and report: {swept.command}")
    if swept.interrupted:
        print("stopped by Ctrl-C: the same command goes on")


def _lines(swept: Swept) -> Iterator[str]:
    fates = Counter(trial.fate for trial in swept.trials)
    told = ", ".join(f"{number(count)} {fate.value}" for fate, count in fates.items())
    rate = swept.played / swept.seconds if swept.seconds else 0.0
    yield f"{number(len(swept.trials))} trials ({told}); {number(swept.played)} in {swept.seconds:.1f} s ({rate:.2f}/s)"
    why = Counter((trial.fate.value, trial.why) for trial in swept.trials if trial.fate in (Fate.REFUSED, Fate.FAILED))
    for (fate, reason), count in why.most_common(3):
        yield f"{fate}: {reason}" + (f" ({number(count)} times)" if count > 1 else "")


def _show_table(swept: Swept) -> None:
    complete = [trial for trial in swept.trials if trial.fate is Fate.COMPLETE]
    ranked = sorted(complete, key=lambda trial: (-(trial.value or 0.0), trial.number))[:_SHOWN]
    if not ranked:
        return
    places = [change.partition("=")[0] for change in ranked[0].changes]
    rows = [
        [
            str(trial.number),
            f"{trial.value or 0.0:.4g}",
            *(change.partition("=")[2] for change in trial.changes),
            *(f"{trial.total_return:+.3%}", f"{trial.net:+,.2f}", f"{trial.fees:,.2f}", number(trial.trades)),
        ]
        for trial in ranked
    ]
    columns = ["trial", swept.objective.value, *places, "return", "net", "fees", "trades"]
    table("", columns, rows, frozenset(columns))
