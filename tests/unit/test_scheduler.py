"""When a model is trained again: new data, the clock, drift; one training at a time, and later after failures."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.control import Alert
from contracts.data import DataChunk
from contracts.event import Event
from contracts.examples import examples
from contracts.models import ModelFamily, ModelPublished, TrainFailed, TrainFailure, TrainRequested, TrainStarted
from contracts.ownership import ROLES
from contracts.regimes import DriftDetected
from contracts.types import InstrumentId, Interval
from services.scheduler.rules import Scheduler, SchedulerState
from services.scheduler.settings import Plan, SchedulerSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, START, ns, tick

HOUR = 3600.0
REGIME, DIRECTION = ModelFamily.REGIME, ModelFamily.DIRECTION
ONLY_REGIME = (Plan(families=(REGIME,)),)


def settings(**changes: object) -> SchedulerSettings:
    chosen: dict[str, Any] = {
        "plans": ONLY_REGIME,
        "first_rows": 100,
        "new_rows": 50,
        "cron": "",
        "min_gap_s": 0,
        "retry_s": 60,
        **changes,
    }
    return SchedulerSettings(**chosen)


def chunk(rows: int, *, at: float = 0.0, instrument: InstrumentId = BTC, interval: Interval = Interval.S5) -> DataChunk:
    nanos = interval.nanos
    return DataChunk(
        ts_event=ns(at),
        ts_init=ns(at),
        by="ingest",
        instrument=instrument,
        interval=interval,
        first=START,
        last=START + (rows - 1) * nanos,
        rows=rows,
        missing=0,
        repaired=0,
        sha256="0" * 64,
        source="test",
    )


def started(request: int, *, at: float = 0.0) -> TrainStarted:
    return TrainStarted(ts_event=ns(at), ts_init=ns(at), request=request, family=REGIME, instrument=BTC, rows=100)


def published(request: int, *, at: float = 0.0) -> ModelPublished:
    one = examples()[ModelPublished]
    assert isinstance(one, ModelPublished)
    return replace(one, ts_event=ns(at), ts_init=ns(at), request=request, instrument=BTC)


def failed(request: int, *, at: float = 0.0) -> TrainFailed:
    return TrainFailed(
        ts_event=ns(at),
        ts_init=ns(at),
        request=request,
        family=REGIME,
        instrument=BTC,
        failure=TrainFailure.NO_CONVERGENCE,
        detail="200 steps",
    )


def drift(*, at: float = 0.0) -> DriftDetected:
    one = examples()[DriftDetected]
    assert isinstance(one, DriftDetected)
    return replace(one, ts_event=ns(at), ts_init=ns(at), instrument=BTC)


class Watched:
    """A scheduler on a tape, and a trainer whose answers the test gives."""

    def __init__(self, chosen: SchedulerSettings) -> None:
        self.scheduler = Scheduler(chosen)
        self.tape = MemoryTape([self.scheduler])

    def play(self, *events: Event) -> list[TrainRequested]:
        """Give what was asked for because of these."""
        before = len(self.tape.of_type(TrainRequested))
        self.tape.play(events)
        return self.tape.of_type(TrainRequested)[before:]

    @property
    def asked_at(self) -> int:
        return next(r.position for r in reversed(self.tape.recorded) if isinstance(r.event, TrainRequested))

    def train(self, *, at: float = 0.0) -> list[TrainRequested]:
        """Let the last request be done; gives what is asked for meanwhile."""
        request = self.asked_at
        return self.play(started(request, at=at), published(request, at=at))


def trained(**changes: object) -> Watched:
    """A scheduler whose first training on 100 bars has given a model."""
    watched = Watched(settings(**changes))
    assert len(watched.play(chunk(100))) == 1
    watched.train()
    return watched


def test_it_hears_and_says_what_the_ownership_table_lets_it() -> None:
    role = ROLES["scheduler"]
    assert set(Scheduler.consumes()) == set(role.reads)
    assert set(Scheduler.produces) == {*role.writes, Alert}


# -- new data ----------------------------------------------------------------------------------------------------------


def test_the_first_training_waits_until_there_are_enough_bars() -> None:
    watched = Watched(settings())
    assert watched.play(chunk(60)) == []
    (asked,) = watched.play(chunk(40, at=5))
    assert (asked.by, asked.family, asked.instrument, asked.interval) == ("scheduler", REGIME, BTC, Interval.S5)
    assert asked.reason == "first training: 100 bars"
    assert asked.ts_init == ns(5)


def test_a_model_is_trained_again_when_enough_bars_are_new() -> None:
    watched = trained()
    assert watched.play(chunk(49)) == []
    (asked,) = watched.play(chunk(1))
    assert asked.reason == "new data: 50 bars more than the last training knew"


def test_bars_that_came_after_the_request_are_new_to_the_next_training() -> None:
    watched = Watched(settings())
    watched.play(chunk(100))
    watched.play(chunk(30))
    watched.train()
    assert len(watched.play(chunk(20))) == 1


def by_an_operator(interval: Interval = Interval.S5) -> TrainRequested:
    return TrainRequested(
        ts_event=START, ts_init=START, by="ops", family=REGIME, instrument=BTC, interval=interval, reason="test"
    )


def test_a_training_that_an_operator_asked_for_counts_as_one() -> None:
    watched = trained()
    watched.play(chunk(40), by_an_operator())
    request = watched.tape.position
    assert watched.play(chunk(30)) == []
    watched.play(started(request), published(request))
    assert watched.play(chunk(19)) == []
    assert len(watched.play(chunk(1))) == 1


def test_a_training_on_other_bars_says_nothing_of_new_ones() -> None:
    watched = trained()
    watched.play(chunk(40), by_an_operator(Interval.M1))
    request = watched.tape.position
    watched.play(started(request), published(request))
    assert len(watched.play(chunk(10))) == 1


def test_one_training_of_a_model_is_asked_for_at_a_time() -> None:
    watched = Watched(settings())
    assert len(watched.play(chunk(100))) == 1
    assert watched.play(chunk(500), drift(), tick(HOUR)) == []
    assert watched.play(started(watched.asked_at)) == []
    assert watched.play(chunk(500), drift(), tick(HOUR)) == []


def test_the_end_of_an_older_training_does_not_end_the_own_request() -> None:
    watched = Watched(settings())
    watched.play(by_an_operator())
    older = watched.tape.position
    assert watched.play(chunk(100)) == []
    assert len(watched.play(published(older), tick(1))) == 1
    assert watched.play(published(older), chunk(500)) == []


def test_what_was_asked_for_in_silence_is_asked_for_again() -> None:
    scheduler = Scheduler(settings())
    assert len(list(scheduler.on_chunk(chunk(100)))) == 1
    tape = MemoryTape([scheduler])
    tape.play([tick(59), chunk(500, at=59)])
    assert tape.of_type(TrainRequested) == []
    tape.play([tick(60), tick(61), tick(10_000)])
    assert len(tape.of_type(TrainRequested)) == 1


def test_in_a_long_silence_little_is_asked_for() -> None:
    scheduler = Scheduler(settings())
    asked = list(scheduler.on_chunk(chunk(100)))
    for at in range(7_200):
        asked += scheduler.on_tick(tick(at))
    assert [round((one.ts_init - START) / 1e9) for one in asked] == [0, 60, 300, 1260, 5100]


def test_new_data_waits_for_the_shortest_gap() -> None:
    watched = trained(min_gap_s=600)
    assert watched.play(chunk(80, at=100)) == []
    assert watched.play(tick(599)) == []
    assert len(watched.play(tick(600))) == 1


def test_each_family_of_each_instrument_goes_its_own_way() -> None:
    watched = Watched(settings(plans=(Plan(),)))
    asked = watched.play(chunk(100), chunk(100, instrument=ETH))
    assert [(one.instrument, one.family) for one in asked] == [
        (BTC, REGIME),
        (BTC, DIRECTION),
        (ETH, REGIME),
        (ETH, DIRECTION),
    ]


def test_a_plan_of_its_own_says_what_an_instrument_is_trained_on() -> None:
    plans = (Plan(families=(REGIME,)), Plan(instrument=ETH, interval=Interval.M1, families=(DIRECTION,)))
    watched = Watched(settings(plans=plans))
    assert watched.play(chunk(100, instrument=ETH)) == []
    (asked,) = watched.play(chunk(100, instrument=ETH, interval=Interval.M1))
    assert (asked.family, asked.interval) == (DIRECTION, Interval.M1)


def test_an_instrument_without_a_plan_is_left_alone() -> None:
    watched = Watched(settings(plans=(Plan(instrument=ETH),)))
    assert watched.play(chunk(10_000), drift(), tick(HOUR)) == []


# -- the clock ---------------------------------------------------------------------------------------------------------


def seconds_until(hour: int, minute: int) -> float:
    begin = datetime.fromtimestamp(START / 1e9, UTC)
    wanted = begin.replace(hour=hour, minute=minute)
    return (wanted - begin).total_seconds() % 86_400


def test_the_clock_asks_at_the_times_of_the_cron_expression_in_utc() -> None:
    watched = trained(cron="30 2 * * *")
    due = seconds_until(2, 30)
    assert watched.play(tick(1), tick(due - 1)) == []
    (asked,) = watched.play(tick(due))
    assert asked.reason == "cron: 30 2 * * * (UTC)"
    watched.train(at=due)
    assert watched.play(tick(due + 1), tick(due + 86_399)) == []
    assert len(watched.play(tick(due + 86_400))) == 1


def test_times_that_passed_while_nothing_was_heard_count_once() -> None:
    watched = trained(cron="0 * * * *")
    watched.play(tick(1))
    assert len(watched.play(tick(10 * HOUR + 5))) == 1
    watched.train(at=10 * HOUR + 6)
    assert watched.play(tick(10 * HOUR + 7)) == []


def test_the_clock_asks_for_nothing_that_has_too_few_bars() -> None:
    watched = Watched(settings(cron="* * * * *"))
    assert watched.play(chunk(99), tick(1), tick(61)) == []


@pytest.mark.parametrize("cron", ["nonsense", "61 * * * *", "* * * *", "0 0 31 2 *"])
def test_a_cron_expression_that_is_none_is_refused(cron: str) -> None:
    with pytest.raises(ValidationError, match="cron"):
        SchedulerSettings(cron=cron)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [({"plans": (Plan(), Plan())}, "plans: one for each"), ({"retry_s": 60, "max_retry_s": 30}, "retry_s")],
)
def test_settings_that_contradict_each_other_are_refused(change: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        SchedulerSettings(**change)


# -- drift -------------------------------------------------------------------------------------------------------------


def test_drift_asks_for_a_training_once_the_last_one_is_some_time_ago() -> None:
    watched = trained(drift_cooldown_s=HOUR)
    assert watched.play(drift(at=HOUR - 1)) == []
    (asked,) = watched.play(drift(at=HOUR), drift(at=HOUR))
    assert asked.reason.startswith("drift: ")


# -- failures ----------------------------------------------------------------------------------------------------------


def times_asked(watched: Watched, ticks: Iterable[float]) -> list[float]:
    """When it asks again, if every training fails at once."""
    times = []
    for at in ticks:
        if watched.play(tick(at)):
            times.append(at)
            watched.play(started(watched.asked_at, at=at), failed(watched.asked_at, at=at))
    return times


def test_what_failed_is_tried_again_after_a_pause_that_doubles_up_to_a_limit() -> None:
    watched = Watched(settings(retry_s=60, max_retry_s=200))
    watched.play(chunk(100))
    watched.play(started(watched.asked_at), failed(watched.asked_at))
    assert times_asked(watched, range(1, 1000)) == [60, 180, 380, 580, 780, 980]


def test_nothing_asks_for_what_has_just_failed() -> None:
    watched = trained(cron="* * * * *", retry_s=1000, drift_cooldown_s=0)
    watched.play(chunk(50))
    watched.play(started(watched.asked_at), failed(watched.asked_at))
    assert watched.play(chunk(500, at=10), drift(at=20), tick(30), tick(90), tick(999)) == []
    (asked,) = watched.play(tick(1000))
    assert asked.reason == "again, after 1 failures in a row"


def test_a_model_ends_a_row_of_failures() -> None:
    watched = Watched(settings(retry_s=60))
    watched.play(chunk(100))
    watched.play(started(watched.asked_at), failed(watched.asked_at))
    watched.play(tick(60))
    watched.train(at=60)
    watched.play(chunk(50, at=61))
    watched.play(started(watched.asked_at, at=61), failed(watched.asked_at, at=61))
    assert watched.play(tick(120)) == []
    assert len(watched.play(tick(121))) == 1


def test_an_operator_is_told_once_when_failures_do_not_end() -> None:
    watched = Watched(settings(retry_s=60, max_retry_s=60, alert_after=3))
    watched.play(chunk(100))
    watched.play(started(watched.asked_at), failed(watched.asked_at))
    times_asked(watched, range(1, 600))
    (alert,) = watched.tape.of_type(Alert)
    assert alert.code == "training_fails"
    assert "no_convergence: 200 steps" in alert.message


# -- a restart ---------------------------------------------------------------------------------------------------------


def restored(watched: Watched, chosen: SchedulerSettings) -> Watched:
    adapter = TypeAdapter(SchedulerState)
    after = Watched(chosen)
    after.tape.position = watched.tape.position
    after.scheduler.restore(adapter.validate_python(json.loads(adapter.dump_json(watched.scheduler.state()))))
    return after


def test_a_request_is_not_made_twice_by_a_restart() -> None:
    watched = Watched(settings())
    watched.play(chunk(100))
    request = watched.asked_at
    after = restored(watched, settings())
    assert after.play(chunk(500), tick(HOUR)) == []
    assert len(after.play(started(request), published(request), tick(HOUR))) == 1


def test_another_cron_expression_is_waited_for_after_a_restart() -> None:
    watched = trained(cron="0 0 * * *")
    watched.play(tick(1))
    after = restored(watched, settings(cron="* * * * *"))
    assert after.play(tick(2)) == []
    assert len(after.play(tick(60))) == 1
