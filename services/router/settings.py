"""Every knob of the router."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.types import Name


class Pace(BaseModel):
    """How many commands a venue takes: `per_s` for ever, and `burst` at once after a rest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_s: float = Field(default=100.0, gt=0, le=10_000, description="commands per second of event time")
    burst: int = Field(default=300, ge=1, le=100_000, description="commands at once after a rest")
    reserve: int = Field(default=10, ge=0, le=1_000, description="of these, kept for cancels and protective orders")

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.reserve >= self.burst:
            raise ValueError(
                f"reserve ({self.reserve}) must be below burst ({self.burst}), or nothing else would go out"
            )
        return self


class ExecutionSettings(BaseModel):
    """When an instrument is traded smaller, or not at all for a while, and when as usual again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slippage_bps: float = Field(default=50.0, gt=0, le=10_000, description="average slippage that cuts the size")
    fills: int = Field(default=5, ge=1, le=1_000, description="fills that the average is taken of")
    cut: float = Field(default=0.5, gt=0, lt=1, description="what the size is multiplied by at each cut")
    smallest: float = Field(default=0.125, gt=0, le=1, description="the size is never cut below this share")
    good_fills: int = Field(default=10, ge=1, le=1_000, description="good fills in a row that take a cut back")
    recover_s: float = Field(default=900.0, gt=0, le=86_400, description="quiet time that makes the size whole again")
    rejects: int = Field(default=5, ge=1, le=1_000, description="rejections by the venue that mute an instrument")
    rejects_within_s: float = Field(default=60.0, gt=0, le=86_400, description="time within which they are counted")
    mute_s: float = Field(default=60.0, gt=0, le=86_400, description="how long an instrument is muted")


class RouterSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    remembered_orders: int = Field(default=10_000, ge=1, description="closed orders kept for late fills")
    query_after_ms: int = Field(default=5_000, ge=1, le=3_600_000, description="silence after which a venue is asked")
    query_attempts: int = Field(default=5, ge=1, le=50, description="questions, each after twice the time of the last")
    max_slices: int = Field(default=1_000, ge=2, le=100_000, description="slices that one order may be cut into")
    pace: Pace = Field(default=Pace(), description="rate limit of a venue that `paces` does not name")
    paces: dict[Name, Pace] = Field(default={}, description="rate limits of single venues")
    execution: ExecutionSettings = Field(default=ExecutionSettings(), description="what bad execution leads to")

    def pace_of(self, venue: str) -> Pace:
        return self.paces.get(venue, self.pace)
