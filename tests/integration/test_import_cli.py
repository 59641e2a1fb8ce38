"""`hmm import` as a person meets it: on an open server, on nothing at all, and with files that are no good."""

import asyncio
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from contracts.data import DataChunk
from contracts.types import InstrumentId, Interval
from eventstore.chunks import from_parquet
from services.ingest.writing import Known, Writing, write
from tape.objects import Objects
from tape.seat import Seat
from tape.wire import Wire
from tests.live import PATIENCE_S, client, messages, tape
from tests.servers import ROOT, free_port, free_ports, scratch_directory

pytestmark = pytest.mark.integration

HMM = Path(sys.executable).with_name("hmm")
SHARED = ROOT.parent / "shared" / "data" / "bars"
ADA = SHARED / "ADABTC-5m-201801.csv.gz"
BTC = SHARED / "BTC-PERP-1m-202201.csv.gz"

needs_shared_bars = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared bars are not here")

Result = subprocess.CompletedProcess[str]


async def hmm(*arguments: str, **variables: str) -> Result:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HMM_")} | variables
    return await asyncio.to_thread(partial(_run, list(arguments), environment))


def _run(arguments: list[str], environment: dict[str, str]) -> Result:
    return subprocess.run(
        [HMM, *arguments], env=environment, capture_output=True, text=True, timeout=3 * PATIENCE_S, check=False
    )


def one_line(result: Result) -> str:
    assert result.returncode == 1, result.stdout + result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("hmm: ")]
    assert "Traceback" not in result.stderr
    return line


@pytest.fixture
def run(tmp_path: Path) -> dict[str, str]:
    return {"HMM_RUN_DIR": str(tmp_path / "run")}


@needs_shared_bars
async def test_shared_bars_are_imported_and_the_second_time_are_there(fresh_nats_url: str, run: dict[str, str]) -> None:
    async with tape(fresh_nats_url) as nc:
        there = {**run, "HMM_NATS_URL": fresh_nats_url}
        first = await hmm("import", str(BTC), str(ADA), **there)
        assert first.returncode == 0, first.stderr
        assert "file.BTC-PERP 1m: 45,031 bars in 6 chunks\n" in first.stdout
        assert "file.ADABTC 5m: 5,720 bars in 1 chunks, 40 missing\n" in first.stdout
        known = Known(nc)
        await known.refresh()
        chunks = known.ledger.chunks(InstrumentId("file.BTC-PERP"), Interval.M1)
        assert {(chunk.by, chunk.source) for chunk in chunks} == {("importer", BTC.name)}
        stored = [bar for chunk in chunks for bar in from_parquet(await Objects(nc, "chunks").get(chunk.sha256))]
        assert (len(stored), stored[0].open, stored[-1].close) == (45_031, 46_319.0, 38_544.0)
        before = len(await messages(nc, "data.>"))
        again = await hmm("import", str(BTC), str(ADA), **there)
        assert again.returncode == 0
        assert "file.BTC-PERP 1m: already there (45,031 bars)\n" in again.stdout
        assert len(await messages(nc, "data.>")) == before


def candles(path: Path, first: int, count: int) -> Path:
    lines = [f"{1_700_000_000 // 60 * 60 + 60 * (first + at)},1,2,0.5,1.5,{at}" for at in range(count)]
    path.write_text("time,open,high,low,close,volume\n" + "\n".join(lines) + "\n")
    return path


async def test_of_files_of_which_one_is_bad_none_is_imported(
    fresh_nats_url: str, run: dict[str, str], tmp_path: Path
) -> None:
    async with tape(fresh_nats_url) as nc:
        good, bad = candles(tmp_path / "A-1m.csv", 0, 200), candles(tmp_path / "B-1m.csv", 0, 3)
        result = await hmm("import", str(good), str(bad), **run, HMM_NATS_URL=fresh_nats_url)
        assert one_line(result) == (
            f"hmm: {bad}: it has 3 rows: at least 100 are a history; fetch a longer one; nothing was imported"
        )
        assert await messages(nc, "data.>") == []
        assert (await nc.jetstream().stream_info("OBJ_chunks")).state.messages == 0


