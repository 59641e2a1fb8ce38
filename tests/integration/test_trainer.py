"""The trainer edge: what is asked for is trained, gated and promoted once, whatever is killed in between."""

import asyncio
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TypeVar

import nats
import pytest
from nats.aio.client import Client

from contracts.control import Alert, LeaseTaken
from contracts.data import DataChunk
from contracts.event import Event
from contracts.market import Bar
from contracts.models import (
    ARTIFACT,
    ModelAction,
    ModelDecided,
    ModelFamily,
    ModelPromoted,
    ModelPublished,
    ModelRetired,
    TrainFailed,
    TrainFailure,
    TrainRequested,
    TrainStarted,
    canonical,
    sha256_of,
)
from contracts.ownership import EventTypes
from contracts.recorded import Recorded, Unreadable
from contracts.types import InstrumentId, Interval
from eventstore.chunks import name_of, to_parquet
from quant.training import DirectionTraining, Gate, RegimeTraining
from services.scheduler.blueprint import BLUEPRINT as SCHEDULER
from services.scheduler.settings import SchedulerSettings
from services.trainer.app import Trainer
from services.trainer.registry import Say
from services.trainer.settings import TrainerSettings
from tape.consumers import provision_consumers
from tape.host import Host, HostState
from tape.lease import Hold
from tape.objects import Objects
from tape.permissions import OPERATOR
from tape.provision import provision
from tape.wire import Wire
from tests.builders import BTC, ETH, START
from tests.live import PATIENCE_S, Message, messages, put, tape, until
from tests.servers import ROOT, Secured, scratch_directory, secured_nats_server

pytestmark = pytest.mark.integration

E = TypeVar("E", bound=Event)

LOOK_AGAIN_AFTER_S = 0.2
WORKER_PATIENCE_S = 90.0
"""A worker imports for seconds, and the machine may be busy."""
NANOS = Interval.S5.nanos
REGIME, DIRECTION = ModelFamily.REGIME, ModelFamily.DIRECTION
NICE = 1
ANYTHING = Gate(least_observations=1, most_calibration_error=1.0)
QUICK = TrainerSettings(
    regime=RegimeTraining(
        window=1,
        lookback=12,
        least_observations=100,
        states=(2,),
        mixtures=(1,),
        restarts=1,
        folds=1,
        slow_every=0,
        gate=ANYTHING,
    ),
    direction=DirectionTraining(window=1, lookback=12, least_observations=100, gate=ANYTHING),
    pause_s=0,
    nice=0,
    shadows_kept=1,
)


def bars(count: int, *, begin: int = 0, instrument: InstrumentId = BTC) -> list[Bar]:
    """A market that is calm for a hundred bars and wild for the next."""
    chance = Random(f"{instrument}/{begin}")  # noqa: S311 # to be the same again
    close, made = 100.0, []
    for number in range(begin, begin + count):
        opened, wild = close, number // 100 % 2
        close = opened * math.exp(chance.gauss(0, 0.004 if wild else 0.0005))
        wick = 1 + abs(chance.gauss(0, 0.001 if wild else 0.0001))
        at = START + number * NANOS
        made.append(
            Bar(
                ts_event=at + NANOS,
                ts_init=at + NANOS,
                instrument=instrument,
                interval=Interval.S5,
                ts_open=at,
                ts_close=at + NANOS,
                open=opened,
                high=max(opened, close) * wick,
                low=min(opened, close) / wick,
                close=close,
                volume=math.exp(chance.gauss(2 if wild else 0, 0.5)),
                trades=10,
            )
        )
    return made


def listed(made: Sequence[Bar], data: bytes) -> DataChunk:
    return DataChunk(
        ts_event=made[-1].ts_close,
        ts_init=made[-1].ts_close,
        by="ingest",
        instrument=made[0].instrument,
        interval=Interval.S5,
        first=made[0].ts_open,
        last=made[-1].ts_open,
        rows=len(made),
        missing=0,
        repaired=0,
        sha256=name_of(data),
        source="test",
    )


def request(family: ModelFamily = REGIME, instrument: InstrumentId = BTC) -> TrainRequested:
    return TrainRequested(
        ts_event=START,
        ts_init=START,
        by="ops",
        family=family,
        instrument=instrument,
        interval=Interval.S5,
        reason="test",
    )


