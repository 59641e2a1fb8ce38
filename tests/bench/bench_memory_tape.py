"""The tape in memory against NautilusTrader 1.221 on the reference workload: the ceiling of every backtest.

All components run: quote, matching, bars, strategy, risk, router, portfolio. The peer runs in a virtual environment of
its own, which the first run makes under `.run/peers`. Both are measured in turn, the best of `ROUNDS` each.

Run it with `python -m tests.bench.bench_memory_tape`.
"""

import gc
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tape.memory import MemoryTape
from tests.reference_workload import components, mids, outcome, quotes, reference
from tests.servers import ROOT

QUOTES = 500_000
FAST, SLOW = 50, 200
ROUNDS = 3
LEAST_RATIO = 2.0
PEER = ROOT.parent / "shared" / "bench" / "peer_nautilus.py"
PEER_VERSION = "1.221.0"


def quotes_per_s(count: int, fast: int, slow: int) -> float:
    """Play the workload in a process of its own and check its result to the last digit."""
    command = [sys.executable, "-m", "tests.bench.bench_memory_tape", "play", str(count), str(fast), str(slow)]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def play(count: int, fast: int, slow: int) -> float:
    events = quotes(count)
    wired = components(fast, slow)
    tape = MemoryTape(wired)
    gc.collect()
    gc.freeze()
    began = time.perf_counter()
    tape.play(events)
    seconds = time.perf_counter() - began
    *_, last = mids(count)
    assert outcome(tape, wired, last) == reference(count, fast, slow)
    return count / seconds


def peer_quotes_per_s(count: int, fast: int, slow: int) -> float:
    command = [str(_peer_python()), str(PEER), "quotes", str(count), str(fast), str(slow)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(answer.splitlines()[-1])["events_per_s"])


def _peer_python() -> Path:
    home = ROOT / ".run" / "peers" / f"nautilus-{PEER_VERSION}"
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "-q", str(home), "--python", "3.11"], check=True)
        install = ["uv", "pip", "install", "-q", "--python", str(python), f"nautilus_trader=={PEER_VERSION}"]
        subprocess.run(install, check=True)
    return python


@pytest.mark.skipif(not PEER.exists(), reason=f"the peer's script is not there: {PEER.name}")
def test_the_tape_in_memory_plays_twice_as_fast_as_nautilus_trader() -> None:
    measured = [(quotes_per_s(QUOTES, FAST, SLOW), peer_quotes_per_s(QUOTES, FAST, SLOW)) for _ in range(ROUNDS)]
    ours, theirs = (max(column) for column in zip(*measured, strict=True))
    print(f"\nEMA {FAST}/{SLOW}, {QUOTES:,} quotes: ours {ours:,.0f}/s, NautilusTrader {PEER_VERSION} {theirs:,.0f}/s")
    print(f"ratio {ours / theirs:.2f}; result equal to the reference to the last digit")
    assert ours / theirs >= LEAST_RATIO


def main() -> None:
    match sys.argv[1:]:
        case ["play", count, fast, slow]:
            print(play(int(count), int(fast), int(slow)))
        case _:
            test_the_tape_in_memory_plays_twice_as_fast_as_nautilus_trader()


if __name__ == "__main__":
    main()
