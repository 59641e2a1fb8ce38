"""A sweep: the same seed gives the same trials whatever interrupts it, and nothing foreign goes on in its store."""

import os
import signal
import time
from pathlib import Path

import pytest

from services.backtest.settings import Unusable
from services.backtest.sweep.journal import Journal
from services.backtest.sweep.objective import Objective
from services.backtest.sweep.running import Progress, Sweep
from services.backtest.sweep.space import Choice, Real, Space, Whole
from services.backtest.sweep.staging import Played
from services.backtest.sweep.store import FILE, Pruner, Sampler, opened
from services.backtest.sweep.trials import Fate
from services.backtest.sweep.workers import Changes, Closed, Died, TrialEnded, Workers, workers
from tests.swept import FOLDS, SPACE, anything, no_large_fast, outcome, play, search, swept

SMALL = Space((Whole("trend.fast", 1, 4), Choice("trend.shorts", ("true", "false"))))


@pytest.mark.parametrize("sampler", [Sampler.TPE, Sampler.RANDOM, Sampler.CMAES])
def test_an_interrupted_sweep_goes_on_as_if_it_had_not_been(tmp_path: Path, sampler: Sampler) -> None:
    asked = search(sampler)
    whole = swept(tmp_path / "whole", asked, 14)

    def stop(sweep: Sweep, progress: Progress) -> None:
        sweep.stopping = progress.trials >= 5

    parts = swept(tmp_path / "parts", asked, 14, shown=stop)
    assert len(parts) < 14
    assert outcome(swept(tmp_path / "parts", asked, 14)) == outcome(whole)
    assert {trial.fate for trial in whole} == {Fate.COMPLETE} and len({trial.changes for trial in whole}) > 7


def test_another_seed_tries_something_else(tmp_path: Path) -> None:
    assert outcome(swept(tmp_path / "a", search(seed=1), 3)) != outcome(swept(tmp_path / "b", search(seed=2), 3))


def test_random_trials_are_the_same_whatever_the_number_of_processes(tmp_path: Path) -> None:
    one = swept(tmp_path / "one", search(Sampler.RANDOM), 8)
    two = swept(tmp_path / "two", search(Sampler.RANDOM, processes=2), 8)
    assert outcome(one) == outcome(two)


def test_a_grid_tries_every_combination_once_and_then_ends(tmp_path: Path) -> None:
    trials = swept(tmp_path / "grid", search(Sampler.GRID, space=SMALL), 100)
    assert len(trials) == len({trial.changes for trial in trials}) == 8


def test_settings_that_cannot_be_are_counted_and_not_played(tmp_path: Path) -> None:
    trials = swept(tmp_path / "s", search(Sampler.RANDOM), 12, require=no_large_fast)
    refused = [trial for trial in trials if trial.fate is Fate.REFUSED]
    assert 0 < len(refused) < 12 and len(trials) == 12
    assert {trial.why for trial in refused} == {"fast is too large"}
    assert not any(trial.stretches for trial in refused)


def test_settings_that_were_tried_are_not_played_again(tmp_path: Path) -> None:
    trials = swept(tmp_path / "s", search(Sampler.RANDOM, space=SMALL), 20)
    own = {trial.changes: trial.value for trial in trials if trial.fate is Fate.COMPLETE}
    repeated = [trial for trial in trials if trial.fate is Fate.REPEATED]
    assert len(own) + len(repeated) == 20 and len(own) <= 8 and repeated
    assert all(trial.value == own[trial.changes] for trial in repeated)


def test_what_is_worse_than_the_median_is_given_up_behind_a_fold(tmp_path: Path) -> None:
    trials = swept(tmp_path / "s", search(Sampler.RANDOM, Pruner.MEDIAN), 24)
    pruned = [trial for trial in trials if trial.fate is Fate.PRUNED]
    assert pruned and all(1 <= len(trial.stretches) < FOLDS for trial in pruned)
    assert all(len(trial.stretches) == FOLDS for trial in trials if trial.fate is Fate.COMPLETE)


def test_a_trial_whose_process_is_killed_is_played_by_another_one(tmp_path: Path) -> None:
    mark = tmp_path / "killed"

    def killed_once(changes: Changes, closed: Closed) -> Played:
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return play(changes, closed)

    trials = swept(tmp_path / "s", search(), 4, perform=killed_once)
    assert mark.exists() and outcome(trials) == outcome(swept(tmp_path / "t", search(), 4))


