"""The event log of a run on disk: one JSON line for each position, and a hash that is the same on every machine.

The file is gzip; the hash is of the lines in it, so it depends neither on the compressor nor on when it was written.
"""

import gzip
import hashlib
import zlib
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pydantic_core import from_json

from contracts.codec import decode, encode, type_header, write
from contracts.event import Event
from contracts.market import Bar, Funding, Quote, Trade
from contracts.recorded import Recorded

FILE = "log.jsonl.gz"
"""Its name in the directory of a run."""

_BUFFER = 1 << 20
_LEVEL = 1
"""Higher levels make the file a third smaller, and the run a third slower."""
_BEGINS_EVENT = b',"event":'


_CHECKED = frozenset[type[Event]]({Quote, Trade, Bar, Funding})
"""Types of outside events that were checked where they were read."""


class BadLog(ValueError):
    """The file is no event log; the text says where and why."""


class LogWriter:
    """Appends events; `sha256` and `lines` are of all that was written."""

    def __init__(self, path: Path) -> None:
        self.lines = 0
        self._hash = hashlib.sha256()
        self._raw: BinaryIO = path.open("wb")
        self._file = gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=self._raw, mtime=0)
        self._pending = bytearray()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log")
        """Compresses beside the run: that takes as long as writing the lines."""
        self._writing: Future[None] | None = None
        self._headers: dict[type[Event], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def heard(self, position: int, msg_id: str, event: Event) -> None:
        """Append what came from outside."""
        self._append(position, "null", msg_id, event, write(event) if type(event) in _CHECKED else encode(event))

    def said(self, recorded: Recorded) -> None:
        """Append what a component said; raises `Undecodable` where no reader would take it."""
        self._append(recorded.position, str(recorded.cause), recorded.msg_id, recorded.event, encode(recorded.event))

    @property
    def sha256(self) -> str:
        self._flush()
        self._wait()
        return self._hash.hexdigest()

    def close(self) -> None:
        try:
            self._flush()
            self._wait()
        finally:
            self._thread.shutdown()
            self._file.close()
            self._raw.close()

    def _append(self, position: int, cause: str, msg_id: str, event: Event, payload: bytes) -> None:
        event_type = type(event)
        header = self._headers.get(event_type)
        if header is None:
            header = self._headers[event_type] = type_header(event_type)
        head = (
            f'{{"position":{position},"cause":{cause},"id":"{msg_id}",'
            f'"type":"{header}","subject":"{event_type.subject_of(event)}","event":'
        )
        pending = self._pending
        pending += head.encode()
        pending += payload
        pending += b"}\n"
        self.lines += 1
        if len(pending) >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            self._wait()
            self._writing = self._thread.submit(self._compress, self._pending)
            self._pending = bytearray()

    def _compress(self, lines: bytearray) -> None:
        self._hash.update(lines)
        self._file.write(lines)

    def _wait(self) -> None:
        """Raises what went wrong in writing, once."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()


@dataclass(slots=True)
class Line:
    """One position of a log, not decoded: `header` names type and version, `payload` is the event as on the tape."""

    position: int
    cause: int | None
    msg_id: str
    header: str
    subject: str
    payload: bytes

    @property
    def recorded(self) -> Recorded:
        """Decode it; raises `Undecodable`."""
        event = decode(self.header, self.subject, self.payload)
        return Recorded(self.position, self.cause, self.msg_id, event.ts_init, event)


def read_lines(path: Path) -> Iterator[Line]:
    """Give the lines of a log in order; raises `BadLog`."""
    lines = 0
    try:
        with gzip.open(path, "rb") as file:
            for line in file:
                yield _line(line)
                lines += 1
    except (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError) as error:
        raise BadLog(f"{path.name}, behind line {lines}: {error}") from error


def read_log(path: Path, types: Collection[type[Event]] | None = None) -> Iterator[Recorded]:
    """Give the events of a log in order, or those of some types, each recorded when it was known; raises `BadLog`."""
    wanted = None if types is None else {type_header(event_type) for event_type in types}
    for before, line in enumerate(read_lines(path)):
        if wanted is None or line.header in wanted:
            try:
                recorded = line.recorded
            except ValueError as error:
                raise BadLog(f"{path.name}, behind line {before}: {error}") from error
            yield recorded


def _line(line: bytes) -> Line:
    head, _, rest = line.partition(_BEGINS_EVENT)
    place = from_json(head + b"}")
    payload = rest.removesuffix(b"}\n")
    return Line(place["position"], place["cause"], place["id"], place["type"], place["subject"], payload)
