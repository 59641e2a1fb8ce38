"""What it costs to take beyond the price that is shown: the market moves away, and the more so the more we take."""

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import Enum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.types import Side
from venues.instruments import Instrument

_BPS = Decimal(10_000)


class ImpactAgainst(Enum):
    """What the size of an order is measured by."""

    DISPLAYED = "displayed"
    """The size that is displayed at the price it takes."""
    TRADED = "traded"
    """What others traded there within the last `window_s`, or what is displayed where that is more."""


class SlippageSettings(BaseModel):
    """What an order that takes pays beyond the quote: `constant_bps + impact_bps * sqrt(quantity / size)`.

    The square root is what is measured of large orders: B. Toth et al., Anomalous price impact and the critical nature
    of liquidity in financial markets, Phys. Rev. X 1, 021006, 2011; R. Almgren et al., Direct estimation of equity
    market impact, Risk 18 (7), 2005, find an exponent of 0.6.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    constant_bps: float = Field(default=0.0, ge=0, le=1_000, allow_inf_nan=False, description="whatever the size")
    impact_bps: float = Field(
        default=0.0, ge=0, le=1_000, allow_inf_nan=False, description="of an order as large as what it is measured by"
    )
    against: ImpactAgainst = Field(default=ImpactAgainst.DISPLAYED, description="what the size is measured by")
    window_s: int = Field(default=3_600, ge=60, le=86_400, description="time in which trades are counted: traded")
    most_bps: float = Field(
        default=1_000.0, gt=0, le=5_000, allow_inf_nan=False, description="the most of both together"
    )

    @model_validator(mode="after")
    def _is_paid_at_all(self) -> Self:
        if self.constant_bps > self.most_bps:
            raise ValueError(f"constant_bps ({self.constant_bps}) must not be above most_bps ({self.most_bps})")
        return self

    @property
    def is_none(self) -> bool:
        return self.constant_bps == 0 and self.impact_bps == 0

    @property
    def counts_trades(self) -> bool:
        return self.impact_bps > 0 and self.against is ImpactAgainst.TRADED

    def of(self, quantity: Decimal, size: Decimal) -> float:
        """Give what is paid beyond the quote (bps); where there is no size to measure by, it is the most."""
        if self.impact_bps == 0:
            return self.constant_bps
        if size <= 0:
            return self.most_bps
        return min(self.constant_bps + self.impact_bps * math.sqrt(quantity / size), self.most_bps)


def slipped(instrument: Instrument, side: Side, price: Decimal, bps: float) -> Decimal:
    """Move a price against who takes it, and onto the tick that is worse for him; it stays a price."""
    moved = price * (1 + side.sign * Decimal(repr(bps)) / _BPS)
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
    return max((moved / instrument.tick).to_integral_value(rounding) * instrument.tick, instrument.tick)
