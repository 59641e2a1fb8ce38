"""risk_state: who holds trading back: the operator, guards, and the rails that have locked something."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from contracts.control import GuardSet, LockLifted, TradingStateSet
from contracts.event import Event
from contracts.orders import RiskLocked
from contracts.ownership import EventTypes
from contracts.recorded import Recorded
from contracts.types import TradingState
from eventstore.projections.projection import Key, Ledger


class Hold(Enum):
    """What kind of thing holds trading back."""

    OPERATOR = "operator"
    GUARD = "guard"
    LOCK = "lock"


@dataclass(slots=True)
class RiskStateRow:
    """`name` is that of the guard or rail; `strategy` and `instrument` are empty where it is for all.

    A lock is in force until `locked_until` (ns), unless one that covers it was lifted after it. `state` is None for
    locks, `locked_until` for all others; a position of 0: never.
    """

    kind: Hold
    name: str
    strategy: str
    instrument: str
    reason: str
    updated_position: int
    updated_ts: int
    state: TradingState | None = None
    operator: str | None = None
    locked_until: int | None = None
    locked_position: int = 0
    lifted_position: int = 0


class RiskState(Ledger[RiskStateRow]):
    name = "risk_state"
    row = RiskStateRow
    key: ClassVar[tuple[str, ...]] = ("kind", "name", "strategy", "instrument")
    handles: ClassVar[EventTypes] = (TradingStateSet, GuardSet, RiskLocked, LockLifted)

    def keys(self, event: Event) -> Sequence[Key]:
        if isinstance(event, TradingStateSet):
            return ((Hold.OPERATOR.value, "", "", ""),)
        if isinstance(event, GuardSet):
            return ((Hold.GUARD.value, event.guard, "", ""),)
        assert isinstance(event, RiskLocked | LockLifted)
        return ((Hold.LOCK.value, event.rail.value, event.strategy or "", event.instrument or ""),)

    def fold(self, rows: dict[Key, RiskStateRow], recorded: Recorded) -> None:
        event = recorded.event
        assert isinstance(event, TradingStateSet | GuardSet | RiskLocked | LockLifted)
        (key,) = self.keys(event)
        row = rows.get(key)
        if row is None:
            kind, name, strategy, instrument = key
            row = rows[key] = RiskStateRow(Hold(kind), name, strategy, instrument, event.reason, 0, 0)
        row.reason = event.reason
        row.updated_position = recorded.position
        row.updated_ts = event.ts_init
        if isinstance(event, RiskLocked):
            row.locked_until = event.until
            row.locked_position = recorded.position
        elif isinstance(event, LockLifted):
            row.lifted_position = recorded.position
            row.operator = event.operator
        else:
            row.state = event.state
            row.operator = event.operator if isinstance(event, TradingStateSet) else None