def test_a_trial_that_kills_its_process_each_time_fails_and_the_others_go_on(tmp_path: Path) -> None:
    def kills(changes: Changes, closed: Closed) -> Played:
        if changes[0] == "trend.fast=2":
            os.kill(os.getpid(), signal.SIGKILL)
        return play(changes, closed)

    trials = swept(tmp_path / "s", search(Sampler.GRID, space=SMALL, processes=2), 8, perform=kills)
    failed = [trial for trial in trials if trial.fate is Fate.FAILED]
    assert len(failed) == 2 and all("its process died" in trial.why for trial in failed)
    assert sum(trial.fate is Fate.COMPLETE for trial in trials) == 6


def test_a_trial_that_raises_fails_with_what_it_raised(tmp_path: Path) -> None:
    def raises(changes: Changes, closed: Closed) -> Played:
        if changes[0] == "trend.fast=3":
            raise ArithmeticError("no such root")
        return play(changes, closed)

    trials = swept(tmp_path / "s", search(Sampler.GRID, space=SMALL), 8, perform=raises)
    (one, two) = [trial for trial in trials if trial.fate is Fate.FAILED]
    assert "ArithmeticError: no such root" in one.why and "ArithmeticError: no such root" in two.why


def test_a_process_is_given_its_next_trial_before_the_last_one_is_written_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle: list[int] = []
    with workers(1, play) as started, opened(tmp_path, {"data": "made up"}, search()) as store:
        monkeypatch.setattr(Journal, "keep", lambda _journal: idle.append(len(started.idle)))
        Sweep(store, SPACE, anything, Objective.SHARPE, 1.0, 4).run(started, lambda _progress: None)
        assert idle == [0, 0, 0, 1]


def test_what_is_for_the_end_is_done_once_and_only_when_a_core_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    done: list[bool] = []
    with workers(2, play, lambda: done.append(True)) as started:
        for number, worker in enumerate(started.idle):
            worker.play(number, (f"trend.fast={number}",))
        started.use_spare_core()
        assert not done
        played_by_one_of(started)
        started.use_spare_core()
        started.use_spare_core()
    assert done == [True]


def played_by_one_of(started: Workers) -> None:
    """Let trials go on until one of them ended."""
    while True:
        for worker, said in started.heard(1.0):
            if isinstance(said, TrialEnded):
                worker.trial = None
                return
            worker.go_on(wanted=True)


def test_no_process_is_forked_while_something_is_done_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    done: list[bool] = []

    def dies(_changes: Changes, _closed: Closed) -> Played:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    def takes_a_while() -> None:
        time.sleep(0.3)
        done.append(True)

    with workers(1, dies, takes_a_while) as started:
        (worker,) = started.idle
        worker.play(0, ())
        started.use_spare_core()
        heard = list(started.heard(5.0))
        assert [said for _, said in heard] == [Died()] and done and started.idle[0] is not worker


@pytest.mark.parametrize("key", ["data", "code", "space"])
def test_a_store_of_another_sweep_is_refused_by_what_differs(tmp_path: Path, key: str) -> None:
    then: dict[str, object] = {"data": "a", "code": "b", "space": "c"}
    swept(tmp_path / "s", search(), 1, identity=then)
    with pytest.raises(Unusable, match=f"another {key} was begun there"):
        swept(tmp_path / "s", search(), 1, identity={**then, key: "other"})


def test_half_a_line_at_the_end_of_the_journal_is_nothing_that_happened(tmp_path: Path) -> None:
    whole = swept(tmp_path / "whole", search(), 6)
    swept(tmp_path / "cut", search(), 3)
    journal = tmp_path / "cut" / FILE
    journal.write_bytes(journal.read_bytes()[:-30])
    assert outcome(swept(tmp_path / "cut", search(), 6)) == outcome(whole)


def test_a_damaged_journal_is_refused_by_its_line(tmp_path: Path) -> None:
    swept(tmp_path / "s", search(), 2)
    journal = tmp_path / "s" / FILE
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], b"{rubbish\n", *lines[4:]]))
    with pytest.raises(Unusable, match="line 4 is damaged"):
        swept(tmp_path / "s", search(), 2)


def test_two_sweeps_do_not_write_to_one_store(tmp_path: Path) -> None:
    def another(_sweep: Sweep, _progress: Progress) -> None:
        with pytest.raises(Unusable, match="a sweep goes on there"):
            swept(tmp_path / "s", search(), 1)

    swept(tmp_path / "s", search(), 1, shown=another)


@pytest.mark.parametrize(
    ("sampler", "space", "told"),
    [
        (Sampler.GRID, Space((Real("trend.stop_atr", 1.0, 2.0),)), "has no step"),
        (Sampler.CMAES, SMALL, "no range of numbers"),
        (Sampler.CMAES, Space((Whole("trend.fast", 1, 4),)), "two ranges"),
    ],
)
def test_a_sampler_that_does_not_fit_the_space_is_refused(sampler: Sampler, space: Space, told: str) -> None:
    with pytest.raises(Unusable, match=told):
        search(sampler, space=space).require()
