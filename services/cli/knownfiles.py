"""Files that were looked at before and did not change since: their hashes need not be made again."""

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from services.backtest.datafiles import DataFile, look_at

_MOST = 1_000
_SETTLED_NS = 2_000_000_000
"""A file that changed so lately may change again without another time of change."""

Now = Callable[[], int]


class KnownFiles:
    """Remembers files by where they lie, and when and how they last changed; a file of JSON that may go at any time."""

    def __init__(self, path: Path, now: Now = time.time_ns) -> None:
        self._path = path
        self._now = now

    def look_at(self, files: Sequence[Path]) -> tuple[DataFile, ...]:
        """Say what is in files, reading only those that are new or have changed; raises `Unusable`."""
        known = self._read()
        marks = {file: _mark(file) for file in files}
        before = {file: _read_one(known.get(_place(file)), mark) for file, mark in marks.items()}
        there = {file: found for file, found in before.items() if found is not None}
        seen = {file: found for file in files if file not in there for found in look_at([file])}
        settled = self._now() - _SETTLED_NS
        fresh = {
            _place(file): {"mark": marks[file], **asdict(found)}
            for file, found in seen.items()
            if marks[file] == _mark(file) and max(marks[file][-2:], default=settled) < settled
        }
        if fresh:
            self._write({**known, **fresh})
        return tuple((there | seen)[file] for file in files)

    def _read(self) -> dict[str, object]:
        try:
            known: object = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _write(self, known: dict[str, object]) -> None:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(".part", f"{self._path.name}.", self._path.parent)
            with os.fdopen(number, "w") as file:
                json.dump(dict(list(known.items())[-_MOST:]), file)
            Path(name).replace(self._path)


def _place(file: Path) -> str:
    return str(file.absolute())


def _mark(file: Path) -> list[int]:
    """Give what changes when a file does; the last two are times (ns). Nothing of one that is not there."""
    try:
        told = file.stat()
    except OSError:
        return []
    return [told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns]


def _read_one(document: object, mark: list[int]) -> DataFile | None:
    if not isinstance(document, dict) or not mark or document.get("mark") != mark:
        return None
    match document:
        case {"name": str(name), "sha256": str(sha256), "octets": int(octets), "rows": int(rows)}:
            return DataFile(name, sha256, octets, rows)
        case _:
            return None
