"""A script of what goes wrong at the exchange, as it was read from a file."""

from pydantic import BaseModel, ConfigDict, Field

from contracts.types import Sha256
from venues.simulated.disturbances import Outage, Rejects, Slowdown
from venues.simulated.settings import Halt


class Script(BaseModel):
    """What the file says; by its name alone: where it lies differs from machine to machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="of the file")
    sha256: Sha256 = Field(description="of its bytes")
    outages: tuple[Outage, ...] = ()
    rejects: tuple[Rejects, ...] = ()
    slowdowns: tuple[Slowdown, ...] = ()
    halts: tuple[Halt, ...] = ()
