"""The event log of a run on disk: one JSON line for each position, and a hash that is the same on every machine.

The file is gzip; the hash is of the lines in it, so it depends neither on the compressor nor on when it was written.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pydantic_core import from_json

from contracts.codec import decode, encode, type_header, write
from contracts.event import Event
from contracts.market import Bar, Funding, Quote, Trade
from contracts.recorded import Recorded

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
        return self._hash.hexdigest()

    def close(self) -> None:
        self._flush()
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
            self._hash.update(self._pending)
            self._file.write(self._pending)
            self._pending.clear()


def read_log(path: Path) -> Iterator[Recorded]:
    """Give the events of a log in order, each recorded when it was known; raises `BadLog`."""
    lines = 0
    try:
        with gzip.open(path, "rb") as file:
            for line in file:
                yield _recorded(line)
                lines += 1
    except (OSError, EOFError, zlib.error, ValueError, LookupError) as error:
        raise BadLog(f"{path.name}, behind line {lines}: {error}") from error


def _recorded(line: bytes) -> Recorded:
    head, _, rest = line.partition(_BEGINS_EVENT)
    place = from_json(head + b"}")
    event = decode(place["type"], place["subject"], rest.removesuffix(b"}\n"))
    return Recorded(place["position"], place["cause"], place["id"], event.ts_init, event)
