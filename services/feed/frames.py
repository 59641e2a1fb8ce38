"""Recorded websocket frames: each line is `<receive time in ns> <frame>`; every line is accounted for."""

import gzip
import hashlib
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from contracts.market import Funding, Quote, Trade
from contracts.types import InstrumentId, symbol_of
from eventstore.marketdata.streams import Stream, merged
from services.feed.parsing import BadFrame, FrameKind, Shown, parse_frame
from services.feed.usualforms import usual_forms

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = [
    "REASONS_KEPT",
    "FrameKind",
    "FrameReport",
    "Rejected",
    "Shown",
    "fingerprint",
    "frame_lists",
    "read_frames",
]

REASONS_KEPT = 100
"""How many bad frames are described one by one; the rest is only counted."""

_BLOCK = 1 << 16
_AT_ONCE = 1_000
"""Lines of a file that are read before those of another one are looked at."""

_KINDS: Mapping[type, FrameKind] = {Quote: FrameKind.QUOTE, Trade: FrameKind.TRADE, Funding: FrameKind.FUNDING}


@dataclass(frozen=True, slots=True)
class Rejected:
    """A frame that was skipped: where it stands, why, and how it begins."""

    received_ns: int
    source: str
    reason: str
    excerpt: str

    @property
    def ts_init(self) -> int:
        return self.received_ns


@dataclass(slots=True)
class FrameReport:
    """What became of every line that was read; of those that cannot be taken, as soon as they are given."""

    kinds: Counter[FrameKind] = field(default_factory=Counter)
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def lines(self) -> int:
        return self.kinds.total()

    def reject(self, rejected: Rejected) -> None:
        self.kinds[FrameKind.BAD] += 1
        if len(self.rejected) < REASONS_KEPT:
            self.rejected.append(rejected)

    def __str__(self) -> str:
        counts = ", ".join(f"{self.kinds[kind]} {kind.value}" for kind in FrameKind)
        return f"{self.lines} frames: {counts}"


def fingerprint(files: Sequence[Path]) -> str:
    """Name a set of files by what is in them: a replay of the same bytes is the same replay."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def read_frames(files: Sequence[Path], venue: str, report: FrameReport) -> Iterator[Shown | Rejected]:
    """Merge files by receive time and give what each frame says; depth frames are counted, not used."""
    for told in frame_lists(files, venue, report):
        if isinstance(told, Rejected):
            yield told
        else:
            yield from told


def frame_lists(files: Sequence[Path], venue: str, report: FrameReport) -> Iterator[list[Shown] | Rejected]:
    """Give the same in lists, as they were read; what cannot be taken comes alone."""
    known: dict[bytes, InstrumentId] = {}
    readings = [_Reading(file, venue, report, known) for file in files]
    for told in merged([Stream(reading.lists()) for reading in readings]):
        begin = 0
        for at in [at for at, one in enumerate(told) if type(one) is Rejected]:
            if begin < at:
                yield cast("list[Shown]", told[begin:at])
            rejected = cast("Rejected", told[at])
            report.reject(rejected)
            yield rejected
            begin = at + 1
        if begin < len(told):
            yield cast("list[Shown]", told[begin:] if begin else told)


class _Unpacked(io.RawIOBase):
    """What is in a gzip file, piece by piece: its own lines cost as much as reading what they say."""

    def __init__(self, packed: gzip.GzipFile) -> None:
        self._packed = packed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        piece = self._packed.read1(len(view := memoryview(buffer)))
        view[: len(piece)] = piece
        return len(piece)


class _Reading:
    """Reads one file. A line whose time is missing or runs backwards keeps its place by the time before it."""

    def __init__(self, file: Path, venue: str, report: FrameReport, known: dict[bytes, InstrumentId]) -> None:
        self._file = file
        self._venue = venue
        self._report = report
        self._known = known
        self._since = 0

    def lists(self) -> Iterator[list[Shown | Rejected]]:
        """Give what its lines tell; where the file itself ends badly, the last one says so."""
        usual, number = usual_forms(self._known), 0
        told: list[Shown | Rejected] = []
        try:
            with gzip.open(self._file, "rb") as packed:
                for number, line in enumerate(io.BufferedReader(_Unpacked(packed), _BLOCK), start=1):
                    one = usual(line, self._since) or self._look_at(line, number)
                    if one is None:
                        continue
                    self._since = one.ts_init
                    told.append(one)
                    if len(told) == _AT_ONCE:
                        yield self._counted(told)
                        told = []
        except (OSError, EOFError, zlib.error) as error:
            told.append(self._rejected(number + 1, b"", f"the file cannot be read on: {error}"))
        else:
            if number == 0:
                told.append(self._rejected(0, b"", "the file is empty"))
        if told:
            yield self._counted(told)

    def _counted(self, told: list[Shown | Rejected]) -> list[Shown | Rejected]:
        for told_type, count in Counter(map(type, told)).items():
            if told_type is not Rejected:
                self._report.kinds[_KINDS[told_type]] += count
        return told

    def _look_at(self, line: bytes, number: int) -> Shown | Rejected | None:
        """Read a line whatever it is; None: it is of a kind that is not used."""
        time_text, _, frame = line.rstrip(b"\r\n").partition(b" ")
        if not time_text.isdigit() or len(time_text) > 19:
            return self._rejected(number, line.rstrip(b"\r\n")[:200], "a line begins with the receive time in ns")
        received = int(time_text)
        if received < self._since:
            return self._rejected(number, frame, f"time runs backwards by {(self._since - received) / 1e9:.3f} s")
        self._since = received
        try:
            kind, event = parse_frame(frame, received, self._venue)
        except BadFrame as bad:
            return self._rejected(number, frame, str(bad))
        if event is None:
            self._report.kinds[kind] += 1
            return None
        self._known[symbol_of(event.instrument).encode()] = event.instrument
        return event

    def _rejected(self, number: int, frame: bytes, reason: str) -> Rejected:
        excerpt = frame[:120].decode(errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
        return Rejected(self._since, f"{self._file.name}:{number}", reason, excerpt)
