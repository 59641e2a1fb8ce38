"""What is promised of every tape, and how a promise that does not hold is told."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from contracts.event import Event
from contracts.recorded import Recorded


class Law(Enum):
    """What is promised. The value says it in words."""

    PLACES = "positions rise, and a cause comes before what it leads to"
    ONCE = "a writer answers its causes in their order, each answer once, numbered from 0"
    NUMBERS = "what an edge brings is numbered from 0, and each number comes once"
    LEASE = "only who took the lease last speaks under a name"
    VERDICT = "every wish for an order or for other terms of one gets one verdict, on no more than was wished for"
    ROUTE = "what was approved, or brought up by a venue, becomes an order, once, as it was"
    LIFE = "an order lives one life, by the table of transitions"
    COMMAND = "the venue is told once of an order or of each slice of it, and asked once for each cancel and change"
    FILL = "an order is filled by what it was for, once by each trade, and never above its quantity"
    POSITION = "a position is the sum of its fills, and its fees and funding are theirs"
    EQUITY = "equity is cash, positions and balances: the capital, and what fills and fundings moved and brought"


@dataclass(frozen=True, slots=True)
class Violation:
    """A law that does not hold; `position` is that of the event which shows it."""

    position: int
    law: Law
    detail: str

    def __str__(self) -> str:
        return f"position {self.position}: {self.detail} ({self.law.name}: {self.law.value})"


Found = Iterator[tuple[Law, str]]
Check = Callable[[Recorded, Any], Found | None]


class Group:
    """Some laws that share what they know."""

    checks: Mapping[type[Event], Check]

    def missing(self) -> Found:
        raise NotImplementedError
