"""`hmm backtest` on what was recorded: what came from outside is played again, wherever the record is read."""

import asyncio
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from contracts.clock import ClockTick
from contracts.codec import encode
from contracts.control import LeaseTaken, TradingStateSet
from contracts.event import Event
from contracts.market import Quote
from contracts.models import ModelPromoted
from contracts.recorded import Recorded
from contracts.regimes import RegimeInferred
from contracts.types import TradingState
from eventstore.archive import Archive
from eventstore.migrate import migrate
from services.backtest.log import read_log
from services.backtest.run import WRITERS
from tape.headers import new_trace, write_headers
from tests.builders import trading
from tests.live import PATIENCE_S, tape
from tests.played import SETTINGS, Stage, market

pytestmark = pytest.mark.integration

HMM = Path(sys.executable).with_name("hmm")


def session() -> list[Recorded]:
    """A live session: a market, models that are promoted, an operator's word, and all that components said."""
    stage = Stage()
    stage.enter(*SETTINGS)
    events = market(600)
    stage.play(islice(events, 400))
    stage.play([trading(TradingState.HALTED)])
    stage.play(events)
    return [message for message in stage.tape if isinstance(message, Recorded)]


TAPE = session()


def backtest(data: str, out: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HMM_")}
    nowhere = {
        "HMM_RUN_DIR": str(out.parent / "run"),
        "HMM_DATABASE_URL": "postgresql://hmm@127.0.0.1:1/nowhere",
        "HMM_NATS_URL": "nats://127.0.0.1:1",
    }
    return subprocess.run(
        [HMM, "backtest", "--data", data, "--out", out, "--no-report", "--json", *options],
        env=environment | nowhere | variables,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_S,
        check=False,
    )


def said(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def outside(recorded: list[Recorded]) -> list[Event]:
    return [one.event for one in recorded if one.cause is None and not isinstance(one.event, LeaseTaken)]


@pytest.fixture
def store_url(fresh_database_url: str) -> str:
    migrate(fresh_database_url)
    archive = Archive(fresh_database_url)
    archive.write(TAPE)
    archive.close()
    return fresh_database_url


def test_a_record_is_played_again_with_all_that_came_from_outside_and_nothing_else(
    store_url: str, tmp_path: Path
) -> None:
    bars = ("--set", 'bars.intervals=["1s","5s"]', "--set", "regime.enter=0.5", "--set", "regime.dwell=1")
    document = said(backtest("store:-", tmp_path / "r", *bars, HMM_DATABASE_URL=store_url))
    log = list(read_log(tmp_path / "r" / "log.jsonl.gz"))
    assert outside(log) == outside(TAPE)
    assert {Quote, ModelPromoted, TradingStateSet} <= {type(event) for event in outside(log)}
    assert any(isinstance(recorded.event, RegimeInferred) for recorded in log)
    assert document["events"] == len(outside(TAPE))


def test_the_clock_of_a_record_is_not_played_again_but_made_anew(store_url: str, tmp_path: Path) -> None:
    said(backtest("store:-", tmp_path / "r", HMM_DATABASE_URL=store_url))
    ticks = [one for one in read_log(tmp_path / "r" / "log.jsonl.gz") if isinstance(one.event, ClockTick)]
    assert ClockTick not in WRITERS
    assert all(tick.cause is not None for tick in ticks)


async def test_the_tape_and_the_store_lead_to_the_same_log(fresh_nats_url: str, store_url: str, tmp_path: Path) -> None:
    by_store = said(backtest("store:-", tmp_path / "store", HMM_DATABASE_URL=store_url))
    async with tape(fresh_nats_url) as nc:
        for message in TAPE:
            headers = write_headers(message.event, message.msg_id, message.cause, 1, new_trace(1, 1))
            subject = type(message.event).subject_of(message.event)
            await nc.jetstream(timeout=30).publish(subject, encode(message.event), headers=headers)
        by_tape = said(await asyncio.to_thread(backtest, "tape:-", tmp_path / "tape", HMM_NATS_URL=fresh_nats_url))
    assert by_tape["log_sha256"] == by_store["log_sha256"]


def test_a_stretch_of_positions_is_played_and_named_in_the_manifest(store_url: str, tmp_path: Path) -> None:
    document = said(backtest("store:1-500", tmp_path / "r", HMM_DATABASE_URL=store_url))
    assert document["events"] == len(outside([one for one in TAPE if one.position <= 500]))
    run = json.loads((tmp_path / "r" / "manifest.json").read_text())["run"]
    assert run["data"] == {"kind": "store", "files": [], "positions": "1-500"}


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [("store:9000000-", 2, "the event store ends at position"), ("tape:-", 3, "hmm: ")],
)
def test_a_record_that_is_not_there_is_one_clear_line(
    store_url: str, tmp_path: Path, data: str, code: int, message: str
) -> None:
    result = backtest(data, tmp_path / "r", HMM_DATABASE_URL=store_url)
    assert result.returncode == code
    (line,) = result.stderr.splitlines()
    assert message in line