async def test_of_a_file_that_overlaps_only_what_is_new_is_imported(
    fresh_nats_url: str, run: dict[str, str], tmp_path: Path
) -> None:
    async with tape(fresh_nats_url) as nc:
        there = {**run, "HMM_NATS_URL": fresh_nats_url}
        await hmm("import", str(candles(tmp_path / "A-1m-1.csv", 0, 200)), **there)
        result = await hmm("import", str(candles(tmp_path / "A-1m-2.csv", 100, 200)), **there)
        assert "file.A 1m: 100 bars in 1 chunks, 100 already there\n" in result.stdout
        chunks = [message.event for message in await messages(nc, "data.>")]
        assert all(isinstance(chunk, DataChunk) for chunk in chunks)
        spans = sorted((chunk.first, chunk.until) for chunk in chunks if isinstance(chunk, DataChunk))
        assert spans[0][1] == spans[1][0]


async def test_two_files_of_the_same_time_are_refused(fresh_nats_url: str, run: dict[str, str], tmp_path: Path) -> None:
    files = [candles(tmp_path / f"A-1m-{name}.csv", first, 200) for name, first in (("1", 0), ("2", 100))]
    result = await hmm("import", *map(str, files), **run, HMM_NATS_URL=fresh_nats_url)
    assert result.returncode == 2
    assert "both tell of file.A" in result.stderr


async def test_two_imports_do_not_run_at_once(fresh_nats_url: str, run: dict[str, str], tmp_path: Path) -> None:
    async with tape(fresh_nats_url) as nc:
        seat = Seat(Wire(nc), "importer", "{}")
        await seat.start()
        await seat.take()
        good = candles(tmp_path / "A-1m.csv", 0, 200)
        result = await hmm("import", str(good), **run, HMM_NATS_URL=fresh_nats_url)
        assert f"another importer is at work: {seat.instance}; wait until it is done" in one_line(result)
        await seat.leave()
        assert (await hmm("import", str(good), **run, HMM_NATS_URL=fresh_nats_url)).returncode == 0


async def test_a_server_that_is_away_is_named(run: dict[str, str], tmp_path: Path) -> None:
    good = candles(tmp_path / "A-1m.csv", 0, 200)
    result = await hmm("import", str(good), **run, HMM_NATS_URL="nats://127.0.0.1:1")
    assert result.returncode == 3
    assert "hmm: no answer from nats://127.0.0.1:1" in result.stderr


async def test_it_works_from_empty_with_servers_of_its_own(tmp_path: Path) -> None:
    with scratch_directory() as run:
        variables = {
            "HMM_RUN_DIR": str(run),
            "HMM_NATS_PORT": str(free_port()),
            "HMM_NATS_MONITOR_PORT": str(free_port()),
            "HMM_NATS_LEAF_PORT": str(free_port()),
            "HMM_LEDGER_MONITOR_PORT": str(free_port()),
            "HMM_POSTGRES_PORT": str(free_port()),
            "HMM_HEALTH_PORT_BASE": str(free_ports(40)),
        }
        good = candles(tmp_path / "A-1m.csv", 0, 200)
        first = await hmm("import", str(good), **variables)
        assert first.returncode == 0, first.stderr
        assert "file.A 1m: 200 bars in 1 chunks\n" in first.stdout
        again = await hmm("import", str(good), **variables)
        assert "file.A 1m: already there (200 bars)\n" in again.stdout


# -- whoever writes for the length of a command ----------------------------------------------------------------------


async def test_whoever_fails_leaves_its_place_to_the_next(fresh_nats_url: str) -> None:
    async def fails(_writing: Writing) -> None:
        raise ValueError("this work is no good")

    async def works(writing: Writing) -> None:
        done.append(writing)

    done: list[Writing] = []
    async with tape(fresh_nats_url), client(fresh_nats_url) as nc:
        with pytest.raises(ValueError, match="no good"):
            await write(nc, "importer", "{}", None, fails)
        await write(nc, "importer", "{}", None, works)
    assert len(done) == 1
