"""Where the archive keeps the tape, and how it gathers it."""

from datetime import timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ArchiveSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(default=5_000, ge=1, le=100_000, description="most events written in one transaction")
    linger_ms: float = Field(default=20.0, ge=0, le=10_000, description="how long a batch may wait to grow")
    market_data_days: int = Field(default=365, ge=1, description="quotes, trades and bars older than this are dropped")

    alert_when_used: float = Field(
        default=0.5, gt=0, lt=1, description="share of the tape's age or size limit that unarchived events may fill"
    )
    halt_when_used: float = Field(
        default=0.8, gt=0, lt=1, description="share above which trading halts: nothing unarchived may expire"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.alert_when_used >= self.halt_when_used:
            raise ValueError(
                f"alert_when_used ({self.alert_when_used}) must be below halt_when_used ({self.halt_when_used})"
            )
        return self

    @property
    def keep_market_data(self) -> timedelta:
        return timedelta(days=self.market_data_days)
