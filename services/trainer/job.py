"""What crosses the pipe between the trainer and its worker process: a job with its chunks, and what came of it."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from contracts.data import DataChunk
from contracts.models import Artifact, ModelFamily, Score, TrainFailure
from contracts.types import InstrumentId
from quant.training import DirectionTraining, Problem, RegimeTraining, Trained
from services.trainer.entries import Request
from services.trainer.settings import TrainerSettings

_LENGTH_BYTES = 8


class Job(BaseModel):
    """A training; the bytes of its chunks follow it, in the same order. One of `regime` and `direction` is there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: ModelFamily
    instrument: InstrumentId
    chunks: tuple[DataChunk, ...]
    regime: RegimeTraining | None
    direction: DirectionTraining | None
    champion: Artifact | None
    seed: int
    code: str
    nice: int


def job_of(request: Request, champion: Artifact | None, settings: TrainerSettings, code: str) -> Job:
    """Say what is to be done where `champion` is believed; the seed is the position of the request, moved."""
    event = request.event
    return Job(
        family=event.family,
        instrument=event.instrument,
        chunks=request.newest(settings.max_rows),
        regime=settings.regime if event.family is ModelFamily.REGIME else None,
        direction=settings.direction if event.family is ModelFamily.DIRECTION else None,
        champion=champion,
        seed=settings.seed + request.position,
        code=code,
        nice=settings.nice,
    )


class Outcome(BaseModel):
    """What came of a job: an artifact with its scores, or a failure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    artifact: Artifact | None = None
    score: Score | None = None
    champion_score: Score | None = None
    failure: TrainFailure | None = None
    detail: str = ""

    @classmethod
    def of(cls, result: Trained | Problem) -> "Outcome":
        if isinstance(result, Problem):
            return cls(failure=result.failure, detail=result.detail)
        return cls(artifact=result.artifact, score=result.score, champion_score=result.champion_score)

    def result(self) -> Trained | Problem:
        if self.artifact is None or self.score is None:
            return Problem(self.failure or TrainFailure.ERROR, self.detail)
        return Trained(self.artifact, self.score, self.champion_score)


def packed(job: Job, chunks: Sequence[bytes]) -> bytes:
    """Write a job and its chunks, each behind its length."""
    parts = [job.model_dump_json().encode(), *chunks]
    return b"".join(len(part).to_bytes(_LENGTH_BYTES, "big") + part for part in parts)


def unpacked(data: bytes) -> tuple[Job, list[bytes]]:
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(data[at:begin], "big")
        parts.append(data[begin:at])
    return Job.model_validate_json(parts[0]), parts[1:]
