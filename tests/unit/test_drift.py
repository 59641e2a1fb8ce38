"""Drift tells once that a market is no longer as its model was trained on, and is quiet while it is."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from statistics import mean, pstdev

import pytest
from prometheus_client import REGISTRY
from pydantic import TypeAdapter, ValidationError

from contracts.control import Alert
from contracts.event import Event
from contracts.models import Artifact, Bins, Feature, ModelPromoted, Scale
from contracts.ownership import ROLES
from contracts.regimes import DriftDetected, DriftKind, RegimeInferred
from contracts.types import Severity
from quant.hmm import HmmFilter
from services.drift.blueprint import BLUEPRINT
from services.drift.rules import Drift, DriftState
from services.drift.settings import DriftSettings
from services.drift.watch import LONGEST_STAY, longest_stay
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, ns
from tests.regime_builders import (
    artifact,
    direction_model,
    id_of,
    inferred,
    promoted,
    regime_model,
    slow_model,
    spec,
    tampered,
)

QUICK = DriftSettings(observations=40, stays=0, least=5, loss=10, stays_lost=0, tolerance=0.25, again_s=3600)
EVEN: Sequence[float] = (-3.0, -1.0, 1.0, 3.0)
"""One in each bin of the reference."""
MODEL = artifact(regime_model())
OTHER = artifact(regime_model(), seed=1)
TWO = artifact(regime_model(of=spec(Feature.LOG_RETURN, Feature.TREND)))
USUAL, POOR = -2.0, -3.4
"""Log-likelihoods: that of training, and two deviations less."""


def stream(
    count: int, values: Sequence[float] = EVEN, *, of: Artifact = MODEL, first: int = 0, likelihood: float = USUAL
) -> list[RegimeInferred]:
    return [
        inferred(of, (values[number % len(values)],), log_likelihood=likelihood, number=number)
        for number in range(first, first + count)
    ]


def played(events: Iterable[Event], settings: DriftSettings = QUICK) -> MemoryTape:
    tape = MemoryTape([Drift(settings)])
    tape.play(events)
    return tape


def told(tape: MemoryTape) -> list[tuple[DriftKind, Feature | None]]:
    return [(one.kind, one.feature) for one in tape.of_type(DriftDetected)]


PSI = (DriftKind.PSI, Feature.LOG_RETURN)
FALL = (DriftKind.PAGE_HINKLEY, None)


def test_a_market_as_in_training_is_no_drift() -> None:
    assert told(played([promoted(MODEL), *stream(1000)])) == []


def test_a_feature_that_left_its_bins_is_told_with_its_index_when_the_window_is_full() -> None:
    tape = played([promoted(MODEL), *stream(40, (3.0,))])
    (drift,) = tape.of_type(DriftDetected)
    assert (drift.kind, drift.feature, drift.instrument, drift.model_id) == (*PSI, BTC, id_of(MODEL))
    assert drift.statistic > drift.threshold == QUICK.psi
    assert drift.ts_init == stream(1, first=39)[0].ts_init


def test_nothing_is_told_before_the_window_is_full() -> None:
    assert told(played([promoted(MODEL), *stream(39, (3.0,))])) == []


def test_a_feature_that_changes_later_is_told_when_enough_of_the_window_has_changed() -> None:
    tape = played([promoted(MODEL), *stream(200), *stream(40, (3.0,), first=200)])
    assert told(tape) == [PSI]


def test_a_likelihood_that_falls_for_good_is_told_after_as_many_observations_as_it_takes() -> None:
    tape = played([promoted(MODEL), *stream(100), *stream(20, first=100, likelihood=POOR)])
    (drift,) = tape.of_type(DriftDetected)
    assert (drift.kind, drift.feature) == FALL
    assert drift.statistic >= drift.threshold == QUICK.loss
    assert drift.ts_init == stream(1, first=105)[0].ts_init


def test_one_shock_is_no_drift() -> None:
    shock = inferred(MODEL, (0.0,), log_likelihood=-1e9, number=100)
    assert told(played([promoted(MODEL), *stream(100), shock, *stream(100, first=101)])) == []


def test_a_likelihood_is_not_judged_by_too_few_observations() -> None:
    settings = QUICK.model_copy(update={"least": 30})
    assert told(played([promoted(MODEL), *stream(29, likelihood=POOR)], settings)) == []
    assert told(played([promoted(MODEL), *stream(30, likelihood=POOR)], settings)) == [FALL]


def test_a_drift_that_lasts_is_told_once_until_the_time_is_over() -> None:
    lasting = stream(720 + 39, (3.0,), likelihood=USUAL)
    assert told(played([promoted(MODEL), *lasting])) == [PSI]
    assert told(played([promoted(MODEL), *lasting, *stream(1, (3.0,), first=759)])) == [PSI, PSI]


def test_a_fall_that_is_over_is_not_told_again_however_long_it_was() -> None:
    tape = played([promoted(MODEL), *stream(700, likelihood=POOR), *stream(300, first=700)])
    assert told(tape) == [FALL]


def test_each_feature_and_each_kind_is_told_for_itself() -> None:
    both = [replace(one, observation=(3.0, 3.0), log_likelihood=POOR) for one in stream(60, of=TWO)]
    assert sorted(told(played([promoted(TWO), *both])), key=str) == sorted(
        [FALL, PSI, (DriftKind.PSI, Feature.TREND)], key=str
    )


def test_a_feature_that_stays_is_not_told_with_one_that_left() -> None:
    one_left = [replace(one, observation=(one.observation[0], 3.0)) for one in stream(60, of=TWO)]
    assert told(played([promoted(TWO), *one_left])) == [(DriftKind.PSI, Feature.TREND)]


def test_a_promotion_begins_everything_anew() -> None:
    drifted = stream(60, (3.0,), likelihood=POOR)
    again = [replace(one, model_id=id_of(OTHER)) for one in stream(60, (3.0,), first=60, likelihood=POOR)]
    tape = played([promoted(MODEL), *drifted, promoted(OTHER, at=300), *again])
    assert told(tape) == [FALL, PSI, FALL, PSI]
    assert [one.model_id for one in tape.of_type(DriftDetected)] == [id_of(MODEL)] * 2 + [id_of(OTHER)] * 2


def test_what_other_models_see_is_not_looked_at() -> None:
    drifted = stream(100, (3.0,), of=OTHER, likelihood=POOR)
    assert told(played([*drifted, promoted(MODEL), *drifted])) == []


def test_markets_are_watched_for_themselves() -> None:
    of_eth = artifact(regime_model(), ETH)
    tape = played([promoted(MODEL), promoted(of_eth), *stream(60), *stream(60, (3.0,), of=of_eth)])
    assert [drift.instrument for drift in tape.of_type(DriftDetected)] == [ETH]


def test_a_direction_model_is_not_watched() -> None:
    tape = played([promoted(MODEL), promoted(artifact(direction_model())), *stream(60, (3.0,))])
    assert told(tape) == [PSI]


def test_a_model_that_was_tampered_with_is_refused_and_the_one_before_is_watched_on() -> None:
    tape = played([promoted(MODEL), tampered(OTHER), *stream(60, (3.0,))])
    (alert,) = tape.of_type(Alert)
    assert (alert.code, alert.severity, alert.component) == ("model_refused", Severity.CRITICAL, "drift")
    assert "sha256" in alert.message
    assert [drift.model_id for drift in tape.of_type(DriftDetected)] == [id_of(MODEL)]


def test_bins_that_do_not_fit_their_edges_are_refused() -> None:
    broken = replace(regime_model(), reference=(Bins(edges=(0.0,), shares=(1.0,)),))
    (alert,) = played([promoted(artifact(broken))]).of_type(Alert)
    assert "reference: not one share more than edges" in alert.message


def test_an_observation_of_another_shape_is_told_once_and_not_looked_at() -> None:
    wrong = [replace(one, observation=(3.0, 3.0)) for one in stream(60)]
    tape = played([promoted(MODEL), *wrong])
    (alert,) = tape.of_type(Alert)
    assert alert.code == "observation_misfit"
    assert "2 features" in alert.message
    assert told(tape) == []


# -- how long a market stays ---------------------------------------------------------------------------------------


def test_a_stay_is_that_in_the_state_which_is_left_least_often_of_either_model() -> None:
    fast = regime_model()
    assert longest_stay(fast) == pytest.approx(20)
    slow = slow_model(every=9)
    assert longest_stay(replace(fast, slow=slow)) == pytest.approx(9 * 20)
    restless = replace(slow, every=2, model=replace(slow.model, transitions=((0.5, 0.5), (0.5, 0.5))))
    assert longest_stay(replace(fast, slow=restless)) == pytest.approx(20)


def test_a_state_that_is_never_left_has_a_longest_stay_all_the_same() -> None:
    for_ever = replace(regime_model().fast, transitions=((1.0, 0.0), (0.0, 1.0)))
    assert longest_stay(replace(regime_model(), fast=for_ever)) == LONGEST_STAY


@pytest.mark.parametrize(
    ("stay", "window", "loss"),
    [
        pytest.param(2, 500, 50, id="short stays leave both as they are set"),
        pytest.param(20, 1000, 100, id="as many stays as they ask for"),
        pytest.param(1000, 5000, 5000, id="a window has its largest size"),
    ],
)
def test_the_longer_a_market_stays_the_more_of_it_is_looked_at(stay: float, window: int, loss: float) -> None:
    settings = DriftSettings()
    assert (settings.window_of(stay), settings.loss_of(stay)) == (window, loss)


STAYS = artifact(regime_model())
PLAIN = DriftSettings(observations=500, loss=50)


def drawn(count: int, seed: int, *, spread: float = 1.0, first: int = 0) -> list[RegimeInferred]:
    """Give what regime would infer of a market that is as `STAYS` says, but for its `spread`."""
    assert STAYS.regime is not None
    model, chance, state = STAYS.regime.fast, Random(seed), 0  # noqa: S311 # it is to be the same again
    forward, any_, told = HmmFilter(model), inferred(STAYS), []
    for number in range(first, first + count):
        (state,) = chance.choices(range(2), model.transitions[state])
        value = (chance.gauss(model.states[state].mixture[0].mean[0], spread),)
        at = ns(5.0 * (number + 1))
        told.append(replace(any_, ts_init=at, observation=value, log_likelihood=forward.step(value)))
    return told


def test_a_market_that_is_as_its_model_says_is_no_drift_however_long_it_lasts() -> None:
    trained = trained_on(drawn(3000, seed=1))
    assert told(played([trained, *as_seen_by(trained, drawn(6000, seed=2))], PLAIN)) == []


def test_a_market_three_times_as_wide_is_told_by_its_likelihood_first_and_then_by_its_feature() -> None:
    trained = trained_on(drawn(3000, seed=1))
    market = [*drawn(1500, seed=3), *drawn(1500, seed=4, spread=3.0, first=1500)]
    drifts = played([trained, *as_seen_by(trained, market)], PLAIN).of_type(DriftDetected)
    assert [(drift.kind, drift.feature) for drift in drifts] == [FALL, PSI]
    assert market[1500].ts_init < drifts[0].ts_init < market[1700].ts_init
    assert drifts[1].ts_init < market[2500].ts_init


def trained_on(seen: Sequence[RegimeInferred]) -> ModelPromoted:
    """Promote `STAYS` with what is usual in a market, and deciles of its feature."""
    assert STAYS.regime is not None
    values = sorted(one.observation[0] for one in seen)
    edges = tuple(values[len(values) * tenth // 10] for tenth in range(1, 10))
    likelihoods = [one.log_likelihood for one in seen]
    usual = Scale(center=mean(likelihoods), spread=pstdev(likelihoods))
    reference = (Bins(edges=edges, shares=(0.1,) * 10),)
    return promoted(artifact(replace(STAYS.regime, usual=usual, reference=reference)))


def as_seen_by(model: ModelPromoted, seen: Iterable[RegimeInferred]) -> list[RegimeInferred]:
    return [replace(one, model_id=model.model_id) for one in seen]


# -- restarts, roles, settings -------------------------------------------------------------------------------------

ADAPTER = TypeAdapter(DriftState)


def restarted(before: Drift, settings: DriftSettings) -> Drift:
    after = Drift(settings)
    after.restore(ADAPTER.validate_json(ADAPTER.dump_json(before.state())))
    return after


@pytest.mark.parametrize("cut", [0, 1, 4, 20, 41, 60])
def test_a_restart_changes_nothing(cut: int) -> None:
    history: list[Event] = [promoted(MODEL), *stream(60, (3.0, -1.0), likelihood=POOR)]
    before = Drift(QUICK)
    first = MemoryTape([before])
    first.play(history[:cut])
    second = MemoryTape([restarted(before, QUICK)])
    second.play(history[cut:])
    assert first.of_type(DriftDetected) + second.of_type(DriftDetected) == played(history).of_type(DriftDetected)


def test_under_another_window_the_shares_are_counted_anew_and_what_was_told_is_remembered() -> None:
    before = Drift(QUICK)
    MemoryTape([before]).play([promoted(MODEL), *stream(35, (3.0,))])
    tape = MemoryTape([restarted(before, QUICK.model_copy(update={"observations": 50}))])
    tape.play(stream(49, (3.0,), first=35))
    assert told(tape) == []
    tape.play(stream(1, (3.0,), first=84))
    assert told(tape) == [PSI]


def test_the_metrics_count_drifts_by_kind() -> None:
    def counted(kind: str) -> float:
        return REGISTRY.get_sample_value("drift_detected_total", {"instrument": BTC, "kind": kind}) or 0.0

    tape = played([promoted(MODEL), *stream(60, (3.0,), likelihood=POOR)])
    before = counted("psi"), counted("page_hinkley")
    for drift in tape.of_type(DriftDetected):
        BLUEPRINT.observe()[DriftDetected](drift, None)
    assert (counted("psi"), counted("page_hinkley")) == (before[0] + 1, before[1] + 1)


def test_it_reads_and_writes_what_its_role_says() -> None:
    role = ROLES["drift"]
    assert set(Drift.consumes()) == set(role.reads)
    assert set(Drift.produces) == {*role.writes, Alert}


@pytest.mark.parametrize("wrong", [{"psi": 0}, {"observations": 5}, {"loss": -1}, {"again_s": 0}, {"lambda": 3}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        DriftSettings.model_validate(wrong)
