"""How the books are kept."""

from decimal import Decimal
from enum import Enum

from pydantic import BaseModel, ConfigDict, Field

from contracts.types import Name


class CostMethod(Enum):
    """Which of the units held a sale is of."""

    AVERAGE = "average"
    """Of all alike: each cost the average."""
    FIFO = "fifo"
    """Of those that were bought first."""


class PositionMode(Enum):
    """Whether a purchase and a sale of one instrument cancel each other."""

    NETTING = "netting"
    HEDGING = "hedging"
    """Longs and shorts are kept apart; an order that only reduces closes what the other side opened."""


class PortfolioSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: Name = Field(default="USDT", description="currency of cash and equity")
    capital: Decimal = Field(default=Decimal(100_000), gt=0, description="cash a strategy begins with")
    without_capital: tuple[Name, ...] = Field(
        default=("external",), description="strategies that begin with no cash: orders that others placed for us"
    )
    mark_every_s: int = Field(default=1, ge=1, le=3600, description="equity is marked on every n-th clock tick")
    cost: CostMethod = Field(default=CostMethod.AVERAGE, description="what a sale takes from: average or fifo")
    hedging: tuple[Name, ...] = Field(default=(), description="strategies whose longs and shorts are kept apart")
    remembered_orders: int = Field(
        default=20_000, ge=1, le=1_000_000, description="orders that only reduce, remembered until they are filled"
    )

    def mode_of(self, strategy: str) -> PositionMode:
        return PositionMode.HEDGING if strategy in self.hedging else PositionMode.NETTING

    def capital_of(self, strategy: str) -> Decimal:
        return Decimal(0) if strategy in self.without_capital else self.capital
