"""Run one instance of a component on the live tape: restore it, follow, take over, speak, keep snapshots."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterator, Sequence
from enum import Enum
from itertools import islice

from pydantic import BaseModel

from contracts.control import LeaseTaken
from contracts.event import Event
from contracts.ownership import ROLES, Role
from contracts.recorded import Recorded, Unreadable
from tape.blueprint import Blueprint
from tape.component import Component
from tape.consumers import standby
from tape.folding import sayable
from tape.headers import Fence, new_trace, origin_ns, output_id, same_trace, write_headers
from tape.history import History, HistoryMissing
from tape.keeping import SnapshotKeeper
from tape.lease import Lease
from tape.ledger import LedgerWatch
from tape.provision import TAPE
from tape.reader import Reader
from tape.replica import Answer, Replica
from tape.seat import Seat
from tape.snapshot import Snapshot, UnusableSnapshot
from tape.tasks import end
from tape.wire import Wire

logger = logging.getLogger(__name__)

SNAPSHOT_EVERY = 20_000
"""Events between two snapshots: what a restart has to fold at most."""
HISTORY_BATCH = 2_000
KEEP_AWAY = 10
"""The first tenth of a tape, which it may soon forget, is read from the event store."""
LOOK_AGAIN_AFTER_S = 0.25


class HostState(Enum):
    STARTING = "starting"
    CATCHING_UP = "catching_up"
    STANDBY = "standby"
    LIVE = "live"
    FINISHED = "finished"
    FAILED = "failed"


class NotDeclared(RuntimeError):
    """The component and the ownership table disagree."""


class Host:
    """One instance: its replica, its reader and its publisher.

    It follows the tape until it reads its own `LeaseTaken`; there it says what is still owed, and from there on it
    answers at once. Until then, and as long as another instance leads, it says nothing.
    """

    def __init__(self, blueprint: Blueprint, settings: BaseModel, wire: Wire, history: History | None) -> None:
        self.name = blueprint.name
        self._role = _declared(blueprint, settings)
        self.reader: Reader | None = None
        self.how_restored = ""
        self._blueprint = blueprint
        self._settings = settings
        self._wire = wire
        self._nc = wire.nc
        self._history = history
        self._observers = blueprint.observe()
        self._seat = Seat(
            wire,
            self.name,
            settings.model_dump_json(),
            on_fence=self._may_lead,
        )
        self._waiting_place = Lease(wire.nc, standby(self.name), self._seat.instance)
        self._publisher = self._seat.publisher
        self._keeper = SnapshotKeeper(wire.nc, self.name)
        self._ledger = LedgerWatch(wire.nc)
        self._replica = Replica(blueprint, settings, self._seat.instance)
        self._durable: tuple[type[Event], ...] = getattr(self._replica.component, "durable", ())
        self._last_durable: Recorded | None = None
        self._fenced = asyncio.Event()
        self._skipped_to = 0
        self._spans = time.time_ns()
        self._state = HostState.STARTING
        self._speaking = False
        self._since_snapshot = 0
        self._snapshot_due: asyncio.Task[None] | None = None

    @property
    def state(self) -> HostState:
        if self.reader is not None and self.reader.failure.done():
            return HostState.FAILED
        return self._state

    @property
    def component(self) -> Component:
        return self._replica.component

    @property
    def position(self) -> int:
        return self._replica.position

    @property
    def said(self) -> int:
        """How many messages of ours the tape has acknowledged."""
        return self._publisher.acknowledged

    async def start(self) -> None:
        await self._seat.start()

    async def run(self) -> None:
        """Work until something fails; raises what failed."""
        await self._seat.while_held(self._live())

    async def stop(self) -> None:
        """Stop reading, put on the tape what was said, keep a snapshot, and let the next one take over."""
        if self.reader is not None:
            await self.reader.stop()
        whole = self._replica.leads and not self._speaking and self.state is not HostState.FAILED
        await self._seat.leave(before_leaving=self._keep_the_last if whole else None)
        await self._waiting_place.give_back()

    def handle(self, received: Recorded | Unreadable, trace: str) -> Awaitable[None] | None:
        """Let the replica fold one message; None when there is nothing to wait for."""
        if isinstance(received, Recorded) and isinstance(received.event, self._durable):
            self._last_durable = received
            if self._replica.leads:
                return self._handle_when_durable(received, trace)
        if not self._fenced.is_set() and self._is_our_lease(received):
            return self._handle_when_fenced(received, trace)
        return self._take(received, trace)

    # -- from nothing to live ------------------------------------------------------------------------------------

    async def _live(self) -> None:
        slot = await self._find_slot()
        began = time.monotonic()
        await self._restore()
        await self._catch_up_from_history()
        self._state = HostState.CATCHING_UP
        reader = await self._read_as(slot)
        self.how_restored += f" in {time.monotonic() - began:.2f} s"
        logger.info("%s %s", self.name, self.how_restored)
        if slot != self.name:
            self._state = HostState.STANDBY
            reader = await self._inherit(slot, reader)
        await self._seat.hold()
        await asyncio.shield(reader.failure)

    async def _find_slot(self) -> str:
        """Take the lease, or the place of the one who waits for it; with both taken, wait for either."""
        self._state = HostState.STANDBY
        while True:
            if await self._seat.lease.try_take():
                self._seat.keep()
                self._state = HostState.STARTING
                return self.name
            if await self._waiting_place.try_take():
                return self._waiting_place.name
            await asyncio.sleep(LOOK_AGAIN_AFTER_S)

    async def _restore(self) -> None:
        """Go on from the last snapshot, or begin at position 1 with the settings that were in force there."""
        self.how_restored = "begins at position 1"
        snapshot = await self._keeper.load()
        if snapshot is not None:
            try:
                self._replica = Replica.restored(self._blueprint, snapshot, self._seat.instance)
                self.how_restored = f"goes on from its snapshot at position {snapshot.position}"
                return
            except UnusableSnapshot as error:
                logger.warning("the snapshot of %s at position %s is ignored: %s", self.name, snapshot.position, error)
        first = await asyncio.to_thread(self._history.first_lease, self.name) if self._history else None
        settings = self._blueprint.settings_of(first, self._settings)
        if self._blueprint.build(settings) is None:  # an edge did the work at first
            settings = self._settings
        self._replica = Replica(self._blueprint, settings, self._seat.instance)

    async def _catch_up_from_history(self) -> None:
        """Fold from the event store what the tape no longer holds, and go on there as far as it has got.

        What the tape begins with may be forgotten before we come to read it: we keep away from there.
        """
        tape = (await self._nc.jetstream(timeout=10).stream_info(TAPE)).state
        start, lost = self._replica.position + 1, tape.first_seq - 1
        away = (tape.last_seq - lost) // KEEP_AWAY if self._history else 0
        if start > lost + away:
            return
        if self._history is None:
            raise HistoryMissing(
                f"{TAPE} begins at position {lost + 1} and {self.name} has to read from {start}: set HMM_DATABASE_URL, "
                "so that it can be read from the event store"
            )
        while (kept := await asyncio.to_thread(self._history.last)) < lost:
            logger.warning("%s waits for the archive: it has %s of %s positions", self.name, kept, lost)
            await asyncio.sleep(1.0)
        if kept < start:
            return
        self.how_restored += f", read {start} to {kept} from the event store"
        types = (*self._replica.component.consumes(), *self._role.all_writes)
        events = self._history.read(start, kept, types)
        while batch := await asyncio.to_thread(_some_of, events):
            for received in batch:  # what is in the event store is on disk: no command of it has to be waited for
                self._replica.take(received)
        self._skipped_to = kept
        self._replica.skip_to(kept)

    async def _read_as(self, slot: str) -> Reader:
        """Read through the consumer of our place."""
        permit = self._seat.lease.renew if slot == self.name else self._waiting_place.renew
        position = self._replica.position
        heard = position > self._skipped_to
        self.reader = Reader(self._wire, slot, position + 1, self.handle, permit, anchored=heard)
        await self.reader.start()
        return self.reader

    async def _inherit(self, slot: str, following: Reader) -> Reader:
        """Follow until the lease is ours, then leave our place to the next one."""
        waiting = asyncio.create_task(self._waiting_place.keep())
        inheriting = asyncio.create_task(self._seat.lease.take())
        watched = (following.failure, waiting, inheriting)
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        for ended in filter(asyncio.Future.done, watched):
            ended.result()
        self._seat.keep()
        await end([waiting])
        await following.stop()
        reader = await self._read_as(self.name)
        await self._waiting_place.give_back()
        logger.info("%s takes over from %s at position %s", self.name, slot, self._replica.position)
        self._state = HostState.CATCHING_UP
        return reader

    # -- what is said --------------------------------------------------------------------------------------------

    def _take(self, received: Recorded | Unreadable, trace: str) -> Awaitable[None] | None:
        led = self._replica.leads
        answers = self._replica.take(received)
        self._since_snapshot += 1
        if not led and self._replica.leads:
            self._speaking = True
            return self._begin_to_speak(answers)
        if self._since_snapshot >= SNAPSHOT_EVERY and self._replica.leads:
            self._take_snapshot(len(answers))
        if not answers:
            return None
        if len(answers) > self._publisher.room:
            return self._say_in_time(answers, trace)
        for subject, payload, headers in self._messages(answers, trace):
            self._publisher.send(subject, payload, headers)
        return None

    async def _begin_to_speak(self, owed: Sequence[Answer]) -> None:
        """Say what is still owed; what follows from a command only when the ledger holds it."""
        if self._last_durable is not None:
            await self._until_durable(self._last_durable)
        await self._say_in_time(owed, "")
        self._speaking = False
        self._state = HostState.LIVE
        logger.info("%s leads from position %s on, having owed %s answers", self.name, self.position, len(owed))

    def _may_lead(self, fence: Fence) -> None:
        """Know from which position on we lead: reading it, we begin to speak."""
        self._replica.will_lead_from(fence.position)
        self._fenced.set()

    def _is_our_lease(self, received: Recorded | Unreadable) -> bool:
        event = received.event if isinstance(received, Recorded) else None
        return isinstance(event, LeaseTaken) and event.instance == self._seat.instance

    async def _handle_when_fenced(self, received: Recorded | Unreadable, trace: str) -> None:
        """Wait, having read our own lease, for the server to acknowledge it: the one may well overtake the other."""
        await self._fenced.wait()
        answering = self._take(received, trace)
        if answering is not None:
            await answering

    async def _handle_when_durable(self, recorded: Recorded, trace: str) -> None:
        await self._until_durable(recorded)
        answering = self._take(recorded, trace)
        if answering is not None:
            await answering

    async def _until_durable(self, recorded: Recorded) -> None:
        await self._ledger.reached(type(recorded.event).subject_of(recorded.event), recorded.position)

    async def _say_in_time(self, answers: Sequence[Answer], trace: str) -> None:
        """Say with as much waiting for room as it takes; whoever stops us meanwhile finds us speaking."""
        self._speaking = True
        for subject, payload, headers in self._messages(answers, trace):
            await self._publisher.publish(subject, payload, headers)
        self._speaking = False

    def _messages(self, answers: Sequence[Answer], trace: str) -> Iterator[tuple[str, bytes, dict[str, str]]]:
        """Give each answer as it goes onto the tape."""
        for answer in answers:
            event, payload = sayable(self.name, answer.cause, answer.event)
            now = time.time_ns()
            whole = trace or new_trace(now, answer.cause)
            self._spans += 1
            msg_id = output_id(self.name, answer.cause, answer.index)
            headers = write_headers(event, msg_id, answer.cause, now, same_trace(whole, self._spans))
            yield type(event).subject_of(event), payload, headers
            observer = self._observers.get(type(event))
            if observer is not None:
                began = origin_ns(trace)
                observer(event, None if began is None else (now - began) / 1e6)

    # -- snapshots -----------------------------------------------------------------------------------------------

    def _take_snapshot(self, unsaid: int) -> None:
        """Write down what is known now; it is kept when the tape has all that follows from it."""
        self._since_snapshot = 0
        if self._snapshot_due is None or self._snapshot_due.done():
            keeping = self._keep_snapshot(self._replica.snapshot(), self._publisher.sent + unsaid)
            self._snapshot_due = asyncio.create_task(keeping)

    async def _keep_snapshot(self, snapshot: Snapshot, sent: int) -> None:
        while not self._publisher.has_all_until(sent):  # noqa: ASYNC110 # it is looked at rarely
            await asyncio.sleep(LOOK_AGAIN_AFTER_S)
        await self._keeper.save(snapshot)

    async def _keep_the_last(self) -> None:
        """Keep what is known at a clean end: all that was said is on the tape."""
        await end([self._snapshot_due])
        await self._keeper.save(self._replica.snapshot())


def _some_of(events: Iterator[Recorded | Unreadable]) -> list[Recorded | Unreadable]:
    return list(islice(events, HISTORY_BATCH))


def _declared(blueprint: Blueprint, settings: BaseModel) -> Role:
    """Find the component's role and check that it says and hears what the table allows."""
    component, role = blueprint.build(settings), ROLES.get(blueprint.name)
    if role is None or component is None:
        raise NotDeclared(f"{blueprint.name} is not in contracts/ownership.py: nobody may write its subjects")
    if foreign := set(component.produces) - set(role.all_writes):
        raise NotDeclared(f"{component.name} may not write {', '.join(sorted(t.__name__ for t in foreign))}")
    if foreign := set(component.consumes()) - set(role.reads):
        raise NotDeclared(f"{component.name} may not read {', '.join(sorted(t.__name__ for t in foreign))}")
    return role
