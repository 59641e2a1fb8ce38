"""The books of one strategy: what it began with, what it holds, and what came of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from contracts.types import InstrumentId, PositionSide
from services.portfolio.position import Position
from services.portfolio.settings import CostMethod, PositionMode

ZERO = Decimal(0)
NET = PositionSide.NET  # by its own name: to find a member in its class costs much more (CPython 3.11)

Positions = dict[InstrumentId, Position]


@dataclass(slots=True)
class ForeignBalance:
    """A currency that is not that of the books, into which only fees are booked: mostly it is negative.

    `cost` is what `amount` was worth when it was booked. `unvalued` are fees of a time when there was no rate: they
    count once there is one. `source` is the instrument whose mark is the rate.
    """

    amount: Decimal = ZERO
    cost: Decimal = ZERO
    unvalued: Decimal = ZERO
    source: InstrumentId | None = None

    def pay(self, fee: Decimal, rate: Decimal) -> Decimal:
        """Book a fee, and give what it is worth."""
        worth = fee * rate
        self.amount -= fee
        self.cost -= worth
        return worth


@dataclass(slots=True)
class StrategyBooks:
    """Amounts in `currency`; `realized_pnl`, `fees` and `funding` are the sums over all positions, and late fees."""

    capital: Decimal
    currency: str
    peak: Decimal
    mode: PositionMode = PositionMode.NETTING
    cost: CostMethod = CostMethod.AVERAGE
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    positions: Positions = field(default_factory=dict)
    longs: Positions = field(default_factory=dict)
    shorts: Positions = field(default_factory=dict)
    foreign: dict[str, ForeignBalance] = field(default_factory=dict)

    @property
    def is_flat(self) -> bool:
        return not any(True for _ in self.held())

    @property
    def is_still(self) -> bool:
        """Whether no price can change its equity."""
        return self.is_flat and not any(balance.amount for balance in self.foreign.values())

    def of_side(self, side: PositionSide) -> Positions:
        if side is NET:
            return self.positions
        return self.longs if side is PositionSide.LONG else self.shorts

    def sides(self) -> tuple[tuple[PositionSide, Positions], ...]:
        """Give the positions of each side; where longs and shorts were never kept apart, there is only one."""
        if not self.longs and not self.shorts:
            return ((NET, self.positions),)
        return (NET, self.positions), (PositionSide.LONG, self.longs), (PositionSide.SHORT, self.shorts)

    def held(self) -> Iterator[tuple[InstrumentId, PositionSide, Position]]:
        """List the positions that are not flat."""
        for side, positions in self.sides():
            for instrument, position in positions.items():
                if position.quantity:
                    yield instrument, side, position

    def held_in(self, instrument: InstrumentId) -> Iterator[tuple[PositionSide, Position]]:
        for side, positions in self.sides():
            position = positions.get(instrument)
            if position is not None and position.quantity:
                yield side, position
