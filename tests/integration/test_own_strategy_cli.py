"""A strategy of the user's own, as a person meets it: one file, in every command that trades the past."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from tests.backtested import waves
from tests.servers import ROOT

pytestmark = pytest.mark.integration

EXAMPLE = (ROOT / "docs" / "backtest.md").read_text().partition("```python\n")[2].partition("```")[0]
SETTINGS = ("--set", "averages.interval=5s", "--set", "averages.slow=6")


def hmm(home: Path, *arguments: object) -> Result:
    mine = {name: None for name in os.environ if name.startswith("HMM_")}
    environment = {**mine, "HMM_RUN_DIR": str(home / "run")}
    return CliRunner().invoke(app, [*map(str, arguments)], env=environment)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "my.py").write_text(EXAMPLE)
    return home


@pytest.fixture(scope="module")
def past(home: Path) -> tuple[str, ...]:
    """Give the options that all commands share."""
    data = f"frames:{','.join(map(str, waves(home, 3_000)))}"
    return ("--data", data, "--strategies", f"{home / 'my.py'}:Averages", *SETTINGS)


@pytest.fixture(scope="module")
def run(home: Path, past: tuple[str, ...]) -> Path:
    result = hmm(home, "backtest", *past, "--set", "averages.fast=2", "--no-report", "--out", home / "r")
    assert result.exit_code == 0, result.stderr
    return home / "r"


def test_what_reads_a_run_reads_one_of_it(home: Path, past: tuple[str, ...], run: Path) -> None:
    assert "averages-" in hmm(home, "orders", "--run", run).stdout
    audited = hmm(home, "audit", "averages", "--run", run)
    assert audited.exit_code == 0 and ": 0 divergences" in audited.stdout, audited.stderr
    again = hmm(home, "backtest", "--again", run / "manifest.json", *past[:2], "--no-report", "--out", home / "again")
    assert again.exit_code == 0, again.stderr
    assert "byte for byte" in hmm(home, "compare", run, home / "again").stdout


def test_it_is_examined_and_swept(home: Path, past: tuple[str, ...]) -> None:
    assert "averages acted" in hmm(home, "lookahead", *past, "--cuts", 1, "--set", "averages.fast=2").stdout
    varied = ("--vary", "averages.fast=2,3", "--trials", 2, "--processes", 2, "--folds", 2)
    swept = hmm(home, "sweep", *past, *varied, "--out", home / "s", "--json")
    assert swept.exit_code == 0, swept.stderr
    assert json.loads(swept.stdout)["trials"] == {"complete": 2}


def test_an_audit_without_its_code_says_so_and_judges_the_others(home: Path, run: Path) -> None:
    (home / "my.py").rename(home / "hidden.py")
    try:
        everyone, alone = hmm(home, "audit", "--all", "--run", run), hmm(home, "audit", "averages", "--run", run)
    finally:
        (home / "hidden.py").rename(home / "my.py")
    assert everyone.exit_code == 0
    assert "averages is not audited: " in everyone.stderr and "there is no such file" in everyone.stderr
    assert "router " in everyone.stdout and "averages" not in everyone.stdout
    assert alone.exit_code == 2 and "averages cannot be audited" in alone.stderr
