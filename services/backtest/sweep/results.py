"""What a sweep leaves behind: a table of all trials, the same as lines of JSON, and the command that runs the best."""

import csv
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path

from quant.performance import sharpe, underwater
from services.backtest.sweep.luck import Luck
from services.backtest.sweep.objective import wealth
from services.backtest.sweep.trials import Trial

TABLE, LINES, SUMMARY = "trials.csv", "trials.jsonl", "sweep.json"


def write_results(out: Path, trials: Sequence[Trial], luck: Luck, summary: Mapping[str, object]) -> None:
    """Write all files; each is whole or as it was before."""
    _write(out / TABLE, table(trials))
    _write(out / LINES, "".join(json.dumps(document(trial, luck.scale)) + "\n" for trial in trials))
    _write(out / SUMMARY, json.dumps(summary, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(text)
    beside.replace(path)


def table(trials: Sequence[Trial]) -> str:
    """Write a row for each trial: its settings, and what came of it."""
    places = list(dict.fromkeys(change.partition("=")[0] for trial in trials for change in trial.changes))
    stored = StringIO()
    rows = csv.writer(stored, lineterminator="\n")
    rows.writerow(["number", "fate", "value", *places, "net", "fees", "trades", "folds", "seconds", "events", "why"])
    for trial in trials:
        set_to = dict(change.split("=", 1) for change in trial.changes)
        told = [trial.net, trial.fees, trial.trades, len(trial.stretches)]
        rows.writerow(
            [
                *(trial.number, trial.fate.value, "" if trial.value is None else trial.value),
                *(set_to.get(place, "") for place in places),
                *told,
                *(round(trial.seconds, 3), trial.events, trial.why),
            ]
        )
    return stored.getvalue()


def document(trial: Trial, scale: float) -> dict[str, object]:
    """Say all of a trial, its returns too."""
    returns = trial.returns
    return {
        "number": trial.number,
        "fate": trial.fate.value,
        "value": trial.value,
        "changes": list(trial.changes),
        "net": trial.net,
        "fees": trial.fees,
        "trades": trial.trades,
        "total_return": trial.total_return,
        "sharpe": sharpe(returns, scale),
        "max_drawdown": max(underwater(wealth(returns)), default=0.0),
        "why": trial.why,
        "seconds": round(trial.seconds, 3),
        "events": trial.events,
        "folds": [{**asdict(stretch), "returns": list(stretch.returns)} for stretch in trial.stretches],
    }


def luck_document(luck: Luck, said: Sequence[str]) -> dict[str, object]:
    """Say what is luck in JSON; ratios are per return."""
    overfit = luck.overfit
    return {
        "verdict": luck.verdict.value,
        "words": list(said),
        "tried": luck.tried,
        "complete": luck.complete,
        "effective_trials": luck.effective,
        "returns": luck.observations,
        "returns_per_year": luck.scale,
        "best_sharpe": luck.ratio,
        "variance_of_sharpe": luck.variance,
        "expected_best_of_luck": luck.lucky,
        "deflated_sharpe": luck.deflated,
        "deflated_sharpe_all_independent": luck.deflated_all,
        "probabilistic_sharpe": luck.plain,
        "overfitting": None
        if overfit is None
        else {"probability": overfit.probability, "slope": overfit.slope, "loss": overfit.loss},
        "walk_forward": [
            {"fold": one.fold, "trial": one.trial, "inside": one.inside, "outside": one.outside} for one in luck.choices
        ],
        "walk_forward_return": luck.chosen_return,
    }


def best_command(command: Sequence[str], trial: Trial, out: Path) -> str:
    """Write the command that runs a trial with log and report; `command` are the options of its data and settings."""
    changes = [word for change in trial.changes for word in ("--set", change)]
    return shlex.join(["hmm", "backtest", *command, *changes, "--out", str(out / f"trial-{trial.number}")])
