"""The limits that orders are held to."""

from pydantic import BaseModel, ConfigDict, Field

from contracts.types import Instrument


class RiskSettings(BaseModel):
    """Notionals in quote currency (USDT), distances in bps, times in event time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allowlist: tuple[Instrument, ...] = Field(default=(), description="tradable instruments; empty: all listed")
    max_order_notional: float = Field(default=5_000, gt=0, description="largest single order")
    max_symbol_exposure: float = Field(default=10_000, gt=0, description="largest position in one instrument")
    max_strategy_exposure: float = Field(default=20_000, gt=0, description="largest sum of positions of one strategy")
    max_total_exposure: float = Field(default=50_000, gt=0, description="largest sum of all positions")
    collar_bps: float = Field(default=100, gt=0, description="largest distance of an order's price from the mark")
    max_mark_age_ms: float = Field(default=10_000, gt=0, description="a mark older than this is no mark")
