"""`hmm backtest` as a person meets it: no server, one directory of results, one line for whatever cannot be meant."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from contracts.market import Bar
from contracts.orders import OrderFilled
from contracts.types import Interval
from services.backtest.log import read_log
from tests.backtested import waves
from tests.live import PATIENCE_S
from tests.servers import ROOT

pytestmark = pytest.mark.integration

HMM = Path(sys.executable).with_name("hmm")
BARS = ROOT.parent / "shared" / "data" / "bars" / "BTC-PERP-1m-202201.csv.gz"
Result = subprocess.CompletedProcess[str]


def hmm(*arguments: object, **variables: str) -> Result:
    return subprocess.run(
        [HMM, "backtest", *map(str, arguments)],
        env=_environment(variables),
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_S,
        check=False,
    )


def _environment(variables: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("HMM_")} | variables


def said(result: Result) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    files = waves(tmp_path_factory.mktemp("frames"), 3_000, ("BTCUSDT", "ETHUSDT"))
    return f"frames:{','.join(map(str, files))}"


@pytest.fixture(scope="module")
def whole(data: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("whole") / "r"
    return said(hmm("--data", data, "--out", out, "--json")), out


def test_a_run_leaves_its_log_manifest_figures_and_report(whole: tuple[dict[str, Any], Path]) -> None:
    document, out = whole
    manifest = json.loads((out / "manifest.json").read_text())
    assert document["ending"] == "complete"
    assert manifest["result"]["log_sha256"] == document["log_sha256"]
    assert json.loads((out / "figures.json").read_text()) == document["figures"]
    assert "<html" in (out / "report.html").read_text()
    assert any(isinstance(recorded.event, OrderFilled) for recorded in read_log(out / "log.jsonl.gz"))


def test_the_manifest_names_the_data_by_its_contents_and_holds_every_setting(
    whole: tuple[dict[str, Any], Path], data: str
) -> None:
    run = json.loads((whole[1] / "manifest.json").read_text())["run"]
    files = [Path(name) for name in data.removeprefix("frames:").split(",")]
    assert [file["sha256"] for file in run["data"]["files"]] == [
        hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    ]
    assert run["components"]["trend"]["slow"] == 12
    assert str(files[0].parent) not in json.dumps(run)


def test_the_same_run_elsewhere_has_the_same_log_and_id(
    whole: tuple[dict[str, Any], Path], data: str, tmp_path: Path
) -> None:
    again = said(
        hmm("--data", data, "--out", tmp_path / "again", "--no-report", "--json", PYTHONHASHSEED="4", TZ="Asia/Tokyo")
    )
    names = ("run_id", "log_sha256", "positions", "figures")
    assert {name: again[name] for name in names} == {name: whole[0][name] for name in names}


def test_a_manifest_is_run_again_and_has_the_same_log(
    whole: tuple[dict[str, Any], Path], data: str, tmp_path: Path
) -> None:
    manifest = whole[1] / "manifest.json"
    again = said(
        hmm("--again", manifest, "--data", data, "--out", tmp_path / "r", "--no-report", "--json", HMM_TREND_SLOW="40")
    )
    assert again["log_sha256"] == whole[0]["log_sha256"]
    assert again["run_id"] == whole[0]["run_id"]


def test_a_manifest_is_not_run_again_on_other_data_or_with_other_settings(
    whole: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    other = f"frames:{','.join(map(str, waves(tmp_path, 10, ('BTCUSDT', 'ETHUSDT'))))}"
    usual = ("--again", whole[1] / "manifest.json", "--data", other, "--out", tmp_path / "r")
    assert "is not the BTCUSDT.gz of the manifest" in hmm(*usual).stderr
    assert "--again takes all settings from the manifest" in hmm(*usual, "--fees", "1,1").stderr


def test_without_a_log_the_figures_are_the_same(whole: tuple[dict[str, Any], Path], data: str, tmp_path: Path) -> None:
    quick = said(hmm("--data", data, "--out", tmp_path / "r", "--no-report", "--no-log", "--json"))
    assert quick["figures"] == whole[0]["figures"]
    assert quick["log_sha256"] is None
    assert not (tmp_path / "r" / "log.jsonl.gz").exists()


def test_settings_of_the_environment_are_those_of_the_run(data: str, tmp_path: Path) -> None:
    said(hmm("--data", data, "--out", tmp_path / "r", "--no-report", "--json", HMM_TREND_SLOW="20"))
    assert json.loads((tmp_path / "r" / "manifest.json").read_text())["run"]["components"]["trend"]["slow"] == 20


def test_a_stretch_of_time_is_played(data: str, tmp_path: Path) -> None:
    span = ("--from", "2024-08-08T04:02", "--to", "2024-08-08T04:04")
    part = said(hmm("--data", data, *span, "--out", tmp_path / "r", "--no-report", "--json"))
    assert part["first_ts"] >= 1_723_089_720_000_000_000
    assert part["last_ts"] < 1_723_089_840_000_000_000


def test_higher_fees_cost_what_they_say(whole: tuple[dict[str, Any], Path], data: str, tmp_path: Path) -> None:
    dearer = said(hmm("--data", data, "--out", tmp_path / "r", "--no-report", "--json", "--fees", "20,20"))
    assert dearer["figures"]["fees"] == pytest.approx(2 * whole[0]["figures"]["fees"], rel=1e-6)


def test_ctrl_c_leaves_the_beginning_of_the_run_and_says_so(tmp_path: Path) -> None:
    (file,) = waves(tmp_path, 60_000)
    log = tmp_path / "r" / "log.jsonl.gz"
    with subprocess.Popen(
        [HMM, "backtest", "--data", f"frames:{file}", "--out", tmp_path / "r", "--json"],
        env=_environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + PATIENCE_S
        while not (log.exists() and log.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (130, "")
    document = json.loads(output)
    positions = [recorded.position for recorded in read_log(log)]
    assert document["ending"] == "interrupted"
    assert positions == list(range(1, document["positions"] + 1))
    assert "not the whole run" in (tmp_path / "r" / "report.html").read_text()


@pytest.mark.skipif(not BARS.exists(), reason="the shared bars are not here")
def test_strategies_see_the_bars_of_a_file_as_it_has_them(tmp_path: Path) -> None:
    document = said(
        hmm("--data", f"bars:{BARS}", "--to", "2022-01-01T03:00", "--out", tmp_path / "r", "--no-report", "--json")
    )
    bars = [recorded.event for recorded in read_log(tmp_path / "r" / "log.jsonl.gz") if isinstance(recorded.event, Bar)]
    assert {bar.interval for bar in bars} == {Interval.M1}
    assert len(bars) > 170
    assert document["figures"]["trades"]["count"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "frames:/nowhere/x.gz"], "hmm: --data frames:/nowhere/x.gz: there is no file /nowhere/x.gz"),
        (["--strategies", "trent"], "there is no strategy 'trent'; there are trend, hmm_ensemble, or all"),
        (["--set", "trend.slo=5"], "--set trend.slo: trend has no such setting; it has interval, fast, slow"),
        (["--set", "trend.slow=x"], "--set trend.slow=x: slow: Input should be a valid integer"),
        (["--capital", "much"], "--capital much: not a number"),
        (["--capital", "-5"], "--capital: Input should be greater than 0"),
        (["--latency", "-5"], "--latency: Input should be greater than or equal to 0"),
        (["--fees", "5"], "--fees 5: not two fees; give MAKER,TAKER in basis points"),
        (["--from", "monday"], "--from monday: not a time"),
        (["--from", "2024-08-09", "--to", "2024-08-08"], "--from must be before --to"),
        (["--from", "2031-01-01"], "there are no events in that time"),
        (["--out", str(ROOT)], "holds files that are no backtest"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_line(data: str, tmp_path: Path, arguments: list[str], message: str) -> None:
    usual = {"--data": data, "--out": str(tmp_path / "r")}
    options = [word for name, value in usual.items() if name not in arguments for word in (name, value)]
    result = hmm(*options, *arguments)
    assert result.returncode in (1, 2)
    (line,) = result.stderr.splitlines()
    assert message in line


def test_a_wrong_setting_of_the_environment_is_one_clear_line(data: str, tmp_path: Path) -> None:
    result = hmm("--data", data, "--out", tmp_path / "r", HMM_TREND_SLOW="x")
    assert result.returncode == 2
    assert "HMM_TREND_SLOW" in result.stderr
    assert len(result.stderr.splitlines()) == 1
