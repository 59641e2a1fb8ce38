"""Recorded websocket frames: each line is `<receive time in ns> <frame>`; every line is accounted for."""

import gzip
import hashlib
import heapq
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from pydantic_core import from_json

from contracts.codec import Undecodable, encode
from contracts.market import Funding, Quote, Trade
from contracts.types import InstrumentId, Side, instrument_id

Shown = Quote | Trade | Funding
"""What a frame may say."""

E = TypeVar("E", Quote, Trade, Funding)

REASONS_KEPT = 100
"""How many bad frames are described one by one; the rest is only counted."""


class BadFrame(ValueError):
    """A frame that cannot be taken; the text says why, naming the field where there is one."""


class FrameKind(Enum):
    QUOTE = "quote"
    TRADE = "trade"
    FUNDING = "funding"
    DEPTH = "depth"
    SNAPSHOT = "snapshot"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file; `frame` is None when the line could not be read at all, and `problem` says why."""

    received_ns: int
    file: Path
    number: int
    frame: bytes
    problem: str | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A frame that was skipped: where it stands, why, and how it begins."""

    received_ns: int
    source: str
    reason: str
    excerpt: str


@dataclass(slots=True)
class FrameReport:
    """What became of every line."""

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
    for line in heapq.merge(*map(_lines, files), key=lambda line: line.received_ns):
        try:
            kind, event = parse_line(line, venue)
        except BadFrame as bad:
            excerpt = line.frame[:120].decode(errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
            rejected = Rejected(line.received_ns, f"{line.file.name}:{line.number}", str(bad), excerpt)
            report.reject(rejected)
            yield rejected
            continue
        report.kinds[kind] += 1
        if event is not None:
            yield event


def parse_line(line: Line, venue: str) -> tuple[FrameKind, Shown | None]:
    """Read one line; raises `BadFrame`."""
    if line.problem is not None:
        raise BadFrame(line.problem)
    return parse_frame(line.frame, line.received_ns, venue)


def parse_frame(frame: bytes, received_ns: int, venue: str) -> tuple[FrameKind, Shown | None]:
    """Read one frame of a Binance spot or USD-M stream; raises `BadFrame`."""
    try:
        document = from_json(frame)
    except ValueError as error:
        raise BadFrame(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadFrame("not a JSON object")
    if "lastUpdateId" in document:
        return FrameKind.SNAPSHOT, None
    stream, data = document.get("stream"), document.get("data")
    if not isinstance(stream, str) or not isinstance(data, dict):
        raise BadFrame("stream, data: a frame has both")
    kind = stream.partition("@")[2]
    if kind.startswith("depth"):
        return FrameKind.DEPTH, None
    try:
        if kind == "bookTicker":
            return FrameKind.QUOTE, _quote(data, received_ns, venue)
        if kind == "trade":
            return FrameKind.TRADE, _trade(data, received_ns, venue)
        if kind.startswith("markPrice"):
            return FrameKind.FUNDING, _funding(data, received_ns, venue)
    except KeyError as missing:
        raise BadFrame(f"data.{missing.args[0]}: is missing") from None
    raise BadFrame(f"stream: {stream!r} is unknown; known are bookTicker, trade, markPrice and depth")


def _quote(data: dict[str, Any], received_ns: int, venue: str) -> Quote:
    quote = Quote(
        ts_event=_exchange_time(data, received_ns),
        ts_init=received_ns,
        instrument=_instrument(data, venue),
        bid=_number(data, "b"),
        bid_size=_number(data, "B"),
        ask=_number(data, "a"),
        ask_size=_number(data, "A"),
    )
    return _checked(quote)


def _trade(data: dict[str, Any], received_ns: int, venue: str) -> Trade:
    trade = Trade(
        ts_event=_exchange_time(data, received_ns),
        ts_init=received_ns,
        instrument=_instrument(data, venue),
        price=_number(data, "p"),
        size=_number(data, "q"),
        aggressor=Side.SELL if _flag(data, "m") else Side.BUY,
        trade_id=str(data["t"]),
    )
    return _checked(trade)


def _funding(data: dict[str, Any], received_ns: int, venue: str) -> Funding:
    """In these frames E is when it happened, and T when funding is due."""
    funding = Funding(
        ts_event=_time(data, "E") or received_ns,
        ts_init=received_ns,
        instrument=_instrument(data, venue),
        mark=_number(data, "p"),
        index=_number(data, "i"),
        rate=_number(data, "r"),
        next_at=_time(data, "T"),
    )
    return _checked(funding)


def _exchange_time(data: dict[str, Any], received_ns: int) -> int:
    """Spot book tickers carry no time of the exchange's: they happened when we heard of them."""
    return _time(data, "T") or received_ns


def _time(data: dict[str, Any], key: str) -> int:
    """Read a time in ms as ns; 0 where there is none."""
    time_ms = data.get(key, 0)
    if type(time_ms) is not int or time_ms < 0:
        raise BadFrame(f"data.{key}: {time_ms!r} is no time in ms")
    return time_ms * 1_000_000


def _instrument(data: dict[str, Any], venue: str) -> InstrumentId:
    return instrument_id(venue, str(data["s"]))


def _number(data: dict[str, Any], key: str) -> float:
    try:
        return float(data[key])
    except (TypeError, ValueError):
        raise BadFrame(f"data.{key}: {data[key]!r} is no number") from None


def _flag(data: dict[str, Any], key: str) -> bool:
    flag = data[key]
    if not isinstance(flag, bool):
        raise BadFrame(f"data.{key}: {flag!r} is neither true nor false")
    return flag


def _checked(event: E) -> E:
    try:
        encode(event)
    except Undecodable as error:
        raise BadFrame(str(error)) from None
    return event


def _lines(file: Path) -> Iterator[Line]:
    """Read the lines of a file; where the file itself ends badly, one last line says so."""
    last, number = 0, 0
    try:
        with gzip.open(file, "rb") as stream:
            for number, text in enumerate(stream, start=1):
                line = _line(file, number, text, last)
                last = line.received_ns
                yield line
    except (OSError, EOFError, zlib.error) as error:
        yield Line(last, file, number + 1, b"", f"the file cannot be read on: {error}")
        return
    if number == 0:
        yield Line(0, file, 0, b"", "the file is empty")


def _line(file: Path, number: int, text: bytes, last: int) -> Line:
    """Split a line; one whose time is missing or runs backwards keeps its place by the time before it."""
    time_text, _, frame = text.rstrip(b"\r\n").partition(b" ")
    if not time_text.isdigit() or len(time_text) > 19:
        return Line(last, file, number, text[:200], "a line begins with the receive time in ns")
    received = int(time_text)
    if received < last:
        return Line(last, file, number, frame, f"time runs backwards by {(last - received) / 1e9:.3f} s")
    return Line(received, file, number, frame, None)
