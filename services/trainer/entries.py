"""What the registry keeps of a model, and of a training that was asked for."""

from dataclasses import dataclass
from enum import Enum

from contracts.data import DataChunk
from contracts.models import Artifact, ModelFamily, TrainRequested
from contracts.types import InstrumentId

Key = tuple[ModelFamily, InstrumentId]
"""Of these one model is believed."""


class Standing(Enum):
    CHAMPION = "champion"
    """It is believed."""
    SHADOW = "shadow"
    """It runs beside the champion, and nobody acts on what it says."""
    RETIRED = "retired"


@dataclass(slots=True)
class Entry:
    """A model: what the events tell of it. `since`: the position of the event that gave it its standing."""

    model_id: str
    sha256: str
    family: ModelFamily
    instrument: InstrumentId
    standing: Standing
    since: int
    published_at: int
    """Position of its publication; 0 if that was before all that is known."""
    artifact: Artifact | None
    """Not kept of one that is retired: the object store has it."""
    replaces: str | None = None
    gate: str = ""
    due: bool = False
    """The gate lets it replace the champion `replaces`, and that was not said yet."""

    @property
    def key(self) -> Key:
        return self.family, self.instrument


@dataclass(slots=True)
class Request:
    """A training that was requested at `position` and has not ended; `chunks` are those known there, in time order."""

    position: int
    event: TrainRequested
    chunks: tuple[DataChunk, ...]
    is_started: bool = False

    @property
    def key(self) -> Key:
        return self.event.family, self.event.instrument

    def newest(self, rows: int) -> tuple[DataChunk, ...]:
        """Give as many of the newest chunks as hold at most `rows` bars; one that holds more is taken alone."""
        taken: list[DataChunk] = []
        for chunk in reversed(self.chunks):
            rows -= chunk.rows
            if taken and rows < 0:
                break
            taken.append(chunk)
        return tuple(reversed(taken))
