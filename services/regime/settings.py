"""How sure one has to be of a regime, and how many bars are kept to begin a model with."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Probability = Annotated[float, Field(gt=0, lt=1)]
Observations = Annotated[int, Field(ge=1, le=1000)]


class RegimeSettings(BaseModel):
    """Observations are those of a model: one per window of its bars. Times are event time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enter: Probability = Field(default=0.6, description="probability above which another regime may take over")
    dwell: Observations = Field(default=2, description="observations in a row that it needs for that")
    certain: Probability = Field(default=0.95, description="probability above which it takes over at once")
    confident: Probability = Field(default=0.6, description="calibrated probability from which a regime is relied on")
    improbable_needed: Observations = Field(
        default=3, description="improbable observations in a row that make the regime unknown"
    )
    probable_needed: Observations = Field(
        default=3, description="probable ones in a row that make an unknown regime known again"
    )

    shadows: int = Field(
        default=2, ge=0, le=20, description="newest models per instrument that run beside the one that is believed"
    )
    kept_bars: int = Field(
        default=1500, ge=0, le=50_000, description="bars kept per instrument and interval before any model is known"
    )
    most_bars: int = Field(
        default=20_000, ge=1, le=100_000, description="and at most, whatever a model would like to begin with"
    )
    burn_in: int = Field(
        default=20,
        ge=0,
        le=10_000,
        description="observations beyond its warm-up that a model begins with, made of kept bars in silence",
    )
    silent_after_s: int = Field(
        default=300, ge=1, le=604_800, description="time without bars of a model's interval that is told, beyond two"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.enter > self.certain:
            raise ValueError(f"enter ({self.enter:g}) must not be above certain ({self.certain:g})")
        if self.kept_bars > self.most_bars:
            raise ValueError(f"kept_bars ({self.kept_bars}) must not be above most_bars ({self.most_bars})")
        return self
