"""The registry of models: what is believed, what is told next, and that a death in between changes nothing."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import encode
from contracts.control import Alert, DeadLetter
from contracts.data import DataChunk
from contracts.event import Event
from contracts.examples import ARTIFACT, examples
from contracts.market import Bar
from contracts.models import (
    Artifact,
    ModelAction,
    ModelDecided,
    ModelFamily,
    ModelPromoted,
    ModelRetired,
    Score,
    TrainFailure,
    TrainRequested,
    model_id_of,
    sha256_of,
)
from contracts.recorded import Recorded, Unreadable
from contracts.types import InstrumentId, Interval
from eventstore.chunks import name_of, to_parquet
from quant.training import Problem, Trained
from services.trainer.entries import Request, Standing
from services.trainer.job import Job, Outcome, packed, unpacked
from services.trainer.registry import Recall, Registry, Say
from services.trainer.settings import TrainerSettings
from services.trainer.statements import failed, published, started
from services.trainer.version import code_version
from services.trainer.worker import carried_out
from tests.builders import BTC, ETH, START

E = TypeVar("E", bound=Event)

NOW = START
REGIME = ModelFamily.REGIME


def artifact(seed: int, instrument: InstrumentId = BTC) -> Artifact:
    return replace(ARTIFACT, seed=seed, instrument=instrument)


def model_id(seed: int, instrument: InstrumentId = BTC) -> str:
    return model_id_of(sha256_of(artifact(seed, instrument)))


def asks(instrument: InstrumentId = BTC, interval: Interval = Interval.S5) -> TrainRequested:
    return TrainRequested(
        ts_event=NOW, ts_init=NOW, by="ops", family=REGIME, instrument=instrument, interval=interval, reason="test"
    )


def decides(model: str, action: ModelAction) -> ModelDecided:
    return ModelDecided(ts_event=NOW, ts_init=NOW, model_id=model, action=action, operator="kim", reason="because")


def chunk(number: int, rows: int = 100, instrument: InstrumentId = BTC) -> DataChunk:
    nanos = Interval.S5.nanos
    first = START + number * 1000 * nanos
    return DataChunk(
        ts_event=NOW,
        ts_init=NOW,
        by="ingest",
        instrument=instrument,
        interval=Interval.S5,
        first=first,
        last=first + (rows - 1) * nanos,
        rows=rows,
        missing=0,
        repaired=0,
        sha256=f"{number:064x}",
        source="test",
    )


class Tape:
    """A tape, and a trainer on it whose fits give what the test wants; its registry can be lost at any time."""

    def __init__(self, shadows_kept: int = 2) -> None:
        self.recorded: list[Recorded | Unreadable] = []
        self.store: dict[str, Artifact] = {}
        self._kept = shadows_kept
        self.registry = Registry(shadows_kept)

    def put(self, event: Event, cause: int | None = None, msg_id: str = "") -> int:
        position = len(self.recorded) + 1
        self.recorded.append(Recorded(position, cause, msg_id, 0, event))
        self.registry.fold(self.recorded[-1])
        return position

    def restart(self) -> None:
        self.registry = Registry(self._kept)
        for recorded in self.recorded:
            self.registry.fold(recorded)

    def step(self) -> bool:
        """Say the one thing that is to be said next; False if there is none."""
        step = self.registry.next_step(NOW)
        if isinstance(step, Recall):
            kept = self.store.get(step.entry.sha256)
            step = self.registry.restored(NOW, step, kept) if kept else self.registry.lost(NOW, step, "it is gone")
        if step is None:
            return False
        self.say(step)
        return True

    def settle(self) -> None:
        while self.step():
            assert len(self.recorded) < 1000, "it never ends"

    def say(self, say: Say) -> None:
        self.put(say.event, say.cause, f"trainer/{say.cause}/{say.index}")

    def publish(self, seed: int, *, passed: bool, instrument: InstrumentId = BTC) -> str:
        """Let a training give a model."""
        request = self.put(asks(instrument))
        trained = artifact(seed, instrument)
        self.store[sha256_of(trained)] = trained
        champion = self.registry.champions.get((REGIME, instrument))
        score = Score(observations=100, log_likelihood=-1.0, calibration_error=0.1)
        event = published(NOW, request, trained, score, champion, None, passed=passed, gate="test")
        self.say(Say(request, 1, event))
        return event.model_id

    def train(self, seed: int, *, passed: bool = True, instrument: InstrumentId = BTC) -> str:
        made = self.publish(seed, passed=passed, instrument=instrument)
        self.settle()
        return made

    def decide(self, model: str, action: ModelAction) -> None:
        self.put(decides(model, action))
        self.settle()

    def of_type(self, event_type: type[E]) -> list[E]:
        events = (recorded.event for recorded in self.recorded if isinstance(recorded, Recorded))
        return [event for event in events if isinstance(event, event_type)]

    def standing(self, model: str) -> Standing:
        return self.registry.models[model].standing


# -- promotion ---------------------------------------------------------------------------------------------------------


def test_a_model_that_passes_the_gate_is_promoted_with_all_of_it() -> None:
    tape = Tape()
    model = tape.train(1)
    (promoted,) = tape.of_type(ModelPromoted)
    assert (promoted.model_id, promoted.by, promoted.replaces, promoted.reason) == (model, "gate", None, "test")
    assert promoted.contradiction() is None
    assert encode(promoted)


def test_a_model_that_does_not_pass_stays_a_shadow() -> None:
    tape = Tape()
    tape.train(1, passed=False)
    assert tape.of_type(ModelPromoted) == []
    assert tape.standing(model_id(1)) is Standing.SHADOW


def test_the_champion_before_becomes_a_shadow() -> None:
    tape = Tape()
    first, second = tape.train(1), tape.train(2)
    assert tape.of_type(ModelPromoted)[-1].replaces == first
    assert (tape.standing(first), tape.standing(second)) == (Standing.SHADOW, Standing.CHAMPION)


def test_each_instrument_has_a_champion_of_its_own() -> None:
    tape = Tape()
    btc, eth = tape.train(1), tape.train(1, instrument=ETH)
    assert tape.registry.champions == {(REGIME, BTC): btc, (REGIME, ETH): eth}


def test_more_shadows_than_are_kept_are_retired_the_oldest_first() -> None:
    tape = Tape(shadows_kept=2)
    models = [tape.train(seed) for seed in range(5)]
    assert [retired.model_id for retired in tape.of_type(ModelRetired)] == models[:2]
    assert tape.registry.counts() == {Standing.RETIRED: 2, Standing.SHADOW: 2, Standing.CHAMPION: 1}


def test_the_gate_promotes_nobody_over_what_an_operator_has_decided_meanwhile() -> None:
    tape = Tape()
    shadow = tape.train(1, passed=False)
    candidate = tape.publish(2, passed=True)
    tape.decide(shadow, ModelAction.PROMOTE)
    assert tape.registry.champions == {(REGIME, BTC): shadow}
    tape.decide(shadow, ModelAction.RETIRE)
    assert tape.registry.champions == {}
    assert tape.standing(candidate) is Standing.SHADOW


# -- what an operator decides ------------------------------------------------------------------------------------------


def test_an_operator_promotes_a_shadow() -> None:
    tape = Tape()
    first, shadow = tape.train(1), tape.train(2, passed=False)
    tape.decide(shadow, ModelAction.PROMOTE)
    promoted = tape.of_type(ModelPromoted)[-1]
    assert (promoted.model_id, promoted.by, promoted.replaces, promoted.reason) == (shadow, "kim", first, "because")


def test_an_operator_promotes_a_retired_model_from_the_object_store() -> None:
    tape = Tape(shadows_kept=0)
    first, _ = tape.train(1), tape.train(2)
    assert tape.standing(first) is Standing.RETIRED
    tape.decide(first, ModelAction.PROMOTE)
    assert tape.of_type(ModelPromoted)[-1].artifact == artifact(1)


def test_a_retired_model_that_the_store_has_lost_is_not_promoted() -> None:
    tape = Tape(shadows_kept=0)
    first, second = tape.train(1), tape.train(2)
    tape.store.clear()
    tape.decide(first, ModelAction.PROMOTE)
    assert [alert.code for alert in tape.of_type(Alert)] == ["artifact_lost"]
    assert tape.registry.champions == {(REGIME, BTC): second}


def test_after_the_champion_is_retired_there_is_none_until_one_is_promoted() -> None:
    tape = Tape()
    _, champion = tape.train(1), tape.train(2)
    tape.decide(champion, ModelAction.RETIRE)
    assert tape.registry.champions == {}
    (alert,) = tape.of_type(Alert)
    assert alert.code == "no_champion"
    assert [type(recorded.event) for recorded in tape.recorded[-2:] if isinstance(recorded, Recorded)] == [
        Alert,
        ModelRetired,
    ]


@pytest.mark.parametrize(
    ("number", "action", "code"),
    [
        (9, ModelAction.PROMOTE, "unknown_model"),
        (9, ModelAction.RETIRE, "unknown_model"),
        (2, ModelAction.PROMOTE, "already_promoted"),
        (0, ModelAction.RETIRE, "already_retired"),
    ],
)
def test_a_decision_that_changes_nothing_is_answered_by_an_alert(number: int, action: ModelAction, code: str) -> None:
    tape = Tape(shadows_kept=1)
    for seed in range(3):
        tape.train(seed)
    before = len(tape.recorded)
    tape.decide(model_id(number), action)
    assert [type(recorded.event) for recorded in tape.recorded[before:] if isinstance(recorded, Recorded)] == [
        ModelDecided,
        Alert,
    ]
    assert tape.of_type(Alert)[-1].code == code


def test_what_cannot_be_read_becomes_a_dead_letter_once() -> None:
    tape = Tape()
    tape.recorded.append(Unreadable(1, "train.requested.ops", {}, b"{", "no JSON"))
    tape.registry.fold(tape.recorded[-1])
    tape.settle()
    tape.restart()
    tape.settle()
    (letter,) = tape.of_type(DeadLetter)
    assert (letter.source, letter.reason) == ("position 1, train.requested.ops", "no JSON")


# -- requests ----------------------------------------------------------------------------------------------------------


def waiting(tape: Tape) -> list[int]:
    return list(tape.registry.requests)


def test_requests_are_done_in_order_and_each_ends_once() -> None:
    tape = Tape()
    first, second = tape.put(asks()), tape.put(asks(ETH))
    found = tape.registry.next_request()
    assert found is not None and found.position == first
    tape.say(Say(first, 0, started(NOW, first, asks(), 10)))
    tape.restart()
    found = tape.registry.next_request()
    assert found is not None and (found.position, found.is_started) == (first, True)
    tape.say(Say(first, 1, failed(NOW, first, asks(), TrainFailure.ERROR, "x")))
    assert waiting(tape) == [second]
    assert tape.registry.failed == 1


def test_a_training_is_on_the_chunks_that_were_known_when_it_was_asked_for() -> None:
    tape = Tape()
    for event in (chunk(2), chunk(1), chunk(3, instrument=ETH), asks(), chunk(4)):
        tape.put(event)
    request = tape.registry.next_request()
    assert request is not None
    assert [one.sha256 for one in request.chunks] == [chunk(1).sha256, chunk(2).sha256]


@pytest.mark.parametrize(("rows", "taken"), [(300, 3), (299, 2), (100, 1), (10, 1)])
def test_of_too_many_bars_the_newest_whole_chunks_are_taken(rows: int, taken: int) -> None:
    chunks = tuple(chunk(number) for number in range(3))
    assert Request(1, asks(), chunks).newest(rows) == chunks[3 - taken :]


# -- a death at any moment ---------------------------------------------------------------------------------------------

DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("train"), st.integers(0, 5), st.booleans()),
        st.tuples(st.sampled_from(ModelAction), st.integers(0, 6), st.booleans()),
    ),
    max_size=12,
)
"""Trainings that give a model (of that number, that passes or not), and decisions; or not settled before the next."""


def played(deeds: Iterable[tuple[object, int, bool]], deaths: Iterable[bool]) -> Tape:
    tape, dies = Tape(shadows_kept=1), iter(deaths)
    for number, (deed, about, flag) in enumerate(deeds):
        if isinstance(deed, ModelAction):
            tape.put(decides(model_id(about), deed))
            if flag:
                continue
        else:
            tape.publish(number if number < 6 else about + 10 * number, passed=flag)
        while True:
            if next(dies, False):
                tape.restart()
            if not tape.step():
                break
    tape.settle()
    return tape


@given(DEEDS, st.lists(st.booleans(), max_size=80))
def test_whoever_dies_between_two_steps_says_the_same(
    deeds: list[tuple[object, int, bool]], deaths: list[bool]
) -> None:
    with_deaths, without = played(deeds, deaths), played(deeds, [])
    assert with_deaths.recorded == without.recorded
    assert with_deaths.registry.models == without.registry.models


@given(DEEDS)
def test_ids_are_unique_and_no_more_shadows_than_wanted_remain(deeds: list[tuple[object, int, bool]]) -> None:
    tape = played(deeds, [])
    ids = [recorded.msg_id for recorded in tape.recorded if isinstance(recorded, Recorded) and recorded.msg_id]
    assert len(ids) == len(set(ids))
    counts = tape.registry.counts()
    assert counts[Standing.SHADOW] <= 1
    assert counts[Standing.CHAMPION] == len(tape.registry.champions) <= 1
    answered = {recorded.cause for recorded in tape.recorded if isinstance(recorded, Recorded)}
    decided = [r.position for r in tape.recorded if isinstance(r, Recorded) and isinstance(r.event, ModelDecided)]
    assert set(decided) <= answered


# -- the worker --------------------------------------------------------------------------------------------------------


def bars(count: int, instrument: InstrumentId = BTC) -> list[Bar]:
    nanos = Interval.S5.nanos
    bar = examples()[Bar]
    assert isinstance(bar, Bar)
    return [
        replace(
            bar,
            instrument=instrument,
            interval=Interval.S5,
            ts_open=START + number * nanos,
            ts_close=START + (number + 1) * nanos,
            ts_event=START + (number + 1) * nanos,
            ts_init=START + (number + 1) * nanos,
        )
        for number in range(count)
    ]


def stored(data: bytes, rows: int, instrument: InstrumentId = BTC) -> DataChunk:
    return replace(chunk(0, rows, instrument), last=START + (rows - 1) * Interval.S5.nanos, sha256=name_of(data))


def job(*chunks: DataChunk) -> Job:
    settings = TrainerSettings()
    return Job(
        family=REGIME,
        instrument=BTC,
        chunks=chunks,
        regime=settings.regime,
        direction=None,
        champion=ARTIFACT,
        seed=1,
        code="test",
        nice=0,
    )


def test_a_job_and_its_chunks_cross_the_pipe_unchanged() -> None:
    wanted = job(chunk(1), chunk(2))
    assert unpacked(packed(wanted, [b"one", b""])) == (wanted, [b"one", b""])


@pytest.mark.parametrize(
    "result",
    [
        Problem(TrainFailure.RARE_STATE, "wild: 3 %"),
        Trained(ARTIFACT, Score(observations=3, log_likelihood=-0.1 - 0.2, calibration_error=0.1), None),
    ],
)
def test_an_outcome_crosses_the_pipe_unchanged(result: Trained | Problem) -> None:
    assert Outcome.model_validate_json(Outcome.of(result).model_dump_json()).result() == result


def test_bytes_that_are_no_chunk_are_bad_data_and_named() -> None:
    listed = stored(b"rubbish", 10)
    problem = carried_out(job(listed), [b"rubbish"])
    assert isinstance(problem, Problem)
    assert problem.failure is TrainFailure.BAD_DATA
    assert listed.sha256 in problem.detail


@pytest.mark.parametrize("rows", [9, 11])
def test_a_chunk_that_is_not_what_the_ledger_lists_is_bad_data(rows: int) -> None:
    data = to_parquet(bars(10))
    problem = carried_out(job(stored(data, rows)), [data])
    assert isinstance(problem, Problem)
    assert (problem.failure, "that ingest has listed" in problem.detail) == (TrainFailure.BAD_DATA, True)


def test_bars_of_another_instrument_are_bad_data() -> None:
    data = to_parquet(bars(10, ETH))
    problem = carried_out(job(stored(data, 10)), [data])
    assert isinstance(problem, Problem) and problem.failure is TrainFailure.BAD_DATA


def test_the_version_of_the_code_names_the_package_and_its_sources() -> None:
    assert code_version() == code_version()
    assert "+quant." in code_version()
