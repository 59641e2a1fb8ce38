"""How a sweep scales: the same `hmm sweep` with one process and with two, by the clock of the whole command.

That is with its start, reading the data, choosing and keeping trials, and the report. The floor is the machine: plain
processes that play the same trials, with no sweep around them, in the same run. On two cores of one chip two of them
gain less than 2. It takes ten minutes; run it alone with `python -m tests.bench.bench_sweep`, on a quiet machine.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest

from contracts.event import Event
from services.backtest.settings import BacktestSettings
from services.backtest.sources import Source
from services.backtest.sweep.folds import cut
from services.backtest.sweep.space import Space, Whole
from services.backtest.sweep.staging import Material, Stage, perform
from services.backtest.wiring import SETTINGS, Nature
from tests.backtested import events_of, waves
from venues.instruments import LISTING

HMM = Path(sys.executable).with_name("hmm")
QUOTES = 200_000
TRIALS = 24
FOLDS = 4
ROUNDS = 2
WANTED = 0.9
"""Of what two plain processes gain."""
SPACE = Space((Whole("trend.slow", 10, 10 + TRIALS - 1),))
TIMED = "seconds"


class Swept(NamedTuple):
    """What a command took (s), and what it left: rows of its table without the time of each trial."""

    whole: float
    playing: float
    """Of it, the time in which its processes played trials, on average."""
    rows: list[dict[str, str]]


class Round(NamedTuple):
    """Seconds of one process and of two."""

    one: float
    two: float

    @property
    def gain(self) -> float:
        return self.one / self.two


def swept(data: Path, processes: int) -> Swept:
    """Run the command, as anyone does."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "s"
        command: list[str | Path] = [HMM, "sweep", "--data", f"frames:{data}", "--no-cache", "--out", out, "--json"]
        command += f"--strategies trend --vary {SPACE.dimensions[0].place}=10..{9 + TRIALS}:1 --sampler grid".split()
        command += f"--folds {FOLDS} --trials {TRIALS} --processes {processes}".split()
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
        whole = time.perf_counter() - began
        with (out / "trials.csv").open() as table:
            rows = list(csv.DictReader(table))
    playing = sum(float(row.pop(TIMED)) for row in rows) / processes
    assert [row["fate"] for row in rows] == ["complete"] * TRIALS
    return Swept(whole, playing, rows)


def staged(events: list[Event]) -> Stage:
    @contextmanager
    def again() -> Iterator[Source]:
        yield Source(iter(events), LISTING, Nature(), lambda: 0, dict)

    first, last = events[0].ts_init, events[-1].ts_init
    material = Material(again, LISTING, Nature(), first, last, len(events), tuple(events))
    usual = {name: settings() for name, settings in SETTINGS.items()}
    return Stage(material, BacktestSettings(strategies=("trend",)), usual, cut(first, last, FOLDS, None, 0))


def plain(stage: Stage, processes: int) -> float:
    """Give the seconds of processes that play their part of the same trials and nothing else."""
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
    return time.perf_counter() - began


def measured() -> tuple[Round, Round]:
    """Measure all in turn, and take the best of each: the sweep, and the floor."""
    sweeps: list[Round] = []
    floors: list[Round] = []
    with tempfile.TemporaryDirectory() as folder:
        (data,) = waves(Path(folder), QUOTES)
        stage = staged(events_of([data]))
        print(f"{stage.material.events:,} events a trial, {TRIALS} trials")
        for _ in range(ROUNDS):
            load = os.getloadavg()[0]
            floor_one, one = plain(stage, 1), swept(data, 1)
            floor_two, two = plain(stage, 2), swept(data, 2)
            assert one.rows == two.rows
            sweeps.append(Round(one.whole, two.whole))
            floors.append(Round(floor_one, floor_two))
            print(f"load {load:.1f} before; {_told('plain processes', floors[-1])}; {_told('hmm sweep', sweeps[-1])}")
            print(f"  not playing: {one.whole - one.playing:.1f} s with one, {two.whole - two.playing:.1f} s with two")
    sweep, floor = _best(sweeps), _best(floors)
    print(f"best of each: {_told('plain processes', floor)}; {_told('hmm sweep', sweep)}")
    print(f"the sweep gains {sweep.gain / floor.gain:.0%} of what plain processes gain, {sweep.gain / 2:.0%} of two")
    return sweep, floor


def _best(rounds: list[Round]) -> Round:
    return Round(min(one for one, _ in rounds), min(two for _, two in rounds))


def _told(name: str, seconds: Round) -> str:
    return f"{name} {seconds.one:.1f} s and {seconds.two:.1f} s, gain {seconds.gain:.2f}"


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_a_sweep_gains_from_a_second_process_what_the_machine_gives() -> None:
    sweep, floor = measured()
    assert sweep.gain >= WANTED * min(2.0, floor.gain)


if __name__ == "__main__":
    measured()
