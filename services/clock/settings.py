"""Which time the system lives in."""

from enum import Enum

from pydantic import BaseModel, ConfigDict, Field


class ClockSource(Enum):
    WALL = "wall"
    MARKET = "market"


class ClockSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    source: ClockSource = Field(
        default=ClockSource.WALL, description="wall: the machine's clock; market: the time of recorded market data"
    )
