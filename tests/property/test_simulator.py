"""The simulator of faults: the same seed is the same run, the system holds, and a broken system is found out."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest

from services.simulator.outcome import Outcome
from services.simulator.plan import Fault, plan
from services.simulator.world import simulate
from tape.publisher import Publisher
from tape.replica import Replica
from tests.servers import ROOT

STEPS = 5_000
MANY_STEPS = 20_000
SEEDS = range(1, 51)

REPLAY = f"""
from services.simulator.world import simulate
for seed in (3, 7):
    print(simulate(seed, {STEPS}))
"""


def test_the_same_seed_is_the_same_run_to_the_last_byte() -> None:
    """Not even the order of a set of strings makes a difference, which is another one in each process."""
    runs = {
        subprocess.run(
            [sys.executable, "-c", REPLAY],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1")
    }
    assert len(runs) == 1
    assert "digest=" in runs.pop()


def test_seeds_differ() -> None:
    assert simulate(3, 1_000).digest != simulate(4, 1_000).digest


def test_seeds_have_weathers_of_their_own() -> None:
    plans = [plan(seed) for seed in range(200)]
    assert any(not any(chosen.rates.values()) for chosen in plans), "no seed is calm"
    for fault in Fault:
        happens = sum(chosen.rates[fault] > 0 for chosen in plans)
        assert 50 < happens < 190, f"{fault} happens in {happens} of 200 seeds"


def test_the_system_holds_all_its_promises_under_faults() -> None:
    with ProcessPoolExecutor(2) as pool:
        outcomes = list(pool.map(partial(simulate, steps=STEPS), range(1, 13)))
    assert [outcome.problems for outcome in outcomes] == [()] * len(outcomes)
    counts = [outcome.counts for outcome in outcomes]
    happened = ("crash", "pause", "drop", "takeover", "snapshot")
    assert all(sum(count.get(what, 0) for count in counts) for what in happened)
    assert sum(outcome.orders for outcome in outcomes) > 30


# -- the tests of the tester -------------------------------------------------------------------------------------------


def first_failure() -> Outcome:
    """Simulate seed after seed until one fails."""
    for seed in SEEDS:
        outcome = simulate(seed, MANY_STEPS)
        if outcome.problems:
            return outcome
    pytest.fail(f"{len(SEEDS)} seeds did not show it")


def test_finds_out_who_says_again_what_is_on_the_tape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replica, "_strike_out", lambda _replica, _msg_id: None)
    assert "says again what" in first_failure().problems[0]


def test_finds_out_who_speaks_without_a_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def without_fence(publisher: Publisher, _fence: object) -> None:
        await publisher.flush()

    monkeypatch.setattr(Publisher, "fence", without_fence)
    problem = first_failure().problems[0]
    assert any(sign in problem for sign in ("was deposed", "says again", "LEASE", "ONCE")), problem


def test_finds_out_who_keeps_a_snapshot_before_the_tape_has_what_follows_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once: Callable[[Publisher, int], bool] = lambda _publisher, _sent: True  # noqa: E731
    monkeypatch.setattr(Publisher, "has_all_until", at_once)
    problem = first_failure().problems[0]
    assert any(sign in problem for sign in ("was kept before", "diverges", "does not say", "owes", "ONCE")), problem
