"""Locks: what rails let nothing but exits pass for, until when, and why."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from contracts.control import LockLifted
from contracts.event import Event
from contracts.orders import RiskLocked
from contracts.types import LARGEST, InstrumentId, Rail

SECOND = 1_000_000_000


@dataclass(slots=True)
class Lock:
    """None: of every strategy, of every instrument. `until` in ns."""

    rail: Rail
    strategy: str | None
    instrument: InstrumentId | None
    until: int
    reason: str

    def holds(self, strategy: str, instrument: InstrumentId, now: int) -> bool:
        return now < self.until and self.strategy in (None, strategy) and self.instrument in (None, instrument)

    @property
    def text(self) -> str:
        until = datetime.fromtimestamp(self.until // SECOND, UTC)
        return f"{self.reason}; locked until {until:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(slots=True)
class Locks:
    locks: list[Lock] = field(default_factory=list)

    def find(self, rail: Rail, strategy: str, instrument: InstrumentId, now: int) -> Lock | None:
        return next((one for one in self.locks if one.rail is rail and one.holds(strategy, instrument, now)), None)

    def are_on(self, strategy: str, instrument: InstrumentId, now: int) -> bool:
        return any(one.holds(strategy, instrument, now) for one in self.locks)

    def add(self, lock: Lock, event: Event) -> RiskLocked | None:
        """Lock, or lock for longer; None if it is locked for as long already."""
        lock.until = min(lock.until, LARGEST)
        self.locks = [one for one in self.locks if event.ts_init < one.until]
        scope = (lock.rail, lock.strategy, lock.instrument)
        for one in self.locks:
            if (one.rail, one.strategy, one.instrument) == scope:
                if lock.until <= one.until:
                    return None
                self.locks.remove(one)
                break
        self.locks.append(lock)
        return RiskLocked(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            rail=lock.rail,
            strategy=lock.strategy,
            instrument=lock.instrument,
            until=lock.until,
            reason=lock.text,
        )

    def lift(self, lifted: LockLifted) -> int:
        """Take away what the operator lifts; gives how many locks that were."""
        before = len(self.locks)
        self.locks = [one for one in self.locks if not _is_lifted(one, lifted)]
        return before - len(self.locks)


def _is_lifted(lock: Lock, lifted: LockLifted) -> bool:
    return (
        lock.rail is lifted.rail
        and lifted.strategy in (None, lock.strategy)
        and lifted.instrument in (None, lock.instrument)
    )
