"""One file of market data: what it is of, and its rows as events in order of time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from contracts.event import Event
from contracts.types import InstrumentId, Interval, instrument_id
from eventstore.marketdata.arrowarrays import Ints
from eventstore.marketdata.batches import Batch, batches, place
from eventstore.marketdata.cells import TimeReader, numbers, sides, takers, words
from eventstore.marketdata.columns import (
    BarTime,
    Columns,
    DataKind,
    FileMapping,
    Role,
    SizeUnit,
    interval_of_name,
    recognise,
    symbol_of_name,
)
from eventstore.marketdata.events import events_of
from eventstore.marketdata.faults import Fault, Policy, Repairs
from eventstore.marketdata.forms import BadFile, Head, head_of
from eventstore.marketdata.ordering import Gaps, Ordering
from eventstore.marketdata.rows import Judge, Rows
from eventstore.marketdata.times import SECOND, TimeUnit, interval_of

_SYMBOL_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_NO_NUMBERS = (Role.TIME, Role.RECEIVED, Role.SYMBOL, Role.SIDE, Role.BUYER_IS_MAKER, Role.TRADE_ID)


_PRICE_OF: Mapping[DataKind, tuple[tuple[Role, Role], ...]] = {
    DataKind.BARS: ((Role.VOLUME, Role.CLOSE),),
    DataKind.TRADES: ((Role.SIZE, Role.PRICE),),
    DataKind.QUOTES: ((Role.BID_SIZE, Role.BID), (Role.ASK_SIZE, Role.ASK)),
}
"""By which price a size in money is divided."""


class Limits(BaseModel):
    """How far reading goes to understand a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: int = Field(default=65_536, ge=1, le=1_000_000, description="rows within which a repair sorts")
    silence_s: float = Field(default=3_600, gt=0, description="trades or quotes that pause for longer have a gap")


@dataclass(frozen=True, slots=True)
class MarketFile:
    """A file, and how it is understood. `first`: the time (ns) of its first event."""

    path: Path
    head: Head
    kind: DataKind
    columns: Columns
    instrument: InstrumentId
    interval: Interval | None
    unit: TimeUnit
    zone_told: bool
    mapping: FileMapping
    first: int = field(default=-1)

    @property
    def has_ids(self) -> bool:
        return Role.TRADE_ID in self.columns

    @property
    def is_taken_as_utc(self) -> bool:
        """Whether its dates tell no zone and none was said."""
        return self.unit is TimeUnit.TEXT and not self.zone_told and self.mapping.zone is None

    def judge(self, policy: Policy, repairs: Repairs) -> Judge:
        return Judge(self.path, self.head.form, policy, repairs)

    def events(self, policy: Policy, limits: Limits, repairs: Repairs) -> Iterator[list[Event]]:
        """Give its events in lists, in order of time; raises `BadFile`, which names it."""
        try:
            yield from self._events(self.judge(policy, repairs), limits)
        except BadFile as bad:
            raise BadFile(f"{self.path.name}: {bad}") from None

    def begins_at(self, policy: Policy, limits: Limits) -> int | None:
        """Look when its first event is known (ns); None if no row is good. Raises `BadFile`."""
        judge = self.judge(policy, Repairs())
        rows = next((rows for rows in self._in_order(judge, limits) if len(rows)), None)
        if rows is None:
            return None
        self._gaps(judge, limits).look(rows)
        return int(rows.known[0]) + (self.interval.nanos if self.interval is not None else 0)

    def _gaps(self, judge: Judge, limits: Limits) -> Gaps:
        return Gaps(judge, self.interval, int(limits.silence_s * SECOND))

    def _events(self, judge: Judge, limits: Limits) -> Iterator[list[Event]]:
        gaps = self._gaps(judge, limits)
        for rows in self._in_order(judge, limits):
            if len(rows):
                yield events_of(self.kind, self.instrument, self.interval, rows, gaps.look(rows))

    def _in_order(self, judge: Judge, limits: Limits) -> Iterator[Rows]:
        ordering = Ordering(self.kind, judge, limits.window)
        reading = _Reading(self, judge)
        for batch in batches(self.path, self.head, list(self.columns.values())):
            yield ordering.take(judge.sift(self.kind, reading.rows(batch), self.interval))
        if (rest := ordering.rest()) is not None:
            yield rest


