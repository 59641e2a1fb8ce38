"""`hmm lookahead` and `hmm warmup-check` as a person meets them: what is found is told, and the exit code says it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from tests.backtested import waves

pytestmark = pytest.mark.integration


def hmm(home: Path, *arguments: object) -> Result:
    mine = {name: None for name in os.environ if name.startswith("HMM_")}
    environment = {**mine, "HMM_RUN_DIR": str(home / "run")}
    return CliRunner().invoke(app, [*map(str, arguments)], env=environment)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def data(home: Path) -> str:
    return f"frames:{','.join(map(str, waves(home, 2_000, ('BTCUSDT', 'ETHUSDT'))))}"


def document(result: Result) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(result.stdout)
    return read


def test_the_live_system_uses_nothing_of_the_future(home: Path, data: str) -> None:
    result = hmm(home, "lookahead", "--data", data, "--cuts", 2, "--json")
    found = document(result)
    assert result.exit_code == 0, result.stderr
    assert found["clean"]
    assert found["acts"]["trend"] > 0
    assert [cut["acted"] for cut in found["cuts"]].count("trend") == 1
    assert found["compared"]["trend"] > 0
    assert found["files"]["events"] > 100
    assert found["times"]["findings"] == []


def test_it_is_told_to_a_person_by_component_by_cut_and_in_a_last_line(home: Path, data: str) -> None:
    result = hmm(home, "lookahead", "--data", data, "--cuts", 1, "--to", "2024-08-08T04:02")
    assert result.exit_code == 0, result.stderr
    assert "events before it the same" in result.stdout
    assert "files cut off behind row" in result.stdout
    assert result.stdout.splitlines()[-1] == "nothing that was said depends on what came later"


def test_bars_that_a_repair_has_to_put_in_order_are_found_to_be_read_ahead_of_nothing(home: Path) -> None:
    rows = [f"{1_700_000_040 + 60 * at},{100 + at % 7},108,99,{100 + at % 5},{5 + at}" for at in range(200)]
    rows[50], rows[51] = rows[51], rows[50]
    file = home / "BTCUSDT-1m.csv"
    file.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    refused = hmm(home, "lookahead", "--data", f"bars:{file}")
    repaired = hmm(home, "lookahead", "--data", f"bars:{file}", "--repair", "--cuts", 2, "--json")
    assert refused.exit_code == 2
    assert "--repair" in refused.stderr
    assert repaired.exit_code == 0, repaired.stderr
    assert document(repaired)["clean"]


def test_a_warm_up_is_told_with_the_exit_code_that_it_means(home: Path, data: str) -> None:
    result = hmm(home, "warmup-check", "--data", data, "--starts", "0,30", "--json")
    found = document(result)
    assert result.exit_code == (0 if found["passed"] else 1)
    (trend,) = (kind for kind in found["kinds"] if kind["who"] == "trend")
    assert [run["past"] for run in trend["runs"]] == [0, 30]
    assert trend["runs"][1]["differing"] <= trend["runs"][0]["differing"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("lookahead", "--data", "bars:nowhere.csv"), "nowhere.csv"),
        (("lookahead", "--data", "{data}", "--strategies", "nobody"), "nobody"),
        (("lookahead", "--data", "{data}", "--from", "2030-01-01"), "--from"),
        (("warmup-check", "--data", "{data}", "--starts", "many"), "--starts"),
        (("warmup-check", "--data", "{data}", "--starts", "5000"), "--starts"),
        (("warmup-check", "--data", "{data}", "--set", "trend.slow=0"), "trend"),
    ],
)
def test_what_cannot_be_meant_is_named_in_one_line(
    home: Path, data: str, arguments: tuple[str, ...], named: str
) -> None:
    result = hmm(home, *(argument.format(data=data) for argument in arguments))
    assert result.exit_code == 2
    assert named in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""
