"""What a projection is: a table that is a pure fold of events."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from decimal import Context, DivisionByZero, InvalidOperation
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from contracts.event import Event
from contracts.ownership import EventTypes
from contracts.recorded import Recorded

Key = tuple[str, ...]

EXACT = Context(prec=2000, traps=[InvalidOperation, DivisionByZero])
"""For sums and products of booked amounts: they come out to the last digit whatever the thread's own context is."""

R = TypeVar("R", bound=NamedTuple)
"""A table's row: field names are column names. A named tuple is what COPY takes, and cheap to change one field of."""


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
    def fold(self, rows: Mapping[Key, R], recorded: Recorded) -> Mapping[Key, R]:
        """Give the rows that `recorded` makes or changes, as they are after it."""

    def fold_all(self, rows: Mapping[Key, R], events: Iterable[Recorded]) -> dict[Key, R]:
        """Fold events in the order they come into a copy of `rows`."""
        folded = dict(rows)
        for recorded in events:
            folded.update(self.fold(folded, recorded))
        return folded


AnyProjection = Journal[Any] | Ledger[Any]
