"""Where market data comes from, and how fast."""

import math
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from contracts.types import Name


class FeedSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(default="sim", description="sim, or frames:FILE[,FILE...] of recorded websocket frames (gzip)")
    speed: str = Field(default="1", description="1: as it happened; N: N times faster; max: as fast as readers follow")
    venue: Name = Field(default="binance", description="venue of recorded frames")
    stale_after_s: float = Field(default=10.0, gt=0, description="silence of an instrument that is reported as a gap")
    max_lag: int = Field(default=2_000, ge=1, description="at speed max, how far the slowest reader may be behind")
    seed: int = Field(default=7, description="of the simulated market")
    symbols: tuple[Name, ...] = Field(default=("BTCUSDT", "ETHUSDT", "SOLUSDT"), min_length=1)
    quotes_per_s: Annotated[float, Field(gt=0, le=5_000)] = Field(default=20.0, description="simulated, per symbol")

    @field_validator("speed")
    @classmethod
    def _positive_or_max(cls, speed: str) -> str:
        if speed == "max":
            return speed
        try:
            positive = 0 < float(speed) < math.inf
        except ValueError:
            positive = False
        if not positive:
            raise ValueError("speed is max or a number above 0, for instance 1 or 20")
        return speed

    @model_validator(mode="after")
    def _known_source(self) -> Self:
        if self.source != "sim" and not (self.source.startswith("frames:") and self.files):
            raise ValueError("source is sim or frames:FILE[,FILE...]")
        return self

    @property
    def files(self) -> list[Path]:
        return [Path(name) for name in self.source.removeprefix("frames:").split(",") if name]

    @property
    def times_faster(self) -> float | None:
        """None: as fast as readers follow."""
        return None if self.speed == "max" else float(self.speed)
