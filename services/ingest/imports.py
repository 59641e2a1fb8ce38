"""Make candles of a table: which column is which, what its times mean, and how long its bars are."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from contracts.market import Bar
from contracts.types import InstrumentId, Interval, instrument_id
from eventstore.marketdata.columns import (
    ALIASES,
    NEEDED,
    TRADES_NAMES,
    DataKind,
    interval_of_name,
    symbol_of_name,
)
from eventstore.marketdata.forms import BadFile, Form
from eventstore.marketdata.times import EARLIEST, LATEST, TimeUnit, date_of, interval_of, moment, unit_of
from services.ingest.rules import Candle, Finding, Flaw, sift
from services.ingest.tables import Cell, Table, read_table

LEAST_ROWS = 100
"""Fewer bars than this are a mistake, not a history."""

_SYMBOL = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What whoever imports says about a file; None is found out."""

    venue: str
    symbol: str | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Imported:
    """A file that is worth importing: its bars in order, and how it was understood."""

    path: Path
    instrument: InstrumentId
    interval: Interval
    bars: tuple[Bar, ...]
    repeated: tuple[Finding, ...]
    form: Form
    unit: TimeUnit
    time_zone_told: bool

    def __str__(self) -> str:
        """Say how it was understood."""
        zone = "UTC" if self.time_zone_told or self.unit is not TimeUnit.TEXT else "taken as UTC"
        first, last = moment(self.bars[0].ts_open), moment(self.bars[-1].ts_open)
        return (
            f"{self.path.name}: {self.form.value}, {len(self.bars):,} bars of {self.interval.value} of "
            f"{self.instrument}, opening from {first} to {last} (times: {self.unit.value}, {zone})"
        )


def read_candles(path: Path, wanted: Wanted) -> Imported:
    """Read a file that shall be imported as a whole. Raises `BadFile`."""
    table = read_table(path)
    columns = _columns(table)
    if len(table.lines) < LEAST_ROWS:
        raise BadFile(f"it has {len(table.lines)} rows: at least {LEAST_ROWS} are a history; fetch a longer one")
    times, unit, told = _times(table, columns["time"])
    _require_forward(table, times)
    interval = interval_of(times, wanted.interval, interval_of_name(path))
    symbol = wanted.symbol or symbol_of_name(path)
    if symbol is None or not _SYMBOL.fullmatch(symbol):
        raise BadFile(
            "its name does not tell of which instrument it is (as BTC-PERP-1m-202201.csv does): say it with --symbol"
            if symbol is None
            else f"--symbol {symbol}: letters, digits, _ and - only"
        )
    instrument = instrument_id(wanted.venue, symbol)
    sifted = sift(_candles(table, columns, times), instrument, interval, LATEST)
    for finding in sifted.findings:
        if finding.flaw is not Flaw.REPEATED:
            raise BadFile(_in_words(table, finding))
    return Imported(path, instrument, interval, sifted.bars, sifted.findings, table.form, unit, told)


def _columns(table: Table) -> dict[str, list[Cell]]:
    """Find each column that is needed by its name."""
    if not table.named:
        return table.columns
    found = {}
    for role in NEEDED[DataKind.BARS]:
        names = ALIASES[role]
        column = next((table.columns[name] for name in names if name in table.columns), None)
        if column is None:
            raise BadFile(
                f"there is no column for the {role.value} (such as {', '.join(names[:3])}); it has "
                f"{', '.join(table.columns)[:120]}: rename one"
            )
        found[role.value] = column
    return found


def _times(table: Table, cells: Sequence[Cell]) -> tuple[list[int], TimeUnit, bool]:
    """Read when bars open (ns), find out in which unit, and say whether a time zone was told."""
    unit = _unit(table, cells[0])
    times = []
    told = False
    for row, cell in enumerate(cells):
        if unit is TimeUnit.TEXT:
            time, with_zone = _date(table, row, cell)
            told = told or with_zone
        else:
            time = _count(table, row, cell) * unit.nanos
        if not EARLIEST <= time < LATEST:
            raise BadFile(f"{table.place(row)}: {cell} is no time in {unit.value} between 2009 and 2100: mend the file")
        times.append(time)
    return times, unit, told


def _unit(table: Table, cell: Cell) -> TimeUnit:
    unit = unit_of(cell)
    if unit is not None:
        return unit
    raise BadFile(
        f"{table.place(0)}: {cell} is no time between 2009 and 2100, be it in seconds, milli-, micro- or nanoseconds: "
        "the first column that is called timestamp, time or date has to say when a bar opens"
    )


def _count(table: Table, row: int, cell: Cell) -> int:
    try:
        return int(cell) if isinstance(cell, int | str) else _whole(cell)
    except ValueError:
        pass
    try:
        return _whole(float(cell or "nan"))
    except ValueError:
        raise BadFile(f"{table.place(row)}: {cell!r} is no time: mend or remove it") from None


def _whole(value: float | None) -> int:
    if value is None or value != value or int(value) != value:  # noqa: PLR0124 # not a number
        raise ValueError("no whole number")
    return int(value)


def _date(table: Table, row: int, cell: Cell) -> tuple[int, bool]:
    try:
        return date_of(str(cell))
    except ValueError:
        raise BadFile(
            f"{table.place(row)}: {str(cell)[:40]!r} is no date: write it as 2024-01-31 12:00:00, in UTC"
        ) from None


def _require_forward(table: Table, times: Sequence[int]) -> None:
    """Refuse a file whose time runs backwards anywhere."""
    backwards = [row for row, (before, time) in enumerate(pairwise(times), start=1) if time < before]
    if not backwards:
        return
    row = backwards[0]
    everywhere = "everywhere" if len(backwards) > len(times) // 2 else f"in {len(backwards)} places"
    raise BadFile(
        f"{table.place(row)}: time runs backwards {everywhere}, here from {moment(times[row - 1])} to "
        f"{moment(times[row])}: sort the file by time, oldest first"
    )


def _candles(table: Table, columns: Mapping[str, list[Cell]], times: Sequence[int]) -> list[Candle]:
    values = {what: _numbers(table, what, columns[what]) for what in ("open", "high", "low", "close", "volume")}
    counted = next((table.columns[name] for name in TRADES_NAMES if name in table.columns), None)
    trades = _numbers(table, "trades", counted) if counted else [0.0] * len(times)
    return [
        Candle(ts_open, open_, high, low, close, volume, int(count) if math.isfinite(count) else -1, line)
        for ts_open, open_, high, low, close, volume, count, line in zip(
            times, *values.values(), trades, table.lines, strict=True
        )
    ]


def _numbers(table: Table, what: str, cells: Sequence[Cell]) -> list[float]:
    """Read numbers; an empty cell is none, which is for the rules to judge."""
    numbers = []
    for row, cell in enumerate(cells):
        try:
            numbers.append(math.nan if cell is None or cell == "" else float(cell))
        except ValueError:
            raise BadFile(
                f"{table.place(row)}: {what}: {str(cell)[:40]!r} is no number: mend or remove the line"
            ) from None
    return numbers


def _in_words(table: Table, finding: Finding) -> str:
    where = f"{'line' if table.form is Form.CSV else 'row'} {finding.line}"
    return f"{where}, the bar of {moment(finding.ts_open)}: {finding.text}: mend or remove it"
