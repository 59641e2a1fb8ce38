"""The tape in memory: the same components, one thread, no broker. It carries tests and backtests."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TypeVar

from contracts.event import Event
from contracts.recorded import Recorded
from tape.component import Component, Handler, Moment
from tape.headers import output_id

E = TypeVar("E", bound=Event)
Route = tuple[tuple[Handler, str], ...]


class MemoryTape:
    """Plays outside events to components and lets them answer each other, in one order.

    Everything an event leads to gets its position before the next outside event does, as on a live tape whose
    components have no delay. Components hear an event in the order in which they are given here. `recorded` holds what
    components said; what is played to them stays with the caller.
    """

    def __init__(self, components: Sequence[Component]) -> None:
        self.recorded: list[Recorded] = []
        self.position = 0
        self._moment = Moment()
        self._pending: deque[Recorded] = deque()
        self._routes: dict[type[Event], Route] = {}
        for component in components:
            component.moment = self._moment
            for event_type, handler in component.handlers().items():
                self._routes[event_type] = (*self._routes.get(event_type, ()), (handler, component.name))

    def play(self, events: Iterable[Event]) -> None:
        """Append outside events one by one, each with all that follows from it."""
        routes, moment, pending = self._routes, self._moment, self._pending
        position = self.position
        for event in events:
            position += 1
            moment.position = position
            for handler, name in routes.get(type(event), ()):
                outputs = handler(event)
                if outputs is not None:
                    self._say(name, event, position, outputs)
            if pending:
                position = self._settle(position)
        self.position = position

    def of_type(self, event_type: type[E]) -> list[E]:
        """List what components said of this type."""
        return [recorded.event for recorded in self.recorded if isinstance(recorded.event, event_type)]

    def _say(self, name: str, event: Event, cause: int, outputs: Iterable[Event]) -> None:
        for index, output in enumerate(outputs):
            self._pending.append(Recorded(0, cause, output_id(name, cause, index), event.ts_init, output))

    def _settle(self, position: int) -> int:
        """Give what was said its positions, and let everyone hear it, until nobody has anything left to say."""
        pending, moment = self._pending, self._moment
        while pending:
            recorded = pending.popleft()
            position += 1
            recorded.position = moment.position = position
            self.recorded.append(recorded)
            for handler, name in self._routes.get(type(recorded.event), ()):
                outputs = handler(recorded.event)
                if outputs is not None:
                    self._say(name, recorded.event, position, outputs)
        return position
