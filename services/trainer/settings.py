"""How models are trained, and what the trainer may use for it."""

from pydantic import BaseModel, ConfigDict, Field

from contracts.models import ModelFamily
from quant.training import DirectionTraining, Gate, RegimeTraining


class TrainerSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    regime: RegimeTraining = Field(default=RegimeTraining(), description="how regime models are trained (JSON)")
    direction: DirectionTraining = Field(
        default=DirectionTraining(), description="how direction models are trained (JSON)"
    )
    seed: int = Field(default=0, ge=0, le=2**31, description="added to a request's position it seeds the training")
    max_rows: int = Field(
        default=100_000, ge=100, le=5_000_000, description="bars of a training at most: the newest whole chunks"
    )
    pause_s: float = Field(default=1.0, ge=0, le=86_400, description="rest between two trainings")
    fit_within_s: float = Field(
        default=1_800, ge=1, le=86_400, description="a training that takes longer is ended, and failed"
    )
    nice: int = Field(default=19, ge=0, le=19, description="how far the worker process gives way to all others")
    shadows_kept: int = Field(
        default=2, ge=0, le=20, description="models beside the champion, per family and instrument, that go on running"
    )

    def training(self, family: ModelFamily) -> RegimeTraining | DirectionTraining:
        return self.regime if family is ModelFamily.REGIME else self.direction

    def gate(self, family: ModelFamily) -> Gate:
        return self.training(family).gate
