"""Regime speaks by the model that is believed at this position, from its first window on, and never guesses."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY
from pydantic import TypeAdapter, ValidationError

from contracts.control import Alert
from contracts.event import Event
from contracts.market import Bar
from contracts.models import Artifact, DirectionModel, Feature, ModelPromoted, RegimeModel, sha256_of
from contracts.ownership import ROLES
from contracts.regimes import UNKNOWN, DirectionInferred, RegimeInferred, ShadowInferred
from contracts.types import Interval, Severity
from quant.regime import RegimeFilter
from services.regime.blueprint import BLUEPRINT
from services.regime.hysteresis import Hysteresis
from services.regime.kept import SLACK
from services.regime.rules import Regime, RegimeState
from services.regime.settings import RegimeSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH
from tests.regime_builders import (
    artifact,
    calibrated,
    direction_model,
    id_of,
    moving,
    promoted,
    published,
    regime_model,
    retired,
    slow_model,
    spec,
    state,
    tampered,
)

QUICK = RegimeSettings(burn_in=5, dwell=2, improbable_needed=2, probable_needed=2)
MODEL = artifact(regime_model())
OTHER = artifact(regime_model(improbable_below=-11.0))
THIRD = artifact(regime_model(improbable_below=-10.0))
UP, DOWN, SHOCK, VAGUE = 2.0, -2.0, 9.0, 0.1


def played(events: Iterable[Event], settings: RegimeSettings = QUICK) -> MemoryTape:
    tape = MemoryTape([Regime(settings)])
    tape.play(events)
    return tape


def regimes(tape: MemoryTape) -> list[str]:
    return [one.regime for one in tape.of_type(RegimeInferred)]


def codes(tape: MemoryTape) -> list[str]:
    return [one.code for one in tape.of_type(Alert)]


# -- what is said --------------------------------------------------------------------------------------------------


def test_each_closed_window_gives_the_filtered_probabilities_of_its_model() -> None:
    model = regime_model(of=spec(Feature.LOG_RETURN, window=2), exponent=0.5)
    bars = moving([UP, UP, DOWN, UP, DOWN, DOWN, DOWN, DOWN])
    tape = played([promoted(artifact(model)), *bars])
    plain = RegimeFilter(model)
    expected = [found for bar in bars if (found := plain.update(bar)) is not None]
    told = tape.of_type(RegimeInferred)
    assert [one.probabilities for one in told] == [found.probabilities for found in expected]
    assert [one.observation for one in told] == [found.observation for found in expected]
    assert [one.log_likelihood for one in told] == [found.log_likelihood for found in expected]
    assert [one.confidence for one in told] == [found.confidence() for found in expected]
    assert [one.entropy for one in told] == [found.entropy for found in expected]
    assert [one.ts_init for one in told] == [bar.ts_close for bar in bars[3::2]]
    assert [one.close for one in told] == [bar.close for bar in bars[3::2]]
    assert {one.model_id for one in told} == {id_of(artifact(model))}


def test_a_market_that_rises_is_rising_and_one_that_falls_is_falling() -> None:
    tape = played([promoted(MODEL), *moving([UP] * 6 + [DOWN] * 6)])
    assert regimes(tape)[4] == "rising"
    assert regimes(tape)[-1] == "falling"
    assert tape.of_type(RegimeInferred)[4].confident


def test_a_pair_of_models_tells_the_slow_state_too() -> None:
    pair = artifact(regime_model(slow=slow_model(every=4)))
    tape = played([promoted(pair), *moving([UP] * 16)])
    last = tape.of_type(RegimeInferred)[-1]
    assert last.slow_states == ("down", "up")
    assert last.slow[1] > 0.9


def test_a_direction_model_tells_how_probable_a_rise_is() -> None:
    direction = artifact(direction_model(horizon=3))
    tape = played([promoted(direction), *moving([UP, UP, DOWN])])
    up, down = tape.of_type(DirectionInferred)
    assert up.up > 0.8
    assert down.up < 0.2
    assert (up.model_id, up.horizon, up.instrument) == (id_of(direction), 3, BTC)
    assert not tape.of_type(RegimeInferred)


def test_shadows_are_told_beside_the_model_that_is_believed() -> None:
    tape = played([promoted(MODEL), published(OTHER), *moving([UP, UP])])
    (believed,), (shadow,) = tape.of_type(RegimeInferred), tape.of_type(ShadowInferred)
    assert (believed.model_id, shadow.model_id) == (id_of(MODEL), id_of(OTHER))
    assert shadow.probabilities == believed.probabilities


def test_only_the_newest_shadows_run_and_none_of_another_family() -> None:
    settings = QUICK.model_copy(update={"shadows": 1})
    tape = played(
        [published(MODEL), published(OTHER), published(artifact(direction_model())), *moving([UP, UP])], settings
    )
    assert [one.model_id for one in tape.of_type(ShadowInferred)] == [id_of(OTHER)]
    assert not tape.of_type(DirectionInferred)


def test_a_shadow_that_is_promoted_or_retired_is_none_any_more() -> None:
    tape = played([published(MODEL), published(OTHER), promoted(MODEL), retired(OTHER), *moving([UP, UP])])
    assert not tape.of_type(ShadowInferred)
    assert [one.model_id for one in tape.of_type(RegimeInferred)] == [id_of(MODEL)]
    assert codes(tape) == ["model_cold"]


def test_a_model_runs_as_one_shadow_however_often_it_is_published_and_as_none_while_it_is_believed() -> None:
    tape = played([promoted(MODEL), published(MODEL), published(OTHER), published(OTHER), *moving([UP, UP])])
    assert [one.model_id for one in tape.of_type(ShadowInferred)] == [id_of(OTHER)]


def test_without_room_for_shadows_there_are_none() -> None:
    tape = played([published(MODEL), *moving([UP, UP])], QUICK.model_copy(update={"shadows": 0}))
    assert not tape.recorded


def test_bars_of_other_lengths_and_instruments_say_nothing() -> None:
    others = [*moving([UP] * 4, interval=Interval.M1), *moving([UP] * 4, instrument=ETH)]
    tape = played([promoted(MODEL), *others])
    assert not tape.of_type(RegimeInferred)


# -- hysteresis ----------------------------------------------------------------------------------------------------

SURE, LIKELY, OPEN = 0.97, 0.7, 0.55
STRICT = RegimeSettings(enter=0.6, dwell=2, certain=0.95, improbable_needed=2, probable_needed=2)


def held(seen: Sequence[tuple[float, bool]], settings: RegimeSettings = STRICT) -> list[str]:
    """Which regime holds after each probability of `b`, beginning with a market that is surely in `a`."""
    hysteresis = Hysteresis()
    hysteresis.observe(("a", "b"), (SURE, 1 - SURE), settings, improbable=False)
    return [hysteresis.observe(("a", "b"), (1 - p, p), settings, improbable=improbable) for p, improbable in seen]


def probable(*probabilities: float) -> list[tuple[float, bool]]:
    return [(probability, False) for probability in probabilities]


def test_the_times_of_different_rivals_do_not_add_up() -> None:
    hysteresis, labels = Hysteresis(), ("a", "b", "c")
    seen = [(SURE, 0.02, 0.01), (0.2, LIKELY, 0.1), (0.1, 0.2, LIKELY), (0.1, 0.2, LIKELY)]
    told = [hysteresis.observe(labels, probabilities, STRICT, improbable=False) for probabilities in seen]
    assert told == ["a", "a", "a", "c"]


ODD = (0.5, True)
"""An improbable observation."""


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(probable(LIKELY), ["a"], id="once is not enough"),
        pytest.param(probable(LIKELY, LIKELY), ["a", "b"], id="as often as dwell in a row"),
        pytest.param(probable(LIKELY, OPEN, LIKELY), ["a", "a", "a"], id="a doubt breaks the row"),
        pytest.param(probable(LIKELY, 0.2, LIKELY), ["a", "a", "a"], id="the old one breaks the row"),
        pytest.param(probable(OPEN, OPEN, OPEN), ["a", "a", "a"], id="the most probable alone is not enough"),
        pytest.param(probable(0.6, 0.6), ["a", "a"], id="above enter, not at it"),
        pytest.param(probable(SURE), ["b"], id="at once when it is certain"),
        pytest.param(probable(0.95, 0.95), ["a", "b"], id="above certain, not at it"),
        pytest.param(probable(SURE, 0.2, 0.2), ["b", "b", "a"], id="and back"),
    ],
)
def test_a_regime_changes_only_for_one_that_is_probable_enough_for_long_enough(
    seen: list[tuple[float, bool]], expected: list[str]
) -> None:
    assert held(seen) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param([ODD], ["a"], id="one improbable observation is none"),
        pytest.param([ODD, ODD], ["a", UNKNOWN], id="several in a row are unknown"),
        pytest.param([ODD, (0.1, False), ODD], ["a", "a", "a"], id="a probable one breaks the row"),
        pytest.param([ODD, ODD, *probable(0.1, 0.1)], ["a", UNKNOWN, UNKNOWN, "a"], id="known again after several"),
        pytest.param([ODD, ODD, (0.1, False), ODD, *probable(0.1, 0.1)], ["a", *[UNKNOWN] * 4, "a"], id="in a row"),
        pytest.param([ODD, ODD, *probable(SURE, SURE)], ["a", UNKNOWN, UNKNOWN, "b"], id="and then another one"),
        pytest.param([(SURE, True)], ["a"], id="an improbable observation does not decide"),
    ],
)
def test_a_regime_is_unknown_while_observations_are_improbable(
    seen: list[tuple[float, bool]], expected: list[str]
) -> None:
    assert held(seen) == expected


def test_the_first_observation_settles_on_the_most_probable_and_an_improbable_one_on_nothing() -> None:
    first = Hysteresis()
    assert first.observe(("a", "b"), (0.4, 0.6), STRICT, improbable=True) == UNKNOWN
    assert first.observe(("a", "b"), (0.4, 0.6), STRICT, improbable=False) == "b"


def test_what_no_state_explains_is_unknown_and_never_confident() -> None:
    tape = played([promoted(MODEL), *moving([UP, UP, UP, SHOCK, SHOCK, UP, UP])])
    assert regimes(tape) == ["rising", "rising", "rising", UNKNOWN, UNKNOWN, "rising"]
    assert [one.confident for one in tape.of_type(RegimeInferred)] == [True, True, False, False, False, True]


def test_while_another_state_is_more_probable_than_the_one_that_holds_nobody_is_confident() -> None:
    patient = QUICK.model_copy(update={"dwell": 50, "certain": 0.999999})
    tape = played([promoted(MODEL), *moving([0.8] * 6 + [-1.0] * 4)], patient)
    last = tape.of_type(RegimeInferred)[-1]
    assert last.probabilities[0] > 0.9
    assert (last.regime, last.confident) == ("rising", False)


def test_after_a_break_in_the_bars_the_regime_begins_anew() -> None:
    broken = [*moving([UP] * 6), *moving([DOWN / 2] * 2, first=40)]
    tape = played([promoted(MODEL), *broken], QUICK.model_copy(update={"dwell": 9, "certain": 0.9999}))
    assert regimes(tape) == [*["rising"] * 5, "falling"]


# -- calibration ---------------------------------------------------------------------------------------------------


def test_a_gain_raises_or_lowers_confidence_from_the_next_window_on_and_leaves_the_probabilities() -> None:
    bars = moving([0.3] * 6)
    plain = played([promoted(MODEL), *bars]).of_type(RegimeInferred)
    low = played([promoted(MODEL), *bars[:4], calibrated(0.01), *bars[4:]]).of_type(RegimeInferred)
    assert [one.probabilities for one in low] == [one.probabilities for one in plain]
    assert [one.confidence for one in low[:3]] == [one.confidence for one in plain[:3]]
    assert all(below.confidence < one.confidence for below, one in zip(low[3:], plain[3:], strict=True))
    assert (plain[-1].confident, low[-1].confident) == (True, False)


def test_a_word_on_one_instrument_counts_more_than_that_on_all_and_a_later_one_replaces_it() -> None:
    bars = moving([0.3] * 8)

    def confidences(*said: Event) -> list[float]:
        tape = played([promoted(MODEL), *bars[:6], *said, *bars[6:]])
        return [one.confidence for one in tape.of_type(RegimeInferred)]

    alone = confidences(calibrated(2.0))
    assert confidences(calibrated(2.0, BTC), calibrated(0.1)) == alone
    assert confidences(calibrated(0.1), calibrated(2.0, BTC)) == alone
    assert confidences(calibrated(0.1, ETH), calibrated(2.0)) == alone
    assert confidences(calibrated(0.1, BTC), calibrated(2.0, BTC)) == alone


# -- promotions ----------------------------------------------------------------------------------------------------


def models_told(tape: MemoryTape) -> list[str]:
    return [one.model_id for one in tape.of_type(RegimeInferred)]


def test_a_promotion_switches_at_its_position_and_the_new_model_speaks_with_the_next_window() -> None:
    bars = moving([UP] * 10)
    tape = played([promoted(MODEL), *bars[:5], promoted(OTHER), *bars[5:]])
    assert models_told(tape) == [id_of(MODEL)] * 4 + [id_of(OTHER)] * 5
    assert codes(tape) == ["model_cold"]


def test_a_new_model_knows_what_the_kept_bars_show() -> None:
    bars = moving([UP] * 9 + [DOWN / 4])
    late = played([*bars[:9], promoted(MODEL), bars[9]]).of_type(RegimeInferred)
    early = played([promoted(MODEL), *bars]).of_type(RegimeInferred)
    assert late[0].regime == early[-1].regime == "rising"
    assert late[0].probabilities == pytest.approx(early[-1].probabilities, abs=1e-6)


def test_a_new_model_begins_with_as_many_bars_as_it_wants_whatever_else_is_kept() -> None:
    hungry = artifact(regime_model(of=spec(Feature.TREND, lookback=90, window=3)))
    few = QUICK.model_copy(update={"kept_bars": 10})
    bars = moving([VAGUE] * 300)
    plain = played([*bars[:250], promoted(MODEL), *bars[250:]], few)
    after_another = played([promoted(hungry), *bars[:250], promoted(MODEL), *bars[250:]], few)
    told = [one for one in after_another.of_type(RegimeInferred) if one.model_id == id_of(MODEL)]
    assert told == plain.of_type(RegimeInferred)


def test_a_new_model_begins_with_no_more_bars_than_may_be_kept() -> None:
    short = QUICK.model_copy(update={"kept_bars": 10, "most_bars": 10, "burn_in": 200})
    bars = moving([VAGUE] * 50)
    all_, last = (played([*bars[first:49], promoted(MODEL), bars[49]], short) for first in (0, 39))
    assert all_.of_type(RegimeInferred) == last.of_type(RegimeInferred) != []


def test_it_does_not_matter_whether_a_model_was_a_shadow_before() -> None:
    bars = moving([UP, DOWN] * 10)
    straight = played([*bars[:10], promoted(MODEL), *bars[10:]])
    shadow_first = played([published(MODEL), *bars[:10], promoted(MODEL), *bars[10:]])
    assert shadow_first.of_type(RegimeInferred) == straight.of_type(RegimeInferred)


def test_the_same_model_promoted_again_just_goes_on() -> None:
    bars = moving([UP] * 20 + [VAGUE / 10] * 20)
    again = played([promoted(MODEL), *bars[:30], promoted(MODEL), *bars[30:]])
    assert again.of_type(RegimeInferred) == played([promoted(MODEL), *bars]).of_type(RegimeInferred)


def test_a_model_without_enough_bars_says_so_and_speaks_when_it_has_them() -> None:
    slow_starter = artifact(regime_model(of=spec(Feature.TREND, lookback=8)))
    bars = moving([UP] * 30)
    tape = played([*bars[:3], promoted(slow_starter), *bars[3:]])
    (alert,) = tape.of_type(Alert)
    assert (alert.code, alert.severity) == ("model_cold", Severity.INFO)
    assert "3 bars of 5s" in alert.message
    assert tape.of_type(RegimeInferred)[0].ts_init == bars[9].ts_close


def test_a_tampered_model_is_refused_with_both_hashes_and_the_old_one_stays() -> None:
    bars = moving([UP] * 6)
    bad = tampered(OTHER)
    tape = played([promoted(MODEL), *bars[:3], bad, *bars[3:]])
    alert = tape.of_type(Alert)[-1]
    assert (alert.code, alert.severity, alert.component) == ("model_tampered", Severity.CRITICAL, "regime")
    assert bad.sha256 in alert.message
    assert sha256_of(bad.artifact) in alert.message
    assert f"{id_of(MODEL)} stays" in alert.message
    assert set(models_told(tape)) == {id_of(MODEL)}


def test_the_model_that_is_believed_cannot_be_promoted_with_other_contents() -> None:
    bad = replace(promoted(MODEL), artifact=OTHER)
    assert codes(played([promoted(MODEL), bad])) == ["model_cold", "model_tampered"]


def contradictions() -> list[tuple[str, ModelPromoted]]:
    of_two = replace(regime_model(), spec=spec(Feature.LOG_RETURN, Feature.TREND))
    foreign = replace(promoted(OTHER), instrument=ETH)
    renamed = replace(promoted(OTHER), model_id="0" * 16)
    return [("features", promoted(artifact(of_two))), ("instrument", foreign), ("model_id", renamed)]


@pytest.mark.parametrize(("names", "said"), contradictions())
def test_a_model_that_contradicts_itself_is_refused_and_named(names: str, said: ModelPromoted) -> None:
    tape = played([promoted(MODEL), said, *moving([UP] * 3)])
    alert = tape.of_type(Alert)[-1]
    assert (alert.code, alert.severity) == ("model_contradictory", Severity.CRITICAL)
    assert names in alert.message
    assert set(models_told(tape)) == {id_of(MODEL)}


def test_a_tampered_shadow_is_refused_too() -> None:
    bad = replace(published(OTHER), artifact=THIRD)
    tape = played([bad, *moving([UP] * 3)])
    assert codes(tape) == ["model_tampered"]
    assert not tape.of_type(ShadowInferred)


def test_a_retired_model_leaves_silence_and_a_word_to_the_operator() -> None:
    bars = moving([UP] * 8)
    tape = played([promoted(MODEL), *bars[:4], retired(MODEL), *bars[4:]])
    assert len(tape.of_type(RegimeInferred)) == 3
    alert = tape.of_type(Alert)[-1]
    assert (alert.code, alert.severity) == ("model_retired", Severity.INFO)
    assert "alice" in alert.message


@pytest.mark.parametrize("gone", [OTHER, artifact(regime_model(), ETH)])
def test_a_retired_model_that_nobody_believed_changes_nothing(gone: Artifact) -> None:
    tape = played([promoted(MODEL), retired(gone), *moving([UP] * 3)])
    assert len(tape.of_type(RegimeInferred)) == 2
    assert codes(tape) == ["model_cold"]


def test_the_retirement_of_one_family_leaves_the_other_alone() -> None:
    direction = artifact(direction_model())
    tape = played([promoted(MODEL), promoted(direction), retired(MODEL), *moving([UP] * 3)])
    assert (len(tape.of_type(RegimeInferred)), len(tape.of_type(DirectionInferred))) == (0, 2)


# -- missing bars --------------------------------------------------------------------------------------------------

PATIENT_S = 60
MISSED = QUICK.model_copy(update={"silent_after_s": PATIENT_S})
MINUTES = artifact(regime_model(of=spec(interval=Interval.M1)))


def test_a_model_whose_bars_do_not_come_is_told_once_when_others_go_on() -> None:
    tape = played([promoted(MINUTES), *moving([UP] * 200)], MISSED)
    missed = [alert for alert in tape.of_type(Alert) if alert.code == "model_without_bars"]
    assert [alert.severity for alert in missed] == [Severity.WARNING]
    assert "1m" in missed[0].message
    assert id_of(MINUTES) in missed[0].message
    assert missed[0].ts_init == moving([UP] * 200)[38].ts_init


def test_bars_that_come_again_and_stop_again_are_told_again() -> None:
    seconds = moving([UP] * 200)
    late = replace(moving([UP], interval=Interval.M1)[0], ts_init=seconds[100].ts_init)
    tape = played([promoted(MINUTES), *seconds[:101], late, *seconds[101:]], MISSED)
    assert codes(tape).count("model_without_bars") == 2


def test_a_time_in_which_no_bars_came_at_all_is_no_silence_of_one_of_them() -> None:
    before, after = moving([UP] * 20), moving([UP] * 60, first=5000)
    tape = played([promoted(MINUTES), *before, *after], MISSED)
    (alert,) = [alert for alert in tape.of_type(Alert) if alert.code == "model_without_bars"]
    assert alert.ts_init == after[38].ts_init


def test_a_model_whose_bars_come_is_not_missed() -> None:
    tape = played([promoted(MODEL), *moving([UP] * 200)], MISSED)
    assert codes(tape) == ["model_cold"]


# -- what is kept --------------------------------------------------------------------------------------------------

ADAPTER = TypeAdapter(RegimeState)


def kept(component: Regime) -> bytes:
    return ADAPTER.dump_json(component.state())


def restarted(before: Regime, settings: RegimeSettings = QUICK) -> Regime:
    after = Regime(settings)
    after.restore(ADAPTER.validate_json(kept(before)))
    return after


def busy() -> list[Event]:
    bars = moving([UP, UP, DOWN, DOWN] * 12)
    pair: RegimeModel = regime_model(slow=slow_model(every=3))
    return [
        *bars[:10],
        published(OTHER),
        promoted(artifact(pair)),
        promoted(artifact(direction_model())),
        calibrated(0.7),
        *bars[10:20],
        promoted(OTHER),
        published(THIRD),
        *bars[20:30],
        calibrated(0.5, BTC),
        retired(OTHER),
        promoted(THIRD),
        *bars[31:],
    ]


@pytest.mark.parametrize("cut", range(0, 56, 6))
def test_a_restart_changes_nothing(cut: int) -> None:
    history = busy()
    before = Regime(QUICK)
    first = MemoryTape([before])
    first.play(history[:cut])
    second = MemoryTape([restarted(before)])
    second.play(history[cut:])
    said = [recorded.event for tape in (first, second) for recorded in tape.recorded]
    assert said == [recorded.event for recorded in played(history).recorded]


def test_a_restart_does_not_begin_the_wait_for_bars_anew() -> None:
    bars, before = moving([UP] * 60), Regime(MISSED)
    MemoryTape([before]).play([promoted(MINUTES), *bars[:30]])
    tape = MemoryTape([restarted(before, MISSED)])
    tape.play(bars[30:])
    (alert,) = tape.of_type(Alert)
    assert alert.ts_init == bars[38].ts_init


def test_under_other_settings_there_are_as_many_shadows_as_there_may_be_now() -> None:
    before = Regime(QUICK)
    MemoryTape([before]).play([published(MODEL), published(OTHER), published(THIRD)])
    tape = MemoryTape([restarted(before, QUICK.model_copy(update={"shadows": 1}))])
    tape.play(moving([UP] * 2))
    assert [one.model_id for one in tape.of_type(ShadowInferred)] == [id_of(THIRD)]


def rows(component: Regime) -> int:
    return len(component.markets[BTC].kept[Interval.S5].rows)


def test_no_more_bars_are_kept_than_the_settings_and_the_models_want() -> None:
    component = Regime(QUICK.model_copy(update={"kept_bars": 100}))
    tape = MemoryTape([component])
    bars = moving([UP, DOWN] * 400)
    tape.play(bars[:400])
    assert 100 <= rows(component) <= 100 + SLACK
    tape.play([promoted(artifact(regime_model(of=spec(Feature.TREND, window=10, lookback=30)))), *bars[400:]])
    wanted = 10 * (30 + 2) + 5 * 10
    assert wanted <= rows(component) <= wanted + SLACK


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        pytest.param(regime_model(), 2 + 5, id="its warm-up and the burn-in"),
        pytest.param(regime_model(of=spec(window=3)), 3 * (2 + 5), id="in windows"),
        pytest.param(regime_model(slow=slow_model(every=4)), 4 * (2 + 5), id="of the slow model"),
        pytest.param(direction_model(of=spec(Feature.TREND, lookback=8)), 8 + 2 + 5, id="of a direction"),
    ],
)
def test_a_model_wants_bars_for(model: RegimeModel | DirectionModel, wanted: int) -> None:
    component = Regime(QUICK)
    MemoryTape([component]).play([promoted(artifact(model))])
    assert component.markets[BTC].kept[Interval.S5].wanted == wanted


def test_bars_before_a_break_are_let_go() -> None:
    component = Regime(QUICK)
    MemoryTape([component]).play([*moving([UP] * 20), *moving([UP] * 3, first=30)])
    assert rows(component) == 3


def test_a_bar_that_comes_twice_is_kept_once_and_said_once() -> None:
    component = Regime(QUICK)
    tape = MemoryTape([component])
    twice: list[Bar] = [bar for bar in moving([UP] * 4) for _ in range(2)]
    tape.play([promoted(MODEL), *twice])
    assert rows(component) == 4
    assert len(tape.of_type(RegimeInferred)) == 3


def test_it_reads_and_writes_what_its_role_says() -> None:
    role = ROLES["regime"]
    assert set(Regime.consumes()) == set(role.reads)
    assert set(Regime.produces) == {*role.writes, Alert}


@pytest.mark.parametrize(
    "wrong",
    [{"enter": 0.96}, {"dwell": 0}, {"certain": 1.0}, {"kept_bars": 30_000}, {"shadows": -1}, {"hysteresis": 1}],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        RegimeSettings.model_validate(wrong)


# -- what is shown -------------------------------------------------------------------------------------------------


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"instrument": BTC, **labels})


def test_the_metrics_show_what_holds_now_and_no_label_of_a_model_that_is_gone() -> None:
    other = artifact(regime_model(states=(state("calm", 0.0, 1.0), state("rising", 2.0, 1.0))))
    bars = moving([UP] * 12)
    tape = played([promoted(MODEL), promoted(artifact(direction_model())), *bars[:6], promoted(other), *bars[6:]])
    observers = BLUEPRINT.observe()
    seen = shown("regime_observations_total") or 0.0

    def show(events: Iterable[Event]) -> None:
        for event in events:
            if type(event) in observers:
                observers[type(event)](event, None)

    told = [recorded.event for recorded in tape.recorded]
    switch = next(n for n, one in enumerate(told) if isinstance(one, RegimeInferred) and one.model_id == id_of(other))
    show(told[:switch])
    assert (shown("regime_current", regime="rising"), shown("regime_current", regime="falling")) == (1, 0)
    show(told[switch:])
    last = tape.of_type(RegimeInferred)[-1]
    assert shown("regime_current", regime="falling") is None
    assert shown("regime_probability", regime="falling") is None
    assert shown("regime_probability", regime="rising") == last.probabilities[1]
    assert shown("regime_current", regime=UNKNOWN) == 0
    assert shown("regime_confidence") == last.confidence
    assert shown("regime_log_likelihood_nats") == last.log_likelihood
    assert shown("direction_up_probability") == tape.of_type(DirectionInferred)[-1].up
    assert shown("regime_observations_total") == seen + len(tape.of_type(RegimeInferred))
