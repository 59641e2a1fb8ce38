"""A file of decoded events: what took long to read once, ready to be played; sound as a whole, or not used at all."""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from contracts.event import Event
from eventstore.marketdata.columnar import from_parts, to_parts

FORMAT = 1
AT_ONCE = 16_384
"""Events that are written, and read, together at least: what is held in memory is a few times as much."""

_MAGIC = b"HMMEVNTS"
_END = struct.Struct("<IQ8s")
"""CRC and length of the summary before it, and the magic again."""
_BLOCK = 1 << 20

Repairs = Mapping[str, int]


class Damaged(ValueError):
    """The file is not what was written; the text says how that is seen."""


@dataclass(frozen=True, slots=True)
class Told:
    """Events that were given together, and how far the reading of their source had come behind them."""

    events: list[Event]
    rows: int
    repairs: Repairs


@dataclass(frozen=True, slots=True)
class _Segment:
    """Where events lie in the file, of which types they are, when the last is known, and how they were given."""

    sizes: list[int]
    types: list[int]
    last: int
    told: list[tuple[int, int, dict[str, int]]]
    """Of each list its end among the events of the segment, the rows that were read, the repairs."""

    @classmethod
    def read(cls, document: dict[str, Any]) -> "_Segment":
        told = [(end, rows, repairs) for end, rows, repairs in document["told"]]
        return cls(document["sizes"], document["types"], document["last"], told)

    def document(self) -> dict[str, Any]:
        return {"sizes": self.sizes, "types": self.types, "last": self.last, "told": self.told}


class DecodedWriter:
    """Writes a file as events are given; without `finish` it is none."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self._file = path.open("wb")
        self._file.write(_MAGIC)
        self._key = key
        self._crc = 0
        self._segments: list[_Segment] = []
        self._events: list[Event] = []
        self._told: list[tuple[int, int, dict[str, int]]] = []
        self.octets = len(_MAGIC)
        self.last = -1
        """When the last event that was given is known (ns)."""

    def add(self, told: Told) -> None:
        self._events += told.events
        if told.events:
            self.last = told.events[-1].ts_init
        self._told.append((len(self._events), told.rows, dict(told.repairs)))
        if len(self._events) >= AT_ONCE:
            self._flush()

    def finish(self, until: int | None, rows: int, repairs: Repairs) -> None:
        """End the file. `until`: events that are known then or later may be missing; None: none is."""
        self._flush()
        summary = {
            "format": FORMAT,
            "key": self._key,
            "until": until,
            "rows": rows,
            "repairs": dict(repairs),
            "crc": self._crc,
            "segments": [segment.document() for segment in self._segments],
        }
        text = json.dumps(summary, separators=(",", ":")).encode()
        self._file.write(text + _END.pack(zlib.crc32(text), len(text), _MAGIC))
        self.close()

    def close(self) -> None:
        self._file.close()

    def _flush(self) -> None:
        if not self._events:
            return
        types, parts = to_parts(self._events)
        self._segments.append(_Segment([*map(len, parts)], [*types], self.last, self._told))
        for part in parts:
            self._file.write(part)
            self._crc = zlib.crc32(part, self._crc)
            self.octets += len(part)
        self._events, self._told = [], []


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file that was written to its end and is as it was. `rows`, `repairs`: of all that it tells."""

    path: Path
    until: int | None
    rows: int
    repairs: Repairs
    segments: list[_Segment]

    def holds(self, ends_at: int | None) -> bool:
        """Say whether all events before `ends_at` (None: all there are) are in it."""
        return self.until is None or (ends_at is not None and ends_at <= self.until)

    def told(self, begins_at: int | None) -> Iterator[Told]:
        """Give what was written, but for what lies long before `begins_at` (ns): of that only how far it had come."""
        with self.path.open("rb") as file:
            file.seek(len(_MAGIC))
            for segment in self.segments:
                if begins_at is not None and segment.last < begins_at:
                    file.seek(sum(segment.sizes), 1)
                    _, rows, repairs = segment.told[-1]
                    yield Told([], rows, repairs)
                    continue
                events = from_parts(segment.types, [file.read(size) for size in segment.sizes])
                begin = 0
                for end, rows, repairs in segment.told:
                    yield Told(events[begin:end], rows, repairs)
                    begin = end


def read_decoded(path: Path, key: str) -> Decoded:
    """Open a file and look at every byte of it; raises `Damaged`, and `OSError`."""
    with path.open("rb") as file:
        length = file.seek(0, 2)
        if length < len(_MAGIC) + _END.size:
            raise Damaged("it is cut off")
        file.seek(length - _END.size)
        crc, octets, magic = _END.unpack(file.read(_END.size))
        if magic != _MAGIC or octets > length - len(_MAGIC) - _END.size:
            raise Damaged("it is cut off")
        file.seek(length - _END.size - octets)
        text = file.read(octets)
        if zlib.crc32(text) != crc:
            raise Damaged("its summary is not as it was written")
        summary = json.loads(text)
        if summary["format"] != FORMAT or summary["key"] != key:
            raise Damaged("it is of other data, or of another form")
        file.seek(len(_MAGIC))
        if _crc_of(file, length - _END.size - octets - len(_MAGIC)) != summary["crc"]:
            raise Damaged("its events are not as they were written")
    segments = [_Segment.read(one) for one in summary["segments"]]
    return Decoded(path, summary["until"], summary["rows"], summary["repairs"], segments)


def _crc_of(file: IO[bytes], octets: int) -> int:
    crc = 0
    while octets and (block := file.read(min(_BLOCK, octets))):
        crc = zlib.crc32(block, crc)
        octets -= len(block)
    return crc
