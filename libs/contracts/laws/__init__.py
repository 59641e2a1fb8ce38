"""The laws of the tape: what holds for every history of the system, whatever was interrupted, and however often.

They look at recorded events alone, in the order of the tape and from its beginning, so the simulator of faults, a stack
that is shot at, and an audit of what was years ago hold the system to the same promises. What is closed is forgotten: a
tape may be long.
"""

from contracts.event import Event
from contracts.laws.books import Books
from contracts.laws.law import Check, Group, Law, Violation
from contracts.laws.orders import Orders
from contracts.laws.wishes import Wishes
from contracts.laws.writers import Writers
from contracts.recorded import Recorded

__all__ = ["Law", "Laws", "Violation"]


class Laws:
    """Looks at each event of a tape in turn."""

    def __init__(self) -> None:
        self._position = 0
        self._writers = Writers()
        wishes = Wishes()
        self._groups: tuple[Group, ...] = (wishes, Orders(wishes), Books())
        self._checks: dict[type[Event], tuple[Check, ...]] = {}
        for group in self._groups:
            for event_type, check in group.checks.items():
                self._checks[event_type] = (*self._checks.get(event_type, ()), check)

    def look(self, recorded: Recorded) -> list[Violation]:
        """Give what the next event of the tape violates."""
        position = recorded.position
        found = list(self._writers.look(recorded))
        if position <= self._position:
            found.append((Law.PLACES, f"comes after position {self._position}"))
        self._position = position
        for check in self._checks.get(type(recorded.event), ()):
            found += check(recorded, recorded.event) or ()
        return [Violation(position, law, detail) for law, detail in found]

    def at_rest(self) -> list[Violation]:
        """Give what is still missing, now that everything has come to rest."""
        return [Violation(self._position, law, detail) for group in self._groups for law, detail in group.missing()]
