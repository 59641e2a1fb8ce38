"""Every knob of the funding guard."""

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.types import Instrument


class FundingAction(Enum):
    """What is done while dear funding lies ahead."""

    TRIM = "trim"
    HEDGE = "hedge"
    REDUCE_ONLY = "reduce_only"


class FundingSettings(BaseModel):
    """Costs are in bps of a position's value, for one payment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dry_run: bool = Field(default=True, description="only alert: trade nothing")
    actions: tuple[FundingAction, ...] = Field(
        default=(FundingAction.TRIM,), min_length=1, description="what is done, all of it"
    )
    instruments: tuple[Instrument, ...] = Field(default=(), description="only these; empty: all that pay funding")
    enter_bps: float = Field(default=10, gt=0, le=1000, description="a payment of at least this is dear")
    leave_bps: float = Field(default=5, ge=0, le=1000, description="a payment of at most this no longer is")
    horizon_s: float = Field(default=1800, gt=0, le=86_400, description="how long before it is due it is looked at")
    max_age_s: float = Field(default=60, gt=0, le=3600, description="a rate that was told longer ago is not believed")
    trim_fraction: Decimal = Field(
        default=Decimal("0.5"), gt=0, le=1, description="part of a position that is taken away, for the action trim"
    )
    hedge_fraction: Decimal = Field(
        default=Decimal(1), gt=0, le=1, description="part of the net position that is hedged, for the action hedge"
    )
    hedges: Mapping[Instrument, Instrument] = Field(
        default_factory=dict, description="where a position is hedged, in the same base currency; else: where it is"
    )

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.leave_bps >= self.enter_bps:
            raise ValueError(f"leave_bps ({self.leave_bps}) must be below enter_bps ({self.enter_bps})")
        if {FundingAction.HEDGE, FundingAction.REDUCE_ONLY} <= set(self.actions):
            raise ValueError("actions: a hedge opens a position, which risk refuses while trading is reduce-only")
        return self
