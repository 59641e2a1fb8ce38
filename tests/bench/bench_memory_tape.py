"""The tape in memory against NautilusTrader on the reference workload: the ceiling of every backtest.

All components run: quote, matching, bars, strategy, risk, router, portfolio; garbage is looked for as rarely as in any
backtest. Each peer, 1.221 and 2.0 with its core in Rust, runs in a virtual environment of its own, which the first run
makes under `.run/peers`. Ours and the peer's are measured in turn, the best of `ROUNDS` each, with few orders and with
one in every 22 quotes. Beside it: the pace must not fall as orders become many, more than any component remembers.

Run it with `python -m tests.bench.bench_memory_tape`.
"""

import gc
import json
import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from eventstore.ahead import garbage_looked_for_rarely
from tape.memory import MemoryTape
from tape.span import in_spans
from tests.reference_workload import components, mids, outcome, quotes, reference
from tests.servers import ROOT

QUOTES = 500_000
PART = 100_000
"""Few, where 1.221 is the peer, for its pace falls with the orders that it has seen: not to its disadvantage."""
FAST, SLOW = 50, 200
BUSY = (10, 20)
"""Averages that cross in every 22nd quote."""
MOST_SLOWER = 0.1
ROUNDS = 3
PACE_ROUNDS = 5
"""More, where a tenth is to be told from noise."""


class Peer(NamedTuple):
    """NautilusTrader of one version, and what plays the workload on it."""

    version: str
    python: str
    script: Path
    arguments: tuple[str, ...] = ()


FIRST = Peer("1.221.0", "3.11", ROOT.parent / "shared" / "bench" / "peer_nautilus.py", ("quotes",))
SECOND = Peer("2.0.0rc7", "3.13", ROOT / "tests" / "bench" / "peer_nautilus2.py")
WORKLOAD = ROOT.parent / "shared" / "bench" / "workload.py"
LEAST_RATIO = {FIRST: 4.5, SECOND: 1.0}
"""Of the first the aim is 5 with both averages: see docs/speed.md."""
AVERAGES = ((FAST, SLOW), BUSY)

needs_the_workload = pytest.mark.skipif(not WORKLOAD.exists(), reason=f"not there: {WORKLOAD.name}")


class Spent(NamedTuple):
    """Seconds of the clock on the wall, and of CPU time."""

    wall: float
    cpu: float


def spent(count: int, fast: int, slow: int) -> list[Spent]:
    """Play the workload in a process of its own, check its result to the last digit, and time each `PART`."""
    command = [sys.executable, "-m", "tests.bench.bench_memory_tape", "play", str(count), str(fast), str(slow)]
    answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [Spent(*part) for part in json.loads(answer)]


def play(count: int, fast: int, slow: int) -> list[Spent]:
    events = quotes(count)
    parts = [events[begin : begin + PART] for begin in range(0, count, PART)]
    wired = components(fast, slow)
    tape = MemoryTape(wired)
    times: list[Spent] = []
    gc.collect()
    gc.freeze()
    with garbage_looked_for_rarely():
        for part in parts:
            began, busy = time.perf_counter(), time.process_time()
            tape.play(in_spans(part))
            times.append(Spent(time.perf_counter() - began, time.process_time() - busy))
    *_, last = mids(count)
    assert outcome(tape, wired, last) == reference(count, fast, slow)
    return times


def quotes_per_s(count: int, fast: int, slow: int) -> float:
    return count / sum(part.wall for part in spent(count, fast, slow))


def peer_quotes_per_s(peer: Peer, count: int, fast: int, slow: int) -> float:
    command = [str(_peer_python(peer)), str(peer.script), *peer.arguments, str(count), str(fast), str(slow)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(answer.splitlines()[-1])["events_per_s"])


@cache
def _peer_python(peer: Peer) -> Path:
    home = ROOT / ".run" / "peers" / f"nautilus-{peer.version}"
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "-q", str(home), "--python", _interpreter(peer.python)], check=True)
    install = ["uv", "pip", "install", "-q", "--python", str(python), f"nautilus_trader=={peer.version}"]
    subprocess.run(install, check=True)
    return python


def _interpreter(version: str) -> str:
    """Find a Python: our own if it is of that version, or one that pyenv has but does not offer unasked."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return str(Path(sys.base_prefix) / "bin" / f"python{version}")
    command = [f"python{version}", "-c", "import sys; print(sys.executable)"]
    try:
        found = subprocess.run(
            command, env=os.environ | {"PYENV_VERSION": version}, check=True, capture_output=True, text=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return version
    return found.stdout.strip()


def ratio(peer: Peer, count: int, fast: int, slow: int) -> float:
    """Measure both in turn, and compare the best of each."""
    measured = [(quotes_per_s(count, fast, slow), peer_quotes_per_s(peer, count, fast, slow)) for _ in range(ROUNDS)]
    ours, theirs = max(own for own, _ in measured), max(other for _, other in measured)
    print(f"\nEMA {fast}/{slow}, {count:,} quotes: ours {ours:,.0f}/s, NautilusTrader {peer.version} {theirs:,.0f}/s")
    print(f"ratio {ours / theirs:.2f}; result equal to the reference to the last digit")
    return ours / theirs


@needs_the_workload
@pytest.mark.parametrize("averages", AVERAGES)
def test_the_tape_in_memory_plays_faster_than_nautilus_trader(averages: tuple[int, int]) -> None:
    assert ratio(FIRST, PART, *averages) >= LEAST_RATIO[FIRST]


@needs_the_workload
@pytest.mark.parametrize("averages", AVERAGES)
def test_the_tape_in_memory_keeps_up_with_nautilus_trader_2(averages: tuple[int, int]) -> None:
    try:
        _peer_python(SECOND)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no Python {SECOND.python} here, or no NautilusTrader {SECOND.version} for it: {error}")
    ratio(SECOND, QUOTES, *averages)
    assert ratio(SECOND, PART, *averages) >= LEAST_RATIO[SECOND]


def test_an_order_costs_the_same_after_twenty_thousand_others() -> None:
    measured = [(spent(PART, *BUSY), spent(QUOTES, *BUSY)) for _ in range(PACE_ROUNDS)]
    few, many = _least_cpu([short for short, _ in measured]), _least_cpu([long for _, long in measured])
    fast, slow = BUSY
    print(f"\nEMA {fast}/{slow}: {PART:,} quotes at {PART / few:,.0f}/s, {QUOTES:,} at {QUOTES / many:,.0f}/s")
    assert QUOTES / many >= (1 - MOST_SLOWER) * PART / few


def _least_cpu(runs: list[list[Spent]]) -> float:
    """Add up the best of each part over all runs: of a long run noise spares parts, but hardly ever the whole."""
    return sum(min(run[part].cpu for run in runs) for part in range(len(runs[0])))


def main() -> None:
    match sys.argv[1:]:
        case ["play", count, fast, slow]:
            print(json.dumps(play(int(count), int(fast), int(slow))))
        case _:
            for averages in AVERAGES:
                test_the_tape_in_memory_plays_faster_than_nautilus_trader(averages)
            for averages in AVERAGES:
                try:
                    test_the_tape_in_memory_keeps_up_with_nautilus_trader_2(averages)
                except pytest.skip.Exception as skipped:
                    print(skipped)
            test_an_order_costs_the_same_after_twenty_thousand_others()


if __name__ == "__main__":
    main()
