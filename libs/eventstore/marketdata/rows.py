"""Rows of market data as arrays, and what is wrong with each of them by itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contracts.types import Interval
from eventstore.marketdata.arrowarrays import Ints
from eventstore.marketdata.batches import place
from eventstore.marketdata.cells import AMBIGUOUS, UNREADABLE
from eventstore.marketdata.columns import DataKind, Role
from eventstore.marketdata.faults import Fault, Policy, Repairs
from eventstore.marketdata.forms import BadFile, Form
from eventstore.marketdata.times import SECOND, moment

CLOCKS_APART = SECOND
"""A row may be received so much before it happened: clocks differ by less than this."""

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Values = Mapping[Role, np.ndarray[Any, Any]]

_PRICES: Mapping[DataKind, tuple[Role, ...]] = {
    DataKind.BARS: (Role.OPEN, Role.HIGH, Role.LOW, Role.CLOSE),
    DataKind.TRADES: (Role.PRICE,),
    DataKind.QUOTES: (Role.BID, Role.ASK),
}
_SIZES: Mapping[DataKind, tuple[Role, ...]] = {
    DataKind.BARS: (Role.VOLUME, Role.TRADES),
    DataKind.TRADES: (Role.SIZE,),
    DataKind.QUOTES: (Role.BID_SIZE, Role.ASK_SIZE),
}

_REMEDIES: Mapping[Fault, str] = {
    Fault.OUT_OF_ORDER: "sort the file by time, oldest first",
    Fault.LATE: "sort the file by time, oldest first",
    Fault.GAP: "fetch what is missing",
    Fault.OVERLAP: "cut one of them",
    Fault.ZONE: "write times in UTC",
    Fault.EARLY: "mend the column that is wrong",
}


@dataclass(slots=True)
class Rows:
    """Rows of one file: `known` and `happened` (ns; of bars both are the open), where they stand, what they say."""

    known: Ints
    happened: Ints
    lines: Ints
    values: dict[Role, np.ndarray[Any, Any]]

    def __len__(self) -> int:
        return len(self.known)

    def take(self, which: Mask | Ints | slice) -> "Rows":
        values = {role: column[which] for role, column in self.values.items()}
        return Rows(self.known[which], self.happened[which], self.lines[which], values)

    def join(self, later: "Rows") -> "Rows":
        values = {role: np.concatenate((column, later.values[role])) for role, column in self.values.items()}
        return Rows(
            np.concatenate((self.known, later.known)),
            np.concatenate((self.happened, later.happened)),
            np.concatenate((self.lines, later.lines)),
            values,
        )

    def told(self, row: int) -> str:
        """Say in words what a row tells."""
        said = (f"{role.value} {_cell(column[row])}" for role, column in self.values.items() if column[row] is not None)
        return f"{_when(int(self.known[row]))}{', '.join(said)}"


def _cell(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(getattr(value, "value", value))[:40]


def _when(nanos: int) -> str:
    return f"{moment(nanos)}, " if nanos >= 0 else ""


@dataclass(slots=True)
class Judge:
    """Says of what is found in a file that it cannot be used, or counts it as repaired: as the policy has it."""

    path: Path
    form: Form
    policy: Policy
    repairs: Repairs

    def found(self, fault: Fault, line: int | None, text: str, times: int = 1) -> None:
        """Take note of a fault; raises `BadFile` if it is not to be repaired. `line` None: it is of the whole file."""
        where = text if line is None else f"{place(self.form, line)}: {text}"
        if self.policy is Policy.ERROR:
            raise BadFile(
                f"{where}: {_REMEDIES.get(fault, 'mend or remove it')}, or choose the policy repair "
                f"({fault.value}: {fault.outcome} and counted)"
            )
        self.repairs.add(fault, times, f"{self.path.name}, {where}")

    def sift(self, kind: DataKind, rows: Rows, interval: Interval | None) -> Rows:
        """Leave out the rows that are wrong by themselves; each is counted once, for the first fault it has."""
        good = np.ones(len(rows), dtype=np.bool_)
        found: list[tuple[Fault, Mask]] = []
        for fault, mask in faults_of(kind, rows, interval):
            wrong = mask & good
            if wrong.any():
                found.append((fault, wrong))
                good &= ~wrong
        for fault, wrong in sorted(found, key=lambda one: int(np.argmax(one[1]))):
            row = int(np.argmax(wrong))
            self.found(fault, int(rows.lines[row]), f"{_WORDS[fault]} ({rows.told(row)})", int(wrong.sum()))
        return rows if not found else rows.take(good)


def faults_of(kind: DataKind, rows: Rows, interval: Interval | None) -> Iterator[tuple[Fault, Mask]]:
    """Mark the rows that have each fault."""
    values = rows.values
    prices = [values[role] for role in _PRICES[kind]]
    sizes = [values[role] for role in _SIZES[kind] if role in values]
    timeless = (rows.known == UNREADABLE) | (rows.happened == UNREADABLE)
    yield Fault.BAD_TIME, timeless
    yield Fault.ZONE, (rows.known == AMBIGUOUS) | (rows.happened == AMBIGUOUS)
    yield Fault.NOT_A_NUMBER, ~np.logical_and.reduce([np.isfinite(column) for column in (*prices, *sizes)])
    with np.errstate(invalid="ignore"):
        yield (
            Fault.NOT_POSITIVE,
            np.logical_or.reduce([*(column <= 0 for column in prices), *(column < 0 for column in sizes)]),
        )
        if kind is DataKind.BARS:
            open_, high, low, close = prices
            yield Fault.INCONSISTENT, ~((low <= np.minimum(open_, close)) & (np.maximum(open_, close) <= high))
        elif kind is DataKind.QUOTES:
            yield Fault.CROSSED, values[Role.BID] > values[Role.ASK]
    if kind is DataKind.TRADES:
        yield Fault.NO_SIDE, np.array([side is None for side in values[Role.SIDE]], dtype=np.bool_)
    if interval is not None:
        yield Fault.OFF_GRID, rows.known % interval.nanos != 0
    yield Fault.EARLY, rows.happened - rows.known > CLOCKS_APART


_WORDS: Mapping[Fault, str] = {
    Fault.BAD_TIME: "its time cannot be read, is of another unit than the first, or not between 2009 and 2100",
    Fault.ZONE: "its time was there twice or never (clocks were changed), or tells its zone where others do not",
    Fault.NOT_A_NUMBER: "a price or size is no number",
    Fault.NOT_POSITIVE: "a price is not above zero, or a size below it",
    Fault.INCONSISTENT: "high and low do not hold open and close",
    Fault.CROSSED: "the bid is above the ask",
    Fault.NO_SIDE: "it does not tell who took, buy or sell",
    Fault.OFF_GRID: "no bar of this length opens then",
    Fault.EARLY: "it was received before it happened: is one of the times of another zone?",
}
