"""A model in plain units: what a person reads is what the numbers of the model mean."""

from dataclasses import replace
from math import exp, log, sqrt

import pytest

from contracts.models import Feature, Scale
from contracts.types import Interval
from services.cli.modelwords import duration, regime_summaries, slow_summaries, trained_on
from tests.regime_builders import artifact, regime_model, slow_model, spec, state, staying

MINUTES_A_YEAR = 365.25 * 24 * 60


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0.5, "30 s"), (2, "2.0 min"), (119, "119.0 min"), (120, "2.0 h"), (2879, "48.0 h"), (2880, "2.0 days")],
)
def test_a_duration_is_told_in_a_unit_that_suits_it(minutes: float, words: str) -> None:
    assert duration(minutes) == words


def test_a_state_lasts_as_long_as_its_transitions_say() -> None:
    of = spec(interval=Interval.M1, window=5)
    model = regime_model(of=of)
    assert [state.minutes for state in regime_summaries(model)] == pytest.approx([100.0, 100.0])


def test_volatility_is_that_of_a_year_and_drift_that_of_a_day() -> None:
    model = regime_model(of=spec(interval=Interval.M1), states=(state("calm", 0.0, 1.0), state("up", 2.0, 1.0)))
    calm, up = regime_summaries(model)
    assert calm.volatility == pytest.approx(0.001 * sqrt(MINUTES_A_YEAR))
    assert calm.drift == 0.0
    assert up.drift == pytest.approx(0.002 * 1440)


def test_where_volatility_is_observed_it_is_that_which_is_told() -> None:
    of = spec(Feature.LOG_RETURN, Feature.VOLATILITY, Feature.TREND, interval=Interval.M1)
    scaler = (Scale(center=0.0, spread=0.001), Scale(center=log(0.002), spread=0.5), Scale(center=0.5, spread=2.0))
    model = replace(regime_model(of=of), scaler=scaler)
    falling, rising = regime_summaries(model)
    assert rising.volatility == pytest.approx(0.002 * exp(1.0) * sqrt(MINUTES_A_YEAR))
    assert falling.volatility == pytest.approx(0.002 * exp(-1.0) * sqrt(MINUTES_A_YEAR))
    assert dict(rising.others) == {Feature.TREND: pytest.approx(4.5)}


def test_a_slow_state_is_told_in_its_own_longer_windows() -> None:
    model = regime_model(of=spec(interval=Interval.M1), slow=slow_model(every=4))
    assert [state.minutes for state in slow_summaries(model)] == pytest.approx([80.0, 80.0])
    assert slow_summaries(regime_model()) == ()


def test_a_state_that_never_ends_lasts_long_and_is_no_error() -> None:
    model = regime_model()
    forever = replace(model, fast=replace(model.fast, transitions=((1.0, 0.0), *staying(0.9)[1:])))
    assert duration(regime_summaries(forever)[0].minutes).endswith("days")


def test_the_bars_a_model_was_trained_on_are_told_from_the_first_opening_to_the_last_close() -> None:
    assert "719 bars of 5s" in trained_on(artifact(regime_model()))
    assert trained_on(artifact(regime_model())).endswith("(1 chunk)")
