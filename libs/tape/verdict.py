"""What an audit says: in which span, of which component, and how what was said differs from what is said now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from itertools import zip_longest

from contracts.event import Event
from contracts.recorded import Unreadable


class Kind(Enum):
    """How what a component said differs from what it says now."""

    DIFFERENT = "different"
    MISSING = "missing"
    """It should have been said: what came after it was."""
    UNEXPECTED = "unexpected"
    """It was said, and nothing that is on record leads to it."""


@dataclass(frozen=True)
class Difference:
    field: str
    recorded: object
    computed: object


@dataclass(frozen=True)
class Divergence:
    """`position` is that of the recorded output; where one is missing, of the output that came instead."""

    component: str
    kind: Kind
    position: int
    cause: int
    index: int
    recorded: Event | Unreadable | None
    computed: Event | None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Span:
    """Which positions are judged, and what the record has to judge them by.

    The record begins at `begins`; from `whole_from` on it lacks only `holes`. Those of them that a power cut left are
    `cuts`: whoever spoke before the cut may have known more than is on record. Both are in order.
    """

    start: int
    stop: int
    begins: int = 1
    whole_from: int = 1
    holes: tuple[range, ...] = ()
    cuts: tuple[range, ...] = ()

    @property
    def first(self) -> int:
        """Where comparing begins."""
        return max(self.start, self.whole_from)

    def lacks(self, position: int) -> bool:
        return position < self.whole_from or any(position in hole for hole in self.holes)

    def is_cut(self, after: int, before: int) -> bool:
        """Say whether there was a power cut between these two."""
        return any(after < cut.start < before for cut in self.cuts)


@dataclass(frozen=True)
class Verdict:
    """What came out for one component; all but `events` counts what lies in the span."""

    component: str
    edge: bool
    """It never ran as a component: there is nothing to judge again."""
    events: int
    compared: int
    divergences: Mapping[Kind, int]
    pending: int
    """Answers that were not said yet where the span ends."""
    silent: int
    """Answers that nobody waited for: from before its first lease, or while an edge wrote under its name."""
    unverifiable: int
    """Outputs that follow from what is not on record."""
    others: int
    """Messages under its name that answer nothing: leases, and what an edge says."""
    first: tuple[Divergence, ...]

    @property
    def diverging(self) -> int:
        return sum(self.divergences.values())


def differences(
    recorded: Event | Unreadable, computed: Event, recorded_cause: int | None, cause: int
) -> Iterator[Difference]:
    if recorded_cause != cause:
        yield Difference("cause", recorded_cause, cause)
    if isinstance(recorded, Unreadable):
        yield Difference("type", f"unreadable: {recorded.reason}", type(computed).__name__)
    elif type(recorded) is not type(computed):
        yield Difference("type", type(recorded).__name__, type(computed).__name__)
    else:
        yield from _differing(recorded, computed, "")


def _differing(recorded: object, computed: object, place: str) -> Iterator[Difference]:
    """Go down to the fields that differ, and name each by its place."""
    if recorded == computed:
        return
    if is_dataclass(recorded) and type(recorded) is type(computed):
        for field in fields(recorded):
            yield from _differing(getattr(recorded, field.name), getattr(computed, field.name), f"{place}{field.name}.")
    elif isinstance(recorded, tuple) and isinstance(computed, tuple):
        for index, (one, other) in enumerate(zip_longest(recorded, computed)):
            yield from _differing(one, other, f"{place}{index}.")
    else:
        yield Difference(place.removesuffix("."), recorded, computed)
