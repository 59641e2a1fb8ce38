"""How a sweep scales: trials per second with two processes against one, each over the same runs.

The floor is the machine: two plain processes that play the same trials, with no sweep around them, against one. On two
cores of one chip that is below 2. Run it alone with `python -m tests.bench.bench_sweep`, on a quiet machine.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest

from contracts.event import Event
from services.backtest.settings import BacktestSettings
from services.backtest.sources import Source
from services.backtest.sweep.folds import cut
from services.backtest.sweep.objective import Objective
from services.backtest.sweep.running import Sweep
from services.backtest.sweep.space import Space, Whole
from services.backtest.sweep.staging import Material, Stage, perform
from services.backtest.sweep.store import Pruner, Sampler, Search, opened
from services.backtest.sweep.trials import Fate
from services.backtest.sweep.workers import workers
from services.backtest.wiring import SETTINGS, Nature
from tests.backtested import events_of, waves
from venues.instruments import LISTING

QUOTES = 40_000
TRIALS = 8
FOLDS = 2
ROUNDS = 3
WANTED = 0.9
"""Of what two plain processes gain."""
SPACE = Space((Whole("trend.slow", 10, 10 + TRIALS - 1),))


class Scaling(NamedTuple):
    """Trials per second of the clock on the wall."""

    one: float
    two: float

    @property
    def gain(self) -> float:
        return self.two / self.one


def staged(events: list[Event]) -> Stage:
    @contextmanager
    def again() -> Iterator[Source]:
        yield Source(iter(events), LISTING, Nature(), lambda: 0, dict)

    first, last = events[0].ts_init, events[-1].ts_init
    material = Material(again, LISTING, Nature(), first, last, len(events), tuple(events))
    usual = {name: settings() for name, settings in SETTINGS.items()}
    return Stage(material, BacktestSettings(strategies=("trend",)), usual, cut(first, last, FOLDS, None, 0))


def swept(stage: Stage, processes: int) -> float:
    """Give trials/s of a sweep, from the first trial given out to the last one that ended."""
    search = Search(SPACE, Sampler.GRID, Pruner.NONE, 0, FOLDS, processes)
    with (
        tempfile.TemporaryDirectory() as folder,
        workers(processes, lambda changes, closed: perform(stage, changes, closed)) as started,
        opened(Path(folder), {}, search) as store,
    ):
        sweep = Sweep(store, SPACE, stage.wiring, Objective.SHARPE, 1.0, TRIALS)
        began = time.perf_counter()
        sweep.run(started, lambda _progress: None)
        seconds = time.perf_counter() - began
        assert [trial.fate for trial in store.trials()] == [Fate.COMPLETE] * TRIALS
    return TRIALS / seconds


def plain(stage: Stage, processes: int) -> float:
    """Give trials/s of processes that play their part of the same trials and nothing else."""
    changes = [SPACE.changes(SPACE.point(number)) for number in range(TRIALS)]

    def play(part: int) -> None:
        for change in changes[part::processes]:
            perform(stage, change, lambda _fold, _stretch: True)

    context = get_context("fork")
    parts = [context.Process(target=play, args=(part,)) for part in range(processes)]
    began = time.perf_counter()
    for part in parts:
        part.start()
    for part in parts:
        part.join()
        assert part.exitcode == 0
    return TRIALS / (time.perf_counter() - began)


def scaling(measure: Callable[[Stage, int], float], stage: Stage) -> Scaling:
    """Measure in turn, and take the best of each."""
    rounds = [(measure(stage, 1), measure(stage, 2)) for _ in range(ROUNDS)]
    return Scaling(max(one for one, _ in rounds), max(two for _, two in rounds))


def measured() -> tuple[Scaling, Scaling]:
    with tempfile.TemporaryDirectory() as folder:
        stage = staged(events_of(waves(Path(folder), QUOTES)))
    sweep, floor = scaling(swept, stage), scaling(plain, stage)
    print(f"{stage.material.events:,} events a trial, {TRIALS} trials, load {os.getloadavg()[0]:.1f}")
    for name, one in (("sweep", sweep), ("plain processes", floor)):
        print(f"{name:<16} 1: {one.one:6.2f} trials/s   2: {one.two:6.2f} trials/s   gain {one.gain:.2f}")
    print(f"sweep / plain at two processes: {sweep.two / floor.two:.2f}")
    return sweep, floor


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_a_sweep_gains_from_a_second_process_what_the_machine_gives() -> None:
    sweep, floor = measured()
    assert sweep.gain >= WANTED * min(2.0, floor.gain)


if __name__ == "__main__":
    measured()
