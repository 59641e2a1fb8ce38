"""Arrow's numbers as numpy's, by their buffers: pyarrow's own ways first import pandas, which takes half a second."""

from typing import Any

import numpy as np

Bools = np.ndarray[Any, np.dtype[np.bool_]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Column = Any
"""An Arrow array; pyarrow has no types."""


def filled(column: Column) -> Bools:
    """Say which cells hold something."""
    bits = column.buffers()[0]
    if bits is None:
        return np.ones(len(column), dtype=np.bool_)
    return _bits(bits, column.offset, len(column))


def flags(column: Column, missing: bool) -> Bools:  # noqa: FBT001
    """Read a column of booleans."""
    found = _bits(column.buffers()[1], column.offset, len(column))
    return found if column.null_count == 0 else np.where(filled(column), found, missing)


def integers(column: Column, missing: int) -> Ints:
    """Read a column of int64."""
    found = _numbers(column, np.dtype(np.int64))
    return found if column.null_count == 0 else np.where(filled(column), found, missing)


def floats(column: Column) -> Floats:
    """Read a column of float64; NaN stands for an empty cell."""
    found = _numbers(column, np.dtype(np.float64))
    return found if column.null_count == 0 else np.where(filled(column), found, np.nan)


def places(column: Column) -> Ints:
    """Read in which place of its dictionary each cell of a column lies; the last place + 1 stands for an empty one."""
    return integers(column.indices.cast("int64"), len(column.dictionary))


def _numbers(column: Column, kind: np.dtype[Any]) -> np.ndarray[Any, Any]:
    if len(column) == 0:
        return np.empty(0, kind)
    return np.frombuffer(column.buffers()[1], kind, len(column), column.offset * kind.itemsize)


def _bits(buffer: Any, offset: int, count: int) -> Bools:  # noqa: ANN401
    octets = np.frombuffer(buffer, np.uint8) if count else np.empty(0, np.uint8)
    return np.unpackbits(octets, count=offset + count, bitorder="little")[offset:].astype(np.bool_)
