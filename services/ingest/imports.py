"""Make candles of a table: which column is which, what its times mean, and how long its bars are."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from itertools import pairwise
from pathlib import Path

from contracts.market import Bar
from contracts.types import InstrumentId, Interval, instrument_id
from services.ingest.rules import SECOND, Candle, Finding, Flaw, moment, sift
from services.ingest.tables import BadFile, Cell, Form, Table, read_table

LEAST_ROWS = 100
"""Fewer bars than this are a mistake, not a history."""
EARLIEST = 1_230_940_800 * SECOND
"""2009-01-03: no coin had a price before."""
LATEST = 4_102_444_800 * SECOND
"""2100-01-01."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    "time": ("timestamp", "time", "date", "datetime", "open_time", "open time", "opentime", "ts_open", "ts", "unix"),
    "open": ("open", "o", "open_price"),
    "high": ("high", "h", "high_price"),
    "low": ("low", "l", "low_price"),
    "close": ("close", "c", "close_price"),
    "volume": ("volume", "v", "vol", "base_volume", "volume_base"),
}
TRADES = ("trades", "count", "number_of_trades", "num_trades", "trade_count", "column 9")

_NAMED = re.compile(
    r"^(?P<symbol>[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*?)[_-](?P<interval>1s|5s|15s|1m|5m|15m|1h)(?![0-9A-Za-z])"
)
_SYMBOL = re.compile(r"[A-Za-z0-9_-]{1,40}")


class TimeUnit(Enum):
    """What the numbers of a time column count."""

    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    MICROSECONDS = "microseconds"
    NANOSECONDS = "nanoseconds"
    TEXT = "dates (ISO 8601)"

    @property
    def nanos(self) -> int:
        return _NANOS[self]


_NANOS = {
    TimeUnit.SECONDS: SECOND,
    TimeUnit.MILLISECONDS: 1_000_000,
    TimeUnit.MICROSECONDS: 1_000,
    TimeUnit.NANOSECONDS: 1,
    TimeUnit.TEXT: SECOND,
}


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
    named = _NAMED.match(path.name)
    interval = _interval(times, wanted.interval, Interval(named["interval"]) if named else None)
    symbol = wanted.symbol or (named["symbol"] if named else None)
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
    for what, names in ALIASES.items():
        column = next((table.columns[name] for name in names if name in table.columns), None)
        if column is None:
            raise BadFile(
                f"there is no column for the {what} (such as {', '.join(names[:3])}); it has "
                f"{', '.join(table.columns)[:120]}: rename one"
            )
        found[what] = column
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
    try:
        value = float(cell if cell is not None else math.nan)
    except ValueError:
        return TimeUnit.TEXT
    for unit in TimeUnit:
        if unit is not TimeUnit.TEXT and EARLIEST <= value * unit.nanos < LATEST:
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
        read = datetime.fromisoformat(str(cell).strip())
    except ValueError:
        raise BadFile(
            f"{table.place(row)}: {str(cell)[:40]!r} is no date: write it as 2024-01-31 12:00:00, in UTC"
        ) from None
    in_utc = read.replace(tzinfo=UTC) if read.tzinfo is None else read
    since = in_utc - datetime.fromtimestamp(0, UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1_000, read.tzinfo is not None


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


def _interval(times: Sequence[int], wanted: Interval | None, named: Interval | None) -> Interval:
    """Find the length of the bars from the steps between them, and hold it against what was said."""
    steps = Counter(after - before for before, after in pairwise(times) if after > before)
    if not steps:
        raise BadFile("every row has the same time: the first column has to say when a bar opens")
    step = steps.most_common(1)[0][0]
    found = next((interval for interval in Interval if interval.nanos == step), None)
    if found is None:
        known = ", ".join(interval.value for interval in Interval)
        raise BadFile(f"its bars are {step / SECOND:g} s apart, and bars are of {known}: fetch it at one of these")
    said = wanted or named
    if said is not None and said is not found:
        whose = "--interval" if wanted else "its name"
        raise BadFile(f"{whose} says {said.value}, but its bars are {found.value} apart: which one is right?")
    return found


def _candles(table: Table, columns: Mapping[str, list[Cell]], times: Sequence[int]) -> list[Candle]:
    values = {what: _numbers(table, what, columns[what]) for what in ("open", "high", "low", "close", "volume")}
    counted = next((table.columns[name] for name in TRADES if name in table.columns), None)
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
