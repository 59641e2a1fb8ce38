"""The trainer of a run: the live rules and fits, one at a time; each takes as much market time as was asked for."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.market import Bar
from contracts.models import Artifact, ModelPublished
from contracts.recorded import Recorded
from contracts.types import InstrumentId, Interval
from eventstore.chunks import name_of, to_parquet
from quant.training import Problem, Trained
from services.trainer.conclusion import Ended, begun, concluded, without_bars
from services.trainer.entries import Entry, Request
from services.trainer.job import Job, job_of
from services.trainer.registry import Recall, Registry, Say
from services.trainer.settings import TrainerSettings
from services.trainer.version import code_version
from services.trainer.worker import carried_out

SECOND = 1_000_000_000
MOST_BYTES = 1_000_000 - 4_096
"""Of an event, less its headers: what the server of `deploy/nats` takes."""


@dataclass(frozen=True, slots=True)
class _Training:
    """The training under way, and when it will be over (ns)."""

    request: Request
    champion: Entry | None
    over_at: int


@dataclass(slots=True)
class _Kept:
    """Chunks of one kind, oldest first, and how many bars are in all of them."""

    names: deque[tuple[str, int]] = field(default_factory=deque)
    rows: int = 0


class Classroom:
    """Holds what was told to it, trains on that alone, and says what the live trainer says to it.

    A fit is carried out when its time is over, on the chunks that were known when it was asked for. Chunks that are
    beyond what any training takes (`max_rows`) are forgotten.
    """

    def __init__(self, settings: TrainerSettings, training_s: float) -> None:
        self.registry = Registry(settings.shadows_kept)
        self._settings = settings
        self._takes = round((settings.pause_s + training_s) * SECOND)
        self._code = code_version()
        self._chunks: dict[str, bytes] = {}
        self._kept: dict[tuple[InstrumentId, Interval], _Kept] = {}
        self._artifacts: dict[str, Artifact] = {}
        self._training: _Training | None = None
        self._now = 0

    def keep(self, bars: Sequence[Bar]) -> str:
        """Keep the bars of a chunk; gives its name."""
        data = to_parquet(bars)
        name = name_of(data)
        self._chunks[name] = data
        kept = self._kept.setdefault((bars[0].instrument, bars[0].interval), _Kept())
        kept.names.append((name, len(bars)))
        kept.rows += len(bars)
        while not self.registry.requests and kept.rows - kept.names[0][1] >= self._settings.max_rows:
            oldest, rows = kept.names.popleft()
            kept.rows -= rows
            del self._chunks[oldest]
        return name

    def hear(self, recorded: Recorded) -> None:
        self._now = max(self._now, recorded.event.ts_init)
        self.registry.fold(recorded)
        if isinstance(recorded.event, ModelPublished):
            self._artifacts[recorded.event.sha256] = recorded.event.artifact

    def next(self, until: int) -> Say | None:
        """Give the one thing that is to be said next of what is due by `until` (ns)."""
        step = self.registry.next_step(self._now)
        if isinstance(step, Recall):
            return self._recalled(step)
        if step is not None:
            return step
        request = self.registry.next_request()
        if self._training is None and request is not None:
            if not request.is_started:
                return begun(self._now, request, self._settings)
            takes = self._takes if request.chunks else 0
            self._training = _Training(request, self.registry.champion(request.key), self._now + takes)
        if self._training is None or self._training.over_at > until:
            return None
        return self._conclude(self._training)

    def _conclude(self, training: _Training) -> Say:
        self._training, self._now = None, max(self._now, training.over_at)
        ended = Ended(training.request, training.champion, self._trained(training))
        gate = self._settings.gate(training.request.event.family)
        return concluded(self._now, ended, self.registry, gate, MOST_BYTES)

    def _trained(self, training: _Training) -> Trained | Problem:
        champion = None if training.champion is None else training.champion.artifact
        job = job_of(training.request, champion, self._settings, self._code)
        return self._fitted(job) if job.chunks else without_bars(training.request)

    def _fitted(self, job: Job) -> Trained | Problem:
        return carried_out(job, [self._chunks[chunk.sha256] for chunk in job.chunks])

    def _recalled(self, recall: Recall) -> Say:
        """Promote a model that was retired before: its artifact is kept for that."""
        artifact = self._artifacts.get(recall.entry.sha256)
        if artifact is None:
            return self.registry.lost(self._now, recall, "the model is none of this run's")
        return self.registry.restored(self._now, recall, artifact)
