"""What bars are made of."""

from enum import Enum

from pydantic import BaseModel, ConfigDict, Field

from contracts.types import Interval


class PriceSource(Enum):
    TRADES = "trades"
    MID = "mid"


class BarsSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    intervals: tuple[Interval, ...] = Field(default=(Interval.S5, Interval.M1), min_length=1)
    source: PriceSource = Field(default=PriceSource.TRADES, description="price of a bar: trades, or the quotes' mid")
