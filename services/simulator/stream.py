"""A JetStream stream in memory: numbered messages, what it refuses, and what it takes only once."""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from contracts.ownership import matches
from tape.headers import MSG_ID, Headers
from tape.lease import WRONG_LAST_SEQUENCE
from tape.wire import parse_headers

EXPECTED = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_ON = "Nats-Expected-Last-Subject-Sequence-Subject"


@dataclass(slots=True)
class Stored:
    """A message of a stream; `sender` is the process that published it, for the checks alone."""

    seq: int
    subject: str
    raw_headers: bytes
    headers: Headers
    payload: bytes
    ns: int
    sender: str

    @property
    def timestamp(self) -> str:
        seconds, ns = divmod(self.ns, 1_000_000_000)
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns:09d}Z"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a stream does not take a message."""

    last: int
    err_code: int = WRONG_LAST_SEQUENCE


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The stream has it already."""

    seq: int


class Stream:
    """Keeps all that it ever took, for the checks; readers get what lies at `first_seq` and after."""

    def __init__(self, name: str, *, duplicates_within_s: float = 0.0, only_last: bool = False) -> None:
        self.name = name
        self.first_seq = 1
        self.messages: list[Stored] = []
        self.last_on: dict[str, int] = {}
        self._only_last = only_last
        self._window_ns = round(duplicates_within_s * 1e9)
        self._seen: dict[str, int] = {}
        self._seen_order: deque[tuple[int, str]] = deque()

    @property
    def last_seq(self) -> int:
        return len(self.messages)

    def at(self, seq: int) -> Stored:
        return self.messages[seq - 1]

    def publish(
        self, subject: str, raw_headers: bytes, payload: bytes, ns: int, sender: str
    ) -> Stored | Refusal | Duplicate:
        """Take a message, unless something else was the last on the subject that it names, or it was here before."""
        headers = parse_headers(raw_headers) if raw_headers else {}
        expected = headers.get(EXPECTED)
        if expected is not None:
            last = self.last_on.get(headers.get(EXPECTED_ON, subject), 0)
            last = last if last >= self.first_seq else 0
            if last != int(expected):
                return Refusal(last)
        msg_id = headers.get(MSG_ID)
        if msg_id is not None and self._window_ns:
            before = self._seen_before(msg_id, ns)
            if before:
                return Duplicate(before)
        stored = Stored(len(self.messages) + 1, subject, raw_headers, headers, payload, ns, sender)
        self.messages.append(stored)
        self.last_on[subject] = stored.seq
        return stored

    def last(self, pattern: str) -> Stored | None:
        """Give the last message on a subject, or on the subjects of a pattern."""
        seq = self.last_on.get(pattern, 0)
        if not seq and ("*" in pattern or ">" in pattern):
            seq = max((seq for subject, seq in self.last_on.items() if matches(subject, pattern)), default=0)
        return self.at(seq) if seq >= self.first_seq else None

    def forget(self, subject: str) -> None:
        """Lose the only message on a subject."""
        assert self._only_last, f"{self.name} forgets nothing"
        self.last_on.pop(subject, None)

    def info(self, consumers: int) -> dict[str, object]:
        return {
            "config": {"name": self.name, "subjects": []},
            "state": {
                "messages": self.last_seq - self.first_seq + 1,
                "bytes": 0,
                "first_seq": self.first_seq,
                "last_seq": self.last_seq,
                "consumer_count": consumers,
            },
            "created": "2023-11-14T00:00:00Z",
        }

    def before(self, ns: int) -> int:
        """Give the sequence of the last message that was there at that time; 0 if there was none."""
        return bisect_right(self.messages, ns, key=lambda stored: stored.ns)

    def _seen_before(self, msg_id: str, ns: int) -> int:
        """Give the sequence of a message with this id that came within the window; remember the id if there is none."""
        order, seen = self._seen_order, self._seen
        while order and order[0][0] <= ns - self._window_ns:
            del seen[order.popleft()[1]]
        if before := seen.get(msg_id, 0):
            return before
        seen[msg_id] = len(self.messages) + 1
        order.append((ns, msg_id))
        return 0
