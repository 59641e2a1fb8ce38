"""A push consumer in memory: what it brings, how it counts, and what it does not say twice."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from contracts.ownership import matches
from services.simulator.stream import Stored, Stream

AT_ONCE = 64
"""How many messages the server sends before it looks at something else."""

Send = Callable[[Stored, str], None]
"""Sends a message to whoever is subscribed, with this reply subject."""


class PushConsumer:
    """Brings the messages of some subjects, numbered from 1, to whoever is subscribed to where it delivers."""

    def __init__(self, name: str, filters: Sequence[str], deliver: str, most_unacked: int, stream: Stream) -> None:
        self.name = name
        self.filters = filters
        self.deliver = deliver
        self.most_unacked = most_unacked
        self.delivered = 0
        """The number of the last message that was delivered."""
        self.sent_at = 0.0
        self._stream = stream
        self._matching: list[int] = []
        self._next = 0
        self._floor = 0
        """The number of the last message that was acknowledged."""
        self._floor_at = 0
        """How many of the matching messages were acknowledged."""

    def hears(self, subject: str) -> bool:
        return any(matches(subject, pattern) for pattern in self.filters)

    def offer(self, seq: int) -> None:
        """Know of a new message that it has to bring."""
        self._matching.append(seq)

    @property
    def pending(self) -> int:
        """How many messages it has not delivered yet."""
        return len(self._matching) - max(self._next, self._first)

    def last(self, before: int) -> int:
        """Give the stream sequence of the last message up to `before` that it has to bring; 0 if there is none."""
        index = bisect_right(self._matching, before)
        return self._matching[index - 1] if index else 0

    @property
    def last_delivered(self) -> int:
        """The stream sequence of the last message that was delivered; 0 if none was."""
        return self._matching[self._next - 1] if self._next else 0

    def push(self, send: Send) -> bool:
        """Deliver what may be delivered, up to a number; True if there is more."""
        self._next = max(self._next, self._first)
        for _ in range(AT_ONCE):
            if self._next >= len(self._matching) or self._unacked >= self.most_unacked:
                return False
            self._next += 1
            self._send(send, self._next - 1, times=1)
        return True

    def push_again(self, send: Send, count: int) -> None:
        """Deliver the last unacknowledged messages once more."""
        for index in range(max(self._floor_at, self._next - count, self._first), self._next):
            self._send(send, index, times=2)

    def reset(self, seq: int) -> None:
        """Begin anew with the first message at `seq` or after."""
        self._next = self._floor_at = bisect_left(self._matching, seq)
        self.delivered = self._floor = 0

    def acknowledge(self, seq: int, number: int) -> None:
        """Take note that everything up to a message was handled.

        As the real server does, it believes a number that is higher than any it has given since it was rewound, and
        takes all that is lower for old from then on.
        """
        if self._floor < number and seq <= self.last_delivered:
            self._floor = number
            self._floor_at = bisect_right(self._matching, seq)

    def restart(self) -> None:
        """Go on, after the server was restarted, behind what was acknowledged."""
        self._next = self._floor_at
        self.delivered = self._floor

    @property
    def _unacked(self) -> int:
        return self._next - max(self._floor_at, self._first)

    @property
    def _first(self) -> int:
        return 0 if self._stream.first_seq == 1 else bisect_left(self._matching, self._stream.first_seq)

    def _send(self, send: Send, index: int, times: int) -> None:
        stored = self._stream.at(self._matching[index])
        self.delivered += 1
        left = len(self._matching) - self._next
        reply = f"$JS.ACK.TAPE.{self.name}.{times}.{stored.seq}.{self.delivered}.{stored.ns}.{left}"
        send(stored, reply)
