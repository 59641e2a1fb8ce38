"""`hmm lookahead`: the past is played with other futures; what was said before must stay what it was."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from contracts.codec import write
from contracts.event import Event
from quant.chance import stream
from services.backtest.lookahead.examination import Divergence, Examination, Plan, Prepared, Preparing, examine
from services.backtest.lookahead.filecuts import FileCut, same_beginning
from services.backtest.lookahead.moments import Cut
from services.backtest.playing import Reached
from services.backtest.settings import BacktestSettings, DataSource, Unusable
from services.backtest.sources import Change, files, within
from services.backtest.wiring import wire
from services.cli.backtestarguments import Arguments, asked_for
from services.cli.backtestdata import opened, usual
from services.cli.errors import ExitCode, misused
from services.cli.output import number, plain, table
from services.cli.progress import progress

_SHOWN = 5
"""Divergences that are shown side by side."""
_LEAST_SHARE = 0.1
"""Of what was read of a file, where it may be cut off."""


def lookahead(arguments: Arguments, cuts: int, seed: int, *, as_json: bool) -> None:
    """Examine a run and say what was found; exit code 1 if anything used the future."""
    try:
        data, asked = DataSource.parse(arguments.data), asked_for(arguments)
        found, files_cut = _examined(data, asked, Plan(cuts=cuts, seed=seed))
    except Unusable as refusal:
        misused(str(refusal), refusal.remedy)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    is_clean = found.is_clean and (files_cut is None or files_cut.divergence is None)
    if as_json:
        print(json.dumps(_document(found, files_cut, is_clean=is_clean), indent=2, default=plain))
    else:
        _show(found, files_cut, is_clean=is_clean)
    if not is_clean:
        raise typer.Exit(ExitCode.FAILED)


def preparing(data: DataSource, asked: BacktestSettings) -> Preparing:
    """Say how the run is set up, as often as it is made."""

    @contextmanager
    def prepare(change: Change) -> Iterator[Prepared]:
        with opened(data, asked, change) as there:
            wiring = wire(asked, usual(asked.strategies), there.source.listing, there.source.nature)
            yield Prepared(there.source, wiring)

    return prepare


def _examined(data: DataSource, asked: BacktestSettings, plan: Plan) -> tuple[Examination, FileCut | None]:
    with opened(data, asked) as there:
        rows, lines = there.rows, [file.rows for file in there.files]
    with progress(1, rows * (plan.cuts + 1)) as reached:
        found = examine(preparing(data, asked), asked, plan, one_after_another(reached, rows))
    return found, _files_cut(data, asked, plan, lines, found.rows) if lines else None


def one_after_another(reached: Reached, rows: int) -> Callable[[int], Reached]:
    """Follow runs over so many rows each as if they were one; they are numbered from 1."""

    def begun(run: int) -> Reached:
        return lambda done, events: reached((run - 1) * rows + done, events)

    return begun


def _files_cut(data: DataSource, asked: BacktestSettings, plan: Plan, lines: Sequence[int], rows: int) -> FileCut:
    """Cut the files off somewhere in what was played, and look whether they are read the same up to there."""

    def read(paths: Sequence[Path]) -> Iterator[Event]:
        return within(files(DataSource(data.kind, tuple(paths)), asked).events, asked)

    share = _LEAST_SHARE + (1 - _LEAST_SHARE) * stream(plan.seed, "files").uniform()
    kept = [max(1, int(rows * share * count / sum(lines))) for count in lines]
    with TemporaryDirectory(prefix="hmm-lookahead-") as folder:
        return same_beginning(data.files, kept, Path(folder), read)


# -- what was found ----------------------------------------------------------------------------------------------------


def _show(found: Examination, cut: FileCut | None, *, is_clean: bool) -> None:
    who = ", ".join(f"{name} acted {number(count)} times" for name, count in sorted(found.acts.items()))
    print(f"{number(found.events)} events of {number(found.rows)} rows; {who or 'no strategy acted: only chance cuts'}")
    first = Counter(divergence.who for divergence in found.divergences)
    rows = [
        [name, number(said), number(found.compared[name]), number(first[name]) if first[name] else "none"]
        for name, said in sorted(found.said.items())
    ]
    table("", ("component", "said", "compared", "first to differ"), rows, frozenset({"said", "compared"}))
    for compared in found.cuts:
        same = "the same" if compared.divergence is None else "NOT the same"
        print(f"{_words(compared.cut)}: {number(compared.told + sum(compared.said.values()))} events before it {same}")
    if cut is not None:
        same = "are the same" if cut.divergence is None else "are NOT the same"
        print(f"files cut off behind row {', '.join(map(number, cut.rows))}: {number(cut.events)} events {same}")
    print(f"times: {number(found.stamps_checked)} events looked at, {_stamps(found)}")
    for stamp in found.stamps:
        where = "" if stamp.position is None else f" at position {stamp.position:,}"
        print(
            f"  {stamp.who}{where}, {_moment(stamp.at)}: {stamp.early.value}; {stamp.detail}; {stamp.count:,} of them"
        )
    divergences = [*found.divergences, *([cut.divergence] if cut is not None and cut.divergence is not None else [])]
    for divergence in divergences[:_SHOWN]:
        _print_divergence(divergence)
    if len(divergences) > _SHOWN:
        print(f"\nthe first {_SHOWN} of {len(divergences)} are shown")
    print("nothing that was said depends on what came later" if is_clean else "the future was used: see above")


def _stamps(found: Examination) -> str:
    early = [stamp for stamp in found.stamps if not stamp.early.is_harmless]
    return "some heard before their time" if early else "none heard before its time"


def _words(cut: Cut) -> str:
    place = "by chance" if cut.acted is None else f"behind an act of {cut.acted}"
    return f"{_moment(cut.at)} ({place}, then {cut.future.value})"


def _moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at // 10**9, UTC):%Y-%m-%d %H:%M:%S}.{at % 10**9:09d}"


def _print_divergence(divergence: Divergence) -> None:
    where = "" if divergence.position is None else f", position {divergence.position:,}"
    print(f"\n{divergence.who}{where}, {_moment(divergence.at)}: cut {_words(divergence.cut)}")
    if divergence.whole is None or divergence.other is None:
        print(f"  with the future as it was: {_event(divergence.whole)}")
        print(f"  with another one:          {_event(divergence.other)}")
        return
    print(f"  {type(divergence.whole).type_name}")
    for one in divergence.differences:
        print(f"    {one.field}: {plain(one.recorded)} with the future as it was, {plain(one.computed)} with another")


def _event(event: Event | None) -> str:
    return "nothing" if event is None else f"{type(event).type_name} {write(event).decode()}"


def _document(found: Examination, cut: FileCut | None, *, is_clean: bool) -> dict[str, object]:
    return {
        "clean": is_clean,
        "events": found.events,
        "rows": found.rows,
        "acts": found.acts,
        "said": found.said,
        "compared": found.compared,
        "times": {
            "checked": found.stamps_checked,
            "findings": [{**asdict(stamp), "early": stamp.early.value} for stamp in found.stamps],
        },
        "cuts": [_cut_document(one.cut, one.told, one.said, one.divergence) for one in found.cuts],
        "files": None
        if cut is None
        else {"rows": cut.rows, "events": cut.events, "divergence": _divergence_document(cut.divergence)},
    }


def _cut_document(cut: Cut, told: int, said: Mapping[str, int], divergence: Divergence | None) -> dict[str, object]:
    return {
        "at": cut.at,
        "acted": cut.acted,
        "future": cut.future.value,
        "told": told,
        "said": said,
        "divergence": _divergence_document(divergence),
    }


def _divergence_document(divergence: Divergence | None) -> dict[str, object] | None:
    if divergence is None:
        return None
    return {
        "who": divergence.who,
        "position": divergence.position,
        "at": divergence.at,
        "whole": _event(divergence.whole),
        "other": _event(divergence.other),
        "differences": [asdict(one) for one in divergence.differences],
    }
