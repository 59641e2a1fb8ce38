"""Every knob of the probe."""

from enum import Enum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.types import Instrument, Interval, venue_of


class ProbeKind(Enum):
    """What a venue is tried with."""

    FAR = "far"
    """A post-only order away from the market, taken back as soon as it is there: it costs nothing."""
    ROUND_TRIP = "round_trip"
    """A purchase at the market and its sale: it costs fees and spread, and tells the slippage."""


class ProbeSettings(BaseModel):
    """No venue is tried until instruments are named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instruments: tuple[Instrument, ...] = Field(default=(), description="what is traded to try its venue: one of each")
    kind: ProbeKind = Field(default=ProbeKind.FAR, description="far: nothing is traded; round_trip: in simulation")
    interval_s: float = Field(default=60, ge=1, le=86_400, description="time between two probes of a healthy venue")
    recheck_s: float = Field(default=5, ge=1, le=3600, description="the same after one that failed")
    report_s: float = Field(default=60, ge=1, le=86_400, description="shortest time between two unchanged reports")
    far_bps: float = Field(
        default=50, gt=0, lt=5000, description="distance of a far order from the price; below risk's collar_bps"
    )
    size_factor: float = Field(default=1.2, ge=1, le=10, description="size of a probe, in smallest notionals")
    bars: Interval = Field(default=Interval.S5, description="length of the bars that give the price")
    max_price_age_s: float = Field(default=30, gt=0, le=3600, description="an older price is none")
    timeout_ms: float = Field(default=5_000, gt=0, le=600_000, description="no answer within this is a failure")
    slow_ms: float = Field(default=2_000, gt=0, le=600_000, description="an answer after more than this is a failure")
    window: int = Field(default=20, ge=1, le=1000, description="how many probes are remembered")
    open_after: int = Field(default=3, ge=1, le=1000, description="failures in the window that open the circuit")
    close_after: int = Field(default=2, ge=1, le=100, description="successes in a row that close it again")
    backoff_s: float = Field(default=10, ge=1, le=3600, description="how long an open circuit is left alone at first")
    max_backoff_s: float = Field(default=600, ge=1, le=86_400, description="and at most: it doubles with each failure")

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        venues = [venue_of(instrument) for instrument in self.instruments]
        if len(set(venues)) < len(venues):
            raise ValueError("instruments: one of each venue")
        if self.open_after > self.window:
            raise ValueError(f"open_after ({self.open_after}) must not be above window ({self.window})")
        if self.slow_ms > self.timeout_ms:
            raise ValueError(f"slow_ms ({self.slow_ms:g}) must not be above timeout_ms ({self.timeout_ms:g})")
        if self.backoff_s > self.max_backoff_s:
            raise ValueError(f"backoff_s ({self.backoff_s:g}) must not be above max_backoff_s ({self.max_backoff_s:g})")
        return self
