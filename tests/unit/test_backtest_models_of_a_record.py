"""Models that come with a record: one that knows what is still to come is not believed, and it is told."""

from dataclasses import replace
from pathlib import Path

import pytest

from contracts.control import DeadLetter
from contracts.event import Event
from contracts.models import Artifact, ModelFamily, ModelPromoted, ModelRetired, TrainedOn, model_id_of, sha256_of
from contracts.recorded import Recorded
from contracts.regimes import DirectionInferred
from quant.training import DirectionTraining, Trained, Training, train_direction
from services.backtest.prequentialmodels import OTHER_CLOCK_NS, causal, data_end
from tests.backtested import played
from tests.taught import COIN, MINUTE, START, bars_of, coin_market, flips, taught

RISES = flips(400)
DAY = 86_400 * 1_000_000_000


def model(first: int, last: int) -> Artifact:
    """Train on some of the bars."""
    settings = DirectionTraining(window=1, lookback=5, least_observations=100)
    found = train_direction(Training(COIN, bars_of(RISES)[first:last], ("a" * 64,), settings, None, 7, "test"))
    assert isinstance(found, Trained), found
    return found.artifact


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return model(0, 300)


def promoted(artifact: Artifact, at: int) -> ModelPromoted:
    sha256 = sha256_of(artifact)
    return ModelPromoted(
        ts_event=at,
        ts_init=at,
        model_id=model_id_of(sha256),
        sha256=sha256,
        family=artifact.family,
        instrument=artifact.instrument,
        artifact=artifact,
        replaces=None,
        by="anna",
        reason="mine",
    )


def in_order(*said: Event, market: list[Event] | None = None) -> list[Event]:
    return sorted([*(market or coin_market(RISES)), *said], key=lambda event: event.ts_init)


def told(events: list[Event]) -> list[Event]:
    """Give what is said of models."""
    return [event for event in events if isinstance(event, ModelPromoted | ModelRetired | DeadLetter)]


def test_a_model_that_ends_where_it_is_promoted_is_believed(artifact: Artifact) -> None:
    word = promoted(artifact, data_end(promoted(artifact, 1)))
    assert told(list(causal(in_order(word)))) == [word]


def test_a_model_that_was_trained_on_a_bar_that_is_still_open_is_not(artifact: Artifact) -> None:
    word = promoted(artifact, data_end(promoted(artifact, 1)) - 1)
    (dead,) = told(list(causal(in_order(word))))
    assert isinstance(dead, DeadLetter)
    assert dead.component == "trainer"
    assert word.model_id in dead.source
    assert "a model from the future is not believed" in dead.reason
    assert dead.ts_init == word.ts_init


def test_a_market_of_the_past_that_is_played_again_counts_by_its_own_clock(artifact: Artifact) -> None:
    end = data_end(promoted(artifact, 1))
    market = list(coin_market(RISES))
    years_later = promoted(artifact, START + 700 * DAY)
    early = [event for event in market if event.ts_init < end - MINUTE]
    late = market[len(early) :]
    assert isinstance(told(list(causal([*early, years_later, *late])))[0], DeadLetter)
    assert told(list(causal([*early, *late, years_later]))) == [years_later]


def test_an_outage_of_the_feed_is_no_other_clock(artifact: Artifact) -> None:
    end = data_end(promoted(artifact, 1))
    early = [event for event in coin_market(RISES) if event.ts_init < end - 30 * MINUTE]
    word = promoted(artifact, early[-1].ts_init + OTHER_CLOCK_NS)
    assert told(list(causal([*early, word]))) == [word]


def test_what_is_said_of_models_before_the_market_waits_for_its_clock_and_keeps_its_order(artifact: Artifact) -> None:
    before = replace(
        artifact, trained_on=TrainedOn(chunks=("b" * 64,), first=START - DAY, last=START - 2 * MINUTE, rows=9)
    )
    good, bad = promoted(before, START + 700 * DAY), promoted(artifact, START + 700 * DAY)
    gone = ModelRetired(
        ts_event=1,
        ts_init=1,
        model_id=good.model_id,
        family=ModelFamily.DIRECTION,
        instrument=COIN,
        by="anna",
        reason="old",
    )
    first, *rest = causal([good, bad, gone, *coin_market(RISES)])
    assert first == good
    assert isinstance(rest[0], DeadLetter)
    assert rest[1:] == [gone, *coin_market(RISES)]


def test_files_of_nothing_but_market_are_played_as_they_are() -> None:
    assert list(causal(coin_market(RISES))) == list(coin_market(RISES))


def test_nobody_hears_of_a_model_from_the_future_and_the_log_says_why(artifact: Artifact, tmp_path: Path) -> None:
    end = data_end(promoted(artifact, 1))
    assert directions(in_order(promoted(artifact, end)), tmp_path)
    assert not directions(in_order(promoted(artifact, end - MINUTE)), tmp_path)


def directions(events: list[Event], folder: Path) -> list[Recorded]:
    log = played(causal(events), folder, taught(train=False)).log
    return [recorded for recorded in log if isinstance(recorded.event, DirectionInferred)]
