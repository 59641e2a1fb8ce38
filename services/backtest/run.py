"""The loop of a backtest: outside events in, everything that follows from them out, in one order."""

from collections.abc import Callable, Generator, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from contracts.control import LeaseTaken
from contracts.event import Event
from contracts.market import Quote, Trade
from contracts.ownership import ROLES, Kind
from contracts.recorded import Recorded
from services.backtest.log import LogWriter
from services.backtest.wiring import Wiring
from tape.folding import failed
from tape.memory import MemoryTape
from tape.span import Span, one_by_one

if TYPE_CHECKING:
    from services.backtest.prequential import Edges

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
    """The data, or an answer of a component, was no good from some point on: what is there is what was before."""


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
        self._span: Span | None = None
        self._placed = 0
        """Quotes of the span in hand that are taken over."""
        self._edges = wiring.edges()
        self._hear = hearer.hear if self._edges is None else _both(hearer, self._edges)
        self._tape = MemoryTape(wiring.build(), failed)

    def take(self, events: Iterable[Event | Span]) -> bool:
        """Play events in order; says whether there were any. Within a span, `stopping` is not looked at.

        What a component raises becomes its dead letter, as live. What the data raises comes out, after all that was
        said before is in the log; so does an answer that no reader would take: only its writing shows that.
        """
        before = self.events
        try:
            self._tape.play(self._outside(events if self._edges is None else one_by_one(events)))
        finally:
            self._collect()
        return self.events > before

    def remarks(self) -> Iterator[str]:
        """Say what is to be known of the models that were trained within."""
        if self._edges is not None:
            yield self._edges.remark(self.first_ts or 0)

    def _outside(self, events: Iterable[Event | Span]) -> Iterator[Event | Span]:
        """Give events to the tape; what was said to those before is collected first."""
        said = self._tape.recorded
        for event in events:
            if self.stopping:
                return
            if self.first_ts is None:
                yield from self._leases(event.times[0] if isinstance(event, Span) else event.ts_init)
            if said:
                self._collect()
            if isinstance(event, Span):  # never where edges say something in between
                self._span, self._placed = event, 0
                yield event
                self._collect()
                self._place_quotes(len(event.quotes))
                continue
            if self._edges is not None:
                goes_on = yield from self._answered(self._edges, event.ts_init)
                if not goes_on:
                    return
            self.events += 1
            self.last_ts = event.ts_init
            if self._edges is not None and self._edges.replaces(event):
                continue
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

    def _answered(self, edges: "Edges", until: int) -> Generator[Event, None, bool]:
        """Let the edges of the run say what is due by `until`, each word behind all that the one before led to.

        Says at the end whether the run goes on.
        """
        while not self.stopping and (word := edges.next(until)) is not None:
            if word.cause is None:
                self._place(word.event, word.msg_id)
            else:
                self._answer(word.event, word.msg_id, word.cause)
            yield word.event
            self._collect()
        return not self.stopping

    def _place(self, event: Event, msg_id: str) -> None:
        self.position += 1
        if self._log is not None:
            self._log.heard(self.position, msg_id, event)
        if type(event) not in _COUNTLESS:
            self._hear(Recorded(self.position, None, msg_id, event.ts_init, event))

    def _place_quotes(self, most: int) -> None:
        """Take over quotes of the span in hand."""
        span, begin, log = self._span, self._placed, self._log
        if span is None:
            return
        self._placed = end = min(begin + most, len(span.quotes))
        if log is not None:
            writer = f"{WRITERS[Quote]}/{INSTANCE}"
            for number, quote in enumerate(span.quotes[begin:end], start=1):
                log.heard(self.position + number, f"{writer}/{self.events + number}", quote)
        if end > begin:
            self.position += end - begin
            self.events += end - begin
            self.last_ts = span.times[end - 1]

    def _answer(self, event: Event, msg_id: str, cause: int) -> None:
        self.position += 1
        recorded = Recorded(self.position, cause, msg_id, event.ts_init, event)
        if self._log is not None:
            self._log.said(recorded)
        self._hear(recorded)

    def _collect(self) -> None:
        """Take over what components said, and the quotes it was said to: the tape itself would keep it for ever.

        Positions at which nobody spoke are those of quotes.
        """
        said, log, hear = self._tape.recorded, self._log, self._hear
        try:
            for recorded in said:
                if recorded.position > self.position + 1:
                    self._place_quotes(recorded.position - self.position - 1)
                self.position = recorded.position
                if log is not None:
                    log.said(recorded)
                hear(recorded)
        finally:
            said.clear()


def _both(hearer: Hearer, edges: "Edges") -> Callable[[Recorded], None]:
    """Let the edges of a run hear what others hear of it."""

    def hear(recorded: Recorded) -> None:
        hearer.hear(recorded)
        edges.hear(recorded)

    return hear
