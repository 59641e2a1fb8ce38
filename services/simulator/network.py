"""Connections that take their time: in order, and sometimes late, held up, or broken with what was on its way."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from services.simulator.loop import Call, Domain, SimulatedLoop


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a message takes: from `least_s` to twice `usual_s` above it, and now and then much longer."""

    least_s: float
    usual_s: float
    rarely: float
    """How likely it is to be late."""
    late_s: float


class Pipe:
    """One direction of a connection: what is put in comes out in order, each piece when its time has come."""

    __slots__ = ("_arrived", "_call", "_held_until", "_latency", "_loop", "_random", "_waiting")

    def __init__(
        self, loop: SimulatedLoop, random: Random, latency: Latency, arrived: Callable[[list[bytes]], None]
    ) -> None:
        self._loop = loop
        self._random = random
        self._latency = latency
        self._arrived = arrived
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._call: Call | None = None
        self._held_until = 0.0

    def put(self, piece: bytes) -> None:
        waiting, latency = self._waiting, self._latency
        chance = self._random.random()
        when = self._loop.time() + latency.least_s + 2 * latency.usual_s * chance
        if chance < latency.rarely:
            when += latency.late_s * self._random.random()
        if waiting and waiting[-1][0] > when:
            when = waiting[-1][0]
        waiting.append((when, piece))
        if self._call is None:
            self._wait(when)

    def hold(self, until: float) -> None:
        """Let nothing out before that time."""
        self._held_until = max(self._held_until, until)

    def cut(self, getting_through: int) -> None:
        """Let the first pieces out at once, and lose the rest."""
        pieces = [piece for _, piece in self._waiting][:getting_through]
        self._waiting.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if pieces:
            self._arrived(pieces)

    def take_back(self, last: int) -> list[bytes]:
        """Take out the last pieces that were put in."""
        count = min(last, len(self._waiting))
        return [self._waiting.pop()[1] for _ in range(count)][::-1]

    def __len__(self) -> int:
        return len(self._waiting)

    def _wait(self, when: float) -> None:
        with self._loop.within(None):
            self._call = self._loop.call_at(max(when, self._held_until), self._let_out)

    def _let_out(self) -> None:
        self._call = None
        waiting, now = self._waiting, self._loop.time()
        if now < self._held_until:
            self._wait(self._held_until)
            return
        pieces = []
        while waiting and waiting[0][0] <= now:
            pieces.append(waiting.popleft()[1])
        if waiting:
            self._wait(waiting[0][0])
        if pieces:
            self._arrived(pieces)


class Link:
    """A connection of a process to the server; each end learns in its own time that it is gone."""

    def __init__(self, loop: SimulatedLoop, random: Random, latency: Latency, domain: Domain) -> None:
        self.domain = domain
        self.up = Pipe(loop, random, latency, self._at_server)
        self.down = Pipe(loop, random, latency, self._at_client)
        self.to_server: Callable[[Link, bytes], None] = _ignored
        self.to_client: Callable[[bytes | None], None] = _unheard
        """Takes what arrives; None: the connection has ended."""
        self.open_at_server = True
        self.open_at_client = True

    def _at_server(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            if self.open_at_server:
                self.to_server(self, piece)

    def _at_client(self, pieces: list[bytes]) -> None:
        if self.open_at_client:
            self.to_client(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def say(self, piece: bytes) -> None:
        """Send to the client, whether or not it is still there."""
        if self.open_at_client:
            self.down.put(piece)

    def ends_at_client(self) -> None:
        if self.open_at_client:
            self.open_at_client = False
            self.to_client(None)


def _ignored(_link: Link, _piece: bytes) -> None:
    """No server listens."""


def _unheard(_piece: bytes | None) -> None:
    """No client listens."""
