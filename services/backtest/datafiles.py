"""The files of market data that a backtest was given: what they are called, what is in them, how long they are."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.backtest.settings import Unusable

_BLOCK = 1 << 20
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file by its name alone: where it lies differs from machine to machine."""

    name: str
    sha256: str
    octets: int
    rows: int
    """Lines, or rows of a table, to say how far a run has come; where a file ends badly, the last ones are missing."""


def is_table(file: Path) -> bool:
    """Say whether it is Parquet."""
    with file.open("rb") as stream:
        return stream.read(len(_PARQUET)) == _PARQUET


def look_at(files: Sequence[Path]) -> tuple[DataFile, ...]:
    """Read each file once; raises `Unusable` where one cannot be opened."""
    return tuple(map(_look, files))


def _look(file: Path) -> DataFile:
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            head = stream.read(4)
            stream.seek(0)
            for block in iter(lambda: stream.read(_BLOCK), b""):
                digest.update(block)
            octets = stream.tell()
        rows = _table_rows(file) if head == _PARQUET else _lines(file, packed=head.startswith(_GZIP))
    except OSError as error:
        raise Unusable(f"{file}: {error.strerror or error}") from None
    return DataFile(file.name, digest.hexdigest(), octets, rows)


def _lines(file: Path, *, packed: bool) -> int:
    return sum(block.count(b"\n") for block in _blocks(file, packed=packed))


def _blocks(file: Path, *, packed: bool) -> Iterator[bytes]:
    """Give what can be read; where a file ends badly is for whoever uses it to say."""
    with gzip.open(file, "rb") if packed else file.open("rb") as stream:
        try:
            yield from iter(lambda: stream.read(_BLOCK), b"")
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return


def _table_rows(file: Path) -> int:
    from pyarrow import ArrowInvalid  # noqa: PLC0415 # slow to import
    from pyarrow.parquet import read_metadata  # noqa: PLC0415

    try:
        return int(read_metadata(file).num_rows)
    except ArrowInvalid as error:
        raise Unusable(f"{file}: {error}") from None
