"""`hmm backtest` on an exchange that is slow, dear and at times not there: the whole system under it, and told."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contracts.laws import Law, Laws
from contracts.orders import OrderFilled
from contracts.venue import VenueRejected
from services.backtest.log import read_log
from tests.backtested import waves
from tests.live import PATIENCE_S

pytestmark = pytest.mark.integration

HMM = Path(sys.executable).with_name("hmm")
SCRIPT = """what, from, to, share, reason, commands, delay_ms
outage, 2024-08-08T04:03:00, 2024-08-08T04:04:00,, gone, lost,
rejects, 2024-08-08T04:05:00, 2024-08-08T04:07:00, 0.5, too busy,,
slow, 2024-08-08T04:07:00, 2024-08-08T04:08:00,,,, 900
"""
WORLD = (
    *("--slippage", "1", "--impact", "4", "--borrow", "5", "--capital", "1000", "--seed", "3"),
    *("--latency", "lognormal:80,0.7", "--report-latency", "uniform:20,200", "--feed-latency", "15"),
)


def hmm(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HMM_")}
    command = [str(HMM), "backtest", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=4 * PATIENCE_S, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exchange")


@pytest.fixture(scope="module")
def data(folder: Path) -> str:
    return f"frames:{','.join(map(str, waves(folder, 3_000)))}"


@pytest.fixture(scope="module")
def run(data: str, folder: Path) -> tuple[dict[str, Any], Path]:
    script, out = folder / "bad.csv", folder / "r"
    script.write_text(SCRIPT)
    given = ("--data", data, "--strategies", "trend", *WORLD, "--script", script, "--no-report", "--json")
    result = hmm(*given, "--out", out)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout), out


def test_the_system_trades_on_and_breaks_no_law_of_the_tape(run: tuple[dict[str, Any], Path]) -> None:
    laws, reasons, fills = Laws(), set(), []
    for recorded in read_log(run[1] / "log.jsonl.gz"):
        assert [found for found in laws.look(recorded) if found.law is not Law.NUMBERS] == []
        if isinstance(recorded.event, VenueRejected):
            reasons.add(recorded.event.reason)
        if isinstance(recorded.event, OrderFilled):
            fills.append(recorded.event)
    assert laws.at_rest() == []
    assert "too busy" in reasons
    assert len(fills) > 5
    assert any(fill.ts_event < fill.ts_init for fill in fills)


def test_the_manifest_names_the_script_and_what_is_still_taken_for_granted(
    run: tuple[dict[str, Any], Path],
) -> None:
    manifest = json.loads((run[1] / "manifest.json").read_text())
    assert manifest["run"]["arguments"]["script"]["name"] == "bad.csv"
    assert len(manifest["run"]["arguments"]["script"]["sha256"]) == 64
    assert manifest["run"]["components"]["gateway"]["latency_ms"] == "lognormal:80,0.7"
    told = " ".join(manifest["result"]["assumptions"])
    assert "there is no latency" not in told
    assert "answers always" not in told


def test_the_manifest_makes_the_same_log_again_without_the_script(
    run: tuple[dict[str, Any], Path], data: str, folder: Path
) -> None:
    (folder / "bad.csv").unlink(missing_ok=True)
    again = hmm("--again", run[1] / "manifest.json", "--data", data, "--out", folder / "again", "--no-report", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["log_sha256"] == run[0]["log_sha256"]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--latency", "soon", "--latency: soon is no latency"),
        ("--report-latency", "uniform:9,1", "takes LOW,HIGH"),
        ("--slippage", "-1", "--slippage: "),
        ("--script", "none.csv", "--script none.csv: No such file"),
    ],
)
def test_what_no_exchange_does_is_named_by_its_option(
    data: str, tmp_path: Path, option: str, value: str, message: str
) -> None:
    refused = hmm("--data", data, "--out", tmp_path / "r", option, value)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert not (tmp_path / "r").exists()
