"""By what capital is divided, how often, and how much of a change needs nobody's approval."""

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.types import Name

LARGEST = Decimal("1e15")
"""Capital and equity stay within the digits that money is exact to."""

_FROZEN = ConfigDict(frozen=True, extra="forbid")

Share = Annotated[float, Field(ge=0, le=1)]


class Policy(Enum):
    """What decides over the share of a strategy that has no fixed one."""

    FIXED = "fixed"
    """Equal parts, whatever happens."""
    RISK_PARITY = "risk_parity"
    """Each adds the same to the risk of all."""
    PERFORMANCE = "performance"
    """More for what earned more for its risk, as far as there is evidence; the rest equally."""


class TotalOf(Enum):
    """What is divided."""

    GIVEN = "given"
    """The total of the settings, whatever was won or lost."""
    EQUITY = "equity"
    """What the strategies are worth together: gains are traded with, losses are not replaced."""


class Bounds(BaseModel):
    """The least and the most that a strategy gets, as parts of the total."""

    model_config = _FROZEN

    least: Share = Field(default=0, description="smallest part of the total")
    most: Share = Field(default=1, description="largest part of the total")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least ({self.least}) must not be above most ({self.most})")
        return self


class AllocatorSettings(BaseModel):
    """Shares and steps are parts of the total (0..1); times are event time."""

    model_config = _FROZEN

    policy: Policy = Field(
        default=Policy.FIXED, description="what decides over shares: fixed, risk_parity, performance"
    )
    currency: Name = Field(default="USDT", description="currency that capital is counted in")
    total_of: TotalOf = Field(default=TotalOf.GIVEN, description="what is divided: the given total, or the equity")
    total_capital: Decimal | None = Field(
        default=None,
        gt=0,
        le=LARGEST,
        description="the given total, or the most of the equity; empty: capital_each per strategy",
    )
    capital_each: Decimal = Field(
        default=Decimal(100_000),
        gt=0,
        le=LARGEST,
        description="what a strategy adds to a total that is not given, or not known",
    )

    strategies: tuple[Name, ...] = Field(
        default=(),
        description="strategies that get capital before their first trade; others from their first equity on",
    )
    ignored: tuple[Name, ...] = Field(default=("external",), description="strategies that get no capital from here")
    shares: Mapping[Name, Share] = Field(
        default_factory=dict, description="strategies with a fixed share, before the policy divides the rest"
    )
    bounds: Bounds = Field(default=Bounds(), description="bounds of every share that the policy decides over")
    strategy_bounds: Mapping[Name, Bounds] = Field(default_factory=dict, description="bounds of single strategies")

    rebalance_every_s: int = Field(default=3600, ge=1, le=31_536_000, description="time between two divisions")
    return_every_s: int = Field(
        default=86_400, ge=1, le=31_536_000, description="time that one return is measured over"
    )
    returns: int = Field(default=60, ge=2, le=1000, description="most recent returns that a policy looks at")
    least_returns: int = Field(
        default=10, ge=2, le=1000, description="with fewer returns a strategy gets an equal part"
    )
    covariance_shrinkage: float = Field(
        default=0.2, gt=0, le=1, description="part of each covariance that is not believed, for risk_parity"
    )
    prior_trades: float = Field(
        default=30, gt=0, le=100_000, description="closed positions at which a performance is half believed"
    )
    tilt: Share = Field(default=0.5, description="part of the capital that performance decides over")

    least_step: Share = Field(default=0.01, description="changes below this part of the total are not made")
    free_step: Share = Field(
        default=0.1, description="largest change of a strategy in a day (UTC) that needs no approval"
    )
    proposal_valid_s: int = Field(default=86_400, ge=1, le=31_536_000, description="time a proposal can be decided in")
    refusal_holds_s: int = Field(
        default=86_400, ge=1, le=31_536_000, description="time in which a refused change is not proposed again"
    )
    remembered_proposals: int = Field(
        default=1000, ge=1, le=100_000, description="proposals that are over, remembered to tell what became of them"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if sum(self.shares.values()) > 1 + 1e-9:
            raise ValueError(f"shares: they sum to {sum(self.shares.values()):.6g}; give away at most 1")
        if self.least_step > self.free_step:
            raise ValueError(f"least_step ({self.least_step}) must not be above free_step ({self.free_step})")
        if self.least_returns > self.returns:
            raise ValueError(f"least_returns ({self.least_returns}) must not be above returns ({self.returns})")
        if both := {*self.strategies, *self.shares} & set(self.ignored):
            raise ValueError(f"ignored: {', '.join(sorted(both))} cannot be given capital and be ignored")
        return self

    @property
    def named(self) -> tuple[str, ...]:
        """Strategies that are known before they trade."""
        return tuple(dict.fromkeys((*self.shares, *self.strategies)))

    def bounds_of(self, strategy: str) -> Bounds:
        return self.strategy_bounds.get(strategy, self.bounds)
