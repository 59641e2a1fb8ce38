"""Between a projection's typed rows and its table: what the columns are is derived from the row's fields."""

from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, Generic, NamedTuple, TypeVar, get_args, get_type_hints

R = TypeVar("R", bound=NamedTuple)

_COLUMN_TYPES: dict[type, str] = {str: "text", int: "int8", bool: "bool", Decimal: "numeric"}


class Shape(Generic[R]):
    """How rows of one type are written and read, in the order of `columns`; enums cross as their values."""

    def __init__(self, row_type: type[R]) -> None:
        self.columns: dict[str, str] = {}
        self._make: Callable[[Any], R] = row_type._make
        self._enums: list[tuple[int, type[Enum]]] = []
        for index, (name, hint) in enumerate(get_type_hints(row_type).items()):
            plain = _without_none(hint)
            if issubclass(plain, Enum):
                self._enums.append((index, plain))
                self.columns[name] = "text"
            else:
                self.columns[name] = _COLUMN_TYPES[plain]

    def values(self, row: R) -> tuple[Any, ...]:
        if not self._enums:
            return row
        values: list[Any] = list(row)
        for index, _ in self._enums:
            if values[index] is not None:
                values[index] = values[index].value
        return tuple(values)

    def row(self, values: tuple[Any, ...]) -> R:
        if not self._enums:
            return self._make(values)
        typed = list(values)
        for index, enum in self._enums:
            if typed[index] is not None:
                typed[index] = enum(typed[index])
        return self._make(typed)


def _without_none(hint: object) -> type:
    """Give the type itself for `T | None`."""
    if isinstance(hint, UnionType):
        (hint,) = (choice for choice in get_args(hint) if choice is not type(None))
    assert isinstance(hint, type), f"{hint} cannot be a column"
    return hint
