"""When instruments are not traded."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from contracts.event import Event
from contracts.types import LARGEST, InstrumentId, InstrumentState
from contracts.venue import InstrumentStatus
from venues.simulated.settings import Halt


@dataclass(slots=True)
class Halted:
    """What is not traded at present, and how far the schedule was followed (ns)."""

    instruments: dict[InstrumentId, InstrumentState] = field(default_factory=dict)
    followed_to: int = -1


class Schedule:
    """Says when an instrument is halted, and when it is traded again, as market events bring the time."""

    def __init__(self, halts: Iterable[Halt], halted: Halted) -> None:
        self.halted = halted
        self._turns = sorted(
            (at, halt.instrument, state.value)
            for halt in halts
            for at, state in ((halt.begins_at, halt.state), (halt.ends_at, InstrumentState.TRADING))
            if at is not None
        )
        self.next_at = self._after(halted.followed_to)
        """When something changes next (ns)."""

    def _after(self, at: int) -> int:
        return next((turn for turn, _, _ in self._turns if turn > at), LARGEST)

    def objection(self, instrument: InstrumentId) -> str | None:
        """Say why an instrument is not traded, if it is not."""
        state = self.halted.instruments.get(instrument)
        return None if state is None else f"{instrument} is not traded at present: {state.value}"

    def follow(self, now: Event) -> Iterator[InstrumentStatus]:
        before, self.halted.followed_to = self.halted.followed_to, now.ts_init
        self.next_at = self._after(now.ts_init)
        for at, instrument, value in self._turns:
            if before < at <= now.ts_init:
                yield self._turn(instrument, InstrumentState(value), now)

    def _turn(self, instrument: InstrumentId, state: InstrumentState, now: Event) -> InstrumentStatus:
        if state is InstrumentState.TRADING:
            self.halted.instruments.pop(instrument, None)
        else:
            self.halted.instruments[instrument] = state
        return InstrumentStatus(
            ts_event=now.ts_init, ts_init=now.ts_init, instrument=instrument, state=state, reason="as scheduled"
        )
