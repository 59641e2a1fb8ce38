"""A signal that only the future shows is planted in a market: nothing in a run can use it, and who could is caught."""

import subprocess
import sys
from collections.abc import Sequence
from math import sqrt
from pathlib import Path

import pytest

from contracts.models import Feature, ModelPublished
from contracts.recorded import Recorded
from contracts.regimes import DirectionInferred, RegimeInferred
from quant.training import Trained, Training, train_direction
from quant.training.directions import labels
from quant.training.samples import observed
from services.trainer.settings import TrainerSettings
from tests.backtested import Played, played
from tests.servers import ROOT
from tests.taught import BOTH, COIN, MINUTE, START, bars_of, coin_market, flips, taught

COUNT = 900
RISES = flips(COUNT, seed=3)
CHANGED_AT = 500
FINE = 4.0
"""Standard deviations of a fair coin that nothing fair is away."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return played(coin_market(RISES), tmp_path_factory.mktemp("planted"), taught(*BOTH))


def until(log: Sequence[Recorded], bars: int) -> list[Recorded]:
    return [recorded for recorded in log if recorded.event.ts_init < START + bars * MINUTE]


def hits(log: Sequence[Recorded]) -> tuple[int, int]:
    """Count how often a direction that was inferred came true, and all of them."""
    said = [recorded.event for recorded in log if isinstance(recorded.event, DirectionInferred)]
    ahead = [(event.up > 0.5, (event.ts_event - START) // MINUTE) for event in said]
    judged = [foreseen == RISES[bar] for foreseen, bar in ahead if bar < COUNT]
    return sum(judged), len(judged)


def test_models_are_there_and_speak(run: Played) -> None:
    families = {recorded.event.family.value for recorded in run.log if isinstance(recorded.event, ModelPublished)}
    assert families == {"direction", "regime"}
    assert {RegimeInferred, DirectionInferred} <= {type(recorded.event) for recorded in run.log}


def test_what_was_said_until_a_moment_is_the_same_whatever_comes_after_it(run: Played, tmp_path: Path) -> None:
    other_future = [*RISES[:CHANGED_AT], *(not up for up in RISES[CHANGED_AT:])]
    other = played(coin_market(other_future), tmp_path, taught(*BOTH))
    assert until(other.log, CHANGED_AT) == until(run.log, CHANGED_AT)
    assert other.log != run.log
    models = [recorded for recorded in until(run.log, CHANGED_AT) if isinstance(recorded.event, ModelPublished)]
    assert models


def test_a_run_that_ends_at_a_moment_has_said_the_same_until_then(run: Played, tmp_path: Path) -> None:
    part = played(coin_market(RISES[:CHANGED_AT]), tmp_path, taught(*BOTH))
    assert part.log == run.log[: len(part.log)]


def test_no_model_and_no_inference_is_better_than_a_coin(run: Played) -> None:
    scores = [recorded.event.score for recorded in run.log if isinstance(recorded.event, ModelPublished)]
    told = [(score.accuracy, score.observations) for score in scores if score.accuracy is not None]
    assert told
    assert all(abs(accuracy - 0.5) < FINE * 0.5 / sqrt(count) for accuracy, count in told)
    right, count = hits(run.log)
    assert count > 300
    assert abs(right / count - 0.5) < FINE * 0.5 / sqrt(count)


def test_whoever_may_look_ahead_knows_it_all_so_that_the_test_above_could_fail() -> None:
    settings = taught().settings["trainer"]
    assert isinstance(settings, TrainerSettings)
    bars = bars_of(RISES)
    seen = observed(bars, settings.direction.spec(bars[0].interval))
    known, rose = labels(seen, 1, MINUTE)
    volume = settings.direction.features.index(Feature.VOLUME)
    bar_after_next = seen.values[known[2:], volume] > 0
    assert (bar_after_next == rose[known[:-2]]).mean() > 0.95


def test_a_training_on_bars_of_the_future_makes_another_model_so_equal_models_mean_equal_knowledge(
    run: Played,
) -> None:
    settings = taught().settings["trainer"]
    assert isinstance(settings, TrainerSettings)
    first = next(
        recorded.event.artifact
        for recorded in run.log
        if isinstance(recorded.event, ModelPublished) and recorded.event.artifact.direction is not None
    )
    on = first.trained_on
    bars = bars_of(RISES)
    known = [bar for bar in bars if on.first <= bar.ts_open <= on.last]
    assert on.rows == len(known)

    def trained(count: int) -> object:
        found = train_direction(
            Training(COIN, bars[:count], on.chunks, settings.direction, None, first.seed, first.code)
        )
        assert isinstance(found, Trained)
        return found.artifact.direction

    assert trained(len(known)) == first.direction
    assert trained(len(known) + 20) != first.direction


def test_another_process_with_other_hashes_and_one_thread_has_the_same_log(run: Played, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.backtested import *; from tests.taught import *; "
        f"print(played(coin_market(flips({COUNT}, seed=3)), Path(sys.argv[1]), taught(*BOTH)).sha256)"
    )
    blas = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {"PYTHONHASHSEED": "4711", "PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}", "TZ": "Asia/Tokyo", **blas}
    command = [sys.executable, "-c", program, str(tmp_path)]
    answer = subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == run.sha256
