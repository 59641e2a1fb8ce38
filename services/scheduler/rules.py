"""Scheduler: when which model is to be trained again. One training of a model at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from cronsim import CronSim

from contracts.clock import ClockTick
from contracts.control import Alert
from contracts.data import DataChunk
from contracts.event import Event
from contracts.models import ModelFamily, ModelPublished, TrainFailed, TrainRequested, TrainStarted
from contracts.regimes import DriftDetected
from contracts.types import MAX_TEXT, InstrumentId, Interval, Severity
from services.scheduler.jobs import SECOND, Job
from services.scheduler.settings import NEVER, Plan, SchedulerSettings
from tape.component import Component, on

NAME = "scheduler"


@dataclass(slots=True)
class Alarm:
    """When the clock asks for all models next (ns), by which expression."""

    cron: str
    at: int


@dataclass(slots=True)
class SchedulerState:
    """`rows`: bars in all chunks so far."""

    rows: dict[InstrumentId, dict[Interval, int]]
    jobs: dict[InstrumentId, dict[ModelFamily, Job]]
    alarm: Alarm | None


class Scheduler(Component):
    produces: ClassVar[tuple[type[Event], ...]] = (TrainRequested, Alert)
    State = SchedulerState

    def __init__(self, settings: SchedulerSettings) -> None:
        super().__init__(NAME)
        self.settings = settings
        self.rows: dict[InstrumentId, dict[Interval, int]] = {}
        self.jobs: dict[InstrumentId, dict[ModelFamily, Job]] = {}
        self.alarm: Alarm | None = None

    def state(self) -> SchedulerState:
        return SchedulerState(self.rows, self.jobs, self.alarm)

    def restore(self, state: SchedulerState) -> None:
        """Go on from `state`; another cron expression is waited for from now on."""
        self.rows, self.jobs = state.rows, state.jobs
        is_same = state.alarm is not None and state.alarm.cron == self.settings.cron
        self.alarm = state.alarm if is_same else None

    # -- what asks for a training --------------------------------------------------------------------------------------

    @on(DataChunk)
    def on_chunk(self, chunk: DataChunk) -> Iterator[TrainRequested]:
        of_instrument = self.rows.setdefault(chunk.instrument, {})
        of_instrument[chunk.interval] = of_instrument.get(chunk.interval, 0) + chunk.rows
        yield from self._look(chunk, chunk.instrument)

    @on(DriftDetected)
    def on_drift(self, drift: DriftDetected) -> Iterator[TrainRequested]:
        """Train anew what has seen another market, unless that was done, or is being done, lately."""
        feature = "" if drift.feature is None else f" of {drift.feature.value}"
        reason = f"drift: {drift.kind.value}{feature} is {drift.statistic:.4g}, above {drift.threshold:.4g}"
        cooldown = round(self.settings.drift_cooldown_s * SECOND)
        for plan, family, job in self._planned(drift.instrument, drift.ts_init):
            if self._may_ask(job, drift.instrument, plan, drift.ts_init) and (
                job.covered is None or drift.ts_init - job.trained_at >= cooldown
            ):
                yield self._ask(drift, drift.instrument, plan, family, job, reason)

    @on(ClockTick)
    def on_tick(self, tick: ClockTick) -> Iterator[TrainRequested]:
        is_time = self._rings(tick.ts_init)
        for instrument in self.rows:
            if is_time:
                yield from self._by_the_clock(tick, instrument)
            yield from self._look(tick, instrument)

    def _by_the_clock(self, tick: ClockTick, instrument: InstrumentId) -> Iterator[TrainRequested]:
        for plan, family, job in self._planned(instrument, tick.ts_init):
            if self._may_ask(job, instrument, plan, tick.ts_init):
                yield self._ask(tick, instrument, plan, family, job, f"cron: {self.settings.cron} (UTC)")

    def _look(self, event: Event, instrument: InstrumentId) -> Iterator[TrainRequested]:
        """Ask for what new data, or a failure some time ago, is a reason to train."""
        for plan, family, job in self._planned(instrument, event.ts_init):
            reason = self._reason(job, self._known(instrument, plan.interval), event.ts_init)
            if reason is not None:
                yield self._ask(event, instrument, plan, family, job, reason)

    def _reason(self, job: Job, rows: int, now: int) -> str | None:
        settings = self.settings
        if not job.is_free or rows < settings.first_rows:
            return None
        if job.retry_at is not None:
            return f"again, after {job.failures} failures in a row" if now >= job.retry_at else None
        if job.covered is None:
            return f"first training: {rows} bars"
        if rows - job.covered < settings.new_rows or now - job.trained_at < round(settings.min_gap_s * SECOND):
            return None
        return f"new data: {rows - job.covered} bars more than the last training knew"

    def _may_ask(self, job: Job, instrument: InstrumentId, plan: Plan, now: int) -> bool:
        """Say whether a training can do any good: there are bars, none is under way, and none has just failed."""
        has_failed = job.retry_at is not None and now < job.retry_at
        return job.is_free and not has_failed and self._known(instrument, plan.interval) >= self.settings.first_rows

    def _ask(
        self, event: Event, instrument: InstrumentId, plan: Plan, family: ModelFamily, job: Job, reason: str
    ) -> TrainRequested:
        job.ask(event.ts_init)
        return TrainRequested(
            ts_event=event.ts_event,
            ts_init=event.ts_init,
            by=self.name,
            family=family,
            instrument=instrument,
            interval=plan.interval,
            reason=reason[:MAX_TEXT],
        )

    # -- how trainings go ----------------------------------------------------------------------------------------------

    @on(TrainRequested)
    def on_requested(self, request: TrainRequested) -> None:
        """Know of every request, an own one too: only what is on the tape is under way."""
        plan = self.settings.plan_of(request.instrument)
        is_planned = plan is not None and plan.interval is request.interval
        rows = self._known(request.instrument, request.interval) if is_planned else None
        is_ours = request.by == self.name
        self._job(request.instrument, request.family).hear(self.moment.position, rows, is_ours=is_ours)

    @on(TrainStarted)
    def on_started(self, started: TrainStarted) -> None:
        self._job(started.instrument, started.family).start(started.request, started.ts_init)

    @on(ModelPublished)
    def on_published(self, published: ModelPublished) -> None:
        job = self._job(published.instrument, published.family)
        job.end(published.request)
        job.failures, job.retry_at = 0, None

    @on(TrainFailed)
    def on_failed(self, failed: TrainFailed) -> Iterator[Alert]:
        job = self._job(failed.instrument, failed.family)
        job.end(failed.request)
        job.failures += 1
        pause_s = min(self.settings.retry_s * 2.0 ** min(job.failures - 1, 30), self.settings.max_retry_s)
        job.retry_at = failed.ts_init + round(pause_s * SECOND)
        if job.failures == self.settings.alert_after:
            yield Alert(
                ts_event=failed.ts_event,
                ts_init=failed.ts_init,
                component=self.name,
                severity=Severity.WARNING,
                code="training_fails",
                message=(
                    f"{job.failures} trainings in a row of the {failed.family.value} model of {failed.instrument} have "
                    f"failed, the last one by {failed.failure.value}: {failed.detail}; it is tried again in "
                    f"{pause_s:g} s, and ever later. Bring more data (hmm backfill), or change the trainer's settings"
                )[:MAX_TEXT],
            )

    # -- what is known -------------------------------------------------------------------------------------------------

    def _planned(self, instrument: InstrumentId, now: int) -> Iterator[tuple[Plan, ModelFamily, Job]]:
        plan = self.settings.plan_of(instrument)
        if plan is not None:
            for family in plan.families:
                job = self._job(instrument, family)
                job.lapse(now)
                yield plan, family, job

    def _job(self, instrument: InstrumentId, family: ModelFamily) -> Job:
        of_instrument = self.jobs.setdefault(instrument, {})
        job = of_instrument.get(family)
        if job is None:
            job = of_instrument[family] = Job()
        return job

    def _known(self, instrument: InstrumentId, interval: Interval) -> int:
        return self.rows.get(instrument, {}).get(interval, 0)

    def _rings(self, now: int) -> bool:
        """Say whether the time has come that the cron expression names, and wait for the next."""
        if self.settings.cron == NEVER:
            return False
        if self.alarm is None:
            self.alarm = Alarm(self.settings.cron, _next_time(self.settings.cron, now))
        if now < self.alarm.at:
            return False
        self.alarm.at = _next_time(self.settings.cron, now)
        return True


def _next_time(cron: str, now: int) -> int:
    """Give the first full minute after `now` (ns) that `cron` names, in UTC."""
    return round(next(CronSim(cron, datetime.fromtimestamp(now // SECOND, UTC))).timestamp()) * SECOND