class Desk:
    """A tape, and everybody on it who is not the trainer."""

    def __init__(self, nc: Client) -> None:
        self.nc = nc
        self._said = 0

    async def bring(self, made: Sequence[Bar]) -> DataChunk:
        """Put a chunk into the store and list it."""
        data = to_parquet(made)
        await Objects(self.nc, "chunks").put(name_of(data), data)
        chunk = listed(made, data)
        await self.say(chunk)
        return chunk

    async def say(self, event: Event) -> int:
        self._said += 1
        return await put(self.nc, event, f"test/{self._said}")

    async def decide(self, model_id: str, action: ModelAction) -> int:
        return await self.say(
            ModelDecided(
                ts_event=START, ts_init=START, model_id=model_id, action=action, operator="kim", reason="because"
            )
        )

    async def heard(self) -> list[Message]:
        """What the trainer has said, but for its leases."""
        said = [message for message in await messages(self.nc) if message.msg_id.startswith("trainer/")]
        return [message for message in said if not isinstance(message.event, LeaseTaken)]

    async def of_type(self, event_type: type[E]) -> list[E]:
        return [message.event for message in await self.heard() if isinstance(message.event, event_type)]

    async def until_said(self, event_type: type[E], count: int = 1) -> E:
        """Wait for the `count`-th event of a type."""

        at_most = time.monotonic() + WORKER_PATIENCE_S
        while len(said := await self.of_type(event_type)) < count:
            heard = [one.event for one in await self.heard()]
            assert time.monotonic() < at_most, f"no {event_type.__name__}, but {heard}"
            await asyncio.sleep(LOOK_AGAIN_AFTER_S)
        return said[count - 1]


@pytest.fixture
async def desk(fresh_nats_url: str) -> AsyncIterator[Desk]:
    async with tape(fresh_nats_url) as nc:
        await provision_consumers(nc)
        yield Desk(nc)


@asynccontextmanager
async def training(url: str, trainer: Trainer) -> AsyncIterator[Trainer]:
    """A trainer at work, over a connection of its own, until it is asked to leave."""
    nc = await nats.connect(url)
    await trainer.start(Wire(nc))
    running = asyncio.create_task(trainer.run())
    try:
        yield trainer
        if running.done():
            running.result()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await trainer.stop()
        await nc.close()


@asynccontextmanager
async def scheduling(url: str) -> AsyncIterator[None]:
    """A scheduler that asks for both models of everything that has 1800 bars of 5 s."""
    nc = await nats.connect(url)
    host = Host(SCHEDULER, SchedulerSettings(first_rows=1_800, cron=""), Wire(nc), None)
    await host.start()
    running = asyncio.create_task(host.run())
    await until(lambda: host.state is HostState.LIVE)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await host.stop()
        await nc.close()


# -- from bars to a model that is believed -----------------------------------------------------------------------------


async def test_new_bars_become_models_of_both_families_that_are_believed(desk: Desk, fresh_nats_url: str) -> None:
    async with scheduling(fresh_nats_url), training(fresh_nats_url, Trainer(QUICK, None)) as trainer:
        chunks = [await desk.bring(bars(900)), await desk.bring(bars(900, begin=900))]
        await desk.until_said(ModelPromoted, 2)
        assert trainer.detail == "no training, 0 waiting; 2 champions, 0 shadows, 0 retired; 0 failed"
        assert trainer.state is HostState.LIVE
    asked = [message for message in await messages(desk.nc) if isinstance(message.event, TrainRequested)]
    assert [message.msg_id.partition("/")[0] for message in asked] == ["scheduler"] * 2
    positions = {family: message.position for family, message in zip(ModelFamily, asked, strict=True)}
    said = await desk.heard()
    assert [type(message.event) for message in said] == [TrainStarted, ModelPublished, ModelPromoted] * 2
    for family, (started, published, promoted) in zip(ModelFamily, (said[:3], said[3:]), strict=True):
        assert [started.cause, published.cause, promoted.cause] == [*[positions[family]] * 2, published.position]
        assert isinstance(started.event, TrainStarted) and isinstance(published.event, ModelPublished)
        assert isinstance(promoted.event, ModelPromoted)
        assert (started.event.rows, started.event.request) == (1800, positions[family])
        made = published.event.artifact
        assert made.trained_on.chunks == tuple(chunk.sha256 for chunk in chunks)
        assert (made.seed, made.code) == (positions[family], promoted.event.artifact.code)
        assert (promoted.event.artifact, promoted.event.by) == (made, "gate")
        assert await Objects(desk.nc, "models").get(published.event.sha256) == canonical(made)


async def test_a_model_that_does_not_pass_the_gate_is_a_shadow(desk: Desk, fresh_nats_url: str) -> None:
    strict = QUICK.regime.model_copy(update={"gate": Gate(least_observations=1_000_000)})
    await desk.bring(bars(900))
    await desk.say(request())
    async with training(fresh_nats_url, Trainer(QUICK.model_copy(update={"regime": strict}), None)) as trainer:
        published = await desk.until_said(ModelPublished)
        await until(lambda: "0 champions, 1 shadows" in trainer.detail)
    assert not published.passed
    assert published.gate == f"scored on {published.score.observations} observations, 1000000 are needed"
    assert await desk.of_type(ModelPromoted) == []


