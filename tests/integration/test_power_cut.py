"""A power cut takes the end of the tape, or a lost disk all of it: what was fsynced is kept, no position used twice."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from nats.aio.client import Client

from contracts.clock import ClockTick
from contracts.codec import encode
from contracts.orders import OrderSubmitted
from contracts.recorded import Recorded
from eventstore.archive import Archive
from eventstore.migrate import migrate
from eventstore.reader import read
from tape.headers import new_trace, write_headers
from tape.provision import provision
from tape.streams import LEDGER, LEDGER_DOMAIN, TAPE, joined, last_on, stored_from
from tests.live import client, put, until
from tests.recordings import example, recording
from tests.servers import ROOT, Ports, ledger_server, scratch_directory, tape_server

pytestmark = pytest.mark.integration

HMM = ROOT / ".venv" / "bin" / "hmm"
TOLD = recording(6_000)
PATIENCE_S = 60.0


@dataclass
class Disks:
    """The directories of two servers, as a power cut has left them."""

    run: Path

    @property
    def last_block(self) -> Path:
        blocks = self.run.glob(f"nats/jetstream/*/streams/{TAPE}/msgs/*.blk")
        return max(blocks, key=lambda block: int(block.stem))

    def cut(self, share: float) -> None:
        """Take the end of the last block of TAPE, which was not synced yet."""
        size = self.last_block.stat().st_size
        os.truncate(self.last_block, int(size * (1 - share)))


@contextmanager
def servers(run: Path) -> Iterator[str]:
    with tape_server(run, ports := Ports()), ledger_server(run, ports):
        yield f"nats://127.0.0.1:{ports.client}"


@asynccontextmanager
async def started(disks: Disks) -> AsyncIterator[tuple[str, Client]]:
    with servers(disks.run) as url:
        async with client(url) as nc:
            await joined(nc)
            yield url, nc


@pytest.fixture
def store(fresh_database_url: str) -> str:
    migrate(fresh_database_url)
    return fresh_database_url


@pytest.fixture
def directory() -> Iterator[Path]:
    with scratch_directory() as directory:
        yield directory


async def power_cut(directory: Path, store: str, seed: int) -> Disks:
    """Let a tape be told, a part of it be archived, and copy what is on the disks at some moment amidst it."""
    chance = random.Random(seed)  # noqa: S311 # repeatable, not secret
    with servers(directory / "before") as url:
        async with client(url) as nc:
            await provision(nc, lambda: 0)
            telling = asyncio.create_task(tell(nc, TOLD))
            end = chance.randrange(1_500, 4_500)
            await until(lambda: reached(nc, end), within_s=PATIENCE_S)
            disks = await asyncio.to_thread(copy, directory)
            archive(store, TOLD[: chance.randrange(0, end)])
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
    return disks


async def tell(nc: Client, told: Sequence[Recorded]) -> None:
    """Put a recording on the tape, each event at its own position, as fast as the ledger can follow."""
    for one in told:
        headers = write_headers(one.event, one.msg_id, one.cause, one.ts_recorded, new_trace(1, 1))
        await nc.publish(type(one.event).subject_of(one.event), encode(one.event), headers=headers)
        if one.position % 50 == 0:
            await nc.flush()
            await asyncio.sleep(0.02)


async def reached(nc: Client, position: int) -> bool:
    return (await nc.jetstream(timeout=30).stream_info(TAPE)).state.last_seq >= position


def copy(directory: Path) -> Disks:
    """Copy the disk of TAPE and then that of LEDGER, which was synced all the time; the servers go on meanwhile."""
    for name in ("nats", "ledger"):
        shutil.copytree(directory / "before" / name, directory / "after" / name, copy_function=copy_if_there)
    return Disks(directory / "after")


def copy_if_there(source: str, target: str) -> None:
    try:
        shutil.copy2(source, target)
    except FileNotFoundError:  # an index is written aside and renamed
        return


def archive(store: str, told: Sequence[Recorded]) -> None:
    kept = Archive(store)
    kept.write(told)
    kept.close()


def provision_process(url: str, store: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "HMM_NATS_URL": url, "HMM_DATABASE_URL": store, "HMM_RUN_DIR": "/nowhere/at/all"}
    return subprocess.Popen(
        [HMM, "provision"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


async def provisioned(url: str, store: str, *, kills: Sequence[float] = ()) -> str:
    """Run `hmm provision` as the stack does, killed after each of these times first; gives what it said in the end."""
    for seconds in kills:
        process = provision_process(url, store)
        await asyncio.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    said, _ = await asyncio.to_thread(provision_process(url, store).communicate)
    sys.stderr.write(said)
    return said


async def in_ledger(nc: Client) -> dict[int, str]:
    """What the ledger holds: position and subject."""
    return {one.position: one.subject async for one in stored_from(nc, LEDGER, 1)}


def archived(store: str) -> dict[int, Recorded]:
    """What the event store holds, after making sure that it holds nothing twice and everything as it was told."""
    kept = list(read(store))
    positions = [one.position for one in kept]
    assert positions == sorted(set(positions))
    assert [one for one in kept if one != TOLD[one.position - 1]] == []
    return {one.position: one for one in kept}


@pytest.mark.parametrize("seed", range(3))
async def test_a_tape_that_lost_its_end_goes_on_behind_everything_that_was_seen(
    directory: Path, store: str, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 # repeatable, not secret
    disks = await power_cut(directory, store, seed)
    before = len(archived(store))
    disks.cut(share=chance.uniform(0.02, 0.7))
    async with started(disks) as (url, nc):
        tape = [one.position async for one in stored_from(nc, TAPE, 1)]
        ledger = await in_ledger(nc)
        assert tape == list(range(1, len(tape) + 1)), "it is cut at its end and nowhere else"
        last = max(len(tape), max(ledger, default=0), before)
        assert len(tape) < last, "else this is no power cut"

        kills = [chance.uniform(0.5, 1.6) for _ in range(2)]
        await provisioned(url, store, kills=kills)
        kept = archived(store)
        assert set(kept) == {*range(1, max(before, len(tape)) + 1), *ledger}
        assert (await nc.jetstream(timeout=30).stream_info(TAPE)).state.first_seq == last + 1

        await goes_on(nc, last)
        assert await in_ledger(nc) == {**ledger, last + 2: "order.submitted.binance.BTCUSDT"}
        await provisioned_again_changes_nothing(url, nc, store)


async def goes_on(nc: Client, last: int) -> None:
    """What is said next comes behind all that was ever seen, and the ledger follows at once."""
    assert await put(nc, example(ClockTick), "clock/next") == last + 1
    position = await put(nc, example(OrderSubmitted), f"router/{last + 1}/0")
    assert position == last + 2

    async def followed() -> bool:
        found = await last_on(nc, LEDGER, "order.submitted.>")
        return found is not None and found.position == position

    await until(followed, within_s=20)


async def provisioned_again_changes_nothing(url: str, nc: Client, store: str) -> None:
    before = (await nc.jetstream(timeout=30).stream_info(TAPE)).state, archived(store)
    said = await provisioned(url, store)
    assert "TAPE: unchanged, 2 messages" in said
    assert "continues" not in said
    assert ((await nc.jetstream(timeout=30).stream_info(TAPE)).state, archived(store)) == before


async def test_a_lost_disk_of_the_tape_is_made_up_for_by_the_ledger(directory: Path, store: str) -> None:
    disks = await power_cut(directory, store, seed=7)
    before = len(archived(store))
    shutil.rmtree(disks.run / "nats")
    async with started(disks) as (url, nc):
        ledger = await in_ledger(nc)
        last = max(ledger)
        assert last > before
        said = await provisioned(url, store)
        new = sum(position > before for position in ledger)
        assert (
            f"TAPE was gone but LEDGER holds {last:,}: positions {before + 1:,} to {last:,} are lost, but for {new} "
            f"events of LEDGER; {new} events were archived from TAPE and LEDGER; TAPE continues at {last + 1:,}"
        ) in said
        assert set(archived(store)) == {*range(1, before + 1), *ledger}
        await goes_on(nc, last)
        await provisioned_again_changes_nothing(url, nc, store)


async def test_with_both_disks_lost_the_event_store_says_where_to_go_on(directory: Path, store: str) -> None:
    disks = await power_cut(directory, store, seed=11)
    before = archived(store)
    shutil.rmtree(disks.run)
    async with started(disks) as (url, nc):
        said = await provisioned(url, store)
        last = len(before)
        assert f"TAPE was gone but the event store holds {last:,}: the event store has what is left of it" in said
        assert archived(store) == before
        await goes_on(nc, last)
        assert set(await in_ledger(nc)) == {last + 2}


async def test_a_lost_disk_of_the_ledger_is_filled_again_from_what_the_tape_holds(directory: Path, store: str) -> None:
    disks = await power_cut(directory, store, seed=13)
    shutil.rmtree(disks.run / "ledger")
    async with started(disks) as (url, nc):
        tape = [one async for one in stored_from(nc, TAPE, 1)]
        said = await provisioned(url, store)
        assert "continues" not in said
        wanted = {
            one.position: one.subject for one in tape if one.subject.startswith(("order.", "venue.", "position."))
        }
        await until(lambda: holds(nc, len(wanted)), within_s=PATIENCE_S)
        assert await in_ledger(nc) == wanted
        await goes_on(nc, len(tape))


async def holds(nc: Client, count: int) -> bool:
    return (await nc.jetstream(domain=LEDGER_DOMAIN).stream_info(LEDGER)).state.messages == count


async def test_the_loss_is_noted_where_nothing_is_left(directory: Path, store: str) -> None:
    """A component's snapshot has seen more than anybody kept: the archive says so, so that nobody waits for it."""
    disks = await power_cut(directory, store, seed=17)
    async with started(disks) as (url, nc):
        tape = (await nc.jetstream(timeout=30).stream_info(TAPE)).state.last_seq
        seen = max(tape, *await in_ledger(nc)) + 20
        await nc.jetstream(timeout=30).publish("$KV.snapshots.risk", b'{"position": %d}' % seen)
        said = await provisioned(url, store)
        assert f"TAPE ended at {tape:,} but the snapshot of risk holds {seen:,}" in said
        with psycopg.connect(store) as connection:
            noted = connection.execute("SELECT seq, subject, reason FROM unreadable").fetchall()
            (checkpoint,) = connection.execute("SELECT position FROM checkpoints WHERE name = 'archive'").fetchall()
        assert [(seq, subject) for seq, subject, _ in noted] == [(seen, "lost")]
        assert noted[0][2] in said
        assert checkpoint == (seen,)
        await goes_on(nc, seen)
