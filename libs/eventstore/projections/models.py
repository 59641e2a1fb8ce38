"""models: every model that was published, on which bytes it was trained, how good it is and whether it is believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from contracts.event import Event
from contracts.models import Artifact, ModelFamily, ModelPromoted, ModelPublished, ModelRetired
from contracts.ownership import EventTypes
from contracts.recorded import Recorded
from contracts.types import Interval
from eventstore.instruments import venue_and_symbol
from eventstore.projections.projection import Key, Ledger

_Said = ModelPublished | ModelPromoted | ModelRetired


class ModelStatus(Enum):
    CHAMPION = "champion"
    """It is believed."""
    SHADOW = "shadow"
    """It was published and not promoted, or another was promoted in its place."""
    RETIRED = "retired"


@dataclass(slots=True)
class ModelRow:
    """`states` and `chunks` are comma-separated; what only the publication tells is None where it is not on the tape.

    `reason` and `decided_by` are of the last decision: a promotion or a retirement. Times are in ns.
    """

    model_id: str
    family: ModelFamily
    venue: str
    symbol: str
    status: ModelStatus
    updated_position: int
    updated_ts: int
    sha256: str | None = None
    states: str | None = None
    interval: Interval | None = None
    window: int | None = None
    first: int | None = None
    last: int | None = None
    rows: int | None = None
    chunks: str | None = None
    code: str | None = None
    seed: int | None = None
    request: int | None = None
    observations: int | None = None
    log_likelihood: float | None = None
    calibration_error: float | None = None
    accuracy: float | None = None
    champion: str | None = None
    champion_log_likelihood: float | None = None
    champion_calibration_error: float | None = None
    passed: bool | None = None
    gate: str | None = None
    reason: str | None = None
    decided_by: str | None = None
    published_position: int | None = None
    published_ts: int | None = None
    promoted_position: int | None = None
    promoted_ts: int | None = None
    retired_position: int | None = None
    retired_ts: int | None = None


class Models(Ledger[ModelRow]):
    name = "models"
    row = ModelRow
    key: ClassVar[tuple[str, ...]] = ("model_id",)
    handles: ClassVar[EventTypes] = (ModelPublished, ModelPromoted, ModelRetired)

    def keys(self, event: Event) -> Sequence[Key]:
        assert isinstance(event, _Said)
        if isinstance(event, ModelPromoted) and event.replaces not in (None, event.model_id):
            assert event.replaces is not None
            return (event.model_id,), (event.replaces,)
        return ((event.model_id,),)

    def fold(self, rows: dict[Key, ModelRow], recorded: Recorded) -> None:
        event = recorded.event
        assert isinstance(event, _Said)
        own, *others = self.keys(event)
        row = _touched(rows, own, event, recorded.position)
        for key in others:
            replaced = _touched(rows, key, event, recorded.position)
            if replaced.status is not ModelStatus.RETIRED:
                replaced.status = ModelStatus.SHADOW
        match event:
            case ModelPublished():
                _publish(row, event, recorded.position)
            case ModelPromoted():
                _describe(row, event.artifact, event.sha256)
                row.status = ModelStatus.CHAMPION
                row.reason, row.decided_by = event.reason, event.by
                row.promoted_position, row.promoted_ts = recorded.position, event.ts_init
            case ModelRetired():
                row.status = ModelStatus.RETIRED
                row.reason, row.decided_by = event.reason, event.by
                row.retired_position, row.retired_ts = recorded.position, event.ts_init


def _touched(rows: dict[Key, ModelRow], key: Key, event: _Said, at: int) -> ModelRow:
    row = rows.get(key)
    if row is None:
        (model_id,) = key
        venue, symbol = venue_and_symbol(event.instrument)
        row = rows[key] = ModelRow(model_id, event.family, venue, symbol, ModelStatus.SHADOW, 0, 0)
    row.updated_position, row.updated_ts = at, event.ts_init
    return row


def _publish(row: ModelRow, event: ModelPublished, at: int) -> None:
    _describe(row, event.artifact, event.sha256)
    if row.status is ModelStatus.RETIRED:
        row.status = ModelStatus.SHADOW
    row.request = event.request
    row.observations = event.score.observations
    row.log_likelihood = event.score.log_likelihood
    row.calibration_error = event.score.calibration_error
    row.accuracy = event.score.accuracy
    row.champion = event.champion
    beaten = event.champion_score
    row.champion_log_likelihood = None if beaten is None else beaten.log_likelihood
    row.champion_calibration_error = None if beaten is None else beaten.calibration_error
    row.passed, row.gate = event.passed, event.gate
    row.published_position, row.published_ts = at, event.ts_init


def _describe(row: ModelRow, artifact: Artifact, sha256: str) -> None:
    trained_on, spec = artifact.trained_on, artifact.spec
    row.sha256 = sha256
    row.states = None if artifact.regime is None else ",".join(artifact.regime.fast.labels)
    row.interval, row.window = spec.interval, spec.window
    row.first, row.last, row.rows = trained_on.first, trained_on.last, trained_on.rows
    row.chunks = ",".join(trained_on.chunks)
    row.code, row.seed = artifact.code, artifact.seed
