"""The loop of a backtest: outside events in, everything that follows from them out, in one order."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Protocol

from contracts.control import LeaseTaken
from contracts.event import Event
from contracts.market import Quote, Trade
from contracts.ownership import ROLES, Kind
from contracts.recorded import Recorded
from services.backtest.log import LogWriter
from services.backtest.wiring import Wiring
from tape.memory import MemoryTape

INSTANCE = "backtest"

WRITERS: dict[type[Event], str] = {
    event_type: role.name
    for role in reversed(ROLES.values())
    if role.kind is Kind.EDGE and role.name not in ("clock", "gateway")
    for event_type in role.writes
}
"""Who says on a live tape what comes from outside."""


_COUNTLESS = frozenset[type[Event]]({Quote, Trade})


class Hearer(Protocol):
    """Whoever makes something of a run: it hears all but single quotes and trades."""

    def hear(self, recorded: Recorded) -> None: ...


class Ending(Enum):
    COMPLETE = "complete"
    """All the data was played."""
    INTERRUPTED = "interrupted"
    """Someone stopped it: what is there is the beginning of the complete run."""
    FAILED = "failed"
    """The data or a component was no good from some point on: what is there is what was before."""


class Run:
    """Plays outside events to the components of a wiring. It begins with a lease of each, which has its settings."""

    def __init__(self, wiring: Wiring, log: LogWriter | None, hearer: Hearer) -> None:
        self.events = 0
        """Outside events so far."""
        self.position = 0
        self.stopping = False
        """Set it, and the run ends behind the event in hand."""
        self.first_ts: int | None = None
        self.last_ts: int | None = None
        self.wiring = wiring
        self._log = log
        self._hearer = hearer
        self._tape = MemoryTape(wiring.build())

    def take(self, events: Iterable[Event]) -> bool:
        """Play events in order; says whether there were any.

        What components raise comes out, after all that was said before is in the log.
        """
        before = self.events
        try:
            self._tape.play(self._outside(events))
        finally:
            self._collect()
        return self.events > before

    def _outside(self, events: Iterable[Event]) -> Iterator[Event]:
        """Give events to the tape; what was said to the one before is collected first."""
        said = self._tape.recorded
        for event in events:
            if self.stopping:
                return
            if self.first_ts is None:
                yield from self._leases(event.ts_init)
            if said:
                self._collect()
            self.events += 1
            self.last_ts = event.ts_init
            self._place(event, f"{WRITERS.get(type(event), 'feed')}/{INSTANCE}/{self.events}")
            yield event

    def _leases(self, now: int) -> Iterator[Event]:
        self.first_ts = now
        for name, settings in self.wiring.settings.items():
            lease = LeaseTaken(
                ts_event=now, ts_init=now, component=name, instance=INSTANCE, settings=settings.model_dump_json()
            )
            self._place(lease, f"{name}/lease/{INSTANCE}-1")
            yield lease

    def _place(self, event: Event, msg_id: str) -> None:
        self.position += 1
        if self._log is not None:
            self._log.heard(self.position, msg_id, event)
        if type(event) not in _COUNTLESS:
            self._hearer.hear(Recorded(self.position, None, msg_id, event.ts_init, event))

    def _collect(self) -> None:
        """Take over what components said: the tape itself would keep it for ever."""
        said, log, hear = self._tape.recorded, self._log, self._hearer.hear
        try:
            for recorded in said:
                self.position = recorded.position
                if log is not None:
                    log.said(recorded)
                hear(recorded)
        finally:
            said.clear()
