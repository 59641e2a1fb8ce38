"""Every knob of the stop validator."""

from pydantic import BaseModel, ConfigDict, Field

from contracts.types import Instrument, Name, TriggerBy


class StopsSettings(BaseModel):
    """Distances in basis points, times in event time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=True, description="watch over positions; a flatten is done in any case")
    strategies: tuple[Name, ...] = Field(default=(), description="watch only these; empty: all")
    instruments: tuple[Instrument, ...] = Field(default=(), description="watch only these; empty: all")
    places_for: tuple[Name, ...] = Field(
        default=("trend", "depeg", "funding", "probe"),
        description="strategies that leave their stops to this component: placed at once, without an alert",
    )
    grace_ms: int = Field(
        default=500, ge=0, le=1_000, description="how long a stop may be wrong; at most to the next tick of the clock"
    )
    stop_bps: float = Field(default=500.0, gt=0, lt=10_000, description="distance of a stop from the average price")
    min_distance_bps: float = Field(
        default=20.0, gt=0, lt=10_000, description="least distance from the mark, so that no stop triggers at once"
    )
    trigger_by: TriggerBy = Field(default=TriggerBy.MARK, description="the price that a stop looks at")
    answer_ms: int = Field(default=5_000, ge=100, le=600_000, description="a repair unheard of so long has failed")
    retry_ms: int = Field(default=1_000, ge=1, le=600_000, description="wait after a failure, doubled by each further")
    retry_max_ms: int = Field(default=60_000, ge=1, le=3_600_000, description="the longest wait between two repairs")
