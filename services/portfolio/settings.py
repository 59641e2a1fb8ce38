"""How the books are kept."""

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from contracts.types import Name


class PortfolioSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: Name = Field(default="USDT", description="currency of cash and equity")
    capital: Decimal = Field(default=Decimal(100_000), gt=0, description="cash a strategy begins with")
    mark_every_s: int = Field(default=1, ge=1, le=3600, description="equity is marked on every n-th clock tick")
