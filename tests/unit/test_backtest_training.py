"""Models trained within a run: on nothing but its past, in its time, and as the live trainer does."""

from collections.abc import Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import TypeVar

import pytest

from contracts.control import LeaseTaken
from contracts.data import DataChunk
from contracts.event import Event
from contracts.models import (
    ModelAction,
    ModelDecided,
    ModelPromoted,
    ModelPublished,
    ModelRetired,
    TrainFailed,
    TrainRequested,
    TrainStarted,
)
from contracts.recorded import Recorded
from contracts.regimes import DirectionInferred
from services.backtest.log import LogWriter, read_log
from services.backtest.run import Run
from services.backtest.wiring import INGEST, ORDER, TRAINER
from services.catalog import BLUEPRINTS
from tape.audit import Audit, Audits
from tape.verdict import Span
from tests.backtested import USUAL, Heard, Played, played
from tests.taught import MINUTE, coin_market, flips, taught

SECOND = 1_000_000_000
RISES = flips(700)
DELAY = 61 * SECOND
"""What a training takes, and the trainer's pause before it."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return played(coin_market(RISES), tmp_path_factory.mktemp("taught"), taught())


E = TypeVar("E", bound=Event)


def said(log: Sequence[Recorded], event_type: type[E]) -> list[tuple[Recorded, E]]:
    return [(recorded, recorded.event) for recorded in log if isinstance(recorded.event, event_type)]


def test_models_are_asked_for_trained_promoted_and_used(run: Played) -> None:
    asked, models = said(run.log, TrainRequested), said(run.log, ModelPublished)
    assert [event.reason.partition(":")[0] for _, event in asked[:2]] == ["first training", "new data"]
    assert len(models) == 4
    first = said(run.log, ModelPromoted)[0]
    heard = [recorded.position for recorded, _ in said(run.log, DirectionInferred)]
    assert heard and min(heard) > first[0].position


def test_a_model_knows_only_bars_that_were_said_before_it_was_asked_for(run: Played) -> None:
    requests = {recorded.position: event for recorded, event in said(run.log, TrainRequested)}
    chunks = said(run.log, DataChunk)
    for _, model in said(run.log, ModelPublished):
        known = [chunk for recorded, chunk in chunks if recorded.position < model.request]
        assert model.artifact.trained_on.chunks == tuple(chunk.sha256 for chunk in known)
        assert model.artifact.trained_on.last + MINUTE <= requests[model.request].ts_init


def test_it_speaks_when_its_training_is_over_and_trains_one_at_a_time(run: Played) -> None:
    began = {event.request: event.ts_init for _, event in said(run.log, TrainStarted)}
    ended = {event.request: event.ts_init for _, event in said(run.log, ModelPublished)}
    assert [ended[request] - began[request] for request in ended] == [DELAY] * len(ended)
    assert all(began[after] >= ended[before] for before, after in pairwise(began))


def test_two_that_are_asked_for_at_once_follow_each_other(tmp_path: Path) -> None:
    plans = 'scheduler.plans=[{"interval":"1m","families":["direction","regime"]}]'
    log = played(coin_market(RISES[:260]), tmp_path, taught(plans)).log
    (_, first), (_, second) = said(log, TrainStarted)
    over, last = [recorded.event for recorded in log if isinstance(recorded.event, ModelPublished | TrainFailed)]
    assert first.ts_init + DELAY == over.ts_init == second.ts_init
    assert second.ts_init + DELAY == last.ts_init


def test_a_training_may_take_no_time_but_the_pause(tmp_path: Path) -> None:
    log = played(coin_market(RISES[:260]), tmp_path, taught("trainer.pause_s=0", training_s=0)).log
    (asked,), (model,) = said(log, TrainRequested), said(log, ModelPublished)
    assert asked[1].ts_init == model[1].ts_init
    assert model[0].position > asked[0].position


def test_the_log_has_every_position_once_and_time_never_goes_back(run: Played) -> None:
    assert [recorded.position for recorded in run.log] == list(range(1, run.run.position + 1))
    times = [recorded.event.ts_init for recorded in run.log]
    assert times == sorted(times)


def test_words_of_the_trainer_have_the_ids_and_causes_that_they_have_live(run: Played) -> None:
    by_position = {recorded.position: recorded for recorded in run.log}
    words = [recorded for recorded in run.log if recorded.msg_id.startswith("trainer/") and recorded.cause is not None]
    assert {type(recorded.event) for recorded in words} == {TrainStarted, ModelPublished, ModelPromoted, ModelRetired}
    for recorded in words:
        assert recorded.msg_id.split("/")[1] == str(recorded.cause)
        assert isinstance(by_position[recorded.cause or 0].event, TrainRequested | ModelPublished | ModelPromoted)
    assert len({recorded.msg_id for recorded in run.log}) == len(run.log)


def test_the_log_begins_with_the_settings_of_the_edges_too(run: Played) -> None:
    leases = [event.component for _, event in said(run.log, LeaseTaken)]
    assert leases == [*ORDER, "scheduler", INGEST, TRAINER]


def test_an_audit_finds_that_every_component_said_what_it_says_live_the_scheduler_too(run: Played) -> None:
    span = Span(1, run.run.position)
    audits = Audits([Audit(BLUEPRINTS[name], USUAL[name], span) for name in (*ORDER, "scheduler")])
    audits.take(run.log)
    verdicts = {verdict.component: verdict for verdict in audits.verdicts()}
    wrong = [verdict for verdict in verdicts.values() if verdict.diverging or verdict.pending or verdict.silent]
    assert not wrong
    assert verdicts["scheduler"].compared == len(said(run.log, TrainRequested))
    assert verdicts["regime"].compared > 0


def test_a_run_that_is_over_earlier_is_the_beginning_of_the_longer_one_models_included(
    run: Played, tmp_path: Path
) -> None:
    for number, bars in enumerate((250, 257, 400)):
        folder = tmp_path / str(number)
        folder.mkdir()
        part = played(coin_market(RISES[:bars]), folder, taught())
        assert part.log == run.log[: len(part.log)]
        assert part.log[-1].event.ts_init > run.log[0].event.ts_init + (bars - 2) * MINUTE


def test_it_does_not_matter_in_which_pieces_the_events_come(run: Played, tmp_path: Path) -> None:
    events = coin_market(RISES)
    with LogWriter(tmp_path / "log") as log:
        other = Run(taught(), log, Heard())
        while other.take(islice(events, 83)):
            pass
        assert log.sha256 == run.sha256


def test_others_hear_what_the_edges_say(run: Played) -> None:
    assert [recorded for recorded in run.log if recorded.msg_id.startswith(("trainer/", "ingest/"))] == [
        recorded for recorded in run.heard if recorded.msg_id.startswith(("trainer/", "ingest/"))
    ]


def test_one_that_is_stopped_while_it_trains_is_the_beginning_of_the_whole(run: Played, tmp_path: Path) -> None:
    class Impatient(Heard):
        def hear(self, recorded: Recorded) -> None:
            part.stopping = part.stopping or isinstance(recorded.event, TrainStarted)

    with LogWriter(tmp_path / "log") as log:
        part = Run(taught(), log, Impatient())
        part.take(coin_market(RISES))
    kept = list(read_log(tmp_path / "log"))
    assert isinstance(kept[-1].event, TrainStarted)
    assert kept == run.log[: len(kept)]


def test_it_says_how_many_models_there_were(run: Played, tmp_path: Path) -> None:
    assert list(run.run.remarks()) == ["4 models were trained within the run, the first 4.0 h after it began."]
    none = played(coin_market(RISES[:20]), tmp_path, taught()).run
    assert "No model was trained" in next(none.remarks())
    assert not list(played(coin_market(RISES[:20]), tmp_path, taught(train=False)).run.remarks())


def test_what_a_record_says_of_models_and_chunks_is_left_out_for_the_own_ones(run: Played, tmp_path: Path) -> None:
    theirs = [recorded.event for recorded in run.log if isinstance(recorded.event, DataChunk | ModelPromoted)]
    events = sorted([*coin_market(RISES), *theirs], key=lambda event: event.ts_init)
    log = played(events, tmp_path, taught()).log
    assert [recorded.event for recorded in log] == [recorded.event for recorded in run.log]


def test_an_operator_is_answered_within_the_run(run: Played, tmp_path: Path) -> None:
    model = said(run.log, ModelPromoted)[0][1]
    at = model.ts_init + MINUTE
    decided = ModelDecided(
        ts_event=at, ts_init=at, model_id=model.model_id, action=ModelAction.RETIRE, operator="anna", reason="doubt"
    )
    market = list(coin_market(RISES[:300]))
    events = sorted([*market, decided], key=lambda event: event.ts_init)
    log = played(events, tmp_path, taught()).log
    (retired,) = said(log, ModelRetired)
    assert (retired[1].model_id, retired[1].by) == (model.model_id, "anna")
    later = [recorded for recorded, _ in said(log, DirectionInferred) if recorded.position > retired[0].position]
    assert later == []