# -- failures ----------------------------------------------------------------------------------------------------------


async def test_what_is_wrong_with_the_data_is_told_and_the_next_training_is_done(
    desk: Desk, fresh_nats_url: str
) -> None:
    tampered, missing, sound = bars(300), bars(300, instrument=ETH), bars(900, begin=300, instrument=ETH)
    chunk = await desk.bring(tampered)
    await _replace(desk.nc, chunk.sha256, to_parquet(bars(300, begin=5)))
    lost = listed(missing, to_parquet(missing))
    await desk.say(request(instrument=InstrumentId("sim.NOBODY")))
    await desk.say(request())
    await desk.say(lost)
    await desk.say(request(instrument=ETH))
    few = InstrumentId("sim.FEW")
    await desk.bring(bars(3, instrument=few))
    await desk.say(request(instrument=few))
    fine = InstrumentId("sim.FINE")
    await desk.bring([_as(fine, bar) for bar in sound])
    await desk.say(request(instrument=fine))
    async with training(fresh_nats_url, Trainer(QUICK, None)):
        await desk.until_said(ModelPromoted)
    failures = [(one.instrument, one.failure) for one in await desk.of_type(TrainFailed)]
    assert failures == [
        ("sim.NOBODY", TrainFailure.TOO_LITTLE_DATA),
        (BTC, TrainFailure.BAD_DATA),
        (ETH, TrainFailure.BAD_DATA),
        (few, TrainFailure.TOO_LITTLE_DATA),
    ]
    details = [one.detail for one in await desk.of_type(TrainFailed)]
    assert "no bars of 5s of sim.NOBODY are known" in details[0]
    assert chunk.sha256 in details[1] and "was" in details[1]
    assert f"there is no object {lost.sha256}" in details[2]


async def _replace(nc: Client, name: str, data: bytes) -> None:
    """Put other bytes where those with the hash `name` were."""
    store = await nc.jetstream().object_store("chunks")
    await store.put(name, data)


def _as(instrument: InstrumentId, bar: Bar) -> Bar:
    return replace(bar, instrument=instrument)


# -- a death at any moment ---------------------------------------------------------------------------------------------


class Died(RuntimeError):
    pass


class Mortal(Trainer):
    """Dies as soon as the tape has its `last`-th word, before it has done anything else."""

    def __init__(self, last: int) -> None:
        super().__init__(QUICK, None)
        self._left = last

    async def _say(self, say: Say) -> None:
        if self._left == 0:
            raise Died
        await super()._say(say)
        self._left -= 1
        if self._left == 0:
            raise Died


async def test_whoever_dies_between_two_steps_is_followed_by_one_who_goes_on(desk: Desk, fresh_nats_url: str) -> None:
    await desk.bring(bars(400))
    first = await desk.say(request())
    for life in range(3):
        await _live_until_one_word(fresh_nats_url)
        assert len(await desk.heard()) == life + 1
    said = [(type(message.event), message.msg_id) for message in await desk.heard()]
    published = (await desk.heard())[1].position
    assert said == [
        (TrainStarted, f"trainer/{first}/0"),
        (ModelPublished, f"trainer/{first}/1"),
        (ModelPromoted, f"trainer/{published}/0"),
    ]
    async with training(fresh_nats_url, Trainer(QUICK, None)) as trainer:
        await until(lambda: trainer.detail.startswith("no training, 0 waiting; 1 champions"))
    assert len(await desk.heard()) == len(said)


async def _live_until_one_word(url: str) -> None:
    nc = await nats.connect(url)
    trainer = Mortal(1)
    await trainer.start(Wire(nc))
    with pytest.raises(ExceptionGroup) as died:
        await asyncio.wait_for(trainer.run(), PATIENCE_S)
    assert died.group_contains(Died)
    await trainer.stop()
    await nc.close()


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    with scratch_directory() as run, secured_nats_server(run) as server:
        yield server


async def test_a_trainer_that_is_killed_in_the_middle_of_a_fit_leaves_nothing_behind_and_does_it_again(
    secured: Secured,
) -> None:
    """As the stack runs it: a process with the trainer's own key."""
    async with operator(secured) as nc:
        await provision(nc, lambda: 0)
        await provision_consumers(nc)
        desk = Desk(nc)
        await desk.bring(bars(600))
        await desk.say(request())
        for _ in range(2):
            with trainer_process(secured) as process:
                await until(lambda process=process: bool(children(process.pid)))
                (worker,) = children(process.pid)
                await until(lambda worker=worker: _niceness(worker) == NICE)
                process.send_signal(signal.SIGKILL)
                process.wait()
            await until(lambda worker=worker: not _lives(worker))
            assert [type(message.event) for message in await desk.heard()] == [TrainStarted]
            assert (await nc.jetstream().stream_info("OBJ_models")).state.messages == 0
            await nc.jetstream().publish("$KV.leases.trainer", Hold(instance=None).model_dump_json().encode())
        with trainer_process(secured):
            promoted = await desk.until_said(ModelPromoted)
        said = [type(message.event) for message in await desk.heard()]
        assert said == [TrainStarted, ModelPublished, ModelPromoted]
        kept = await Objects(nc, "models").get(promoted.sha256)
        assert sha256_of(ARTIFACT.validate_json(kept)) == promoted.sha256


