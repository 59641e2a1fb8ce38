"""Train models where it is asked for, and keep the registry: the trainer edge.

It does one thing at a time, each decided from what is on the tape, and waits until the tape has given it back before
it decides the next: killed at any moment it goes on with the very step it was at.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterator
from itertools import islice

from contracts.codec import encode
from contracts.models import TrainFailed
from contracts.ownership import ROLES
from contracts.recorded import Recorded, Unreadable
from eventstore.history import stored_history
from quant.training import Problem, Trained
from services.trainer.conclusion import Ended, begun, concluded
from services.trainer.entries import Entry, Request, Standing
from services.trainer.metrics import MODELS, TRAINING_SECONDS, TRAININGS
from services.trainer.registry import Recall, Registry, Say
from services.trainer.settings import TrainerSettings
from services.trainer.statements import NAME
from services.trainer.version import code_version
from services.trainer.workshop import Workshop
from tape.edge import ReadingEdge
from tape.headers import new_trace, output_id, same_trace, write_headers
from tape.history import History
from tape.host import HostState
from tape.provision import TAPE
from tape.service import serve_edge
from tape.settings import load
from tape.wire import Wire

logger = logging.getLogger(__name__)

ROLE = ROLES[NAME]
HISTORY_BATCH = 2_000
TRY_AGAIN_AFTER_S = 1.0
TRACES_KEPT = 10_000
HEADROOM = 4_096
"""Bytes of a message that its headers, and what a promotion says beyond a publication, may need."""


class _Training:
    """The training under way: the champion it is compared with, and what it will give."""

    def __init__(self, request: Request, champion: Entry | None, work: "asyncio.Task[Trained | Problem]") -> None:
        self.request = request
        self.champion = champion
        self.work = work
        self.began = time.monotonic()

    def __str__(self) -> str:
        event, seconds = self.request.event, time.monotonic() - self.began
        return f"training {event.family.value} of {event.instrument} for {seconds:.0f} s"


class Trainer(ReadingEdge):
    """One instance. It follows the tape up to its own `LeaseTaken` in silence; from there on it speaks."""

    def __init__(self, settings: TrainerSettings, history: History | None) -> None:
        super().__init__(NAME, settings, history)
        self.settings = settings
        self.registry = Registry(settings.shadows_kept)
        self._workshop: Workshop | None = None
        self._training: _Training | None = None
        self._traces: dict[int, str] = {}
        self._said = 0
        self._changed = asyncio.Event()

    @property
    def detail(self) -> str:
        counts = self.registry.counts()
        waiting = len(self.registry.requests) - (self._training is not None)
        return (
            f"{self._training or 'no training'}, {waiting} waiting; {counts[Standing.CHAMPION]} champions, "
            f"{counts[Standing.SHADOW]} shadows, {counts[Standing.RETIRED]} retired; {self.registry.failed} failed"
        )

    async def start(self, wire: Wire) -> None:
        self._workshop = Workshop(wire.nc, self.settings, await asyncio.to_thread(code_version))
        await super().start(wire)

    # -- from nothing to live ------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        assert self._wire is not None and self._seat is not None
        self.state = HostState.CATCHING_UP
        position = await self._read_history()
        await self._read_from(position + 1)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reading())
            tasks.create_task(self._work())

    async def _read_history(self) -> int:
        """Fold from the event store what the tape no longer holds; gives the last position that is known then."""
        assert self._wire is not None
        lost = (await self._wire.nc.jetstream(timeout=10).stream_info(TAPE)).state.first_seq - 1
        if lost <= 0:
            return 0
        history, kept = await self._archived(
            lost,
            f"{TAPE} begins at position {lost + 1}, and models are known from their first event on: set "
            "HMM_DATABASE_URL, so that it can be read from the event store",
        )
        events = history.read(1, kept, (*ROLE.reads, *ROLE.all_writes))
        while batch := await asyncio.to_thread(_some_of, events):
            for received in batch:
                self.registry.fold(received)
        return kept

    def _handle(self, received: Recorded | Unreadable, trace: str) -> Awaitable[None] | None:
        self.registry.fold(received)
        if received.position >= self._leads_from:
            self.state = HostState.LIVE
            self._traces[received.position] = trace
            while len(self._traces) > TRACES_KEPT:
                del self._traces[next(iter(self._traces))]
        self._changed.set()
        return None

    # -- one thing after another ---------------------------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            while True:
                self._changed.clear()
                if not await self._take_a_step():
                    self._count()
                    await self._changed.wait()
        finally:
            if self._training is not None:
                self._training.work.cancel()
                await asyncio.wait([self._training.work])

    async def _take_a_step(self) -> bool:
        """Do the next thing; False if there is nothing to do at present."""
        if self.state is not HostState.LIVE:
            return False
        step = self.registry.next_step(time.time_ns())
        if isinstance(step, Say):
            await self._say(step)
        elif isinstance(step, Recall):
            await self._say(await self._recalled(step))
        elif self._training is not None and self._training.work.done():
            await self._conclude(self._training)
        elif self._training is None and (request := self.registry.next_request()) is not None:
            await self._begin(request)
        else:
            return False
        return True

    async def _begin(self, request: Request) -> None:
        if not request.is_started:
            await self._say(begun(time.time_ns(), request, self.settings))
        champion = self.registry.champion(request.key)
        assert self._workshop is not None
        work = asyncio.create_task(self._workshop.train(request, None if champion is None else champion.artifact))
        work.add_done_callback(lambda _: self._changed.set())
        self._training = _Training(request, champion, work)

    async def _conclude(self, training: _Training) -> None:
        """Tell what came of a training."""
        assert self._wire is not None
        family = training.request.event.family
        gate, most = self.settings.gate(family), self._wire.nc.max_payload - HEADROOM
        ended = Ended(training.request, training.champion, training.work.result())
        said = concluded(time.time_ns(), ended, self.registry, gate, most)
        await self._say(said)
        outcome = said.event.failure.value if isinstance(said.event, TrainFailed) else "model"
        TRAININGS.labels(family.value, outcome).inc()
        TRAINING_SECONDS.labels(family.value).observe(time.monotonic() - training.began)
        self._training = None

    async def _recalled(self, recall: Recall) -> Say:
        """Fetch the artifact of a model that is to be believed again."""
        assert self._workshop is not None
        found = await self._workshop.recall(recall.entry.sha256)
        if isinstance(found, str):
            return self.registry.lost(time.time_ns(), recall, found)
        return self.registry.restored(time.time_ns(), recall, found)

    # -- speaking ------------------------------------------------------------------------------------------------------

    async def _say(self, say: Say) -> None:
        """Put an event on the tape, and return when it has come back to us from there."""
        assert self._seat is not None and self._reader is not None
        publisher, reader = self._seat.publisher, self._reader
        now = time.time_ns()
        self._said += 1
        known = self._traces.get(say.cause)
        trace = same_trace(known, self._said) if known else new_trace(now, self._said)
        headers = write_headers(say.event, output_id(NAME, say.cause, say.index), say.cause, now, trace)
        await publisher.publish(type(say.event).subject_of(say.event), encode(say.event), headers)
        await publisher.flush()
        while reader.position < publisher.last_position:
            self._changed.clear()
            await self._changed.wait()

    def _count(self) -> None:
        counts = self.registry.counts()
        for standing in Standing:
            MODELS.labels(standing.value).set(counts[standing])


def _some_of(events: Iterator[Recorded | Unreadable]) -> list[Recorded | Unreadable]:
    return list(islice(events, HISTORY_BATCH))


if __name__ == "__main__":
    serve_edge(NAME, Trainer(load(TrainerSettings, NAME), stored_history()))
