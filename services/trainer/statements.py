"""What the trainer says on the tape."""

from contracts.control import Alert, DeadLetter
from contracts.models import (
    Artifact,
    ModelDecided,
    ModelPromoted,
    ModelPublished,
    ModelRetired,
    Score,
    TrainFailed,
    TrainFailure,
    TrainRequested,
    TrainStarted,
    model_id_of,
    sha256_of,
)
from contracts.recorded import Unreadable
from contracts.types import MAX_TEXT, Severity
from services.trainer.entries import Entry
from tape.folding import dead_letter

NAME = "trainer"
GATE = "gate"


def started(now: int, position: int, request: TrainRequested, rows: int) -> TrainStarted:
    return TrainStarted(
        ts_event=now,
        ts_init=now,
        request=position,
        family=request.family,
        instrument=request.instrument,
        rows=rows,
    )


def failed(now: int, position: int, request: TrainRequested, failure: TrainFailure, detail: str) -> TrainFailed:
    return TrainFailed(
        ts_event=now,
        ts_init=now,
        request=position,
        family=request.family,
        instrument=request.instrument,
        failure=failure,
        detail=_text(detail),
    )


def published(
    now: int,
    position: int,
    artifact: Artifact,
    score: Score,
    champion: str | None,
    champion_score: Score | None,
    *,
    passed: bool,
    gate: str,
) -> ModelPublished:
    sha256 = sha256_of(artifact)
    return ModelPublished(
        ts_event=now,
        ts_init=now,
        request=position,
        model_id=model_id_of(sha256),
        sha256=sha256,
        family=artifact.family,
        instrument=artifact.instrument,
        artifact=artifact,
        score=score,
        champion=champion,
        champion_score=champion_score,
        passed=passed,
        gate=_text(gate),
    )


def promoted(now: int, entry: Entry, artifact: Artifact, replaces: str | None, by: str, reason: str) -> ModelPromoted:
    return ModelPromoted(
        ts_event=now,
        ts_init=now,
        model_id=entry.model_id,
        sha256=entry.sha256,
        family=entry.family,
        instrument=entry.instrument,
        artifact=artifact,
        replaces=replaces,
        by=by,
        reason=_text(reason),
    )


def retired(now: int, entry: Entry, by: str, reason: str) -> ModelRetired:
    return ModelRetired(
        ts_event=now,
        ts_init=now,
        model_id=entry.model_id,
        family=entry.family,
        instrument=entry.instrument,
        by=by,
        reason=_text(reason),
    )


def alert(now: int, severity: Severity, code: str, message: str) -> Alert:
    return Alert(ts_event=now, ts_init=now, component=NAME, severity=severity, code=code, message=_text(message))


def unread(now: int, unreadable: Unreadable) -> DeadLetter:
    """Tell of a message to the trainer that is no event."""
    source = f"position {unreadable.position}, {unreadable.subject}"
    excerpt = unreadable.payload[:200].decode(errors="replace")
    return dead_letter(NAME, source, now, now, unreadable.reason, excerpt)


def asked(decided: ModelDecided) -> str:
    """Say what the operator wants."""
    return f"{decided.operator} asks to {decided.action.value} the model {decided.model_id}"


def _text(text: str) -> str:
    """Make any text one that an event may hold."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()[:MAX_TEXT]
