"""Who listens to what: market streams by name, user streams by board; each event passes the script of faults."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from venues.emulator.faults import EVENT_KINDS, Fault, FaultKind, Faults
from venues.emulator.pipes import Pipe
from venues.emulator.words import Board

STRIKING = EVENT_KINDS | {FaultKind.EXPIRE_KEY, FaultKind.BREAK}

Render = Callable[[], object]
"""Renders an event only when somebody listens."""


class Hub:
    """The listeners of both boards."""

    def __init__(self, faults: Faults, on_fault: Callable[[Fault], None]) -> None:
        self._faults = faults
        self._on_fault = on_fault
        self._streams: defaultdict[tuple[Board, str], dict[Pipe, None]] = defaultdict(dict)
        self._users: dict[Board, dict[Pipe, int | None]] = {board: {} for board in Board}
        self._next_subscription = 0

    def subscribe(self, pipe: Pipe, board: Board, streams: Iterable[str]) -> None:
        for stream in streams:
            self._streams[board, stream][pipe] = None

    def unsubscribe(self, pipe: Pipe, board: Board, streams: Iterable[str]) -> None:
        for stream in streams:
            self._streams[board, stream].pop(pipe, None)

    def subscriptions(self, pipe: Pipe, board: Board) -> list[str]:
        return [stream for (name, stream), pipes in self._streams.items() if name is board and pipe in pipes]

    def subscribe_user(self, pipe: Pipe, board: Board, *, wrapped: bool) -> int | None:
        """Let a pipe hear of the account; wrapped events carry the subscription id that is given back."""
        subscription = self._users[board].get(pipe)
        if wrapped and subscription is None:
            subscription = self._next_subscription
            self._next_subscription += 1
        self._users[board][pipe] = subscription
        return subscription

    def unsubscribe_user(self, pipe: Pipe, board: Board) -> None:
        self._users[board].pop(pipe, None)

    def forget(self, pipe: Pipe) -> None:
        """A pipe is gone."""
        for listeners in self._streams.values():
            listeners.pop(pipe, None)
        for users in self._users.values():
            users.pop(pipe, None)

    @property
    def listeners(self) -> int:
        """How many subscriptions stand, to markets and to the account."""
        return sum(map(len, self._streams.values())) + sum(map(len, self._users.values()))

    def wants(self, board: Board, stream: str) -> bool:
        return bool(self._streams.get((board, stream)))

    def publish(self, board: Board, symbol: str, kind: str, streams: Iterable[str], render: Render, now: int) -> None:
        """Send a market event to all who subscribed to one of `streams`."""
        listening = [(stream, pipe) for stream in streams for pipe in self._streams.get((board, stream), ())]
        if not listening:
            return
        faults = self._faults.strike(f"market {board} {symbol} {kind}", now, STRIKING)
        event = render()
        for stream, pipe in listening:
            pipe.send({"stream": stream, "data": event} if pipe.combined else event, faults)
        self._suffer(faults)

    def tell(self, board: Board, kind: str, render: Render, now: int) -> None:
        """Send an event of the account to all who listen to it; `kind` is its type on the wire."""
        users = self._users[board]
        if not users:
            return
        faults = self._faults.strike(f"user {board} {kind}", now, STRIKING)
        event = render()
        for pipe, subscription in list(users.items()):
            pipe.send(event if subscription is None else {"subscriptionId": subscription, "event": event}, faults)
        self._suffer(faults)

    def hears_user(self, pipe: Pipe, board: Board) -> bool:
        return pipe in self._users[board]

    def end_users(self, board: Board, kind: str, render: Render, now: int) -> None:
        """Send a last event to all who listen to the account; their websockets stay open and silent."""
        self.tell(board, kind, render, now)
        self._users[board].clear()

    def drop_all(self) -> None:
        """Close every websocket that listens to anything."""
        pipes = {pipe for listeners in self._streams.values() for pipe in listeners}
        for pipe in pipes | {pipe for users in self._users.values() for pipe in users}:
            pipe.drop()
            self.forget(pipe)

    def _suffer(self, faults: Iterable[Fault]) -> None:
        """Let the exchange suffer what concerns it, after the event was sent."""
        for fault in faults:
            self._on_fault(fault)
