"""Hold a simulation to its promises: at each message that is stored, at each snapshot, and at rest."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum

from contracts.control import LeaseTaken
from contracts.event import Event
from contracts.laws import Laws
from contracts.market import Quote, Trade
from contracts.ownership import VENUE_COMMANDS
from contracts.recorded import Recorded, Unreadable
from services.simulator.log import Log
from services.simulator.market import Market
from services.simulator.shadow import Known, Shadow, state_of
from services.simulator.stream import Stored, Stream
from tape.audit import Audit
from tape.blueprint import Blueprint
from tape.headers import writer_and_watermark
from tape.host import Host
from tape.reader import received
from tape.snapshot import UnusableSnapshot, read_head, unpacked
from tape.verdict import Span

FAULT = "fault"
"""The sender of what faults put into streams."""
ALL = Span(1, 2**62)


class Sign(Enum):
    """What a fault may wait for: it comes at the worst moment."""

    SNAPSHOT = "snapshot"
    """Somebody has kept a snapshot."""
    LEASE = "lease"
    """Somebody has taken a place, or has renewed it; what it says meanwhile waits."""


class Watch:
    """Sees what the simulated server stores, and who sent it: more than anyone on the tape can know."""

    def __init__(
        self, history: list[Recorded | Unreadable], blueprints: Mapping[str, Blueprint], market: Market, log: Log
    ) -> None:
        self.history = history
        self.problems: list[str] = []
        self.said = 0
        """The position of the last message that is no lease: those are renewed for ever."""
        self.durable_up_to: Callable[[], int] = lambda: 0
        self.snapshots: Stream | None = None
        self.ambushes: dict[Sign, Callable[[str], None]] = {}
        """What is to be called, once, with the name of the process that does such a thing next."""
        self._blueprints = blueprints
        self._market = market
        self._log = log
        self._laws = Laws()
        self._holders: dict[str, str] = {}
        self._answered: dict[str, tuple[int, int]] = {}
        self._audits: dict[str, Audit] = {}
        self._listeners: dict[type[Event], list[Callable[[Recorded], None]]] = {}
        self._shadows: dict[str, Shadow] = {}
        self._market_events = 0

    # -- as it happens -------------------------------------------------------------------------------------------

    def stored(self, stream: str, message: Stored) -> None:
        if stream == "TAPE":
            self._on_tape(message)
        elif stream == "KV_snapshots" and "." not in message.subject.removeprefix("$KV.snapshots."):
            self._on_snapshot(message)

    def repeated(self, first: Stored, sender: str) -> None:
        """Know that the server was sent a message that it has: only who sent it first may send it again."""
        if first.sender != sender:
            self._problem(f"{sender} says again what {first.sender} said: {_about(first)}")

    def _on_tape(self, message: Stored) -> None:
        self._log.weigh(message.raw_headers + message.payload)
        self._log.detail(f"TAPE {_about(message)} by {message.sender}")
        event = received(message.seq, message.subject, message.payload, message.headers)
        self.history.append(event)
        if isinstance(event, Unreadable) or not isinstance(event.event, LeaseTaken):
            self.said = message.seq
        if isinstance(event, Recorded):
            self.problems += [self._said(str(violation)) for violation in self._laws.look(event)]
            self._look_at_sender(event, message.sender)
            self._look_at_market(event)
            self._look_at_durability(event)
        self._judge(event)

    def _look_at_sender(self, recorded: Recorded, sender: str) -> None:
        writer, answer = writer_and_watermark(recorded.msg_id)
        if answer is not None:
            self._answered[writer] = (answer.cause, answer.index)
        if isinstance(recorded.event, LeaseTaken):
            before = self._holders.get(writer)
            if before not in (None, sender):
                self._log.note("takeover", f"of {writer} by {sender} from {before}")
            self._holders[writer] = sender
            self._spring(Sign.LEASE, sender)
        elif self._holders.get(writer, sender) != sender:
            self._problem(f"{sender} was deposed by {self._holders[writer]}, and still says {recorded.msg_id}")

    def _look_at_market(self, recorded: Recorded) -> None:
        if isinstance(recorded.event, Quote | Trade):
            shown = self._market.shown[self._market_events]
            if recorded.event != shown:
                self._problem(f"market event {self._market_events} should be {shown!r}, not {recorded.event!r}")
            self._market_events += 1

    def _look_at_durability(self, recorded: Recorded) -> None:
        if recorded.cause is None or not recorded.msg_id.startswith("gateway/"):
            return
        cause = self.history[recorded.cause - 1]
        commanded = isinstance(cause, Recorded) and isinstance(cause.event, VENUE_COMMANDS)
        if commanded and self.durable_up_to() < recorded.cause:
            self._problem(f"the venue heard of {recorded.cause} before the ledger held it: {recorded.msg_id}")

    def _judge(self, event: Recorded | Unreadable) -> None:
        """Compare what was said with what has to be said. A component's first lease says how it began."""
        if isinstance(event, Recorded) and isinstance(event.event, LeaseTaken):
            name = event.event.component
            if name in self._blueprints and name not in self._audits:
                blueprint = self._blueprints[name]
                settings = blueprint.settings.model_validate_json(event.event.settings)
                self._shadows[name] = Shadow(blueprint, settings)
                self._audits[name] = audit = Audit(blueprint, settings, ALL)
                for earlier in self.history[:-1]:
                    _tell(audit, earlier)
                for event_type in audit.reads:
                    self._listeners.setdefault(event_type, []).append(audit.listener(event_type))
        if isinstance(event, Unreadable):
            for audit in self._audits.values():
                audit.take_unreadable(event)
            return
        for hear in self._listeners.get(type(event.event), ()):
            hear(event)
        writer = writer_and_watermark(event.msg_id)[0]
        if writer in self._audits and (divergences := self._audits[writer].verdict()).diverging:
            self._problem(f"{writer} diverges: {divergences.first}")

    def _on_snapshot(self, message: Stored) -> None:
        self._log.weigh(message.payload)
        if message.sender == FAULT or self.snapshots is None:
            return
        self._spring(Sign.SNAPSHOT, message.sender)
        try:
            head = read_head(message.payload)
            parts = [self.snapshots.last(f"$KV.snapshots.{key}") for key in head.parts]
            snapshot = unpacked(head, [part.payload for part in parts if part is not None])
        except UnusableSnapshot as error:
            self._log.note("torn snapshot", f"of {message.subject} by {message.sender}: {error}")
            return
        self._log.note("snapshot", f"of {snapshot.component} at {snapshot.position} by {message.sender}")
        what = f"the snapshot of {snapshot.component} by {message.sender}"
        right = self._compare(snapshot.component, snapshot.position, snapshot.state, what)
        if right is None:
            return
        if right.settings != snapshot.settings:
            self._problem(f"{what} at {snapshot.position} has settings {snapshot.settings}, not {right.settings}")
        if right.answered > self._answered.get(snapshot.component, (0, 0)):
            self._problem(f"{what} at {snapshot.position} was kept before all that follows from it is on the tape")

    def _compare(self, name: str, position: int, state: bytes, what: str) -> Known | None:
        """Compare what somebody knows with what follows from the tape."""
        if position > len(self.history):
            self._problem(f"{what} is of position {position}, beyond the tape")
            return None
        right = self._shadows[name].at(position, self.history)
        if state != right.state:
            self._problem(f"{what} at {position} differs: it has {state!r}, a fold gives {right.state!r}")
        return right

    def owing(self) -> list[str]:
        """Name the components that still have something to say."""
        owed = {name: audit.verdict().pending for name, audit in self._audits.items()}
        return [f"{name} owes {count} answers" for name, count in owed.items() if count]

    # -- when all has come to rest -------------------------------------------------------------------------------

    def at_rest(self, hosts: Sequence[tuple[str, Host]]) -> None:
        """Check what has to hold now that nothing is under way; `hosts` by the names of their processes."""
        self.problems += [self._said(str(violation)) for violation in self._laws.at_rest()]
        for name, audit in self._audits.items():
            verdict = audit.verdict()
            if verdict.diverging or verdict.pending or verdict.unverifiable:
                self._problem(f"{name} does not say what it has to: {verdict}")
        for process, host in hosts:
            self._compare(host.name, len(self.history), state_of(host.component), f"what {process} knows")
        if self._market_events != len(self._market.shown):
            self._problem(f"{self._market_events} of {len(self._market.shown)} market events are on the tape")

    def _spring(self, sign: Sign, sender: str) -> None:
        ambush = self.ambushes.pop(sign, None)
        if ambush is not None:
            ambush(sender)

    def _problem(self, text: str) -> None:
        self.problems.append(self._said(text))

    def _said(self, text: str) -> str:
        self._log.detail(f"VIOLATION {text}")
        return text


def _tell(audit: Audit, event: Recorded | Unreadable) -> None:
    if isinstance(event, Unreadable):
        audit.take_unreadable(event)
    elif type(event.event) in audit.reads:
        audit.listener(type(event.event))(event)


def _about(message: Stored) -> str:
    return f"{message.seq} {message.subject} {message.headers.get('Nats-Msg-Id', '')}"