@asynccontextmanager
async def operator(server: Secured) -> AsyncIterator[Client]:
    nc = await nats.connect(server.url, nkeys_seed=str(server.key(OPERATOR)))
    try:
        yield nc
    finally:
        await nc.close()


@contextmanager
def trainer_process(server: Secured) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "HMM_NATS_URL": server.url,
        "HMM_NKEY_FILE": str(server.key("trainer")),
        "HMM_TRAINER_REGIME": QUICK.regime.model_dump_json(),
        "HMM_TRAINER_PAUSE_S": "0",
        "HMM_TRAINER_NICE": str(NICE),
    }
    command = [sys.executable, "-m", "services.trainer.app"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def children(pid: int) -> list[int]:
    """The worker processes of a trainer."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"services.trainer.worker" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def _lives(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def _niceness(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16])


# -- the operator ------------------------------------------------------------------------------------------------------


async def test_an_operator_decides_what_is_believed(desk: Desk, fresh_nats_url: str) -> None:
    await desk.bring(bars(400))
    async with training(fresh_nats_url, Trainer(QUICK, None)):
        await desk.say(request())
        first = await desk.until_said(ModelPromoted)
        await desk.decide(first.model_id, ModelAction.RETIRE)
        retired = await desk.until_said(ModelRetired)
        assert (retired.model_id, retired.by, retired.reason) == (first.model_id, "kim", "because")
        await desk.decide(first.model_id, ModelAction.PROMOTE)
        again = await desk.until_said(ModelPromoted, 2)
        assert (again.artifact, again.by, again.replaces) == (first.artifact, "kim", None)
        await desk.decide("nobody", ModelAction.PROMOTE)
        await desk.until_said(Alert, 2)
    assert [alert.code for alert in await desk.of_type(Alert)] == ["no_champion", "unknown_model"]


async def test_an_operator_does_not_wait_for_a_training_and_the_gate_does_not_overrule_him(
    desk: Desk, fresh_nats_url: str
) -> None:
    await desk.bring(bars(400))
    async with training(fresh_nats_url, Trainer(QUICK, None)) as trainer:
        await desk.say(request())
        champion = await desk.until_said(ModelPromoted)
        await desk.say(request())
        await desk.until_said(TrainStarted, 2)
        await desk.decide(champion.model_id, ModelAction.RETIRE)
        await desk.until_said(ModelRetired)
        assert trainer.detail.startswith("training regime of sim.BTCUSDT for ")
        second = await desk.until_said(ModelPublished, 2)
        await until(lambda: trainer.detail.startswith("no training, 0 waiting; 0 champions, 1 shadows, 1 retired"))
    assert (second.passed, second.champion) == (False, champion.model_id)
    assert second.gate.startswith("the champion has changed")


# -- what is older than the tape ---------------------------------------------------------------------------------------


class Kept:
    """The event store, with what it has from before this tape."""

    def __init__(self, events: Sequence[Recorded]) -> None:
        self._events = events

    def last(self) -> int:
        return self._events[-1].position

    def read(self, start: int, stop: int, types: EventTypes) -> Iterator[Recorded | Unreadable]:
        return (one for one in self._events if start <= one.position <= stop and isinstance(one.event, types))

    def first_lease(self, _name: str) -> LeaseTaken | None:
        return None


async def test_a_champion_and_chunks_from_before_the_tape_are_what_the_next_model_is_compared_with(
    desk: Desk, fresh_nats_url: str
) -> None:
    await desk.bring(bars(400))
    await desk.say(request())
    async with training(fresh_nats_url, Trainer(QUICK, None)):
        champion = await desk.until_said(ModelPromoted)
    past = [
        Recorded(message.position, message.cause, message.msg_id, 0, message.event)
        for message in await messages(desk.nc)
    ]
    await desk.nc.jetstream().delete_stream("TAPE")
    await provision(desk.nc, lambda: past[-1].position)
    await provision_consumers(desk.nc)
    await desk.say(request())
    async with training(fresh_nats_url, Trainer(QUICK, Kept(past))):
        published = await desk.until_said(ModelPublished)
    assert published.champion == champion.model_id
    assert published.artifact.trained_on == champion.artifact.trained_on
    assert published.champion_score is not None
    assert published.champion_score.observations == published.score.observations
