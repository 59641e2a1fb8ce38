"""Rows in order of time: within a window what is out of order is put in its place, and what is double is kept once."""

from typing import Any

import numpy as np

from contracts.types import Interval
from eventstore.marketdata.columns import DataKind, Role
from eventstore.marketdata.faults import Fault, Policy
from eventstore.marketdata.forms import BadFile
from eventstore.marketdata.rows import Judge, Mask, Rows
from eventstore.marketdata.times import SECOND, hint_of_zone, moment

MOST_AT_ONCE = 1_000_000
"""More rows of one time than this are not held: the time column is not one."""


class Ordering:
    """Takes the rows of one file as they stand in it and gives them by time. It holds back `window` rows, and those of
    the last time, so that it sees all of one time together.
    """

    def __init__(self, kind: DataKind, judge: Judge, window: int) -> None:
        self._kind = kind
        self._judge = judge
        self._window = window if judge.policy is Policy.REPAIR else 0
        self._waiting: Rows | None = None
        self._given = -1
        """The time of the last row that was given."""

    def take(self, rows: Rows) -> Rows:
        """Take the next rows and give those that nothing can come before any more."""
        rows = self._in_time(rows)
        waiting = rows if self._waiting is None else self._waiting.join(rows)
        if len(waiting) == 0:
            return waiting
        waiting = self._sorted(waiting, 0 if self._waiting is None else len(self._waiting))
        cut = len(waiting) - 1 - self._window
        cut = int(np.searchsorted(waiting.known, waiting.known[cut], side="left")) if cut > 0 else 0
        if len(waiting) - cut > MOST_AT_ONCE + self._window:
            raise BadFile(
                f"more than {MOST_AT_ONCE:,} rows are of {moment(int(waiting.known[cut]))}: say "
                "which column has the time"
            )
        self._waiting = waiting.take(slice(cut, None))
        return self._once(waiting.take(slice(0, cut)))

    def rest(self) -> Rows | None:
        """Give what was held back, at the end of the file."""
        rest, self._waiting = self._waiting, None
        return None if rest is None else self._once(rest)

    def _in_time(self, rows: Rows) -> Rows:
        """Leave out what came so late that later rows were given already."""
        late = rows.known <= self._given if self._kind is DataKind.BARS else rows.known < self._given
        if not late.any():
            return rows
        row = int(np.argmax(late))
        text = f"it is of {moment(int(rows.known[row]))} and comes after {moment(self._given)}"
        self._judge.found(Fault.LATE, int(rows.lines[row]), text, int(late.sum()))
        return rows.take(~late)

    def _sorted(self, rows: Rows, sorted_already: int) -> Rows:
        steps = np.diff(rows.known)
        if not (steps < 0).any():
            return rows
        behind = rows.known < np.maximum.accumulate(rows.known)
        behind[:sorted_already] = False
        row = int(np.argmax(behind))
        back = int(np.max(rows.known[:row])) - int(rows.known[row])
        text = (
            f"time runs backwards, from {moment(int(rows.known[row]) + back)} to {moment(int(rows.known[row]))}"
            f"{hint_of_zone(back)}"
        )
        self._judge.found(Fault.OUT_OF_ORDER, int(rows.lines[row]), text, int(behind.sum()))
        return rows.take(np.argsort(rows.known, kind="stable"))

    def _once(self, rows: Rows) -> Rows:
        if len(rows) == 0:
            return rows
        self._given = int(rows.known[-1])
        again = np.concatenate(([False], rows.known[1:] == rows.known[:-1]))
        if not again.any():
            return rows
        match self._kind:
            case DataKind.BARS:
                return self._bars_once(rows, again)
            case DataKind.TRADES:
                return self._without(rows, _same_ids(rows)) if Role.TRADE_ID in rows.values else rows
            case DataKind.QUOTES:
                return self._without(rows, again & _same_as_before(rows))

    def _bars_once(self, rows: Rows, again: Mask) -> Rows:
        """Keep one of bars that are equal, and none of those that differ."""
        differ = again & ~_same_as_before(rows)
        if differ.any():
            believed = ~np.isin(rows.known, rows.known[differ])
            row = int(np.argmax(differ))
            closes = rows.values[Role.CLOSE]
            text = (
                f"the bar of {moment(int(rows.known[row]))} is there twice, closing at {closes[row - 1]:g} and at "
                f"{closes[row]:g}"
            )
            self._judge.found(Fault.CONTRADICTED, int(rows.lines[row]), text, int((~believed).sum()))
            rows, again = rows.take(believed), again[believed]
        return self._without(rows, again)

    def _without(self, rows: Rows, repeated: Mask) -> Rows:
        if not repeated.any():
            return rows
        row = int(np.argmax(repeated))
        text = f"it is there twice ({rows.told(row)})"
        self._judge.found(Fault.REPEATED, int(rows.lines[row]), text, int(repeated.sum()))
        return rows.take(~repeated)


class Gaps:
    """Finds where rows are missing: of bars, any; of others, where for longer than `silence` (ns) nothing came."""

    def __init__(self, judge: Judge, interval: Interval | None, silence: int) -> None:
        self._judge = judge
        self._interval = interval
        self._most = interval.nanos if interval is not None else silence
        self._last: int | None = None

    def look(self, rows: Rows) -> list[tuple[int, int]]:
        """Give the rows before which something is missing, by their numbers among `rows`, and how much (ns)."""
        before = rows.known[0] if self._last is None else self._last
        steps = np.diff(rows.known, prepend=before)
        self._last = int(rows.known[-1])
        gaps = np.flatnonzero(steps > self._most)
        if len(gaps):
            row = int(gaps[0])
            since, until = int(rows.known[row] - steps[row]), int(rows.known[row])
            self._judge.found(Fault.GAP, int(rows.lines[row]), told_gap(since, until, self._interval), len(gaps))
        short = 0 if self._interval is None else self._interval.nanos
        return [(int(row), int(steps[row]) - short) for row in gaps]


def told_gap(since: int, until: int, interval: Interval | None) -> str:
    """Say what is missing between two rows (of bars: between when they open)."""
    nanos = until - since
    if interval is None:
        return f"nothing for {nanos / SECOND:,.0f} s, since {moment(since)}{hint_of_zone(nanos)}"
    missing = nanos // interval.nanos - 1
    return f"{missing:,} bars are missing after that of {moment(since)}{hint_of_zone(nanos - interval.nanos)}"


def _same_as_before(rows: Rows) -> Mask:
    same: Any = np.logical_and.reduce([column[1:] == column[:-1] for column in rows.values.values()])
    return np.concatenate(([False], same & (rows.happened[1:] == rows.happened[:-1])))


def _same_ids(rows: Rows) -> Mask:
    """Mark trades whose id was there before at the same time."""
    repeated = np.zeros(len(rows), dtype=np.bool_)
    now, seen = -1, set[str]()
    for row, (time, name) in enumerate(zip(rows.known.tolist(), rows.values[Role.TRADE_ID].tolist(), strict=True)):
        if time != now:
            now = time
            seen.clear()
        if name in seen:
            repeated[row] = True
        elif name is not None:
            seen.add(name)
    return repeated
