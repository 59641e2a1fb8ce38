"""Fingerprints of a run: enough to see where another one says something else, in 16 bytes for each event."""

from array import array
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b

from contracts.codec import write
from contracts.event import Event
from contracts.orders import AmendIntent, CancelIntent, OrderIntent
from contracts.ownership import ROLES, Kind
from contracts.recorded import Recorded
from contracts.signals import SignalGiven
from services.backtest.lookahead.stamps import Stamps
from services.backtest.wiring import INGEST, TRAINER

EDGES = (INGEST, TRAINER)

_ACTS = (OrderIntent, CancelIntent, AmendIntent, SignalGiven)


def writer_of(recorded: Recorded) -> str:
    return recorded.msg_id.partition("/")[0]


def print_of_told(event: Event) -> int:
    """Give the fingerprint of what a source told."""
    return _print(b"%b %b" % (type(event).type_name.encode(), write(event)))


def print_of(recorded: Recorded) -> int:
    """Give the fingerprint of what a run lets others hear: place, cause, writer and content."""
    place = f"{recorded.position} {recorded.cause} {recorded.msg_id} {type(recorded.event).type_name} "
    return _print(place.encode() + write(recorded.event))


def _print(content: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")


class Prints:
    """Hears the whole run, and what the source told it: fingerprints of both, in order.

    Times go up: on a record, what bears the time of another clock stands where it was heard.
    """

    def __init__(self) -> None:
        self.told, self.told_at = array("Q"), array("q")
        self.heard, self.heard_at = array("Q"), array("q")
        self._newest = self._before = 0
        """The latest time that was told, and the latest before that: answers are heard when the next event has come."""
        self.said: Counter[str] = Counter()
        """How much each component has said."""
        self.waited: set[int] = set()
        """Which of `heard` were said by an edge of the run: at its time, but not before the next event has come."""
        self.acts: list[tuple[int, str]] = []
        """When strategies acted, and who."""
        self.stamps = Stamps()

    def listen(self, events: Iterator[Event]) -> Iterator[Event]:
        """Let what a source tells pass by."""
        for event in events:
            self.told.append(print_of_told(event))
            self._before, self._newest = self._newest, max(self._newest, event.ts_init)
            self.told_at.append(self._newest)
            self.stamps.told(event)
            yield event

    def hear(self, recorded: Recorded) -> None:
        self.heard.append(print_of(recorded))
        last = self.heard_at[-1] if self.heard_at else 0
        self.heard_at.append(max(last, self._before, recorded.event.ts_init))
        self.stamps.heard(recorded)
        who = writer_of(recorded)
        if who in EDGES:
            self.waited.add(len(self.heard) - 1)
        if recorded.cause is None:
            return
        self.said[who] += 1
        if isinstance(recorded.event, _ACTS) and (who not in ROLES or ROLES[who].kind is Kind.STRATEGY):
            self.acts.append((recorded.event.ts_init, who))
