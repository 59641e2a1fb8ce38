"""Listen keys of USD-M: one at a time, kept alive by its owner."""

from dataclasses import dataclass
from random import Random

from venues.emulator.refusals import unknown_listen_key


@dataclass(slots=True)
class ListenKeys:
    """The one key that is valid; it ends `life_ms` after it was made or kept alive."""

    life_ms: int
    random: Random
    key: str | None = None
    until: int = 0

    def open(self, now: int) -> str:
        """Give the valid key with a new life, or a new key."""
        if not self.is_valid(self.key, now):
            self.key = f"{self.random.getrandbits(256):064x}"
        self.until = now + self.life_ms
        assert self.key is not None
        return self.key

    def keep_alive(self, now: int) -> str:
        if not self.is_valid(self.key, now):
            raise unknown_listen_key()
        return self.open(now)

    def close(self) -> None:
        self.key = None

    def is_valid(self, key: str | None, now: int) -> bool:
        return key is not None and key == self.key and now < self.until
