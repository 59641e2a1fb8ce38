"""Simulate seed after seed, and say of each what became of it; a failure comes with the command that replays it."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from services.simulator.outcome import Outcome
from services.simulator.world import simulate

SHOWN = ("crash", "pause", "drop", "stall", "outage", "stop", "failed", "takeover", "snapshot")
SEEDS_AT_ONCE = 4
"""How many seeds a process is given ahead, so that an end after some minutes is one."""


@dataclass(frozen=True)
class Run:
    """What became of a seed, and how long that took (wall clock, seconds)."""

    outcome: Outcome
    took_s: float


def main() -> int:
    """Simulate what the command line asks for; 1 as soon as a seed fails."""
    asked = _arguments()
    began, done = time.monotonic(), 0
    for run in _runs(asked):
        print(_line(run), flush=True)
        done += 1
        if run.outcome.problems:
            print(_failure(run.outcome, asked.steps), flush=True)
            return 1
        if asked.minutes and time.monotonic() - began > asked.minutes * 60:
            break
    print(f"{done} seeds hold all promises, in {time.monotonic() - began:.0f} s")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="just simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="simulate this seed alone")
    parser.add_argument("--first", type=int, default=1, help="the first of several seeds")
    parser.add_argument("--seeds", type=int, default=100, help="how many (default: 100)")
    parser.add_argument(
        "--steps", type=int, default=20_000, help="steps of each, before all is healed (default: 20000)"
    )
    parser.add_argument("--minutes", type=float, help="go on with new seeds until so much time has passed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many seeds at once")
    asked = parser.parse_args()
    if asked.minutes and asked.seeds == parser.get_default("seeds"):
        asked.seeds = sys.maxsize
    return asked


def _runs(asked: argparse.Namespace) -> Iterator[Run]:
    """Simulate in several processes; give what became of the seeds in their order."""
    if asked.seed is not None:
        yield _timed(asked.seed, steps=asked.steps)
        return
    one = partial(_timed, steps=asked.steps)
    at_once = asked.processes * SEEDS_AT_ONCE
    with ProcessPoolExecutor(asked.processes) as pool:
        for first in range(asked.first, asked.first + asked.seeds, at_once):
            yield from pool.map(one, range(first, min(first + at_once, asked.first + asked.seeds)))


def _timed(seed: int, *, steps: int) -> Run:
    began = time.monotonic()
    try:
        outcome = simulate(seed, steps)
    except Exception as error:
        error.add_note(f"in seed {seed}")
        raise
    return Run(outcome, time.monotonic() - began)


def _line(run: Run) -> str:
    outcome = run.outcome
    counts = ", ".join(f"{outcome.counts[what]} {what}" for what in SHOWN if outcome.counts.get(what))
    return (
        f"{'FAIL' if outcome.problems else 'ok'} seed {outcome.seed}: {outcome.steps} steps, {outcome.seconds:.0f} s, "
        f"{outcome.events} events, {outcome.orders} orders; {counts or 'calm'}; "
        f"{outcome.steps / run.took_s:,.0f} steps/s, {outcome.digest}"
    )


def _failure(outcome: Outcome, steps: int) -> str:
    """Tell what went wrong, what came before, and how to see it again."""
    problems = "\n".join(outcome.problems)
    return (
        f"\nseed {outcome.seed} fails at step {outcome.failed_at}:\n{problems}\n\nThe last things that happened:\n"
        + "\n".join(outcome.last)
        + f"\n\nReplay: just simulate --seed {outcome.seed} --steps {steps}"
    )


if __name__ == "__main__":
    sys.exit(main())
