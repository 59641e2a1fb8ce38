"""Between a projection's typed rows and its table: what the columns are is derived from the row's fields."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from types import UnionType
from typing import Any, Generic, TypeVar, get_args, get_type_hints

R = TypeVar("R")

Column = Sequence[Any]

_COLUMN_TYPES: dict[type, str] = {str: "text", int: "int8", bool: "bool", float: "float8", Decimal: "numeric"}

_NULL = r"\N"
_SPECIAL = {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"}
_ESCAPES = str.maketrans(_SPECIAL)


class Shape(Generic[R]):
    """How rows of one type are written and read, in the order of `columns`; enums cross as their values."""

    def __init__(self, row_type: type[R]) -> None:
        self.columns: dict[str, str] = {}
        self._make = row_type
        self._enums: list[tuple[int, type[Enum]]] = []
        self._texts: list[Callable[[Column], Column]] = []
        for index, (name, hint) in enumerate(get_type_hints(row_type).items()):
            plain, optional = _without_none(hint)
            if issubclass(plain, Enum):
                self._enums.append((index, plain))
            self.columns[name] = "text" if issubclass(plain, Enum) else _COLUMN_TYPES[plain]
            self._texts.append(_text_writer(plain, optional=optional))
        self._fields = attrgetter(*self.columns)

    def values(self, row: R) -> tuple[Any, ...]:
        values: list[Any] = list(self._fields(row))
        for index, _ in self._enums:
            if values[index] is not None:
                values[index] = values[index].value
        return tuple(values)

    def row(self, values: tuple[Any, ...]) -> R:
        typed = list(values)
        for index, enum in self._enums:
            if typed[index] is not None:
                typed[index] = enum(typed[index])
        return self._make(*typed)

    def lines(self, rows: Sequence[R]) -> str:
        """Write rows as COPY's text format, a column at a time: there are many rows and few columns."""
        columns = zip(*map(self._fields, rows), strict=True)
        texts = [write(column) for write, column in zip(self._texts, columns, strict=True)]
        return "\n".join(map("\t".join, zip(*texts, strict=True))) + "\n"


def _text_writer(plain: type, *, optional: bool) -> Callable[[Column], Column]:
    if issubclass(plain, str):
        return _optional_texts if optional else _texts
    if issubclass(plain, Enum):
        return _optional_enums if optional else _enums
    return _optional_others if optional else _others


def _texts(column: Column) -> Column:
    together = "".join(column)
    if any(special in together for special in _SPECIAL):
        return [text.translate(_ESCAPES) for text in column]
    return column


def _optional_texts(column: Column) -> Column:
    return [_NULL if text is None else text.translate(_ESCAPES) for text in column]


def _enums(column: Column) -> Column:
    return [member._value_ for member in column]


def _optional_enums(column: Column) -> Column:
    return [_NULL if member is None else member._value_ for member in column]


def _others(column: Column) -> Column:
    return list(map(str, column))


def _optional_others(column: Column) -> Column:
    return [_NULL if value is None else str(value) for value in column]


def _without_none(hint: object) -> tuple[type, bool]:
    """Give the type itself for `T | None`, and whether None is allowed."""
    optional = isinstance(hint, UnionType)
    if optional:
        (hint,) = (choice for choice in get_args(hint) if choice is not type(None))
    assert isinstance(hint, type), f"{hint} cannot be a column"
    return hint, optional
