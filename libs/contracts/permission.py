"""Who lets the system trade: the operator and every guard, and the strictest of them holds."""

from dataclasses import dataclass, field

from contracts.control import GuardSet, TradingStateSet
from contracts.types import TradingState

_STRICTNESS = (TradingState.ACTIVE, TradingState.REDUCE_ONLY, TradingState.HALTED)


@dataclass(slots=True)
class Permission:
    """What each of them said last; whoever said nothing lets it trade."""

    operator: TradingState = TradingState.ACTIVE
    guards: dict[str, TradingState] = field(default_factory=dict)

    @property
    def state(self) -> TradingState:
        if not self.guards:
            return self.operator
        return max((self.operator, *self.guards.values()), key=_STRICTNESS.index)

    def hear(self, said: TradingStateSet | GuardSet) -> None:
        if isinstance(said, GuardSet):
            self.guards[said.guard] = said.state
        else:
            self.operator = said.state
