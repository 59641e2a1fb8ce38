"""What happened in a simulation: the last things for whoever has to understand a failure, and a hash of all of them."""

import logging
from collections import Counter, deque
from hashlib import blake2b

from services.simulator.loop import SimulatedLoop

KEPT = 40
LOGGERS = ("tape", "services", "nats")


class Log(logging.Handler):
    """Also hears what the production code logs."""

    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__(logging.INFO)
        self.counts: Counter[str] = Counter()
        self.last: deque[str] = deque(maxlen=KEPT)
        self._loop = loop
        self._hash = blake2b(digest_size=16)

    def note(self, what: str, text: str = "") -> None:
        """Write down that something happened; `what` is counted."""
        self.counts[what] += 1
        self._write(f"{what} {text}" if text else what)

    def detail(self, text: str) -> None:
        """Write down something that is not worth counting."""
        self._write(text)

    def weigh(self, data: bytes) -> None:
        """Let the hash depend on `data`, which nobody needs to read."""
        self._hash.update(data)

    def digest(self) -> str:
        return self._hash.hexdigest()

    def emit(self, record: logging.LogRecord) -> None:
        if not self._loop.unwinding:
            domain = self._loop.domain
            self._write(f"{domain.name if domain else 'world'} logs: {record.getMessage()}")

    def _write(self, text: str) -> None:
        line = f"{self._loop.time():10.6f}  {text}"
        self.last.append(line)
        self._hash.update(line.encode(errors="replace"))
