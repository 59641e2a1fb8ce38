"""`hmm backfill` as a person meets it: broken off, run twice at once, run again."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from nats.aio.client import Client

from contracts.types import Interval
from eventstore.chunkledger import ChunkLedger, Span
from services.cli.backfill import backfill, unknown
from tape.consumers import provision_consumers
from tests.ingested import BTC, HMM, KLINES, MINUTE, chunks, covered, emulated, environment, stored
from tests.live import PATIENCE_S, tape, until
from tests.servers import ROOT
from venues.emulator import Emulator
from venues.emulator.faults import Fault, FaultKind

pytestmark = pytest.mark.integration


@pytest.fixture
async def nc(fresh_nats_url: str) -> AsyncIterator[Client]:
    async with tape(fresh_nats_url) as nc:
        await provision_consumers(nc)
        yield nc


@asynccontextmanager
async def backfilling(
    url: str, emulator: Emulator, tmp_path: Path, since: int, until_minute: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    run = str(tmp_path / "run")
    variables = environment(run_dir=run, nats_url=url, ingest_emulator=emulator.rest_url, ingest_chunk_bars="500")
    arguments = ["--symbols", "BTCUSDT", "--interval", "1m", "--since", at(since), "--until", at(until_minute)]
    process = await asyncio.create_subprocess_exec(
        HMM, "backfill", *arguments, env=variables, stdout=-1, stderr=-1, cwd=ROOT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def at(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).isoformat()


async def ended(process: asyncio.subprocess.Process) -> tuple[str, str]:
    out, errors = await asyncio.wait_for(process.communicate(), 2 * PATIENCE_S)
    assert b"Traceback" not in errors, errors.decode()
    return out.decode(), errors.decode()


async def test_a_backfill_that_is_killed_goes_on_to_the_same_bytes(
    nc: Client, fresh_nats_url: str, tmp_path: Path
) -> None:
    async with emulated(9_000) as (emulator, present):
        since, end, out = present - 9_000, present - 100, ""
        emulator.faults.add(Fault(kind=FaultKind.HOLD, at=KLINES, nth=4, times=None, seconds=1.0))
        for number in (signal.SIGKILL, signal.SIGINT):
            before = len(await chunks(nc))
            async with backfilling(fresh_nats_url, emulator, tmp_path, since, end) as process:
                await until(lambda before=before: more_chunks(nc, before + 2))
                process.send_signal(number)
                out, _ = await ended(process)
        assert "run the same again to go on" in out
        emulator.faults.clear()
        async with backfilling(fresh_nats_url, emulator, tmp_path, since, end) as process:
            out, errors = await ended(process)
        assert process.returncode == 0, errors
        opens = [bar.ts_open // MINUTE for bar in await stored(nc)]
        assert opens == list(range(since, end))
        async with backfilling(fresh_nats_url, emulator, tmp_path, since, end) as process:
            out, _ = await ended(process)
        assert out == "binance.BTCUSDT 1m: already there\n"
    whole = [chunk for chunk in await chunks(nc) if chunk.rows == 500]
    assert len(whole) == len(await chunks(nc)) - 2


async def more_chunks(nc: Client, count: int) -> bool:
    return len(await chunks(nc)) >= count


async def test_of_two_backfills_the_second_says_who_runs(nc: Client, fresh_nats_url: str, tmp_path: Path) -> None:
    async with emulated(9_000) as (emulator, present):
        emulator.faults.add(Fault(kind=FaultKind.HOLD, at=KLINES, nth=2, times=None, seconds=2.0))
        arguments = (fresh_nats_url, emulator, tmp_path, present - 9_000, present - 100)
        async with backfilling(*arguments) as first:
            await until(lambda: more_chunks(nc, 1))
            async with backfilling(*arguments) as second:
                _, errors = await ended(second)
                assert second.returncode == 1
                assert f"-{first.pid}-" in errors
                assert "another backfill is at work" in errors


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("BTCUSDT", "7m", "2024-01-01", None, None),
            "hmm: 7m is no interval; it is one of 1s, 5s, 15s, 1m, 5m, 15m, 1h",
        ),
        (("BTCUSDT", "1m", "lately", None, None), "hmm: --since lately: no time; write it as 2024-01-31 or"),
        (("BTCUSDT", "1m", "2024-01-02", "2024-01-01", None), "hmm: --since 2024-01-02 is not before 2024-01-01"),
        (("BTCUSDT", "1m", "2999-01-01", None, None), "hmm: --since 2999-01-01 is not before now"),
        ((" , ", "1m", "2024-01-01", None, None), "hmm: --symbols names none"),
        (("BTCUSDT", "1m", "2024-01-01", None, "nowhere"), "hmm: --venue: ccxt knows no exchange nowhere"),
    ],
)
def test_a_backfill_that_cannot_be_meant_is_one_line(
    arguments: tuple[str, str, str, str | None, str | None], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as left:
        backfill(*arguments)
    assert left.value.exit_code == 2
    assert capsys.readouterr().err.startswith(said)


def test_a_backfill_stops_where_live_ingestion_has_got_to() -> None:
    known = ChunkLedger()
    known.hear(covered("backfill", 10, 19))
    known.hear(covered("ingest", 50, 59))
    everything, now = Span(0, 100 * MINUTE), 90 * MINUTE + 1
    spans = [(0, 10), (20, 50)]
    assert unknown(known, BTC, Interval.M1, everything, now, live=True) == minutes(*spans)
    assert unknown(known, BTC, Interval.M1, everything, now, live=False) == minutes(*spans, (60, 90))


def minutes(*spans: tuple[int, int]) -> tuple[Span, ...]:
    return tuple(Span(start * MINUTE, end * MINUTE) for start, end in spans)
