"""What is said of a training: that it begins, and what came of it. No I/O: whoever trains says it."""

from dataclasses import dataclass

from contracts.codec import encode
from contracts.models import ModelPublished, TrainFailure
from quant.training import Gate, Problem, Trained, passes_gate
from services.trainer.entries import Entry, Request
from services.trainer.registry import Registry, Say
from services.trainer.settings import TrainerSettings
from services.trainer.statements import failed, published, started


def begun(now: int, request: Request, settings: TrainerSettings) -> Say:
    rows = sum(chunk.rows for chunk in request.newest(settings.max_rows))
    return Say(request.position, 0, started(now, request.position, request.event, rows))


def without_bars(request: Request) -> Problem:
    """Say that there is nothing to train on."""
    event = request.event
    return Problem(
        TrainFailure.TOO_LITTLE_DATA,
        f"no bars of {event.interval.value} of {event.instrument} are known at position {request.position}: "
        "hmm backfill or hmm import brings some",
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """A training that is over, and the champion that was believed when it began."""

    request: Request
    compared: Entry | None
    result: Trained | Problem


def concluded(now: int, ended: Ended, registry: Registry, gate: Gate, most: int) -> Say:
    """Tell what came of a training on a tape that takes events of `most` bytes."""
    request, result = ended.request, ended.result
    said = result if isinstance(result, Problem) else _published(now, ended, result, registry, gate, most)
    if isinstance(said, Problem):
        return Say(request.position, 1, failed(now, request.position, request.event, said.failure, said.detail))
    return Say(request.position, 1, said)


def _published(
    now: int, ended: Ended, trained: Trained, registry: Registry, gate: Gate, most: int
) -> ModelPublished | Problem:
    """Say what the gate makes of a model; a problem if it cannot be told on the tape."""
    request, compared = ended.request, ended.compared
    passed, reason = passes_gate(trained.score, trained.champion_score, gate)
    if registry.champion(request.key) is not compared:
        passed, reason = False, "the champion has changed since the training began: compared with another"
    event = published(
        now,
        request.position,
        trained.artifact,
        trained.score,
        None if compared is None else compared.model_id,
        trained.champion_score,
        passed=passed,
        gate=reason,
    )
    try:
        size = len(encode(event))
    except ValueError as wrong:
        return Problem(TrainFailure.ERROR, f"what was trained is no model: {wrong}")
    if size > most:
        return Problem(
            TrainFailure.ERROR,
            f"the model has {size} bytes, and the tape takes {most}: train fewer trees, states or features",
        )
    return event
