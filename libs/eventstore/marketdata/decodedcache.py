"""A directory of decoded files by what they were read from: bounded, written whole or not at all, never needed."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from eventstore.marketdata.decoded import Damaged, Decoded, DecodedWriter, Repairs, Told, read_decoded

Say = Callable[[str], None]
"""Is told what somebody should know, in a line."""

_ENDING = ".events"
_UNFINISHED = ".part"
_LEFT_BEHIND_S = 86_400
"""An unfinished file that is older than this belongs to a process that is gone."""


class DecodedCache:
    """Keeps files of decoded events up to `limit` bytes together; the ones not used for longest go first."""

    def __init__(self, directory: Path, limit: int, say: Say) -> None:
        self._directory = directory
        self._limit = limit
        self._say = say

    def find(self, key: str, ends_at: int | None) -> Decoded | None:
        """Give the events of `key`, if all before `ends_at` (ns; None: all) are here; what is damaged is removed."""
        path = self._path(key)
        try:
            found = read_decoded(path, key)
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError) as error:
            why = str(error) if isinstance(error, Damaged) else f"it cannot be read: {error}"
            self._say(f"the cache file {path.name} is made anew: {why}")
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        return found if found.holds(ends_at) else None

    def keeping(self, key: str, told: Iterator[Told]) -> Generator[Told, None, None]:
        """Give what is told, and keep it: all of it, or, when nobody wants the rest, as much as was given.

        What fails while being read is not kept. What cannot be written is said, and no more is tried.
        """
        writing = self._begun(key)
        last: Told | None = None
        try:
            for last in told:
                if writing is not None and not self._written(writing, last):
                    writing = None
                yield last
        except GeneratorExit:
            if writing is not None and last is not None:
                self._finished(key, writing, last.rows, last.repairs, whole=False)
                writing = None
            raise
        else:
            if writing is not None:
                rows, repairs = (0, {}) if last is None else (last.rows, last.repairs)
                self._finished(key, writing, rows, repairs, whole=True)
                writing = None
        finally:
            if writing is not None:
                self._given_up(writing)

    def _path(self, key: str) -> Path:
        return self._directory / f"{key}{_ENDING}"

    def _begun(self, key: str) -> DecodedWriter | None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(_UNFINISHED, f"{key}.", self._directory)
            os.close(number)
            return DecodedWriter(Path(name), key)
        except OSError as error:
            self._say(f"nothing is kept in the cache: {error}")
            return None

    def _written(self, writing: DecodedWriter, told: Told) -> bool:
        """Write on; says whether that went well."""
        try:
            writing.add(told)
        except OSError as error:
            self._say(f"nothing is kept in the cache: {error}")
        else:
            if writing.octets <= self._limit:
                return True
            self._say(f"nothing is kept in the cache: the events take more than {self._limit >> 20:,} MB")
        self._given_up(writing)
        return False

    def _finished(self, key: str, writing: DecodedWriter, rows: int, repairs: Repairs, *, whole: bool) -> None:
        until = None if whole else writing.last
        try:
            writing.finish(until, rows, repairs)
            if until is not None and self._has_more(key, until):
                writing.path.unlink()
                return
            writing.path.replace(self._path(key))
            self._evict(self._path(key))
        except OSError as error:
            self._say(f"nothing is kept in the cache: {error}")
            self._given_up(writing)

    def _has_more(self, key: str, until: int) -> bool:
        """Say whether what is kept already goes on for longer."""
        try:
            return read_decoded(self._path(key), key).holds(until)
        except (OSError, ValueError, LookupError, TypeError):
            return False

    def _given_up(self, writing: DecodedWriter) -> None:
        with contextlib.suppress(OSError):
            writing.close()
        with contextlib.suppress(OSError):
            writing.path.unlink()

    def _evict(self, newest: Path) -> None:
        """Remove what was not used for longest until the rest is within the limit, and what a process left behind."""
        now = newest.stat().st_mtime
        for left in self._directory.glob(f"*{_UNFINISHED}"):
            with contextlib.suppress(OSError):
                if now - left.stat().st_mtime > _LEFT_BEHIND_S:
                    left.unlink()
        kept = []
        for path in self._directory.glob(f"*{_ENDING}"):
            with contextlib.suppress(OSError):
                kept.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        room = self._limit - newest.stat().st_size
        for _, size, path in sorted(kept, reverse=True):
            if path == newest:
                continue
            room -= size
            if room < 0:
                with contextlib.suppress(OSError):
                    path.unlink()
