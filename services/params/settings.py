"""Which presets each strategy has, how reward is measured, and how fast experience forgets."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, field_validator

from contracts.presets import Preset, Scale
from contracts.types import Name
from quant.bandit import Habits, Unit

_FROZEN = ConfigDict(frozen=True, extra="forbid")

MOST_PRESETS = 16
"""What an event can tell of, and more than a strategy's trades can tell apart."""


class PresetFactors(BaseModel):
    """Factors on a strategy's own settings; 1 leaves them as they are."""

    model_config = _FROZEN

    size: Scale = Field(default=1, description="of a position")
    stop: Scale = Field(default=1, description="of the distance of the protective stop")
    target: Scale = Field(default=1, description="of the distance of the target")
    threshold: Scale = Field(default=1, description="of how strong a signal must be")
    cooldown: Scale = Field(default=1, description="of the pause after a trade")

    def preset(self) -> Preset:
        return Preset(
            size=self.size, stop=self.stop, target=self.target, threshold=self.threshold, cooldown=self.cooldown
        )


Choices = Annotated[Mapping[Name, PresetFactors], Field(min_length=1, max_length=MOST_PRESETS)]

USUAL: Mapping[str, PresetFactors] = {
    "cautious": PresetFactors(size=0.5, stop=0.8, target=0.8, threshold=1.3, cooldown=2),
    "balanced": PresetFactors(),
    "bold": PresetFactors(size=1.5, stop=1.25, target=1.5, threshold=0.8, cooldown=0.5),
}


class ParamsSettings(BaseModel):
    model_config = _FROZEN

    presets: Mapping[Name, Choices] = Field(
        default={"trend": USUAL, "hmm_ensemble": USUAL},
        min_length=1,
        max_length=100,
        description="strategies, their presets by name, and each preset's factors: 0.1 to 5",
    )
    seed: int = Field(default=1, ge=0, le=2**63 - 1, description="where chance begins; another one chooses otherwise")

    typical_return: float = Field(
        default=0.003, gt=0, le=1, description="deviation of a trade's return on its notional, before any was seen"
    )
    typical_trades: float = Field(default=3, gt=0, le=10_000, description="closed trades that this is worth, at first")
    return_discount: float = Field(
        default=0.99, gt=0, le=1, description="what earlier returns still count, after one more, for their deviation"
    )
    farthest_return: float = Field(
        default=4, gt=0, le=100, description="returns further from their mean than so many deviations count as so far"
    )

    discount: float = Field(default=0.9999, gt=0, le=1, description="what earlier rewards still count, after one more")
    boldness: float = Field(
        default=0.7, gt=0, le=10, description="deviation that a reward is thought to have: more tries more"
    )
    prior_trades: float = Field(
        default=2, gt=0, le=10_000, description="trades of the average worth that every preset begins with"
    )
    change_slack: float = Field(
        default=0.25, gt=0, le=10, description="by what a reward may fall short of the belief and mean nothing"
    )
    change_alarm: float = Field(
        default=12, gt=0, le=10_000, description="sum of what falls short beyond that which means another market"
    )
    kept_on_change: float = Field(default=0.03, ge=0, le=1, description="what earlier rewards still count after that")

    remembered_selections: int = Field(
        default=200,
        ge=1,
        le=10_000,
        description="selections kept per strategy and instrument, to credit what they led to",
    )
    remembered_regimes: int = Field(
        default=32, ge=1, le=1000, description="regimes per strategy in which experience is kept"
    )

    @field_validator("presets", mode="wrap")
    @classmethod
    def _told_where(cls, given: Any, read: ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401 # whatever was written
        """Name the strategy, the preset and the factor of what is wrong."""
        try:
            return read(given)
        except ValidationError as error:
            wrong = error.errors(include_url=False)
            raise ValueError(
                "; ".join(f"{'.'.join(map(str, one['loc'])) or 'strategies'}: {one['msg']}" for one in wrong)
            ) from None

    @property
    def habits(self) -> Habits:
        return Habits(
            discount=self.discount,
            boldness=self.boldness,
            prior=self.prior_trades,
            slack=self.change_slack,
            alarm=self.change_alarm,
            kept=self.kept_on_change,
        )

    @property
    def unit(self) -> Unit:
        return Unit(self.typical_return, self.typical_trades, self.return_discount, self.farthest_return)

    def presets_of(self, strategy: str) -> dict[str, Preset]:
        return {name: factors.preset() for name, factors in self.presets[strategy].items()}
