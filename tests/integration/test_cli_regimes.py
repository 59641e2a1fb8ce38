"""`hmm train`, `hmm models` and `hmm regimes` as a person meets them: from empty, and with all that can be wrong."""

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from contracts.recorded import Recorded
from contracts.regimes import RegimeInferred
from contracts.types import InstrumentId
from eventstore.projections.regimes import Regimes
from services.cli.settings import SERVICES
from services.supervisor import state
from tests.recordings import example
from tests.servers import ROOT, free_port, free_ports, scratch_directory

pytestmark = pytest.mark.integration

HMM = Path(sys.executable).with_name("hmm")
PATIENCE_S = 180.0
BARS = 2_400
SPELL = 120
"""Bars that a regime of the generated market lasts."""
QUICK = {
    "window": 1,
    "lookback": 10,
    "states": [2],
    "mixtures": [1],
    "restarts": 1,
    "folds": 1,
    "slow_every": 0,
    "least_observations": 1_000,
}

HOLD = """
import sys
from services.cli.settings import current
from services.cli.temporary import running_servers
with running_servers(current(), needs=("trainer",)):
    print("up", flush=True)
    sys.stdin.read()
"""

Result = subprocess.CompletedProcess[str]


@dataclass
class Shell:
    """A run directory where nothing was ever started, and the `hmm` command on it."""

    run: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = {
            "HMM_RUN_DIR": self.run,
            "HMM_NATS_PORT": free_port(),
            "HMM_NATS_MONITOR_PORT": free_port(),
            "HMM_NATS_LEAF_PORT": free_port(),
            "HMM_LEDGER_MONITOR_PORT": free_port(),
            "HMM_POSTGRES_PORT": free_port(),
            "HMM_HEALTH_PORT_BASE": free_ports(len(SERVICES) + 1),
            "HMM_TRAINER_REGIME": json.dumps(QUICK),
            "HMM_TRAINER_PAUSE_S": 0,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HMM_")}
        self.environment = inherited | {name: str(value) for name, value in settings.items()}

    def __call__(self, *arguments: str | Path) -> Result:
        return subprocess.run(
            [HMM, *arguments], env=self.environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )

    def did(self, *arguments: str | Path) -> str:
        done = self(*arguments)
        assert done.returncode == 0, f"hmm {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *arguments: str | Path) -> Any:  # noqa: ANN401 # whatever the command prints
        return json.loads(self.did(*arguments, "--json"))

    def refusal(self, *arguments: str | Path, code: int = 1) -> str:
        """The complaint of a command that failed as it should: one line."""
        done = self(*arguments)
        assert done.returncode == code, done.stdout + done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("hmm: ")]
        assert "Traceback" not in done.stderr
        return line

    @property
    def database_url(self) -> str:
        return f"postgresql://hmm@127.0.0.1:{self.environment['HMM_POSTGRES_PORT']}/hmm"

    @property
    def is_running(self) -> bool:
        return state.is_locked(self.run)

    def held(self) -> subprocess.Popen[str]:
        """Keep servers up, as a command does that has not ended yet."""
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert holder.stdout is not None and holder.stderr is not None
        assert holder.stdout.readline() == "up\n", holder.stderr.read()
        return holder


