"""`hmm sweep` and `hmm compare` as a person meets them: real runs, kills, resumption, and no false hope."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from quant.chance import stream
from services.backtest.sweep.store import FILE
from tests.live import PATIENCE_S

pytestmark = pytest.mark.integration

HMM = Path(sys.executable).with_name("hmm")
MINUTES = 600
SPACE = ("--vary", "trend.fast=2..12", "--vary", "trend.slow=6..40")
FREE = ("--strategies", "trend", "--fees", "0,0", "--spread", "0", "--set", "trend.notional=1000", "--folds", "3")
Result = subprocess.CompletedProcess[str]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("HMM_")}


def hmm(*arguments: object) -> Result:
    return subprocess.run(
        [HMM, *map(str, arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_S,
        check=False,
    )


def said(result: Result) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def bars(path: Path, persistence: float) -> str:
    """Write a market whose minutes go on as the ones before did, or have nothing to do with them (0)."""
    chance, price, drift, rows = stream(7, "market", str(persistence)), 100.0, 0.0, ["time,open,high,low,close,volume"]
    for minute in range(MINUTES):
        drift = persistence * drift + chance.normal() * 1e-3
        after = price * (1 + drift)
        low, high = min(price, after), max(price, after)
        rows.append(f"{1_700_000_040 + 60 * minute},{price:.6f},{high:.6f},{low:.6f},{after:.6f},100000")
        price = float(f"{after:.6f}")
    path.write_text("\n".join(rows) + "\n")
    return f"bars:{path}"


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> str:
    return bars(tmp_path_factory.mktemp("walk") / "BTCUSDT-1m.csv", 0.0)


@pytest.fixture(scope="module")
def whole(walk: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("whole") / "s"
    return said(hmm("sweep", "--data", walk, *FREE, *SPACE, "--trials", 8, "--out", out, "--json")), out


def rows(out: Path) -> list[list[str]]:
    with (out / "trials.csv").open() as file:
        return [[cell for name, cell in row.items() if name != "seconds"] for row in csv.DictReader(file)]


def test_a_sweep_over_a_random_walk_says_that_it_may_be_luck(whole: tuple[dict[str, Any], Path]) -> None:
    document, out = whole
    assert sum(document["trials"].values()) == 8 and document["best"]["trades"] > 0
    assert document["luck"]["verdict"] == "luck" and document["luck"]["deflated_sharpe"] < 0.95
    assert "may be luck alone" in (out / "sweep.html").read_text()
    assert {"objective.png", "settings.png", "curves.png", "overfitting.png"} <= {file.name for file in out.iterdir()}
    assert len((out / "trials.jsonl").read_text().splitlines()) == 8


def test_a_sweep_over_a_market_that_trends_does_not_call_it_luck(tmp_path: Path) -> None:
    data = bars(tmp_path / "BTCUSDT-1m.csv", 0.9)
    document = said(hmm("sweep", "--data", data, *FREE, *SPACE, "--trials", 6, "--out", tmp_path / "s", "--json"))
    assert document["luck"]["verdict"] == "skill"


def test_the_same_command_again_adds_nothing_and_says_the_same(walk: str, whole: tuple[dict[str, Any], Path]) -> None:
    document, out = whole
    before = rows(out)
    again = said(hmm("sweep", "--data", walk, *FREE, *SPACE, "--trials", 8, "--out", out, "--json"))
    assert again == document and rows(out) == before


def test_a_sweep_that_was_killed_goes_on_to_the_same_results(
    walk: str, whole: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    out = tmp_path / "s"
    command = ["sweep", "--data", walk, *FREE, *SPACE, "--trials", "8", "--out", str(out)]
    killed = subprocess.Popen([HMM, *command], env=environment(), stdout=subprocess.DEVNULL, start_new_session=True)
    _wait_for_folds(out, 4)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert hmm(*command).returncode == 0
    assert rows(out) == rows(whole[1])


def test_ctrl_c_leaves_what_there_is_and_the_same_command_goes_on(
    walk: str, whole: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    out = tmp_path / "s"
    command = ["sweep", "--data", walk, *FREE, *SPACE, "--trials", "8", "--out", str(out)]
    stopped = subprocess.Popen([HMM, *command], env=environment(), stdout=subprocess.PIPE, text=True)
    _wait_for_folds(out, 4)
    stopped.send_signal(signal.SIGINT)
    told, _ = stopped.communicate(timeout=PATIENCE_S)
    assert stopped.returncode == 130 and "the same command goes on" in told
    assert 0 < len(rows(out)) < 8
    assert hmm(*command).returncode == 0
    assert rows(out) == rows(whole[1])


def _wait_for_folds(out: Path, count: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        journal = out / FILE
        if journal.exists() and journal.read_text().count('"fold-') >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"there were never {count} folds")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (("--vary", "trend.fast=2..13"), "another space"),
        (("--set", "trend.notional=900"), "another arguments"),
        (("--objective", "net"), "another objective"),
        (("--embargo", "10m"), "another folds"),
    ],
)
def test_what_would_be_another_sweep_is_refused(
    walk: str, whole: tuple[dict[str, Any], Path], changed: tuple[str, ...], told: str
) -> None:
    result = hmm("sweep", "--data", walk, *FREE, *SPACE, *changed, "--trials", 9, "--out", whole[1])
    assert result.returncode == 2 and told in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ((), "nothing varies"),
        (("--vary", "trend.fast=a..b"), "whole numbers"),
        ((*SPACE, "--sampler", "best"), "there is none of that name"),
        ((*SPACE, "--embargo", "5"), "no length of time"),
        ((*SPACE, "--embargo", "8h"), "a fold would have 0 s"),
        ((*SPACE, "--space", "nowhere.toml"), "No such file"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_line(
    walk: str, tmp_path: Path, changed: tuple[str, ...], told: str
) -> None:
    result = hmm("sweep", "--data", walk, "--strategies", "trend", *changed, "--out", tmp_path / "s")
    assert result.returncode == 2 and told in result.stderr and len(result.stderr.splitlines()) == 1


def test_the_command_that_is_told_runs_the_best_trial_and_two_runs_are_compared(
    whole: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    document, out = whole
    words = shlex.split(document["command"])
    assert hmm(*words[1:], "--no-report").returncode == 0
    best = out / f"trial-{document['best']['number']}"
    assert hmm(*words[1:-1], tmp_path / "other", "--set", "trend.slow=41", "--no-report").returncode == 0
    compared = said(hmm("compare", best, tmp_path / "other", "--json", "--out", tmp_path / "c"))
    assert [one["place"] for one in compared["differences"] if one["kind"] == "settings"] == ["trend.slow"]
    assert compared["orders"]["only_first"] > 0 and compared["parting"]["first"] != compared["parting"]["second"]
    assert (tmp_path / "c" / "compare.html").exists() and (tmp_path / "c" / "equity.png").exists()
    assert hmm("compare", best, tmp_path).returncode == 2
