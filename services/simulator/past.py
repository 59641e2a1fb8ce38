"""The event store of a simulation: it has all that is on the tape, a little later."""

from collections.abc import Callable, Iterator, Sequence

from contracts.control import LeaseTaken
from contracts.ownership import EventTypes
from contracts.recorded import Recorded, Unreadable


class Past:
    """What a host may ask for that the tape no longer holds."""

    def __init__(self, history: Sequence[Recorded | Unreadable], archived: Callable[[], int]) -> None:
        self._history = history
        self._archived = archived

    def last(self) -> int:
        return self._archived()

    def read(self, start: int, stop: int, types: EventTypes) -> Iterator[Recorded | Unreadable]:
        for received in self._history[start - 1 : stop]:
            if isinstance(received, Unreadable) or isinstance(received.event, types):
                yield received

    def first_lease(self, name: str) -> LeaseTaken | None:
        for received in self._history[: self.last()]:
            event = received.event if isinstance(received, Recorded) else None
            if isinstance(event, LeaseTaken) and event.component == name:
                return event
        return None
