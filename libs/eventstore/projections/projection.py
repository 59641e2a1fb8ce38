"""What a projection is: a table that is a pure fold of events."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, Generic, TypeVar

from contracts.event import Event
from contracts.ownership import EventTypes
from contracts.recorded import Recorded

Key = tuple[str, ...]

R = TypeVar("R")
"""A table's row: field names are column names. A journal's is a named tuple, a ledger's a slotted dataclass."""


class Projection(ABC, Generic[R]):
    """The part every projection has: its table, its row and the types it is folded from."""

    name: ClassVar[str]
    """Also the name of the table and of the checkpoint."""
    row: type[R]
    key: ClassVar[tuple[str, ...]]
    handles: ClassVar[EventTypes]


class Journal(Projection[R]):
    """A projection that gains one row per event and never changes one; its key is the position."""

    key: ClassVar[tuple[str, ...]] = ("position",)

    @abstractmethod
    def row_of(self, recorded: Recorded) -> R: ...


class Ledger(Projection[R]):
    """A projection whose rows change: each event touches the rows of `keys`."""

    @abstractmethod
    def keys(self, event: Event) -> Sequence[Key]:
        """Name the rows that `event` touches."""

    @abstractmethod
    def fold(self, rows: dict[Key, R], recorded: Recorded) -> None:
        """Make or change in `rows` what `recorded` touches; what it touches and is in the table is in `rows`."""

    def fold_all(self, rows: Mapping[Key, R], events: Iterable[Recorded]) -> dict[Key, R]:
        """Fold events in the order they come into a copy of `rows`."""
        folded = {key: copy(row) for key, row in rows.items()}
        for recorded in events:
            self.fold(folded, recorded)
        return folded


AnyProjection = Journal[Any] | Ledger[Any]
