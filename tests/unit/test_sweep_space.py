"""The space of a sweep: what is typed is what is tried, in numbers that `--set` takes."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import integers

from services.backtest.settings import Unusable
from services.backtest.sweep.space import Choice, Real, Space, Whole, read_space
from tests.backtested import USUAL


def read(*varied: str, file: Path | None = None) -> Space:
    return read_space(file, varied, USUAL)


def test_a_range_is_of_the_kind_that_the_setting_is_of() -> None:
    space = read("trend.fast=2..30", "trend.stop_atr=1..4", "trend.notional=100..900")
    assert space.dimensions == (
        Whole("trend.fast", 2, 30),
        Real("trend.stop_atr", 1.0, 4.0),
        Real("trend.notional", 100.0, 900.0),
    )


def test_steps_logarithms_and_lists_are_read() -> None:
    space = read(
        "trend.fast=2..31:5", "trend.stop_atr=0.5..8:log", "trend.shorts=true,false", "trend.rsi_min=40..60:2.5"
    )
    assert space.dimensions == (
        Whole("trend.fast", 2, 27, 5),
        Real("trend.stop_atr", 0.5, 8.0, log=True),
        Choice("trend.shorts", ("true", "false")),
        Real("trend.rsi_min", 40.0, 60.0, 2.5),
    )
    assert space.points is None


def test_settings_in_groups_can_vary() -> None:
    assert read("gateway.perpetuals.leverage=1..10").dimensions[0].place == "gateway.perpetuals.leverage"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("trend.fast", "not of the form"),
        ("trend.fsat=1..2", "no setting 'fsat'"),
        ("tend.fast=1..2", "no component 'tend'"),
        ("trend.fast=9..2", "9 is not below 2"),
        ("trend.fast=1..2.5", "takes whole numbers"),
        ("trend.fast=1..9:20", "a step of 20 does not fit"),
        ("trend.stop_atr=0..9:log", "numbers above 0"),
        ("trend.stop_atr=nan..9", "not numbers"),
        ("trend.stop_atr=a..b", "not numbers"),
        ("trend.shorts=0..1", "is no number"),
        ("trend.fast=3", "two values"),
        ("trend.fast=3,4,3", "named twice"),
        ("trend.fast=3,,4", "two values"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(typed: str, told: str) -> None:
    with pytest.raises(Unusable, match=told):
        read(typed)


def test_nothing_that_varies_is_no_sweep() -> None:
    with pytest.raises(Unusable, match="nothing varies"):
        read()


def test_a_file_says_the_same_and_the_command_line_is_on_top(tmp_path: Path) -> None:
    toml, document = tmp_path / "space.toml", tmp_path / "space.json"
    toml.write_text('trend.fast = "2..30"\ntrend.shorts = [true, false]\n')
    document.write_text(json.dumps({"trend": {"fast": "2..30", "shorts": [True, False]}}))
    wanted = (Whole("trend.fast", 2, 30), Choice("trend.shorts", ("true", "false")))
    assert read(file=toml).dimensions == read(file=document).dimensions == wanted
    assert read("trend.fast=3..4", file=toml).dimensions[0] == Whole("trend.fast", 3, 4)


@pytest.mark.parametrize("written", ["trend.fast = 3", "[", "trend = 1", "trend.fast = []"])
def test_a_bad_file_is_refused_by_name(tmp_path: Path, written: str) -> None:
    file = tmp_path / "space.toml"
    file.write_text(written)
    with pytest.raises(Unusable, match=r"space\.toml"):
        read(file=file)


@given(integers(min_value=0, max_value=59))
def test_every_combination_of_a_grid_has_one_number(number: int) -> None:
    space = read("trend.fast=1..5", "trend.rsi_min=40..50:5", "trend.rsi_max=70,75,80,85")
    assert space.points == 60
    points = [tuple(space.point(one).values()) for one in range(60)]
    assert len(set(points)) == 60 and points.index(points[number]) == number


def test_numbers_are_written_as_settings_take_them() -> None:
    space = read("trend.fast=1..5", "trend.stop_atr=1..5", "trend.rsi_min=40..50:0.1", "trend.shorts=true,false")
    written = space.changes(
        {"trend.fast": 3, "trend.stop_atr": 2.123456789, "trend.rsi_min": 40.300000000000004, "trend.shorts": "true"}
    )
    assert written == ("trend.fast=3", "trend.stop_atr=2.12346", "trend.rsi_min=40.3", "trend.shorts=true")
