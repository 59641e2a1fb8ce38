"""Make numbers, times and sides of the cells of a column, whatever type the file gave them."""

import math
from collections.abc import Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contracts.types import Side
from eventstore.marketdata.arrowarrays import Column, Floats, Ints, flags, floats, integers, places
from eventstore.marketdata.forms import BadFile
from eventstore.marketdata.times import EARLIEST, LATEST, AmbiguousTime, TimeUnit, date_of, unit_of

Objects = np.ndarray[Any, np.dtype[np.object_]]
UNREADABLE, AMBIGUOUS = -1, -2
"""What stands for a time that cannot be read, and for one whose zone or changed clocks leave it open."""

_SIDES = {"buy": Side.BUY, "b": Side.BUY, "bid": Side.BUY, "sell": Side.SELL, "s": Side.SELL, "ask": Side.SELL}
_FLAGS = {"true": Side.SELL, "t": Side.SELL, "1": Side.SELL, "false": Side.BUY, "f": Side.BUY, "0": Side.BUY}
_NS = pa.timestamp("ns")


def is_text(column: Column) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def numbers(column: Column) -> Floats:
    """Read numbers; NaN stands for what is none."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if is_text(column):
        trimmed = pc.utf8_trim_whitespace(column)
        try:
            return _floats(pc.cast(trimmed, pa.float64()))
        except pa.ArrowInvalid:
            return np.array([_number(cell) for cell in trimmed.to_pylist()], dtype=np.float64)
    if pa.types.is_boolean(column.type) or pa.types.is_temporal(column.type) or pa.types.is_nested(column.type):
        return np.full(len(column), math.nan)
    return _floats(pc.cast(column, pa.float64(), safe=False))


def sides(column: Column) -> Objects:
    """Read who took, `buy` or `sell`; None stands for what is neither."""
    return _meant(column, _SIDES)


def takers(column: Column) -> Objects:
    """Read who took from whether the buyer was the maker; None stands for what is neither true nor false."""
    return _meant(column, _FLAGS)


def words(column: Column) -> Objects:
    """Read names, such as ids of trades; None stands for an empty cell."""
    if pa.types.is_integer(column.type):
        return np.array(pc.cast(column, pa.string()).to_pylist(), dtype=object)
    if is_text(column) and column.null_count == 0:
        return np.array([*map(str.strip, column.to_pylist())], dtype=object)
    return np.array([None if cell is None else str(cell).strip() for cell in column.to_pylist()], dtype=object)


def _meant(column: Column, meanings: Mapping[str, Side]) -> Objects:
    """Read a column of few different cells."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    words = [meanings.get(_word(cell)) for cell in column.dictionary.to_pylist()]
    return np.array([*words, None], dtype=object)[places(column)]


