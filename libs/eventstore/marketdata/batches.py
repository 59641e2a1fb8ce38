"""Read the columns of a file in batches: what is held is a few batches, however long the file is."""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from pyarrow import compute

from eventstore.marketdata.arrowarrays import filled
from eventstore.marketdata.forms import BadFile, Form, Head

BLOCK = 1 << 20
"""Bytes of CSV that are parsed at once."""
BATCH = 16_384
"""Rows of Parquet that are decoded at once."""
_NOTHING = ["", "null", "NULL", "None", "N/A"]

Lines = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a file: its columns as Arrow arrays (text, of CSV), and the line (of Parquet: row) each row stands in."""

    columns: dict[str, Any]
    lines: Lines
    short: tuple[tuple[int, int], ...] = ()
    """Lines that were left out, and how many columns they have instead of those of the head."""


def place(form: Form, line: int) -> str:
    return f"{'line' if form is Form.CSV else 'row'} {line}"


def batches(path: Path, head: Head, wanted: Sequence[str]) -> Iterator[Batch]:
    """Read the columns `wanted`; raises `BadFile`."""
    try:
        yield from _csv(path, head, wanted) if head.form is Form.CSV else _parquet(path, wanted)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadFile(f"it cannot be unpacked to its end ({error}): fetch it again") from None
    except (pa.ArrowException, ValueError) as error:
        if isinstance(error, BadFile):
            raise
        raise BadFile(f"it cannot be read on ({str(error)[:100]}): fetch it again") from None
    except OSError as error:
        raise BadFile(f"it cannot be read on: {error.strerror or str(error)[:100]}") from None


@dataclass(slots=True)
class _Skipped:
    """Lines that are no rows of the table; the parser tells of them before it gives the rows around them."""

    lines: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, row: Any) -> str:  # noqa: ANN401 # pyarrow's InvalidRow has no type
        columns = row.actual_columns if row.text.strip() else 0
        self.lines.append((row.number, columns))
        return "skip"

    def take(self, first: int, rows: int) -> tuple[Lines, tuple[tuple[int, int], ...]]:
        """Number `rows` rows from line `first` on, around what was skipped."""
        end, taken = first + rows, 0
        while taken < len(self.lines) and self.lines[taken][0] < end:
            taken += 1
            end += 1
        numbers = np.setdiff1d(np.arange(first, end), [line for line, _ in self.lines[:taken]], assume_unique=True)
        return numbers, self.told(taken)

    def told(self, count: int) -> tuple[tuple[int, int], ...]:
        """Give the first `count` of them, but for empty ones, and forget them."""
        told, self.lines = self.lines[:count], self.lines[count:]
        return tuple((line, columns) for line, columns in told if columns)


def _csv(path: Path, head: Head, wanted: Sequence[str]) -> Iterator[Batch]:
    skipped = _Skipped()
    with path.open("rb") as raw:
        stream: Any = gzip.GzipFile(fileobj=raw) if head.packed else raw
        reader = pc.open_csv(
            pa.PythonFile(stream, mode="r"),
            pc.ReadOptions(use_threads=False, block_size=BLOCK, column_names=list(head.names), skip_rows=head.lines),
            pc.ParseOptions(
                delimiter=head.separator,
                quote_char='"' if head.quoted else False,
                ignore_empty_lines=False,
                invalid_row_handler=skipped,
                newlines_in_values=False,
            ),
            pc.ConvertOptions(
                column_types={name: pa.string() for name in head.names},
                include_columns=list(head.names if head.quoted else wanted),
                null_values=_NOTHING,
                strings_can_be_null=True,
            ),
        )
        line = head.lines + 1
        for batch in reader:
            if head.quoted:
                _require_closed_quotes(batch, line)
            numbers, short = skipped.take(line, batch.num_rows)
            line = int(numbers[-1]) + 1 if len(numbers) else line
            has_cells = np.logical_or.reduce([filled(column) for column in batch.columns])
            rows = batch if has_cells.all() else batch.filter(pa.array(has_cells))
            yield Batch({name: rows.column(name) for name in wanted}, numbers[has_cells], short)
        if skipped.lines:
            none = {name: pa.array([], pa.string()) for name in wanted}
            yield Batch(none, np.array([], dtype=np.int64), skipped.told(len(skipped.lines)))


def _require_closed_quotes(batch: Any, line: int) -> None:  # noqa: ANN401 # pyarrow has no types
    """Refuse cells of several lines: a quote that nobody closes takes in all that follows."""
    for column in batch.columns:
        if compute.any(compute.match_substring(column, "\n")).as_py():
            raise BadFile(f'after line {line}: a quote (") is not closed: mend the file')


def _parquet(path: Path, wanted: Sequence[str]) -> Iterator[Batch]:
    with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
        names = {name.lower(): name for name in file.schema_arrow.names}
        line = 1
        for batch in file.iter_batches(BATCH, columns=[names[name] for name in wanted], use_threads=False):
            columns = {name: batch.column(names[name]) for name in wanted}
            yield Batch(columns, np.arange(line, line + batch.num_rows))
            line += batch.num_rows
