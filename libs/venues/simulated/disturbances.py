"""What can go wrong at the exchange: the settings of a script."""

from enum import Enum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.types import Instrument as InstrumentName
from contracts.types import Nanos

Reason = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class Fate(Enum):
    """What becomes of a command that comes while the exchange cannot be reached."""

    LOST = "lost"
    """That it did not arrive is known when the exchange can be reached again, as a live gateway finds out then."""
    REFUSED = "refused"
    """It is refused at once."""


class Span(BaseModel):
    """A time in which something is wrong (event time, ns), its end not included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    begins_at: Nanos
    ends_at: Nanos

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.ends_at <= self.begins_at:
            raise ValueError(f"ends_at ({self.ends_at}) must be after begins_at ({self.begins_at})")
        return self

    def covers(self, moment: int) -> bool:
        return self.begins_at <= moment < self.ends_at


class Outage(Span):
    """Others trade on and our orders with them, but commands do not arrive, and reports come when it is over."""

    commands: Fate = Field(default=Fate.LOST, description="what becomes of them; questions are not answered")
    reason: Reason = Field(default="the exchange cannot be reached", description="said of what is refused")


class Rejects(Span):
    """A time in which orders are refused."""

    instrument: InstrumentName | None = Field(default=None, description="None: all")
    share: float = Field(default=1.0, gt=0, le=1, description="of the orders")
    reason: Reason = Field(default="the exchange is overloaded", description="said of each")


class Slowdown(Span):
    """A time in which commands and reports take longer."""

    delay_ms: float = Field(gt=0, le=600_000, allow_inf_nan=False, description="on top of the usual, each way")
