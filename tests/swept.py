"""Sweeps over something that is quick to play: returns that follow from the settings and a seed alone."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from quant.chance import stream
from services.backtest.settings import Unusable
from services.backtest.sweep.objective import Objective
from services.backtest.sweep.running import Progress, Sweep
from services.backtest.sweep.space import Real, Space, Whole
from services.backtest.sweep.staging import Played
from services.backtest.sweep.store import Pruner, Sampler, Search, opened
from services.backtest.sweep.trials import Fate, Stretch, Trial
from services.backtest.sweep.workers import Changes, Closed, Perform, workers

FOLDS = 3
RETURNS = 40
SPACE = Space((Whole("trend.fast", 1, 30), Real("trend.stop_atr", 1.0, 5.0)))


def returns_of(changes: Sequence[str], fold: int, edge: float = 0.0, count: int = RETURNS) -> tuple[float, ...]:
    chance = stream(fold, "swept", *changes)
    return tuple(edge + 0.01 * chance.normal() for _ in range(count))


def stretch(returns: Sequence[float]) -> Stretch:
    return Stretch(tuple(returns), 1_000 * sum(returns), 1.0, 2, 4)


def play(changes: Changes, closed: Closed, edge: float = 0.0, pause_s: float = 0.0) -> Played:
    for fold in range(FOLDS):
        time.sleep(pause_s)
        if not closed(fold, stretch(returns_of(changes, fold, edge))):
            break
    return Played("", FOLDS * RETURNS, 0.0)


def anything(_changes: Changes) -> None:
    """Refuse no settings."""


def no_large_fast(changes: Changes) -> None:
    if int(changes[0].partition("=")[2]) > 15:
        raise Unusable("fast is too large")


def search(
    sampler: Sampler = Sampler.TPE,
    pruner: Pruner = Pruner.NONE,
    space: Space = SPACE,
    seed: int = 1,
    processes: int = 1,
) -> Search:
    return Search(space, sampler, pruner, seed, FOLDS, processes)


def swept(
    out: Path,
    asked: Search,
    trials: int,
    *,
    perform: Perform = play,
    require: Callable[[Changes], object] = anything,
    shown: Callable[[Sweep, Progress], None] | None = None,
    identity: dict[str, object] | None = None,
) -> list[Trial]:
    """Run a sweep in `out`, or go on with it; gives all trials that there are then."""
    out.mkdir(exist_ok=True)
    with workers(asked.processes, perform) as started, opened(out, identity or {"data": "made up"}, asked) as store:
        sweep = Sweep(store, asked.space, require, Objective.SHARPE, 1.0, trials)
        sweep.run(started, lambda progress: None if shown is None else shown(sweep, progress))
        return store.trials()


def outcome(trials: Sequence[Trial]) -> list[tuple[int, Changes, Fate, float | None]]:
    return [(trial.number, trial.changes, trial.fate, trial.value) for trial in trials]


def trial(number: int, folds: Sequence[Sequence[float]], value: float, fate: Fate = Fate.COMPLETE) -> Trial:
    return Trial(number, {"n": number}, (f"n={number}",), fate, value, tuple(map(stretch, folds)))
