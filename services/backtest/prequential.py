"""Models trained inside a run on its own past: the edges that keep bars and train, answering in market time.

Prequential (A. P. Dawid, The Prequential Approach, J. R. Statist. Soc. A 147, 1984): whoever forecasts was only ever
shown what came before. Live the ingest edge makes chunks of closed bars, the scheduler asks, and the trainer answers;
here both edges are this, with the same rules, and know nothing but what the run has said until then.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from contracts.control import Alert
from contracts.data import DataChunk
from contracts.event import Event
from contracts.market import Bar
from contracts.models import ModelDecided, ModelPublished, TrainFailed, TrainRequested
from contracts.ownership import ROLES
from contracts.recorded import Recorded
from contracts.types import InstrumentId, Interval
from eventstore.marketdata.times import HOUR, SECOND
from services.backtest.training import Classroom
from services.backtest.wiring import INGEST, TRAINER
from services.ingest.gathering import Gathering, Piece
from services.ingest.rules import alerts
from services.ingest.settings import IngestSettings
from services.trainer.settings import TrainerSettings
from tape.headers import output_id

SOURCE = "tape"
"""What a chunk says of where its bars come from, as live."""

MINUTE = 60 * SECOND

HEARS: frozenset[type[Event]] = frozenset({Bar, TrainRequested, ModelDecided, Alert})
"""What others say to the edges; of alerts, their own ones."""

REPLACED: frozenset[type[Event]] = frozenset((*ROLES[INGEST].writes, *ROLES[TRAINER].writes))
"""What these edges say."""


@dataclass(frozen=True, slots=True)
class Word:
    """An event that an edge says; `cause` is the position that led to it, None for a fact of its own."""

    msg_id: str
    cause: int | None
    event: Event


class Edges:
    """Says one word after the other. Whoever asks puts it on the tape, and lets this hear it before asking again."""

    def __init__(self, settings: Mapping[str, BaseModel], training_s: float) -> None:
        ingest, trainer = settings[INGEST], settings[TRAINER]
        assert isinstance(ingest, IngestSettings) and isinstance(trainer, TrainerSettings)
        self.published = self.failed = 0
        self.first_published_ts: int | None = None
        self._ingest = ingest
        self._gatherings: dict[tuple[InstrumentId, Interval], Gathering] = {}
        self._classroom = Classroom(trainer, training_s)
        self._words: deque[Word] = deque()
        self._alerts = 0

    def hear(self, recorded: Recorded) -> None:
        """Learn of what the run has said, the own words too."""
        event = recorded.event
        if isinstance(event, Bar):
            self._gather(event)
        elif type(event) in HEARS or type(event) in REPLACED:
            self._classroom.hear(recorded)
            self._count(event)

    def replaces(self, event: Event) -> bool:
        """Say whether these edges say such things themselves: of a record that has them, they are left out."""
        return type(event) in REPLACED

    def next(self, until: int) -> Word | None:
        """Give what is to be said next of what is due by `until` (ns); None: nothing, as long as nothing is heard."""
        if self._words:
            return self._words.popleft()
        say = self._classroom.next(until)
        return None if say is None else Word(output_id(TRAINER, say.cause, say.index), say.cause, say.event)

    def remark(self, began: int) -> str:
        """Say in a sentence how many models there were since the run began (ns)."""
        failed = f", {self.failed} trainings gave none" if self.failed else ""
        if self.first_published_ts is None:
            return (
                f"No model was trained within the run{failed}: it is too short for scheduler.first_rows, or see alerts."
            )
        after = self.first_published_ts - began
        when = f"{after / HOUR:.1f} h" if after >= HOUR else f"{after / MINUTE:.1f} min"
        count = "1 model was" if self.published == 1 else f"{self.published} models were"
        return f"{count} trained within the run, the first {when} after it began{failed}."

    def _count(self, event: Event) -> None:
        self.failed += isinstance(event, TrainFailed)
        if isinstance(event, ModelPublished):
            self.published += 1
            self.first_published_ts = self.first_published_ts or event.ts_init

    # -- bars become chunks --------------------------------------------------------------------------------------------

    def _gather(self, bar: Bar) -> None:
        if bar.interval not in self._ingest.intervals:
            return
        key = bar.instrument, bar.interval
        gathering = self._gatherings.get(key)
        if gathering is None:
            gathering = self._gatherings[key] = Gathering(self._ingest.cutting)
        piece = gathering.add(bar)
        if piece is not None:
            self._words.extend(self._told(piece, bar.ts_init))

    def _told(self, piece: Piece, now: int) -> Iterator[Word]:
        """Keep a piece and tell of it, as the live edge does: known with the bar behind it."""
        sha256 = self._classroom.keep(piece.bars)
        chunk: DataChunk = piece.chunk(INGEST, sha256, SOURCE, now)
        yield Word(f"{INGEST}/chunk-{sha256}", None, chunk)
        for alert in alerts(piece.findings, INGEST, f"{piece.instrument} {piece.interval.value}", now):
            self._alerts += 1
            yield Word(f"{INGEST}/alert-{alert.code}-{self._alerts}", None, alert)