def candles(path: Path, bars: int = BARS, *, still: bool = False) -> Path:
    """Write a market that is calm and wild by turns, or one that does not move."""
    chance = random.Random(7)  # noqa: S311 # no secret
    price, lines = 40_000.0, ["timestamp,open,high,low,close,volume"]
    for number in range(bars):
        deviation = 0.0 if still else (0.0004, 0.003)[number // SPELL % 2]
        moved = price * math.exp(chance.gauss(0, deviation))
        reach = math.exp(deviation * chance.uniform(0.5, 1))
        low, high = min(price, moved) / reach, max(price, moved) * reach
        lines.append(f"{1_700_000_000 // 60 * 60 + 60 * number},{price},{high},{low},{moved},{chance.uniform(1, 9)}")
        price = moved
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("regimes")


@pytest.fixture(scope="module")
def trained(home: Path) -> Iterator[Shell]:
    """What is there after the three commands of the issue, one after the other, with nothing running between them."""
    with scratch_directory() as run:
        hmm = Shell(run)
        hmm.did("import", candles(home / "BTC-PERP-1m.csv"))
        assert not hmm.is_running
        said = hmm.did("train", "--symbol", "BTC-PERP")
        assert "believed from position" in said
        assert not hmm.is_running
        assert "calm" in hmm.did("regimes", "--plot", home / "out.png")
        assert not hmm.is_running
        yield hmm


@pytest.fixture(scope="module")
def hmm(trained: Shell) -> Iterator[Shell]:
    """The same with servers that stay up, so that what is asked is answered at once."""
    holder = trained.held()
    try:
        yield trained
    finally:
        holder.communicate(timeout=PATIENCE_S)


@pytest.mark.usefixtures("trained")
def test_a_picture_is_there_after_three_commands_from_empty(home: Path) -> None:
    assert (home / "out.png").read_bytes().startswith(b"\x89PNG")


def test_the_regimes_of_the_market_are_found_as_they_were_known(hmm: Shell, home: Path) -> None:
    report = hmm.json("regimes", "--plot", home / "all.svg")
    assert report["instrument"] == "file.BTC-PERP"
    assert 0.35 < report["shares"]["wild"] < 0.65
    assert BARS // SPELL * 0.5 < report["visits"]["wild"] < BARS // SPELL * 3
    assert hmm.json("regimes", "--plot", home / "last.png", "--last", "50")["observations"] == 50


def test_a_model_leads_back_to_the_bytes_it_was_trained_on(hmm: Shell) -> None:
    (row,) = hmm.json("models")["models"]
    assert (row["status"], row["states"], row["rows"]) == ("champion", "calm,wild", BARS)
    known = hmm.json("models", "show", row["model_id"][:6])
    chunks = hmm.json("sql", "SELECT sha256, rows FROM ingest_ledger")
    assert known["artifact"]["trained_on"]["chunks"] == [chunk["sha256"] for chunk in chunks]
    shown = hmm.did("models", "show", row["model_id"])
    assert all(said in shown for said in (chunks[0]["sha256"], row["sha256"], "transitions", "gate: passed"))


def test_history_and_trainings_are_projections_too(hmm: Shell) -> None:
    (mark,) = hmm.json("sql", "SELECT symbol, interval, chunks, rows, missing FROM watermarks")
    assert (mark["symbol"], mark["interval"], mark["rows"]) == ("BTC-PERP", "1m", BARS)
    steps = hmm.json("sql", "SELECT step FROM trainings ORDER BY position")
    assert [row["step"] for row in steps][:3] == ["requested", "started", "published"]
    assert all(report["equal"] for report in hmm.json("rebuild", "models", "trainings", "ingest_ledger", "watermarks"))


def test_the_operator_retires_and_promotes(hmm: Shell, home: Path) -> None:
    (row,) = hmm.json("models")["models"]
    model_id = row["model_id"]
    assert f"{model_id} of file.BTC-PERP is retired" in hmm.did("models", "retire", model_id, "--reason", "for a test")
    assert "no regime model is believed; promote one" in hmm.refusal("regimes", "--plot", home / "none.png")
    assert f"{model_id} of file.BTC-PERP is believed" in hmm.did("models", "promote", model_id[:8])
    (row,) = hmm.json("models")["models"]
    assert (row["status"], row["decided_by"] != "gate") == ("champion", True)


def test_data_that_teach_nothing_give_no_model_and_the_reason(hmm: Shell, home: Path) -> None:
    hmm.did("import", candles(home / "STILL-1m.csv", still=True), candles(home / "FEW-1m.csv", 200))
    assert "no regime model of file.STILL: degenerate" in hmm.refusal("train", "--symbol", "STILL")
    assert "no regime model of file.FEW: too_little_data" in hmm.refusal("train", "--symbol", "file.FEW")
    failed = hmm.json("models")["failed"]
    assert [(row["symbol"], row["failure"]) for row in failed] == [("FEW", "too_little_data"), ("STILL", "degenerate")]
    assert "say which: --symbol" in hmm.refusal("train", code=2)


def test_of_each_market_the_regime_that_was_inferred_last_is_shown(hmm: Shell) -> None:
    with psycopg.connect(hmm.database_url) as connection:
        for number in range(1, 7):
            instrument = InstrumentId("sim.BTC" if number % 2 else "sim.ETH")
            event = example(RegimeInferred, instrument=instrument, regime="wild" if number > 4 else "calm")
            row = Regimes().row_of(Recorded(number, None, "m", 0, event))._asdict()
            marks = ", ".join(["%s"] * len(row))
            connection.execute(f"INSERT INTO regimes ({', '.join(row)}) VALUES ({marks})".encode(), [*row.values()])
    now = hmm.json("regimes")["regimes"]
    assert [(row["symbol"], row["position"], row["regime"]) for row in now] == [("BTC", 5, "wild"), ("ETH", 6, "wild")]
    last = hmm.json("regimes", "--symbol", "sim.ETH", "--last", "2")["regimes"]
    assert [(row["position"], row["regime"]) for row in last] == [(4, "calm"), (6, "wild")]
    assert "calm 0.93 wild 0.07" in hmm.did("regimes", "--symbol", "BTC")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("train", "--symbol", "DOGE"), 1, "there is no history of DOGE"),
        (("train", "--symbol", "BTC-PERP", "--family", "tea"), 2, "it is one of regime, direction, all"),
        (("train", "--symbol", "BTC-PERP", "--interval", "5m"), 2, "there are: --interval 1m"),
        (("models", "show", "nothing"), 1, "nothing: no such model"),
        (("models", "promote", "nothing"), 1, "nothing: no such model"),
        (("regimes", "--plot", "out.gif"), 2, "end it with one of .png, .svg, .pdf"),
        (("regimes", "--plot", "/nowhere/at/all.png"), 2, "there is no directory /nowhere/at"),
        (("regimes", "--symbol", "DOGE", "--plot", "out.png"), 1, "no regime model of DOGE is believed"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(hmm: Shell, arguments: tuple[str, ...], code: int, said: str) -> None:
    assert said in hmm.refusal(*arguments, code=code)


def test_from_empty_what_is_missing_is_named_with_the_command_that_brings_it() -> None:
    with scratch_directory() as run:
        empty = Shell(run)
        assert "there is no market history; bring some in: hmm import" in empty.refusal("train")
        assert not empty.is_running
        assert "no regime model is believed; train one: hmm train" in empty.refusal("regimes")
