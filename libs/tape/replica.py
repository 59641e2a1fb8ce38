"""One instance of a component: what it knows, what it has still to say, and whether it is the one to say it. No I/O.

Every instance folds the same tape and so owes the same answers. An answer that is found on the tape is owed no more,
whoever said it. The instance whose `LeaseTaken` it reads says, from there on, what is still owed, and all that follows:
so whatever died, and wherever, each answer is on the tape exactly once. The live host, the simulator of faults and
every standby run this same class.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from contracts.control import LeaseTaken
from contracts.event import Event
from contracts.ownership import ROLES
from contracts.recorded import Recorded, Unreadable
from tape.blueprint import Blueprint
from tape.component import Component
from tape.folding import Folding
from tape.headers import writer_and_watermark
from tape.snapshot import Snapshot, state_of, take_snapshot

NOT_YET = 0
"""No lease: positions begin at 1."""


class Deposed(RuntimeError):
    """Another instance writes as this component now: whatever this one would say is refused."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The `index`-th output for the input at position `cause`."""

    cause: int
    index: int
    event: Event


class Replica:
    """Folds messages in the order of the tape, and gives what is to be said now."""

    def __init__(self, blueprint: Blueprint, settings: BaseModel, instance: str) -> None:
        self.name = blueprint.name
        self.instance = instance
        self.position = 0
        self.leads = False
        self.owed: deque[Answer] = deque()
        self._folding = Folding(blueprint, settings)
        self._lease = NOT_YET
        self._has_a_voice = False
        self._own_types = frozenset(ROLES[self.name].all_writes)

    @classmethod
    def restored(cls, blueprint: Blueprint, snapshot: Snapshot, instance: str) -> "Replica":
        """Go on from a snapshot; raises `UnusableSnapshot`."""
        settings, state = state_of(blueprint, snapshot)
        replica = cls(blueprint, settings, instance)
        replica.component.restore(state)
        replica.position = snapshot.position
        replica._has_a_voice = True
        return replica

    @property
    def component(self) -> Component:
        return self._folding.component

    @property
    def settings(self) -> BaseModel:
        return self._folding.settings

    def will_lead_from(self, lease: int) -> None:
        """Know that the `LeaseTaken` at position `lease` is ours."""
        self._lease = lease

    def skip_to(self, position: int) -> None:
        """Know that nothing of ours lies between what was taken last and `position`."""
        self.position = max(self.position, position)

    def take(self, received: Recorded | Unreadable) -> Sequence[Answer]:
        """Fold the next message; gives what is to be said now. Raises `Deposed`.

        Before its first lease a component has no voice: one that is new to an old tape learns from it in silence.
        """
        position = received.position
        assert position > self.position, f"{self.name} is at {self.position} and cannot go back to {position}"
        said = self._folding.answer(received)
        self.position = position
        if isinstance(received, Recorded) and type(received.event) in self._own_types:
            if isinstance(received.event, LeaseTaken):
                return self._look_at(received.event, position)
            self._strike_out(received.msg_id)
        if not said or not self._has_a_voice:
            return ()
        answers = [Answer(position, index, event) for index, event in enumerate(said)]
        if self.leads:
            return answers
        self.owed.extend(answers)
        return ()

    def snapshot(self) -> Snapshot:
        """Give what is known now; to be kept only when all that was given to be said is on the tape."""
        assert not self.owed, f"{self.name} still owes {len(self.owed)} answers: they are not part of its state"
        return take_snapshot(self._folding.component, self._folding.settings, self.position)

    def _look_at(self, lease: LeaseTaken, position: int) -> Sequence[Answer]:
        if lease.component != self.name:
            return ()
        self._has_a_voice = not self._folding.by_an_edge
        if not self._has_a_voice:
            self.owed.clear()
        if lease.instance == self.instance:
            if position < self._lease or self._lease == NOT_YET:
                return ()
            self.leads = True
            return tuple(self._all_owed())
        if self.leads:
            raise Deposed(f"{lease.instance} writes as {self.name} from position {position} on")
        return ()

    def _all_owed(self) -> Iterator[Answer]:
        while self.owed:
            yield self.owed.popleft()

    def _strike_out(self, msg_id: str) -> None:
        """Owe no more what is on the tape, and what came before it."""
        if not self.owed:
            return
        writer, watermark = writer_and_watermark(msg_id)
        if writer != self.name or watermark is None:
            return
        while self.owed and (self.owed[0].cause, self.owed[0].index) <= (watermark.cause, watermark.index):
            self.owed.popleft()
