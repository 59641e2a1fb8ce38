"""Where output goes: a size-bounded file per process, and whoever follows along."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

FILE_BYTES = 10_000_000
OLD_FILES = 2
LINE_BYTES = 16 * 1024
FOLLOWER_LINES = 20_000
BACKLOG_LINES = 500

LineSink = Callable[[bytes], None]


class LogFile:
    """One process's log: appended to, and moved to `.1`, `.2` when it has grown to `limit` bytes."""

    def __init__(self, path: Path, limit: int = FILE_BYTES, old_files: int = OLD_FILES) -> None:
        self.path = path
        self._limit = limit
        self._old_files = old_files
        self._open()

    def _open(self) -> None:
        self._file = self.path.open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, data: bytes) -> None:
        if self._size and self._size + len(data) > self._limit:
            self._rotate()
        self._file.write(data)
        self._size += len(data)

    def _rotate(self) -> None:
        self._file.close()
        try:
            for age in range(self._old_files, 0, -1):
                newer = self._aged(age - 1)
                if newer.exists():
                    newer.replace(self._aged(age))
        finally:
            self._open()

    def _aged(self, age: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{age}") if age else self.path

    def close(self) -> None:
        self._file.close()


class LineSplitter:
    """Makes whole lines of the chunks a pipe delivers; a line longer than `LINE_BYTES` is cut."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        yield from lines
        while len(self._rest) > LINE_BYTES:
            yield self._rest[:LINE_BYTES]
            self._rest = self._rest[LINE_BYTES:]

    def end(self) -> Iterator[bytes]:
        if self._rest:
            yield self._rest
        self._rest = b""


@dataclass(frozen=True)
class LoggedLine:
    process: str
    text: bytes


class Follower:
    """One reader of the merged log. A reader that is too slow loses the oldest lines, and is told how many."""

    def __init__(self, backlog: Iterable[LoggedLine]) -> None:
        self._lines = deque(backlog)
        self._dropped = 0
        self._arrived = asyncio.Event()
        self._arrived.set()

    def offer(self, line: LoggedLine) -> None:
        if len(self._lines) >= FOLLOWER_LINES:
            self._lines.popleft()
            self._dropped += 1
        self._lines.append(line)
        self._arrived.set()

    async def take(self) -> list[LoggedLine]:
        """All lines since the last call, the first time the recent ones; later it waits for some."""
        await self._arrived.wait()
        self._arrived.clear()
        taken = list(self._lines)
        self._lines.clear()
        if self._dropped:
            taken.insert(0, LoggedLine("supervisor", f"({self._dropped} lines not shown here)".encode()))
            self._dropped = 0
        return taken


class Logs:
    """All logs of the stack: what is written to one goes to its file and to every follower."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, LogFile] = {}
        self._followers: set[Follower] = set()
        self._recent: deque[LoggedLine] = deque(maxlen=BACKLOG_LINES)
        directory.mkdir(parents=True, exist_ok=True)

    def path(self, process: str) -> Path:
        return self._directory / f"{process}.log"

    def write(self, process: str, text: bytes) -> None:
        with suppress(OSError):  # a full disk costs the line, and stops nobody
            self._file(process).write(text + b"\n")
        line = LoggedLine(process, text)
        self._recent.append(line)
        for follower in self._followers:
            follower.offer(line)

    def _file(self, process: str) -> LogFile:
        if process not in self._files:
            self._files[process] = LogFile(self.path(process))
        return self._files[process]

    def sink(self, process: str) -> LineSink:
        return lambda text: self.write(process, text)

    @contextmanager
    def follow(self) -> Iterator[Follower]:
        follower = Follower(self._recent)
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    def close(self) -> None:
        for file in self._files.values():
            file.close()
