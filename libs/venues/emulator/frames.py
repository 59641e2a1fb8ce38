"""Recorded websocket frames, to be played into the emulated market: `<receive time in ns> <frame>` by line."""

import gzip
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from venues.emulator.words import Board, Side

GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of frames of one board."""

    board: Board
    file: Path

    @classmethod
    def parse(cls, text: str) -> "Recording":
        """Read `FILE`, `spot:FILE` or `usdm:FILE`."""
        board, colon, file = text.partition(":")
        if colon and board in tuple(Board):
            return cls(Board(board), Path(file))
        return cls(Board.SPOT, Path(text))


@dataclass(frozen=True, slots=True)
class QuoteFrame:
    at_ns: int
    board: Board
    symbol: str
    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal


@dataclass(frozen=True, slots=True)
class TradeFrame:
    at_ns: int
    board: Board
    symbol: str
    price: Decimal
    size: Decimal
    aggressor: Side


@dataclass(frozen=True, slots=True)
class MarkFrame:
    at_ns: int
    board: Board
    symbol: str
    mark: Decimal
    index: Decimal
    rate: Decimal
    next_funding_ms: int


Frame = QuoteFrame | TradeFrame | MarkFrame


def read(recordings: Iterable[Recording]) -> Iterator[Frame]:
    """Merge recordings by receive time; frames of other kinds are left out."""
    return heapq.merge(*map(_read_one, recordings), key=lambda frame: frame.at_ns)


def _read_one(recording: Recording) -> Iterator[Frame]:
    with recording.file.open("rb") as raw:
        packed = raw.read(2) == GZIP_MAGIC
    with gzip.open(recording.file, "rb") if packed else recording.file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                frame = parse(line, recording.board)
            except (ValueError, KeyError, TypeError, ArithmeticError) as error:
                raise ValueError(f"{recording.file}:{number}: no frame: {error!r}") from error
            if frame is not None:
                yield frame


def parse(line: bytes, board: Board) -> Frame | None:
    """Read a line; None when its kind is not played."""
    at_text, _, text = line.partition(b" ")
    at_ns = int(at_text)
    document = from_json(text)
    kind = str(document.get("stream", "")).partition("@")[2]
    data: dict[str, Any] = document.get("data", {})
    if kind == "bookTicker":
        sizes = (Decimal(data[key]) for key in ("b", "B", "a", "A"))
        return QuoteFrame(at_ns, board, data["s"], *sizes)
    if kind == "trade":
        aggressor = Side.SELL if data["m"] else Side.BUY
        return TradeFrame(at_ns, board, data["s"], Decimal(data["p"]), Decimal(data["q"]), aggressor)
    if kind.startswith("markPrice"):
        mark, index, rate = (Decimal(data[key]) for key in ("p", "i", "r"))
        return MarkFrame(at_ns, board, data["s"], mark, index, rate, int(data["T"]))
    return None
