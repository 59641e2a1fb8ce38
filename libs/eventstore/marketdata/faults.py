"""What can be wrong with market data of a file, and what was done about it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Policy(Enum):
    """What is done about a fault."""

    ERROR = "error"
    """Nothing is read on: one line says file, row, what it is and what to do."""
    REPAIR = "repair"
    """The row is dropped or put in its place, and counted."""


class Fault(Enum):
    """What can be wrong with a row, or between two of them."""

    SHORT_ROW = "rows with another number of columns"
    BAD_TIME = "rows without a time"
    ZONE = "times of which a time zone or changed clocks leave open which they are"
    NOT_A_NUMBER = "rows with what is no number"
    NOT_POSITIVE = "rows with a price that is not above zero, or a size below it"
    INCONSISTENT = "bars whose high and low do not hold open and close"
    CROSSED = "quotes whose bid is above the ask"
    NO_SIDE = "trades that do not tell who took"
    OFF_GRID = "bars that open where no bar of their length does"
    EARLY = "rows that were received before they happened"
    OUT_OF_ORDER = "rows that came after later ones"
    LATE = "rows that came too long after later ones"
    REPEATED = "rows that are there twice"
    CONTRADICTED = "bars of one time that differ"
    OVERLAP = "files that begin before the one before them ends"
    GAP = "gaps"

    @property
    def outcome(self) -> str:
        """Say what a repair does about it."""
        return _OUTCOMES.get(self, "dropped")


_OUTCOMES = {
    Fault.OUT_OF_ORDER: "put in their places",
    Fault.REPEATED: "kept once",
    Fault.CONTRADICTED: "dropped, all of them",
    Fault.OVERLAP: "merged by time",
    Fault.GAP: "left as they are and told",
}


@dataclass(slots=True)
class Repairs:
    """What was wrong so far and was repaired: how often, and where first. `notes`: what was taken for granted."""

    counts: Counter[Fault] = field(default_factory=Counter)
    first: dict[Fault, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rows: int = 0
    """Read so far, good or bad."""

    def add(self, fault: Fault, times: int, where: str) -> None:
        assert times > 0
        self.counts[fault] += times
        self.first.setdefault(fault, where)

    @property
    def total(self) -> int:
        return self.counts.total()

    def by_kind(self) -> Mapping[str, int]:
        """Give the counts in words, with the first of each: what a report shows."""
        return {
            f"{fault.value}: {fault.outcome}; first {self.first[fault]}": self.counts[fault]
            for fault in Fault
            if self.counts[fault]
        }

    def lines(self) -> list[str]:
        """Tell each kind in one line, with the first of it."""
        return [f"{count:,} {what}" for what, count in self.by_kind().items()]
