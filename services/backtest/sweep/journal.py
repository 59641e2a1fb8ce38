"""The file behind the store of a sweep: a line of JSON for each step, appended; what is in it is what happened.

One process writes. Killed at any moment it leaves whole lines and at most half of one, which is cut off when the file
is opened again.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from optuna.storages.journal import BaseJournalBackend

from services.backtest.settings import Unusable


class Journal(BaseJournalBackend):
    """Keeps what Optuna's journal storage writes; raises `Unusable` where the file is none of ours."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        self._file.seek(0)
        self._steps: list[dict[str, Any]] = []
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            try:
                self._steps.append(json.loads(line))
            except ValueError:
                self._file.close()
                told = f"{path}: line {len(self._steps) + 1} is damaged"
                raise Unusable(told, "begin anew in another directory") from None
        self._file.truncate(whole)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.keep()
        self._file.close()

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return self._steps[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append steps; from here on they outlive this process."""
        lines = [json.dumps(step, separators=(",", ":")) for step in logs]
        self._file.write("".join(f"{line}\n" for line in lines).encode())
        self._file.flush()
        self._steps += map(json.loads, lines)

    def keep(self) -> None:
        """Let what was appended outlive the machine."""
        os.fsync(self._file.fileno())
