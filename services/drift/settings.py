"""How much a market has to change before it is told, and how often that is told."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Deviations = Annotated[float, Field(gt=0, le=1000)]


class DriftSettings(BaseModel):
    """Observations are those of `regime`; deviations are those of the predictive log-likelihood in training.

    A stay is as long as the model lasts, on average, in the one of its states that it leaves least often: in a short
    time every market that stays is unlike the whole, and is no drift.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    observations: int = Field(
        default=500, ge=20, le=20_000, description="fewest newest observations that are compared with training (PSI)"
    )
    stays: float = Field(default=50, ge=0, le=1000, description="stays that they last at least")
    most_observations: int = Field(
        default=5000, ge=20, le=20_000, description="most newest observations that are compared, however long a stay is"
    )
    psi: float = Field(
        default=0.25, gt=0, le=100, description="population stability index from which a feature has drifted"
    )
    least: int = Field(
        default=50, ge=1, le=20_000, description="observations of a model before its log-likelihood is judged"
    )
    tolerance: float = Field(
        default=0.25, ge=0, le=10, description="deviations that the log-likelihood may lie lower for good (PH delta)"
    )
    loss: Deviations = Field(
        default=50, description="deviations lost beyond the tolerance, summed, that are a drift (PH lambda)"
    )
    stays_lost: float = Field(
        default=5, ge=0, le=100, description="stays over which a whole deviation must be lost to be a drift"
    )
    most: Deviations = Field(
        default=4, description="deviations that a single observation counts at most: one shock is no drift"
    )
    again_s: int = Field(
        default=86_400, ge=1, le=31_536_000, description="time after which a drift that lasts is told again"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.observations > self.most_observations:
            raise ValueError(
                f"observations ({self.observations}) must not be above most_observations ({self.most_observations})"
            )
        return self

    def window_of(self, stay: float) -> int:
        """Say how many observations are compared under a model whose states last `stay` of them."""
        return round(min(max(self.observations, self.stays * stay), self.most_observations))

    def loss_of(self, stay: float) -> float:
        """Say how much has to be lost under such a model."""
        return max(self.loss, self.stays_lost * stay)
