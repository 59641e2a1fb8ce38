"""The whole system, as a user meets it: recorded frames in, a trading history out, whoever is killed on the way."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from contracts.ownership import ROLES
from services.cli.settings import SERVICES
from tests.framefiles import market, write
from tests.live import client
from tests.servers import ROOT, free_port, free_ports, scratch_directory

pytestmark = pytest.mark.integration

HMM = ROOT / ".venv" / "bin" / "hmm"
RECORDED = ROOT.parent / "shared" / "data" / "binance-ws"
PATIENCE_S = 120.0
QUOTES = 8_000
TRADES = QUOTES // 4
KILLED = ("risk", "router", "trend")
LATE = {"stop_repaired", "stop_failed", "cancel_refused"}
"""What is said when a market at full speed runs ahead of those who were killed: a stop came late, or not any more."""

Row = dict[str, Any]


@dataclass
class System:
    """A stack of its own, and the `hmm` command on it."""

    run: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = {
            "HMM_RUN_DIR": self.run / "stack",
            "HMM_NATS_PORT": free_port(),
            "HMM_NATS_MONITOR_PORT": free_port(),
            "HMM_NATS_LEAF_PORT": free_port(),
            "HMM_LEDGER_MONITOR_PORT": free_port(),
            "HMM_POSTGRES_PORT": free_port(),
            "HMM_HEALTH_PORT_BASE": free_ports(len(SERVICES) + 1),
            # At full speed the market's time runs ahead of those who answer: nobody is late by it.
            "HMM_STOPS_ANSWER_MS": 600_000,
            "HMM_ROUTER_QUERY_AFTER_MS": 3_600_000,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HMM_")}
        self.environment = inherited | {name: str(value) for name, value in settings.items()}

    @property
    def nats_url(self) -> str:
        return f"nats://127.0.0.1:{self.environment['HMM_NATS_PORT']}"

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [HMM, *arguments], env=self.environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert done.returncode == 0, f"hmm {' '.join(arguments)}: {done.stdout}{done.stderr}{self.logs()}"
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        with (self.run / "up.log").open("w") as log:
            return subprocess.Popen([HMM, *arguments], env=self.environment, stdout=log, stderr=log, text=True)

    def logs(self) -> str:
        said = [path.read_text(errors="replace")[-1500:] for path in (self.run / "stack" / "logs").glob("*.log")]
        return "\n".join(said)

    def sql(self, query: str) -> list[Row]:
        rows: list[Row] = json.loads(self("sql", query, "--json"))
        return rows

    def status(self) -> Row:
        found: Row = json.loads(self("status", "--json"))
        return found

    def pids(self) -> dict[str, int]:
        try:
            processes = self.status()["processes"]
        except AssertionError:  # not yet
            return {}
        return {process["name"]: process["pid"] for process in processes if process["pid"]}

    @property
    def operator_key(self) -> Path:
        return self.run / "stack" / "keys" / "operator.nk"

    async def position(self) -> int:
        async with client(self.nats_url, self.operator_key) as nc:
            return (await nc.jetstream(timeout=30).stream_info("TAPE")).state.last_seq


@pytest.fixture
def system() -> Iterator[System]:
    with scratch_directory() as run:
        system = System(run)
        try:
            yield system
        finally:
            subprocess.run([HMM, "down"], env=system.environment, capture_output=True, timeout=PATIENCE_S, check=False)


async def test_a_replay_trades_and_survives_the_death_of_those_who_decide(system: System, tmp_path: Path) -> None:
    files = [write(tmp_path / f"{symbol}.gz", market(symbol, QUOTES)) for symbol in ("BTCUSDT", "ETHUSDT")]
    replay = ("up", "--feed", f"frames:{files[0]},{files[1]}", "--speed", "max")
    system.environment["HMM_FEED_MAX_LAG"] = "500"  # whoever is killed is waited for: the others are killed amidst it

    up = system.start(*replay, "--fresh")
    try:
        await kill_amidst_the_replay(system)
        assert up.wait(timeout=PATIENCE_S) == 0, (system.run / "up.log").read_text() + system.logs()
    finally:
        up.kill()
    said = (system.run / "up.log").read_text()
    assert "the replay is finished and everything has caught up" in said

    every_frame_arrived(system, 2 * QUOTES, 2 * TRADES)
    each_intent_was_judged_and_each_order_lived_once(system)
    assert system.sql("SELECT count(*) AS n FROM orders WHERE status = 'filled'")[0]["n"] >= 4
    the_books_balance(system)
    every_fill_goes_back_to_the_market(system)
    status_says_it_all(system, restarted=KILLED)
    await everybody_has_read_everything(system)
    assert "NOT EQUAL" not in system("rebuild")
    nothing_would_be_said_otherwise_today(system)

    before = counts(system)
    system("down")
    assert system_is_gone(system)
    up = system.start(*replay)
    assert up.wait(timeout=PATIENCE_S) == 0, (system.run / "up.log").read_text()
    assert counts(system) == before
    system("down")
    assert system_is_gone(system)


@pytest.mark.skipif(not RECORDED.exists(), reason=f"there are no recordings of Binance in {RECORDED}")
async def test_six_minutes_of_binance(system: System) -> None:
    files = ",".join(str(RECORDED / f"spot-{symbol}usdt-20240808.gz") for symbol in ("btc", "eth"))
    up = system.start("up", "--feed", f"frames:{files}", "--speed", "max", "--fresh")
    assert up.wait(timeout=PATIENCE_S) == 0, (system.run / "up.log").read_text()
    every_frame_arrived(system, 52_117, 15_863)
    each_intent_was_judged_and_each_order_lived_once(system)
    the_books_balance(system)
    every_fill_goes_back_to_the_market(system)
    await everybody_has_read_everything(system)
    assert "NOT EQUAL" not in system("rebuild")
    nothing_would_be_said_otherwise_today(system)


async def kill_amidst_the_replay(system: System) -> None:
    """kill -9 of those who decide, one after the other, each while frames are being played."""
    deadline = time.monotonic() + PATIENCE_S
    while not set(KILLED) <= (pids := system.pids()).keys():
        assert time.monotonic() < deadline
    for name, position in zip(KILLED, (2_000, 6_000, 10_000), strict=True):
        while await system.position() < position:
            assert time.monotonic() < deadline
        os.kill(pids[name], signal.SIGKILL)


def every_frame_arrived(system: System, quotes: int, trades: int) -> None:
    rows = "SELECT (SELECT count(*) FROM quotes) AS quotes, (SELECT count(*) FROM trades) AS trades"
    unread = "(SELECT count(*) FROM unreadable) AS unreadable"
    dead = "(SELECT count(*) FROM events WHERE type = 'DeadLetter') AS dead"
    (found,) = system.sql(f"{rows}, {unread}, {dead}")
    assert found == {"quotes": quotes, "trades": trades, "unreadable": 0, "dead": 0}


def each_intent_was_judged_and_each_order_lived_once(system: System) -> None:
    events = system.sql(
        "SELECT type, coalesce(payload -> 'order' ->> 'client_order_id', payload ->> 'client_order_id') AS id, "
        "payload ->> 'leaves' AS leaves, msg_id FROM events "
        "WHERE type LIKE 'Order%' OR type LIKE 'Risk%' OR type IN ('SubmitOrder', 'ProtectiveIntent') "
        "ORDER BY seq"
    )
    said = {kind: [event["id"] for event in events if event["type"] == kind] for kind in {e["type"] for e in events}}
    intents, approved = said["OrderIntent"] + said.get("ProtectiveIntent", []), said["RiskApproved"]
    assert len(set(intents)) == len(intents) > 0
    assert sorted(approved + said.get("RiskRejected", [])) == sorted(intents)
    assert sorted(said["OrderInitialized"]) == sorted(approved)
    assert sorted(said["OrderSubmitted"]) == sorted(said["SubmitOrder"]) == sorted(said["OrderAccepted"])
    assert set(said["OrderSubmitted"]) | set(said.get("OrderHeld", [])) == set(approved)
    ends = [event["id"] for event in events if event["type"] == "OrderFilled" and not float(event["leaves"])]
    ends += said.get("OrderCanceled", []) + said.get("OrderExpired", [])
    waiting = [order["client_order_id"] for order in system.sql("SELECT * FROM orders WHERE status = 'held'")]
    assert sorted(ends + waiting) == sorted(approved)
    alerts = system.sql("SELECT DISTINCT payload ->> 'code' AS code FROM events WHERE type = 'Alert'")
    assert {alert["code"] for alert in alerts} <= LATE
    assert system.sql("SELECT msg_id FROM events GROUP BY msg_id HAVING count(*) > 1") == []
    assert system.sql("SELECT msg_id FROM quotes GROUP BY msg_id HAVING count(*) > 1") == []


def the_books_balance(system: System) -> None:
    balance = system.sql(
        "SELECT e.strategy, e.equity - e.cash - (SELECT coalesce(sum(p.quantity * p.mark), 0) FROM positions AS p "
        "WHERE p.strategy = e.strategy) AS difference FROM equity AS e ORDER BY position DESC LIMIT 1"
    )
    assert [float(row["difference"]) for row in balance] == [0.0]
    fills = system.sql(
        "SELECT coalesce(max(abs(p.quantity - f.held)), 0) AS wrong FROM positions AS p JOIN (SELECT strategy, symbol, "
        "sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END) AS held FROM fills GROUP BY 1, 2) AS f "
        "USING (strategy, symbol)"
    )
    assert float(fills[0]["wrong"]) == 0.0


def every_fill_goes_back_to_the_market(system: System) -> None:
    events = [json.loads(line) for line in system("tape", "--subject", "order.>", "--json").splitlines()]
    fills = [event for event in events if event["subject"].startswith("order.filled.")]
    assert len(fills) == system.sql("SELECT count(*) AS n FROM fills")[0]["n"] > 0
    for fill in fills:
        chain = [fill, *fill["causes"]]
        assert [step["cause"] for step in chain] == [step["position"] for step in chain[1:]] + [None]
        assert chain[-1]["subject"].startswith(("md.quote.", "md.trade."))


def status_says_it_all(system: System, restarted: tuple[str, ...]) -> None:
    status = system.status()
    processes = {process["name"]: process for process in status["processes"]}
    assert set(processes) == {"nats", "ledger", "postgres", "provision", *SERVICES}
    for name in SERVICES:
        process = processes[name]
        assert process["pid"] > 0 and process["position"] > 0 and process["lag"] == 0, process
        assert process["restarts"] == (1 if name in restarted else 0), process
        assert process["phase"] == ("finished" if name == "feed" else "live"), process
    assert set(status["tape"]) == {"TAPE", "LEDGER"}
    assert status["store"]["rows"]["quotes"] == 2 * QUOTES
    last = status["tape"]["TAPE"]["last_seq"]
    assert set(status["store"]["checkpoints"].values()) == {last}
    assert sum(status["orders"].values()) == status["store"]["rows"]["orders"]
    assert status["positions"] and status["equity"] and status["notes"] == {}


async def everybody_has_read_everything(system: System) -> None:
    """As any NATS client sees it."""
    async with client(system.nats_url, system.operator_key) as nc:
        consumers = await nc.jetstream(timeout=30).consumers_info("TAPE")
    lags = {
        info.name: (info.num_pending or 0) + (info.num_ack_pending or 0) for info in consumers if info.name in ROLES
    }
    assert lags == dict.fromkeys(set(SERVICES) - {"feed"}, 0)


def nothing_would_be_said_otherwise_today(system: System) -> None:
    outcome = json.loads(system("audit", "--all", "--json"))
    assert (outcome["diverging"], outcome["notes"]) == (0, [])
    assert sum(component["compared"] for component in outcome["components"]) > 0


def counts(system: System) -> Counter[str]:
    rows = system.sql(
        "SELECT type, count(*) AS n FROM events WHERE type <> 'LeaseTaken' GROUP BY type "
        "UNION ALL SELECT 'q', count(*) FROM quotes"
    )
    return Counter({row["type"]: row["n"] for row in rows})


def system_is_gone(system: System) -> bool:
    """Whether nothing of it is left among the processes of this machine."""
    mark = f"HMM_RUN_DIR={system.run / 'stack'}\0".encode()
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                left.append((process / "cmdline").read_text())
        except OSError:
            continue
    return not left
