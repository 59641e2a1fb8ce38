"""What fits a model shares no label with what tests it, and is an embargo away from it, whatever is missing between."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis.strategies import DrawFn, composite, integers, lists

from contracts.models import FeatureSpec, TrainFailure
from contracts.types import Interval
from quant.training.directions import labels, parts
from quant.training.purging import Purge, Times
from quant.training.request import NoModel
from quant.training.samples import Sample
from quant.training.settings import DirectionTraining, RegimeTraining

NANOS = Interval.M1.nanos


@composite
def closings(draw: DrawFn, least: int = 2, most: int = 400) -> Times:
    """Windows of a minute, of which some are missing."""
    gaps = draw(lists(integers(min_value=1, max_value=40), max_size=8))
    count = draw(integers(min_value=least, max_value=most))
    steps = np.ones(count, dtype=np.int64)
    steps[np.linspace(0, count - 1, len(gaps)).astype(int)] = gaps
    return np.cumsum(steps) * NANOS


@given(closed_at=closings(), label=integers(0, 30), embargo=integers(0, 60), share=integers(1, 99))
def test_no_label_that_fits_reaches_into_the_test_or_its_embargo(
    closed_at: Times, label: int, embargo: int, share: int
) -> None:
    purge = Purge(label * NANOS, embargo * NANOS)
    tested = int(closed_at[len(closed_at) * share // 100])
    count = purge.fits(closed_at, tested)
    assert all(end + embargo * NANOS < tested for end in closed_at[:count] + label * NANOS)
    assert count == len(closed_at) or closed_at[count] + (label + embargo) * NANOS >= tested


@given(closed_at=closings(), label=integers(0, 30), embargo=integers(0, 60), share=integers(1, 100))
def test_a_test_begins_behind_the_last_label_that_fits_and_the_embargo(
    closed_at: Times, label: int, embargo: int, share: int
) -> None:
    purge = Purge(label * NANOS, embargo * NANOS)
    fitted = max(1, len(closed_at) * share // 100)
    first = purge.tests(closed_at, fitted)
    last_label = closed_at[fitted - 1] + label * NANOS
    assert first >= fitted
    assert all(at - last_label > embargo * NANOS for at in closed_at[first:])
    assert first == fitted or closed_at[first - 1] - last_label <= embargo * NANOS


@given(
    closed_at=closings(least=300),
    horizon=integers(1, 12),
    embargo=integers(0, 25),
    hold_out=integers(10, 40),
    calibration=integers(10, 40),
)
def test_the_parts_of_a_direction_training_share_no_label_and_keep_the_embargo(
    closed_at: Times, horizon: int, embargo: int, hold_out: int, calibration: int
) -> None:
    settings = DirectionTraining(
        window=1, horizon=horizon, embargo=embargo, hold_out=hold_out / 100, calibration=calibration / 100
    )
    seen = sample_of(closed_at)
    known, _ = labels(seen, horizon, NANOS)
    try:
        found = parts(seen, known, SPEC, settings)
    except NoModel:
        reject()
    for before, after in pairwise(found):
        ends = closed_at[before] + horizon * NANOS
        assert ends.max() + embargo * NANOS < closed_at[after].min()


def test_without_a_setting_of_its_own_the_embargo_is_as_long_as_averages_reach_back() -> None:
    spec = RegimeTraining(lookback=7).spec(Interval.M1)
    assert RegimeTraining(lookback=7).purge(spec).embargo == 7 * spec.nanos
    assert RegimeTraining(lookback=7, embargo=0).purge(spec).embargo == 0
    assert DirectionTraining(lookback=7, horizon=3).purge(spec, 3).label == 3 * spec.nanos


def test_an_embargo_that_leaves_nothing_is_a_failure_with_a_reason() -> None:
    seen = sample_of(np.arange(1, 300, dtype=np.int64) * NANOS)
    known, _ = labels(seen, 1, NANOS)
    with pytest.raises(NoModel) as none:
        parts(seen, known, SPEC, DirectionTraining(window=1, embargo=200))
    assert none.value.problem.failure is TrainFailure.TOO_LITTLE_DATA
    assert "between the parts 201 windows are left out" in none.value.problem.detail


SPEC = FeatureSpec(interval=Interval.M1, window=1, lookback=5, features=DirectionTraining().features)


def sample_of(closed_at: Times) -> Sample:
    count = len(closed_at)
    begins = np.diff(closed_at, prepend=0) != NANOS
    return Sample(closed_at, np.linspace(1.0, 2.0, count), np.zeros((count, 5)), begins, None)
