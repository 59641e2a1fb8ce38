"""The registry of models: what the tape says of them, and what has to be said next. No I/O.

Everything follows from what is on the tape, the trainer's own words included: whoever dies between two of them says
the second one after the restart, under the same id.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from contracts.control import Alert, DeadLetter
from contracts.data import DataChunk
from contracts.event import Event
from contracts.models import (
    Artifact,
    ModelAction,
    ModelDecided,
    ModelPromoted,
    ModelPublished,
    ModelRetired,
    TrainFailed,
    TrainRequested,
    TrainStarted,
)
from contracts.recorded import Recorded, Unreadable
from contracts.types import Severity
from eventstore.chunkledger import ChunkLedger
from services.trainer.entries import Entry, Key, Request, Standing
from services.trainer.statements import GATE, NAME, alert, asked, promoted, retired, unread

NO_CHAMPION = "no_champion"
"""An alert after which the retirement itself follows; any other is the whole answer."""


@dataclass(frozen=True, slots=True)
class Say:
    """The `index`-th event that the one at position `cause` leads to."""

    cause: int
    index: int
    event: Event


@dataclass(frozen=True, slots=True)
class Recall:
    """The artifact of a retired model is needed: the operator promotes it again, by the decision at `position`."""

    position: int
    entry: Entry


class Registry:
    """All models, the trainings that are still to be done, and the decisions that are still to be carried out."""

    def __init__(self, shadows_kept: int) -> None:
        self.ledger = ChunkLedger()
        self.models: dict[str, Entry] = {}
        self.champions: dict[Key, str] = {}
        self.requests: dict[int, Request] = {}
        self.failed = 0
        self._shadows_kept = shadows_kept
        self._decisions: dict[int, ModelDecided] = {}
        self._warned: set[int] = set()
        self._unreadable: dict[int, Unreadable] = {}
        self._latest: dict[Key, int] = {}
        """Where the standing of a model changed last."""

    # -- what the tape says --------------------------------------------------------------------------------------------

    def fold(self, received: Recorded | Unreadable) -> None:
        if isinstance(received, Unreadable):
            self._unreadable[received.position] = received
        else:
            self._fold(received.event, received.position, received.cause or 0)

    def _fold(self, event: Event, position: int, cause: int) -> None:  # noqa: C901 # one case for each type
        match event:
            case DataChunk():
                self.ledger.hear(event)
            case TrainRequested():
                chunks = tuple(self.ledger.chunks(event.instrument, event.interval))
                self.requests[position] = Request(position, event, chunks)
            case TrainStarted():
                if event.request in self.requests:
                    self.requests[event.request].is_started = True
            case TrainFailed():
                self.requests.pop(event.request, None)
                self.failed += 1
            case ModelPublished():
                self._published(event, position)
            case ModelPromoted():
                self._promoted(event, position)
                self._decisions.pop(cause, None)
            case ModelRetired():
                self._retired(event, position)
                self._decisions.pop(cause, None)
            case ModelDecided():
                self._decisions[position] = event
            case Alert(component="trainer"):
                self._told(event, cause)
            case DeadLetter():
                self._unreadable.pop(cause, None)
            case _:
                pass

    def _published(self, said: ModelPublished, position: int) -> None:
        self.requests.pop(said.request, None)
        key = said.family, said.instrument
        self._leave_as_they_are(key)
        self.models[said.model_id] = Entry(
            said.model_id,
            said.sha256,
            said.family,
            said.instrument,
            Standing.SHADOW,
            position,
            position,
            said.artifact,
            said.champion,
            said.gate,
            due=said.passed and self.champions.get(key) == said.champion,
        )
        self._latest[key] = position

    def _promoted(self, said: ModelPromoted, position: int) -> None:
        key = said.family, said.instrument
        self._leave_as_they_are(key)
        before = self.models.get(self.champions.get(key, ""))
        if before is not None:
            before.standing, before.since = Standing.SHADOW, position
        entry = self.models.get(said.model_id)
        if entry is None:
            entry = self.models[said.model_id] = Entry(
                said.model_id, said.sha256, *key, Standing.CHAMPION, position, 0, said.artifact
            )
        entry.standing, entry.since, entry.artifact = Standing.CHAMPION, position, said.artifact
        self.champions[key] = said.model_id
        self._latest[key] = position

    def _retired(self, said: ModelRetired, position: int) -> None:
        key = said.family, said.instrument
        if self.champions.get(key) == said.model_id:
            del self.champions[key]
            self._leave_as_they_are(key)
        entry = self.models.get(said.model_id)
        if entry is not None:
            entry.standing, entry.since, entry.artifact, entry.due = Standing.RETIRED, position, None, False
        self._latest[key] = position

    def _leave_as_they_are(self, key: Key) -> None:
        """Promote nobody by a gate that compared with a champion of another time."""
        for entry in self._of(key):
            entry.due = False

    def _told(self, said: Alert, cause: int) -> None:
        if said.code == NO_CHAMPION:
            self._warned.add(cause)
        else:
            self._decisions.pop(cause, None)

    # -- what is known -------------------------------------------------------------------------------------------------

    def champion(self, key: Key) -> Entry | None:
        return self.models.get(self.champions.get(key, ""))

    def counts(self) -> Counter[Standing]:
        return Counter(entry.standing for entry in self.models.values())

    def next_request(self) -> Request | None:
        """Give the training that was asked for first of those that have not ended."""
        return next(iter(self.requests.values()), None)

    def _of(self, key: Key) -> Iterator[Entry]:
        return (entry for entry in self.models.values() if entry.key == key)

    # -- what has to be said next --------------------------------------------------------------------------------------

    def next_step(self, now: int) -> Say | Recall | None:
        """Give the one thing that has to be said next (at `now`, ns), or to be fetched before; None: nothing."""
        for position, unreadable in self._unreadable.items():
            return Say(position, 0, unread(now, unreadable))
        for position, decided in self._decisions.items():
            return self._answer(now, position, decided)
        for entry in self.models.values():
            if entry.due:
                assert entry.artifact is not None, "only what is retired has none"
                event = promoted(now, entry, entry.artifact, self.champions.get(entry.key), GATE, entry.gate)
                return Say(entry.published_at, 0, event)
        return self._one_too_many(now)

    def _one_too_many(self, now: int) -> Say | None:
        """Retire the shadow that has been one for longest, where there are more than are kept."""
        shadows: dict[Key, list[Entry]] = {}
        for entry in self.models.values():
            if entry.standing is Standing.SHADOW:
                shadows.setdefault(entry.key, []).append(entry)
        for key, entries in shadows.items():
            if len(entries) > self._shadows_kept:
                oldest = min(entries, key=lambda entry: entry.since)
                why = f"{self._shadows_kept} shadows are kept, and this one has been one for longest"
                return Say(self._latest[key], 1, retired(now, oldest, NAME, why))
        return None

    def _answer(self, now: int, position: int, decided: ModelDecided) -> Say | Recall:
        entry = self.models.get(decided.model_id)
        if entry is None:
            message = f"{asked(decided)}, and there is none of that name: hmm models lists them"
            return Say(position, 0, alert(now, Severity.WARNING, "unknown_model", message))
        if decided.action is ModelAction.PROMOTE:
            return self._promote(now, position, decided, entry)
        return self._retire(now, position, decided, entry)

    def _promote(self, now: int, position: int, decided: ModelDecided, entry: Entry) -> Say | Recall:
        if entry.standing is Standing.CHAMPION:
            message = f"{asked(decided)}, and that is the one believed already: nothing changed"
            return Say(position, 0, alert(now, Severity.INFO, "already_promoted", message))
        if entry.artifact is None:
            return Recall(position, entry)
        return self.restored(now, Recall(position, entry), entry.artifact)

    def restored(self, now: int, recall: Recall, artifact: Artifact) -> Say:
        """Promote a model as the operator has decided, now that its artifact is at hand."""
        decided, entry = self._decisions[recall.position], recall.entry
        replaces = self.champions.get(entry.key)
        return Say(recall.position, 0, promoted(now, entry, artifact, replaces, decided.operator, decided.reason))

    def lost(self, now: int, recall: Recall, why: str) -> Say:
        """Say that a model cannot be promoted because its artifact is not to be had."""
        message = f"{asked(self._decisions[recall.position])}, and nothing changed: {why}"
        return Say(recall.position, 0, alert(now, Severity.WARNING, "artifact_lost", message))

    def _retire(self, now: int, position: int, decided: ModelDecided, entry: Entry) -> Say:
        if entry.standing is Standing.RETIRED:
            message = f"{asked(decided)}, and it is retired already: nothing changed"
            return Say(position, 0, alert(now, Severity.INFO, "already_retired", message))
        if entry.standing is Standing.CHAMPION and position not in self._warned:
            message = (
                f"no {entry.family.value} model of {entry.instrument} is believed from here on: {decided.operator} "
                f"retires {entry.model_id} ({decided.reason}); promote another: hmm models"
            )
            return Say(position, 0, alert(now, Severity.WARNING, NO_CHAMPION, message))
        return Say(position, 1, retired(now, entry, decided.operator, decided.reason))
