"""Every knob of the trend strategy."""

from decimal import Decimal
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.types import Instrument, Interval


class TrendSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    interval: Interval = Field(default=Interval.S5, description="length of the bars it decides on")
    fast: int = Field(default=4, ge=1, le=1000, description="bars of the fast average")
    slow: int = Field(default=12, ge=2, le=5000, description="bars of the slow average")
    rsi: int = Field(default=9, ge=2, le=500, description="bars of the relative strength index")
    rsi_min: float = Field(default=52.0, ge=0, le=100, description="a long needs at least this strength")
    rsi_max: float = Field(default=80.0, ge=0, le=100, description="an overbought market is not entered")
    atr: int = Field(default=9, ge=1, le=500, description="bars of the average true range")
    stop_atr: float = Field(default=2.0, gt=0, le=50, description="distance of the stop, in ATR")
    target_atr: float = Field(default=3.0, gt=0, le=50, description="distance of the target, in ATR")
    notional: Decimal = Field(default=Decimal(250), gt=0, description="size of a position, in quote currency")
    shorts: bool = Field(default=True, description="also sell what falls")
    instruments: tuple[Instrument, ...] = Field(default=(), description="trade only these; empty: all")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError(f"fast ({self.fast}) must be below slow ({self.slow})")
        if self.rsi_min >= self.rsi_max:
            raise ValueError(f"rsi_min ({self.rsi_min}) must be below rsi_max ({self.rsi_max})")
        return self
