"""What kind of file it is, told by what is in it, and how its rows begin."""

import csv
import gzip
import zlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO

USUAL_ORDER = ("time", "open", "high", "low", "close", "volume")
"""The columns of a file of bars without names, as exchanges give them for download; more may follow."""
SEPARATORS = ",;\t|"
GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
_LONGEST_HEAD = 65_536
_NEITHER = "it is neither CSV, gzipped CSV nor Parquet: export it as one of these"


class BadFile(ValueError):
    """A file that cannot be used; the text says what is wrong, where, and what to do."""


class Form(Enum):
    CSV = "CSV"
    PARQUET = "Parquet"


@dataclass(frozen=True, slots=True)
class Head:
    """How a file begins. Of CSV: `lines` lie before its first row, its cells are `quoted`, it is `packed` by gzip.

    Of a file without names they are `column 1`, `column 2` and so on.
    """

    form: Form
    names: tuple[str, ...]
    named: bool
    separator: str = ","
    lines: int = 0
    packed: bool = False
    quoted: bool = False


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def separator_of(line: str) -> str:
    return max(SEPARATORS, key=line.count)


def head_of(path: Path) -> Head:
    """Look at the beginning of a file; raises `BadFile`."""
    try:
        with path.open("rb") as file:
            first = file.read(4)
            file.seek(0)
            if first.startswith(PARQUET):
                return _parquet_head(path)
            packed = first.startswith(GZIP)
            if not packed:
                return _csv_head(file, packed=False)
            with gzip.open(file, "rb") as unpacked:
                return _csv_head(unpacked, packed=True)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadFile(f"it begins like gzip and cannot be unpacked ({error}): fetch it again") from None
    except OSError as error:
        raise BadFile(f"it cannot be read: {error.strerror or error}") from None


def _csv_head(file: IO[bytes] | gzip.GzipFile, *, packed: bool) -> Head:
    line, before = file.readline(_LONGEST_HEAD), 0
    while line and not line.strip():
        line, before = file.readline(_LONGEST_HEAD), before + 1
    if not line:
        raise BadFile("it is empty: fetch it again")
    try:
        text = line.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError:
        raise BadFile(_NEITHER) from None
    if "\x00" in text or len(line) == _LONGEST_HEAD:
        raise BadFile(_NEITHER)
    separator = separator_of(text)
    cells = [cell.strip().lower() for cell in next(csv.reader([text], delimiter=separator))]
    named = not any(map(is_number, cells))
    names = tuple(cells) if named else tuple(f"column {number}" for number in range(1, len(cells) + 1))
    _require_once(names)
    quoted = '"' in text or b'"' in file.readline(_LONGEST_HEAD)
    return Head(Form.CSV, names, named, separator, before + named, packed, quoted)


def _parquet_head(path: Path) -> Head:
    import pyarrow as pa  # noqa: PLC0415 # slow to import, and most files are CSV
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadFile(f"it begins like Parquet and cannot be read ({str(error)[:100]}): fetch it again") from None
    names = tuple(name.lower() for name in schema.names)
    _require_once(names)
    return Head(Form.PARQUET, names, named=True)


def _require_once(names: tuple[str, ...]) -> None:
    if len(set(names)) != len(names):
        raise BadFile(f"line 1: a column name is there twice ({', '.join(names)[:80]}): rename one")