def zone_named(name: str | None) -> ZoneInfo | None:
    """Find a time zone; raises `BadFile`."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadFile(f"time zone {name!r} is unknown: write it as Europe/Berlin or UTC") from None


class TimeReader:
    """Reads the times of one column, in the unit that the first that can be read is in, as ns UTC."""

    def __init__(self, what: str, zone: str | None) -> None:
        self.what = what
        self.unit: TimeUnit | None = None
        self.told: bool | None = None
        """Whether its dates tell their zone; None: not known yet, or they need none."""
        self._zone = zone_named(zone)

    def read(self, column: Column) -> Ints:
        """Read times; raises `BadFile` where the column is none of times at all."""
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_date(column.type):
            column = pc.cast(column, _NS)
        if pa.types.is_timestamp(column.type):
            times = self._stamps(column)
        elif is_text(column):
            times = self._texts(column)
        elif pa.types.is_integer(column.type):
            times = self._counts(column)
        elif pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
            times = self._fractions(_floats(pc.cast(column, pa.float64(), safe=False)))
        else:
            raise BadFile(f"{self.what}: its column holds {column.type}, and no times")
        outside = (times >= 0) & ((times < EARLIEST) | (times >= LATEST))
        return np.where(outside, UNREADABLE, times)

    def _stamps(self, column: Column) -> Ints:
        self.unit = TimeUnit.TEXT
        self._tell(told := column.type.tz is not None)
        return self._in_utc(pc.cast(column, pa.timestamp("ns", column.type.tz), safe=False), told=told)

    def _texts(self, column: Column) -> Ints:
        trimmed = pc.utf8_trim_whitespace(column)
        if self.unit is None and not self._find_unit(cell.as_py() for cell in trimmed):
            return np.full(len(column), UNREADABLE)
        if self.unit is not TimeUnit.TEXT:
            return self._written_counts(trimmed)
        try:
            stamps = pc.cast(trimmed, pa.timestamp("ns", "UTC" if self.told else None))
        except pa.ArrowInvalid:
            return np.array([self._date(cell) for cell in trimmed.to_pylist()], dtype=np.int64)
        return self._in_utc(stamps, told=bool(self.told))

    def _tell(self, told: bool) -> None:  # noqa: FBT001
        if self.told is None and told and self._zone is not None:
            raise BadFile(
                f"{self.what}: its times tell their time zone, and {self._zone.key} was said: leave that away, or "
                "strip the zone if it is wrong"
            )
        self.told = told

    def _find_unit(self, cells: Iterable[str | float | None]) -> bool:
        """Find the unit of the first cell that is a time; False if none is filled. Raises `BadFile` if none is."""
        refused: str | float | None = None
        for cell in cells:
            unit = unit_of(cell)
            told = _tells_zone(cell) if unit is TimeUnit.TEXT else None
            if unit is None or (unit is TimeUnit.TEXT and told is None):
                refused = cell if refused is None else refused
                continue
            self.unit = unit
            if told is not None:
                self._tell(told)
            return True
        if refused is None or refused != refused:  # noqa: PLR0124 # not a number
            return False
        raise BadFile(
            f"{self.what}: {str(refused)[:40]} is neither a date (such as 2024-01-31 12:00:00) nor a time between 2009 "
            "and 2100 in seconds, milli-, micro- or nanoseconds: say which column has the time"
        )

    def _written_counts(self, column: Column) -> Ints:
        """Read counts that are written out: whole ones exactly, whatever stands beside them."""
        try:
            return self._counts(pc.cast(column, pa.int64()))
        except pa.ArrowInvalid:
            whole = pc.match_substring_regex(column, "^[0-8]?[0-9]{1,18}$")
            exact = self._counts(pc.cast(pc.if_else(whole, column, None), pa.int64()))
            return np.where(flags(whole, missing=False), exact, self._fractions(numbers(column)))

    def _in_utc(self, stamps: Column, *, told: bool) -> Ints:
        if told or self._zone is None:
            return _ints(stamps)
        first, second = (
            _ints(pc.assume_timezone(stamps, self._zone.key, ambiguous=which, nonexistent=which))
            for which in ("earliest", "latest")
        )
        return np.where(first == second, first, AMBIGUOUS)

    def _date(self, cell: str | None) -> int:
        try:
            time, told = date_of(cell or "", self._zone)
        except AmbiguousTime:
            return AMBIGUOUS
        except ValueError:
            return UNREADABLE
        return time if told is self.told else AMBIGUOUS

    def _counts(self, column: Column) -> Ints:
        counts = integers(pc.cast(column, pa.int64(), safe=False), UNREADABLE)
        if self.unit is None and not self._find_unit(counts[counts != UNREADABLE].tolist()):
            return np.full(len(counts), UNREADABLE)
        assert self.unit is not None
        nanos = self.unit.nanos
        inside = (counts >= 0) & (counts < LATEST // nanos)
        return np.where(inside, np.where(inside, counts, 0) * nanos, UNREADABLE)

    def _fractions(self, counts: Floats) -> Ints:
        if self.unit is None and not self._find_unit(counts[np.isfinite(counts)].tolist()):
            return np.full(len(counts), UNREADABLE)
        assert self.unit is not None
        nanos = self.unit.nanos
        with np.errstate(invalid="ignore"):
            inside = (counts >= 0) & (counts < LATEST / nanos)
        whole, part = np.divmod(np.where(inside, counts, 0.0), 1.0)
        rest = np.rint(part * nanos / _MICROSECOND) * _MICROSECOND if nanos > _MICROSECOND else np.zeros(len(part))
        return np.where(inside, whole.astype(np.int64) * nanos + rest.astype(np.int64), UNREADABLE)


_MICROSECOND = 1_000
"""A float of seconds since 1970 tells no less than this."""


def _tells_zone(cell: str | float | None) -> bool | None:
    """Say whether a date tells its zone; None if it is no date."""
    try:
        return date_of(str(cell))[1]
    except ValueError:
        return None


def _number(cell: str | None) -> float:
    try:
        return math.nan if cell is None else float(cell)
    except ValueError:
        return math.nan


def _word(cell: object) -> str:
    return str(cell).strip().lower()


def _floats(column: Column) -> Floats:
    return floats(pc.cast(column, pa.float64(), safe=False))


def _ints(stamps: Column) -> Ints:
    return integers(pc.cast(stamps, pa.int64()), UNREADABLE)
