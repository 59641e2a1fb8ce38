"""What reads the tape or the event store reads the log of a run too, without a server, and says the same of it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from contracts.orders import OrderFilled, RiskRejected
from eventstore.archive import Archive
from eventstore.migrate import migrate
from services.backtest.log import FILE, read_log
from services.cli.main import app
from tests.backtested import waves
from tests.servers import fresh_database

pytestmark = pytest.mark.integration


class Shell:
    """The `hmm` command in this process, far from any server unless a call names one."""

    def __init__(self, directory: Path) -> None:
        self._nowhere = {
            "HMM_RUN_DIR": str(directory / "stack"),
            "HMM_DATABASE_URL": "postgresql://hmm@127.0.0.1:1/nowhere",
            "HMM_NATS_URL": "nats://127.0.0.1:1",
        }

    def __call__(self, *arguments: str | Path, store: str = "", code: int = 0) -> str:
        """Run it, expect an exit code, and give what it printed; of a failure, its complaint."""
        named = {"HMM_DATABASE_URL": store} if store else {}
        done = CliRunner(env=self._nowhere | named).invoke(app, list(map(str, arguments)))
        assert done.exit_code == code, done.output
        return done.stderr if code else done.stdout

    def json(self, *arguments: str | Path, store: str = "") -> Any:  # noqa: ANN401 # as the command says it
        return json.loads(self(*arguments, "--json", store=store))


@pytest.fixture(scope="module")
def hmm(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("shell"))


@pytest.fixture(scope="module")
def run(hmm: Shell, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (frames,) = waves(folder, 2_000)
    hmm("backtest", "--data", f"frames:{frames}", "--no-report", "--out", folder / "r")
    return folder / "r"


@pytest.fixture(scope="module")
def store_url(run: Path, database_url: str) -> Iterator[str]:
    """An event store that holds the log of the run."""
    with fresh_database(database_url, "store_of_a_run") as url:
        migrate(url)
        archive = Archive(url)
        archive.write(list(read_log(run / FILE)))
        archive.close()
        yield url


def test_an_audit_of_a_run_finds_no_divergence_in_any_output(hmm: Shell, run: Path) -> None:
    told = hmm.json("audit", "--all", "--run", run)
    assert told["source"] == "run"
    assert told["diverging"] == 0
    outputs = sum(one.cause is not None for one in read_log(run / FILE))
    assert sum(component["compared"] for component in told["components"]) == outputs


def test_an_audit_of_a_run_answers_what_if(hmm: Shell, run: Path) -> None:
    told = hmm.json("audit", "trend", "--run", run, "--set", "slow=30")
    assert told["what_if"]
    assert told["diverging"]


def test_orders_and_positions_of_a_run_are_those_of_an_event_store_that_holds_it(
    hmm: Shell, run: Path, store_url: str
) -> None:
    for command in (("orders", "--limit", "1000"), ("positions", "--all")):
        of_run, of_store = hmm.json(*command, "--run", run), hmm.json(*command, store=store_url)
        assert any(of_run.values())
        assert rounded(of_run | {"notes": []}) == rounded(of_store | {"notes": []})


def test_the_story_of_each_order_of_a_run_is_the_one_that_the_event_store_tells(
    hmm: Shell, run: Path, store_url: str
) -> None:
    fills = [one.event.client_order_id for one in read_log(run / FILE) if isinstance(one.event, OrderFilled)]
    refused = [one.event.order.client_order_id for one in read_log(run / FILE) if isinstance(one.event, RiskRejected)]
    for order_id in (fills[0], fills[-1], *refused[:1]):
        of_run = hmm.json("why", order_id, "--run", run)
        of_store = hmm.json("why", order_id, store=store_url)
        assert of_run["steps"] or of_run["verdict"]
        assert rounded(of_run["trades"]) == rounded(of_store["trades"])
        assert rounded(of_run | {"notes": []}) == rounded(of_store | {"notes": []})


def test_a_position_leads_back_to_the_fact_that_it_began_with(hmm: Shell, run: Path) -> None:
    fill = next(one for one in read_log(run / FILE) if isinstance(one.event, OrderFilled))
    chain = hmm.json("why", str(fill.position), "--run", run)
    assert chain[0]["cause"] is None
    assert chain[-1]["position"] == fill.position
    assert [later["cause"] for later in chain[1:]] == [earlier["position"] for earlier in chain[:-1]]


def test_the_tape_of_a_run_shows_each_fill_with_its_causes(hmm: Shell, run: Path) -> None:
    lines = [
        json.loads(line) for line in hmm("tape", "--run", run, "--subject", "order.filled.>", "--json").splitlines()
    ]
    fills = [one.position for one in read_log(run / FILE) if isinstance(one.event, OrderFilled)]
    assert [line["position"] for line in lines] == fills
    assert all(line["causes"][-1]["cause"] is None for line in lines)


def test_a_run_beside_itself_is_at_parity_and_at_another_latency_it_is_not(
    hmm: Shell, store_url: str, tmp_path: Path
) -> None:
    same = hmm.json("parity", store=store_url)
    assert same["audit"]["diverging"] == 0
    assert same["decisions"]["both"] > 0
    assert (same["differing"], same["causes"]) == ([], {})
    out = tmp_path / "p"
    late = hmm.json("parity", "--set", "gateway.latency_ms=700", "--out", out, store=store_url)
    together = sum(cause["worth"] for cause in late["causes"].values())
    assert together == pytest.approx(late["pnl"]["difference"])
    assert "latency" in late["causes"]
    assert json.loads((out / "parity.json").read_text()) == late
    order = next(match["run"]["client_order_id"] for match in late["differing"] if match["run"])
    assert hmm.json("why", order, "--run", out)["steps"]


def test_profits_further_apart_than_is_tolerated_fail(hmm: Shell, store_url: str) -> None:
    late = ("parity", "--set", "gateway.latency_ms=700", "--tolerance")
    hmm(*late, "1000000", store=store_url)
    hmm(*late, "0.000001", code=1, store=store_url)


def test_a_record_that_its_components_would_not_say_fails(hmm: Shell, store_url: str) -> None:
    with psycopg.connect(store_url) as connection:
        damage = """UPDATE events SET payload = jsonb_set(payload, '{reason}', '"another"') WHERE seq =
            (SELECT min(seq) FROM events WHERE type = 'OrderIntent')"""
        connection.execute(damage.encode())
    hmm("parity", code=1, store=store_url)


@pytest.mark.parametrize("command", [("audit", "--all"), ("why", "trend-1-0"), ("orders",), ("positions",), ("tape",)])
def test_a_directory_that_holds_no_run_is_named(hmm: Shell, tmp_path: Path, command: tuple[str, ...]) -> None:
    assert "no run is there" in hmm(*command, "--run", tmp_path, code=2)


def test_a_log_that_breaks_off_is_named_with_the_line(hmm: Shell, run: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    whole = (broken / FILE).read_bytes()
    (broken / FILE).write_bytes(whole[: len(whole) // 2])
    assert "behind line" in hmm("orders", "--run", broken, code=1)


def rounded(value: Any) -> Any:  # noqa: ANN401 # whatever JSON holds
    """Numbers as such: the store writes more digits of a quotient, and times in another zone's words."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items() if key not in ("created_at", "updated_at", "time")}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    try:
        return round(float(value), 9) if isinstance(value, str) else value
    except ValueError:
        return value
