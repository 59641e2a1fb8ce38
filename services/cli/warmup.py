"""`hmm warmup-check`: how much of the past decisions need; whoever speaks before he has it is named."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

import typer

from services.backtest.settings import BacktestSettings, DataSource, Unusable
from services.backtest.warmup.comparing import Comparison
from services.backtest.warmup.decisions import Kind
from services.backtest.warmup.examination import Examination, Plan, examine
from services.cli.backtestarguments import Arguments, asked_for
from services.cli.backtestdata import opened
from services.cli.errors import ExitCode, misused
from services.cli.lookahead import one_after_another, preparing
from services.cli.output import number, table
from services.cli.progress import progress


def warmup_check(  # one for each option
    arguments: Arguments, starts: str, places: int, window: int, tolerance: float, *, experience: bool, as_json: bool
) -> None:
    """Compare runs that begin later with the whole one; exit code 1 if anyone speaks before it knows enough."""
    try:
        data, asked = DataSource.parse(arguments.data), asked_for(arguments)
        plan = Plan(_bars(starts), places, window, tolerance / 100, experience)
        found = _examined(data, asked, plan)
    except Unusable as refusal:
        misused(str(refusal), refusal.remedy)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if as_json:
        print(json.dumps(_document(found), indent=2))
    else:
        _show(found)
    if found.failing:
        raise typer.Exit(ExitCode.FAILED)


def _bars(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isdecimal() and len(word) < 9 for word in words):
        misused(f"--starts {text}: not numbers of bars", "for instance --starts 0,50,100")
    return tuple(sorted({int(word) for word in words}))


def _examined(data: DataSource, asked: BacktestSettings, plan: Plan) -> Examination:
    with opened(data, asked) as there:
        rows = there.rows
    with progress(1, rows * (len(plan.starts) * plan.places + 1)) as reached:
        return examine(preparing(data, asked), asked, plan, one_after_another(reached, rows))


# -- what was found ----------------------------------------------------------------------------------------------------

_COLUMNS = (
    "who",
    "what",
    "past",
    "whole run",
    "these",
    "differ",
    "",
    "same position",
    "too early",
    "amounts",
    "same from",
)
_RIGHT = frozenset(_COLUMNS[2:])


def _show(found: Examination) -> None:
    print(
        f"compared in {len(found.windows)} windows of {_longest(found)} bars of {found.bar.value}, from "
        f"{_moment(found.windows[0].start)} to {_moment(found.windows[-1].stop)}; the whole run has "
        f"{number(found.whole_past)} of them before the first"
    )
    if found.left_out:
        print(f"not enough data for {', '.join(map(number, found.left_out))} bars of past")
    table("", _COLUMNS, [_row(found, one) for kind in found.kinds for one in found.of(kind)], _RIGHT)
    for kind in found.kinds:
        print(f"{kind.who} {kind.what}: {_enough(found, kind)}")
    for one in found.failing:
        all_ = max(one.whole, one.part)
        print(f"\n{one.kind.who} speaks too early: {number(one.too_early)} of {number(all_)} decisions")
        for line in _instances(one):
            print(f"  {line}")
    if not found.failing:
        print("whoever spoke said what it says with all the past, as far as it held the same positions")


def _row(found: Examination, one: Comparison) -> list[str]:
    return [
        *(one.kind.who, one.kind.what, number(one.past), number(one.whole), number(one.part)),
        *(number(one.differing), f"{one.share:.1%}", number(one.undue), number(one.too_early)),
        *(f"{one.largest:.3%}", _settled(found, one)),
    ]


def _settled(found: Examination, one: Comparison) -> str:
    """Say behind how many bars nothing differs any more, in any window."""
    return "the first" if one.last is None else f"bar {one.last // found.bar.nanos + 2:,}"


def _enough(found: Examination, kind: Kind) -> str:
    whole, seen = found.enough(kind), found.enough(kind, undue=True)
    if whole is not None:
        return f"the same from {number(whole)} bars of past on"
    if seen is not None:
        return f"from {number(seen)} bars of past on it differs only where another position was held"
    return "differs with every past that was given"


def _instances(one: Comparison) -> Iterator[str]:
    for instance in one.early:
        how = f"only with {instance.only}" if instance.only is not None else f"other {', '.join(instance.fields)}"
        yield f"{_moment(instance.place.at)} {instance.place.subject}: {how}"


def _longest(found: Examination) -> int:
    return max((window.stop - window.start) // found.bar.nanos for window in found.windows)


def _moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at // 10**9, UTC):%Y-%m-%d %H:%M:%S}"


def _document(found: Examination) -> dict[str, object]:
    return {
        "passed": not found.failing,
        "bar": found.bar.value,
        "windows": [{"from": window.start, "to": window.stop} for window in found.windows],
        "whole_past": found.whole_past,
        "left_out": found.left_out,
        "kinds": [
            {
                **asdict(kind),
                "enough": found.enough(kind),
                "enough_but_for_positions": found.enough(kind, undue=True),
                "runs": [_comparison(one) for one in found.of(kind)],
            }
            for kind in found.kinds
        ],
    }


def _comparison(one: Comparison) -> dict[str, object]:
    return {
        "past": one.past,
        "whole": one.whole,
        "part": one.part,
        "differing": one.differing,
        "share": one.share,
        "same_position": one.undue,
        "too_early": one.too_early,
        "largest_difference": one.largest,
        "last": one.last,
        "first": [asdict(instance) for instance in one.first],
    }
