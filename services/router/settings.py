"""What the router remembers."""

from pydantic import BaseModel, ConfigDict, Field


class RouterSettings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    remembered_orders: int = Field(default=10_000, ge=1, description="closed orders kept for late fills")
