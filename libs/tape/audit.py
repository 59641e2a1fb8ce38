"""Judge a component by its past: fold what it heard through today's code, and compare its answers with those on record.

No I/O: whoever has the record reads it once and hands it, batch by batch, to all who are judged by it.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence

from pydantic import BaseModel

from contracts.codec import decode, type_header
from contracts.control import LeaseTaken
from contracts.event import Event
from contracts.ownership import ROLES
from contracts.recorded import Recorded, Unreadable
from tape.blueprint import Blueprint
from tape.folding import Folding, NotAComponent, sayable
from tape.headers import MSG_ID, Watermark, writer_and_watermark
from tape.replica import Answer
from tape.verdict import Divergence, Kind, Span, Verdict, differences

SHOWN = 5
"""Divergences of a component that are kept whole: the first ones, since later ones mostly follow from them."""


class Audit:
    """One component on trial. Give it what its role reads and writes, in the order of the tape.

    It begins under `settings` and changes them where its leases say so; with `keep_settings` it never does: a what-if.
    """

    def __init__(self, blueprint: Blueprint, settings: BaseModel, span: Span, *, keep_settings: bool = False) -> None:
        self.name = blueprint.name
        role = blueprint.role or ROLES[self.name]
        self._blueprint = blueprint
        self._span = span
        self._from = span.first
        self._keep_settings = keep_settings
        self._read = frozenset(role.reads)
        self._own = frozenset(role.all_writes)
        self._settings = settings
        self._folding = self._begun(settings)
        # A record that begins amidst does not say whether there was a lease before.
        self._has_a_voice = self._folding is not None and span.begins > 1
        self._instance, self._instance_since = "", 0
        self._owed: deque[Answer] = deque()
        self._events = self._compared = self._pending = self._silent = self._unverifiable = self._others = 0
        self._found: Counter[Kind] = Counter()
        self._first: list[Divergence] = []

    @property
    def reads(self) -> frozenset[type[Event]]:
        return self._read | self._own

    def listener(self, event_type: type[Event]) -> Callable[[Recorded], None]:
        """Give what takes events of a type that it reads."""
        return self._hear_own if event_type in self._own else self._hear

    def take_unreadable(self, unreadable: Unreadable) -> None:
        writer, key = writer_and_watermark(unreadable.headers.get(MSG_ID, ""))
        if writer == self.name and key is not None:
            self._compare(key, unreadable.position, unreadable, key.cause)
        if self._folding is not None:
            self._owe(unreadable.position, self._folding.answer(unreadable))

    def verdict(self) -> Verdict:
        return Verdict(
            component=self.name,
            edge=self._folding is None,
            events=self._events,
            compared=self._compared,
            divergences={kind: self._found[kind] for kind in Kind},
            pending=self._pending + len(self._owed),
            silent=self._silent,
            unverifiable=self._unverifiable,
            others=self._others,
            first=tuple(self._first),
        )

    # -- what it hears -------------------------------------------------------------------------------------------

    def _hear(self, recorded: Recorded) -> None:
        if self._folding is not None:
            self._events += 1
            answers = self._folding.answer(recorded)
            if answers:
                self._owe(recorded.position, answers)

    def _hear_own(self, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, LeaseTaken):
            if event.component == self.name:
                self._others += recorded.position >= self._from
                self._take_lease(recorded, event)
            return
        writer, key = writer_and_watermark(recorded.msg_id)
        if writer == self.name:
            if key is None:
                self._others += recorded.position >= self._from
            else:
                self._compare(key, recorded.position, event, recorded.cause)
        if type(event) in self._read:
            self._hear(recorded)

    def _take_lease(self, recorded: Recorded, lease: LeaseTaken) -> None:
        if lease.instance != self._instance:
            self._instance, self._instance_since = lease.instance, recorded.position
        if self._folding is None and not self._keep_settings:
            self._folding = self._begun(self._blueprint.settings_of(lease, self._settings))
        if self._folding is None:
            return
        self._folding.answer(recorded)
        self._has_a_voice = not self._folding.by_an_edge
        if not self._has_a_voice:
            self._pending += len(self._owed)
            self._owed.clear()

    def _begun(self, settings: BaseModel) -> Folding | None:
        try:
            return Folding(self._blueprint, settings, keep_settings=self._keep_settings)
        except NotAComponent:
            return None

    def _owe(self, cause: int, answers: Sequence[Event]) -> None:
        if self._has_a_voice:
            self._owed.extend([Answer(cause, index, event) for index, event in enumerate(answers)])
        elif cause >= self._from:
            self._silent += len(answers)

    # -- what it said --------------------------------------------------------------------------------------------

    def _compare(self, key: Watermark, position: int, recorded: Event | Unreadable, cause: int | None) -> None:
        """Compare an output that is on record with what is owed; what is owed before it will not come any more."""
        owed, at = self._owed, (key.cause, key.index)
        while owed and key.cause < position and (owed[0].cause, owed[0].index) < at:
            missing = owed.popleft()
            self._note(Divergence(self.name, Kind.MISSING, position, missing.cause, missing.index, None, missing.event))
        self._compared += position >= self._from
        if not owed or (owed[0].cause, owed[0].index) != at:
            self._note(Divergence(self.name, Kind.UNEXPECTED, position, *at, recorded, None))
            return
        answer = owed.popleft()
        if position < self._from or (recorded == answer.event and cause == key.cause):
            return
        computed = self._as_read(answer)
        if found := tuple(differences(recorded, computed, cause, key.cause)):
            self._note(Divergence(self.name, Kind.DIFFERENT, position, *at, recorded, computed, found))

    def _as_read(self, answer: Answer) -> Event:
        """Give an answer as it would come back from the tape."""
        event, payload = sayable(self.name, answer.cause, answer.event)
        return decode(type_header(type(event)), type(event).subject_of(event), payload)

    def _note(self, found: Divergence) -> None:
        if found.position < self._from:
            return
        if self._folding is None or self._is_excused(found):
            self._unverifiable += 1
            return
        self._found[found.kind] += 1
        if len(self._first) < SHOWN:
            self._first.append(found)

    def _is_excused(self, found: Divergence) -> bool:
        """Say whether what led to it is not all on record; before a power cut its writer may have known more."""
        known_since = min(found.cause, self._instance_since)
        return self._span.lacks(found.cause) or self._span.is_cut(known_since, found.position)


class Audits:
    """Several components judged in one pass: each hears what it reads."""

    def __init__(self, audits: Sequence[Audit]) -> None:
        self._audits = audits
        types = frozenset[type[Event]]().union(*(audit.reads for audit in audits))
        self._listeners = {
            event_type: tuple(audit.listener(event_type) for audit in audits if event_type in audit.reads)
            for event_type in types
        }

    @property
    def reads(self) -> frozenset[type[Event]]:
        return frozenset(self._listeners)

    def take(self, batch: Sequence[Recorded | Unreadable]) -> None:
        listeners = self._listeners
        for received in batch:
            if isinstance(received, Unreadable):
                for audit in self._audits:
                    audit.take_unreadable(received)
                continue
            for hear in listeners.get(type(received.event), ()):
                hear(received)

    def verdicts(self) -> list[Verdict]:
        return [audit.verdict() for audit in self._audits]
