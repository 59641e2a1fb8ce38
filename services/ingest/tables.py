"""Read a file that people keep candles in: CSV, plain or gzipped, or Parquet, told apart by what is in it."""

import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

from eventstore.marketdata.forms import GZIP, PARQUET, USUAL_ORDER, BadFile, Form, is_number, separator_of

Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by their names in small letters; row n stands in line `lines[n]` (of Parquet: is row n + 1)."""

    form: Form
    named: bool
    columns: dict[str, list[Cell]]
    lines: list[int]

    def place(self, row: int) -> str:
        return f"{'line' if self.form is Form.CSV else 'row'} {self.lines[row]}"


def read_table(path: Path) -> Table:
    """Read a file. Raises `BadFile`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadFile(f"it cannot be read: {error.strerror}") from None
    if data.startswith(PARQUET):
        return _parquet(data)
    if data.startswith(GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise BadFile(f"it begins like gzip and cannot be unpacked ({error}): fetch it again") from None
    if not data.strip():
        raise BadFile("it is empty: fetch it again")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadFile("it is neither CSV, gzipped CSV nor Parquet: export it as one of these") from None
    return _csv(text)


def _csv(text: str) -> Table:
    if "\x00" in text:
        raise BadFile("it is neither CSV, gzipped CSV nor Parquet: export it as one of these")
    first = text.lstrip().partition("\n")[0]
    separator = separator_of(first)
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise BadFile(f"line {reader.line_num}: it is no CSV: {error}") from None
    head = [cell.strip().lower() for cell in rows[0][1]]
    if len(head) < len(USUAL_ORDER):
        raise BadFile(
            f"line 1 is no line of a table: it has {len(head)} columns ({', '.join(head)[:60]}), and at least "
            f"{', '.join(USUAL_ORDER)} are needed"
        )
    named = not all(map(is_number, head[1:6]))
    names = head if named else [*USUAL_ORDER, *(f"column {number}" for number in range(7, len(head) + 1))]
    if len(set(names)) != len(names):
        raise BadFile(f"line 1: a column name is there twice ({', '.join(names)[:80]}): rename one")
    rows = rows[1:] if named else rows
    for line, row in rows:
        if len(row) != len(names):
            raise BadFile(f"line {line}: it has {len(row)} columns and line 1 has {len(names)}: mend or remove it")
    columns: dict[str, list[Cell]] = {name: [row[at] for _, row in rows] for at, name in enumerate(names)}
    return Table(Form.CSV, named, columns, [line for line, _ in rows])


def _parquet(data: bytes) -> Table:
    import pyarrow as pa  # noqa: PLC0415 # slow to import, and most files are CSV
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadFile(f"it begins like Parquet and cannot be read ({str(error)[:100]}): fetch it again") from None
    columns: dict[str, list[Cell]] = {}
    for name, column in zip(table.schema.names, table.columns, strict=True):
        if pa.types.is_timestamp(column.type):
            columns[name.lower()] = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64()).to_pylist()
        elif pa.types.is_decimal(column.type):
            columns[name.lower()] = [None if value is None else float(value) for value in column.to_pylist()]
        else:
            columns[name.lower()] = column.to_pylist()
    return Table(Form.PARQUET, named=True, columns=columns, lines=list(range(1, table.num_rows + 1)))
