"""Files that are cut off: a reader has to tell from the beginning of a file what it tells from the whole of it."""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from contracts.event import Event
from contracts.types import InstrumentId
from services.backtest.lookahead.examination import DATA, Divergence
from services.backtest.lookahead.futures import Future, PricedEvent
from services.backtest.lookahead.moments import Cut
from services.backtest.settings import Unusable
from tape.verdict import differences

Reading = Callable[[Sequence[Path]], Iterator[Event]]
"""Opens files as the whole run did, and gives their events."""

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"


@dataclass(frozen=True)
class FileCut:
    """What came of cutting files off behind so many rows of each."""

    rows: tuple[int, ...]
    events: int
    """How many of the beginning were compared."""
    divergence: Divergence | None


def cut_off(file: Path, rows: int, folder: Path) -> Path:
    """Write the first `rows` of a file, and the line of names above them, into `folder` under its own name."""
    target = folder / file.name
    with file.open("rb") as stream:
        head = stream.read(4)
    if head == _PARQUET:
        _cut_table(file, rows, target)
    elif head.startswith(_GZIP):
        with gzip.open(file, "rb") as lines, gzip.open(target, "wb", compresslevel=1) as out:
            out.writelines(_whole_lines(lines, rows + 1))
    else:
        with file.open("rb") as lines, target.open("wb") as out:
            out.writelines(_whole_lines(lines, rows + 1))
    return target


def _whole_lines(lines: Iterator[bytes], count: int) -> Iterator[bytes]:
    try:
        yield from islice(lines, count)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Unusable(f"the file ends badly: {error}") from None


def _cut_table(file: Path, rows: int, target: Path) -> None:
    from pyarrow.parquet import ParquetFile, ParquetWriter  # noqa: PLC0415 # slow to import

    whole = ParquetFile(file)
    with ParquetWriter(target, whole.schema_arrow) as out:
        left = rows
        for batch in whole.iter_batches():
            part = batch.slice(0, left)
            out.write_batch(part)
            left -= part.num_rows
            if left == 0:
                break


def same_beginning(files: Sequence[Path], rows: Sequence[int], folder: Path, read: Reading) -> FileCut:
    """Cut each of `files` off and compare what is read with what is read of the whole.

    Compared is what is told before the last event of the instrument that ends first: behind that another file goes on.
    """
    cut = [cut_off(file, count, folder) for file, count in zip(files, rows, strict=True)]
    limit = _first_end(read(cut))
    whole, part = read(files), read(cut)
    count = 0
    while True:
        usual, other = next(whole, None), next(part, None)
        if _is_over(usual, limit) and _is_over(other, limit):
            return FileCut(tuple(rows), count, None)
        if usual != other or type(usual) is not type(other):
            return FileCut(tuple(rows), count, _divergence(limit, usual, other))
        count += 1


def _first_end(events: Iterator[Event]) -> int:
    ends: dict[InstrumentId, int] = {}
    for event in events:
        if isinstance(event, PricedEvent):
            ends[event.instrument] = event.ts_init
    return min(ends.values(), default=0)


def _is_over(event: Event | None, limit: int) -> bool:
    return event is None or event.ts_init >= limit


def _divergence(limit: int, usual: Event | None, other: Event | None) -> Divergence:
    first = usual or other
    assert first is not None
    found = () if usual is None or other is None else tuple(differences(usual, other, None, 0))
    parts = tuple(one for one in found if one.field != "cause")
    return Divergence(Cut(limit, Future.GONE, None), DATA, None, first.ts_init, usual, other, parts)
