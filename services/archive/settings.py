"""Where the archive keeps the tape, and how it gathers it."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field


class ArchiveSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(default=5_000, ge=1, le=100_000, description="most events written in one transaction")
    linger_ms: float = Field(default=20.0, ge=0, le=10_000, description="how long a batch may wait to grow")
    market_data_days: int = Field(default=365, ge=1, description="quotes, trades and bars older than this are dropped")

    @property
    def keep_market_data(self) -> timedelta:
        return timedelta(days=self.market_data_days)