class _Reading:
    """Makes rows of the batches of a file."""

    def __init__(self, file: MarketFile, judge: Judge) -> None:
        self._file = file
        self._judge = judge
        self._happened = TimeReader("time", file.mapping.zone)
        self._known = TimeReader("received", file.mapping.zone)

    def rows(self, batch: Batch) -> Rows:
        columns, judge = self._file.columns, self._judge
        judge.repairs.rows += len(batch.lines) + len(batch.short)
        if batch.short:
            line, count = batch.short[0]
            text = f"it has {count} columns and the first line {len(self._file.head.names)}"
            judge.found(Fault.SHORT_ROW, line, text, len(batch.short))
        if Role.SYMBOL in columns:
            _require_one_symbol(self._file, batch, columns[Role.SYMBOL])
        happened = self._happened.read(batch.columns[columns[Role.TIME]])
        if self._file.interval is not None and self._file.mapping.bar_time is BarTime.CLOSES:
            happened = _opening(happened, self._file.interval)
        known = self._known.read(batch.columns[columns[Role.RECEIVED]]) if Role.RECEIVED in columns else happened
        values: dict[Role, np.ndarray[Any, Any]] = {
            role: numbers(batch.columns[name]) for role, name in columns.items() if role not in _NO_NUMBERS
        }
        if self._file.mapping.sizes is SizeUnit.QUOTE:
            for size, price in _PRICE_OF[self._file.kind]:
                values[size] = values[size] / np.where(values[price] > 0, values[price], 1.0)
        if Role.SIDE in columns:
            values[Role.SIDE] = sides(batch.columns[columns[Role.SIDE]])
        elif Role.BUYER_IS_MAKER in columns:
            values[Role.SIDE] = takers(batch.columns[columns[Role.BUYER_IS_MAKER]])
        if Role.TRADE_ID in columns:
            values[Role.TRADE_ID] = words(batch.columns[columns[Role.TRADE_ID]])
        return Rows(known, happened, batch.lines, values)


def understand(path: Path, mapping: FileMapping, policy: Policy, limits: Limits) -> MarketFile:
    """Find out what a file is of, from its name, its head and its first rows; raises `BadFile`, which names it."""
    try:
        return _understand(path, mapping, policy, limits)
    except BadFile as bad:
        named = str(bad).startswith(f"{path.name}: ")
        raise (bad if named else BadFile(f"{path.name}: {bad}")) from None


def _understand(path: Path, mapping: FileMapping, policy: Policy, limits: Limits) -> MarketFile:
    head = head_of(path)
    kind, columns = recognise(head, mapping)
    batch = next((one for one in batches(path, head, list(columns.values())) if len(one.lines)), None)
    if batch is None:
        raise BadFile("it has no rows: fetch it again")
    reader = TimeReader("time", mapping.zone)
    times = reader.read(batch.columns[columns[Role.TIME]])
    if not (times >= 0).any() or reader.unit is None:
        raise BadFile(f"{place(head.form, int(batch.lines[0]))}: no time can be read: say which column has the time")
    file = MarketFile(
        path=path,
        head=head,
        kind=kind,
        columns=columns,
        instrument=instrument_id(mapping.venue, _symbol(path, mapping, columns, batch)),
        interval=_interval(path, mapping, times) if kind is DataKind.BARS else None,
        unit=reader.unit,
        zone_told=bool(reader.told),
        mapping=mapping,
    )
    first = file.begins_at(policy, limits)
    if first is None:
        raise BadFile("nothing is left of it, no row is good: look at the columns and at the time zone")
    return replace(file, first=first)


def _interval(path: Path, mapping: FileMapping, times: Ints) -> Interval:
    known = np.unique(times[times >= 0])
    said, named = mapping.interval, interval_of_name(path)
    if len(known) == 1 and (only := said or named) is not None:
        return only
    return interval_of(known.tolist(), said, named)


def _symbol(path: Path, mapping: FileMapping, columns: Columns, batch: Batch) -> str:
    if mapping.symbol is not None:
        return mapping.symbol
    if Role.SYMBOL in columns:
        told = _symbols(batch.columns[columns[Role.SYMBOL]])
        if len(told) != 1:
            raise BadFile(f"it tells of several instruments ({', '.join(told)[:80]}): split it")
        symbol = told[0]
        if not symbol or len(symbol) > 40 or not _SYMBOL_LETTERS.issuperset(symbol):
            raise BadFile(f"symbol {symbol[:40]!r}: letters, digits, _ and - only: say another with --symbol")
        return symbol
    named = symbol_of_name(path)
    if named is None:
        raise BadFile(
            "its name does not tell of which instrument it is (as BTC-PERP-1m-202201.csv does): say it with --symbol"
        )
    return named


def _symbols(column: Any) -> Sequence[str]:  # noqa: ANN401 # pyarrow has no types
    return sorted({str(cell).strip() for cell in column.unique().to_pylist() if cell is not None})


def _require_one_symbol(file: MarketFile, batch: Batch, column: str) -> None:
    told = _symbols(batch.columns[column])
    if len(told) > 1 or (
        told and file.mapping.symbol is None and instrument_id(file.mapping.venue, told[0]) != file.instrument
    ):
        where = place(file.head.form, int(batch.lines[0]))
        raise BadFile(f"from {where} on it tells of several instruments ({', '.join(told)[:80]}): split it")


def _opening(closing: Ints, interval: Interval) -> Ints:
    """Give when bars open that close then; a close that is told as the last moment inside the bar counts as its end."""
    short = -closing % interval.nanos
    ends = np.where(short <= SECOND, closing + short, closing)
    return np.where(closing >= 0, ends - interval.nanos, closing)
