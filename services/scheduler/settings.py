"""What is trained, and when."""

from datetime import UTC, datetime
from typing import Self

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from contracts.models import ModelFamily
from contracts.types import Instrument, InstrumentId, Interval

NEVER = ""
_ANY_TIME = datetime(2024, 1, 1, tzinfo=UTC)


class Plan(BaseModel):
    """Which models an instrument has, and which bars they are trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instrument: Instrument | None = Field(default=None, description="none: every one that has no plan of its own")
    interval: Interval = Field(default=Interval.S5, description="length of the bars")
    families: tuple[ModelFamily, ...] = Field(
        default=(ModelFamily.REGIME, ModelFamily.DIRECTION), description="models that are trained"
    )


class SchedulerSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    plans: tuple[Plan, ...] = Field(default=(Plan(),), description="what is trained, and on which bars (JSON)")
    first_rows: int = Field(default=3_600, ge=1, le=10_000_000, description="bars that the first training waits for")
    new_rows: int = Field(default=3_600, ge=1, le=10_000_000, description="new bars that are worth another training")
    cron: str = Field(
        default="0 0 * * *",
        description="when all models are trained again (UTC, five fields); empty: never by the clock",
    )
    min_gap_s: float = Field(
        default=900, ge=0, le=2_592_000, description="shortest time between two trainings of a model for new data"
    )
    drift_cooldown_s: float = Field(
        default=3_600, ge=0, le=2_592_000, description="shortest time from a training of a model to one for drift"
    )
    retry_s: float = Field(
        default=300, ge=1, le=86_400, description="pause after a failed training; it doubles with each further failure"
    )
    max_retry_s: float = Field(default=86_400, ge=1, le=2_592_000, description="and is at most this")
    alert_after: int = Field(default=3, ge=1, le=1000, description="failures in a row that an operator is told of")

    @field_validator("cron")
    @classmethod
    def _comes_round(cls, cron: str) -> str:
        if cron == NEVER:
            return cron
        try:
            next(CronSim(cron, _ANY_TIME))
        except CronSimError as error:
            raise ValueError(
                f"{cron!r} is no cron expression ({error}); for instance 30 2 * * * is 02:30 UTC"
            ) from None
        except StopIteration:
            raise ValueError(f"{cron!r} never comes round") from None
        return cron

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        named = [plan.instrument for plan in self.plans]
        if len(set(named)) < len(named):
            raise ValueError("plans: one for each instrument, and one for all others")
        if self.retry_s > self.max_retry_s:
            raise ValueError(f"retry_s ({self.retry_s:g}) must not be above max_retry_s ({self.max_retry_s:g})")
        return self

    def plan_of(self, instrument: InstrumentId) -> Plan | None:
        """Give the plan of an instrument: its own, or that of every other."""
        plans = {plan.instrument: plan for plan in self.plans}
        return plans.get(instrument, plans.get(None))
