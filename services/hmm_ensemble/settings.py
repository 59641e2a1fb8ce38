"""Every knob of the ensemble."""

from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.types import Instrument, Interval, Name

Weight = Annotated[float, Field(ge=0, le=1)]

WEIGHTS: dict[Name, Weight] = {
    "up": 1.0,
    "down": 1.0,
    "rising": 1.0,
    "falling": 1.0,
    "calm": 0.6,
    "quiet": 0.6,
    "mild": 0.7,
    "normal": 0.8,
    "lively": 0.8,
    "rough": 0.3,
    "wild": 0.0,
}
"""Averages are worth much where a market has a direction, and nothing where it only shakes."""


class HmmEnsembleSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    interval: Interval = Field(default=Interval.S5, description="length of the bars it decides on")
    fast: int = Field(default=8, ge=1, le=1000, description="bars of the fast average")
    slow: int = Field(default=24, ge=2, le=5000, description="bars of the slow average")
    atr: int = Field(default=14, ge=1, le=500, description="bars of the average true range")
    least_range_bps: float = Field(
        default=2, gt=0, le=1000, description="the average true range counts as no less than this of the price"
    )
    cross_scale: float = Field(default=1, gt=0, le=50, description="ATR between the averages that score tanh(1) = 0.76")
    weights: dict[Name, Weight] = Field(
        default=WEIGHTS, description="how far the crossover is believed in each regime, by the regime's label"
    )
    other_weight: float = Field(default=0.5, ge=0, le=1, description="the same for labels that are not named")
    direction_share: float = Field(default=0.3, ge=0, le=1, description="share of the direction model in the score")
    threshold: float = Field(default=0.3, gt=0, le=1, description="score from which on a side is taken")
    leave: float = Field(default=0.4, ge=0, le=1, description="it is left below this share of the threshold")
    strength_step: float = Field(default=0.25, gt=0, le=2, description="change of the score that is signalled as well")
    max_regime_age_s: float = Field(default=120, gt=0, le=86_400, description="an older regime is not believed")
    max_direction_age_s: float = Field(default=120, gt=0, le=86_400, description="an older direction is ignored")
    stop_atr: float = Field(default=3.0, gt=0, le=50, description="distance of the stop, in ATR")
    target_atr: float = Field(default=5.0, gt=0, le=50, description="distance of the target, in ATR")
    notional: Decimal = Field(default=Decimal(250), gt=0, description="size of a position, in quote currency")
    shorts: bool = Field(default=True, description="also sell what falls")
    cooldown_s: float = Field(default=30, ge=0, le=86_400, description="pause after a trade or a refused entry")
    instruments: tuple[Instrument, ...] = Field(
        default=(), description="trade only these; empty: all that are listed and have a model"
    )
    dry_run: bool = Field(default=False, description="signals and a shadow result only, no orders")
    fee_bps: Decimal = Field(default=Decimal(10), ge=0, le=1000, description="what each trade of a dry run costs")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError(f"fast ({self.fast}) must be below slow ({self.slow})")
        return self

    def weight(self, label: str) -> float:
        return self.weights.get(label, self.other_weight)
