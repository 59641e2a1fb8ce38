"""Where the tape's past is kept when the tape no longer reaches back: what a host asks of the event store."""

from collections.abc import Iterator
from typing import Protocol

from contracts.control import LeaseTaken
from contracts.ownership import EventTypes
from contracts.recorded import Recorded, Unreadable


class History(Protocol):
    def last(self) -> int:
        """Give the last position that is kept."""

    def read(self, start: int, stop: int, types: EventTypes) -> Iterator[Recorded | Unreadable]:
        """Give the events of `types`, and what is unreadable, from `start` to `stop`, both included, in order."""

    def first_lease(self, name: str) -> LeaseTaken | None:
        """Give the first lease ever taken under a name: by its settings the component lived until the next."""


class HistoryMissing(RuntimeError):
    """The tape begins after what a component has to read, and nothing else keeps it."""
