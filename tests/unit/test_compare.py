"""Two runs beside each other: what differs is found, and noise is not taken for a difference."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers

from contracts.event import Event
from quant.chance import stream
from services.backtest.comparison import Difference, Kind, Left, Row, Unit, differences, look_at, noise, rows
from services.backtest.comparisonlogs import beside, parting, shared
from services.backtest.settings import Unusable
from services.backtest.sweep.folds import SECOND
from tests.backtested import events_of, played, waves, wired


def left(result: dict[str, Any] | None = None, **run: Any) -> Left:  # noqa: ANN401 # documents of any form
    document = {
        "data": {"kind": "bars", "files": [{"name": "a.csv", "sha256": "1" * 64}], "positions": None},
        "arguments": {"seed": 1},
        "components": {"trend": {"fast": 4, "slow": 12}, "gateway": {"perpetuals": {"leverage": 1}}},
        "code": {"version": "1", "sha256": "c"},
    }
    ended = {"ending": "complete", "first_ts": 0, "last_ts": 10, **(result or {})}
    return Left(Path("r"), {**document, **run}, ended, {}, None)


def test_runs_of_the_same_differ_in_nothing() -> None:
    assert differences(left(), left()) == []


def test_every_setting_that_differs_is_named_by_its_place() -> None:
    other = left(components={"trend": {"fast": 4, "slow": 30, "new": 1}, "gateway": {"perpetuals": {"leverage": 3}}})
    assert differences(left(), other) == [
        Difference(Kind.SETTINGS, "trend.slow", 12, 30),
        Difference(Kind.SETTINGS, "gateway.perpetuals.leverage", 1, 3),
        Difference(Kind.SETTINGS, "trend.new", None, 1),
    ]


def test_other_data_code_and_endings_are_told() -> None:
    data = {"kind": "bars", "files": [{"name": "a.csv", "sha256": "2" * 64}], "positions": None}
    other = left({"ending": "interrupted"}, data=data, code={"version": "1", "sha256": "d"})
    assert [one.kind for one in differences(left(), other)] == [Kind.DATA, Kind.CODE, Kind.ENDING]


def test_figures_stand_beside_each_other_and_one_that_is_missing_has_no_difference() -> None:
    first, second = left(), left()
    mine = Left(
        first.path, first.run, first.result, {"net_pnl": 3.0, "strategies": [{"name": "trend", "net_pnl": 3.0}]}, None
    )
    other = Left(second.path, second.run, second.result, {"net_pnl": 5.0, "fees": 1.0, "headline": None}, None)
    told = {row.name: row for row in rows(mine, other, {})}
    assert told["net"].difference == 2.0
    assert told["fees"] == Row("fees", Unit.MONEY, None, 1.0) and told["fees"].difference is None
    assert told["net of trend"].first == 3.0 and told["Sharpe ratio"].second is None


def draws(seed: int, count: int, *, mean: float = 0.0) -> list[float]:
    chance = stream(seed, "returns")
    return [mean + 0.01 * chance.normal() for _ in range(count)]


def test_equal_returns_differ_by_nothing_at_all() -> None:
    same = draws(1, 100)
    assert all((one.value, one.low, one.high) == (0, 0, 0) for one in noise(same, same, 1.0).values())


@settings(max_examples=4, deadline=None)
@given(integers(min_value=0, max_value=1000))
def test_a_difference_turns_around_with_the_runs(seed: int) -> None:
    first, second = draws(seed, 60), draws(seed + 5000, 60)
    there, back = noise(first, second, 1.0), noise(second, first, 1.0)
    for name, one in there.items():
        assert (back[name].low, back[name].high) == pytest.approx((-one.high, -one.low))


def test_a_small_steady_advantage_is_beyond_noise_although_each_run_is_noisy() -> None:
    first = draws(1, 300)
    second = [change + 0.0005 for change in first]
    found = noise(first, second, 1.0)
    assert found["total_return"].low > 0 and found["sharpe"].low > 0


def test_independent_runs_without_skill_are_seldom_beyond_noise() -> None:
    judged = [
        Row("return", Unit.SHARE, 0, 0, noise(draws(seed, 120), draws(seed + 9000, 120), 1.0)["total_return"])
        for seed in range(8)
    ]
    assert sum(bool(row.is_beyond_noise) for row in judged) <= 2


def test_who_takes_part_in_one_run_only_is_told_once_and_not_by_each_setting() -> None:
    more = {
        "trend": {"fast": 4, "slow": 20},
        "gateway": {"perpetuals": {"leverage": 1}},
        "scheduler": {"cron": "", "plans": []},
    }
    assert differences(left(), left(components=more)) == [
        Difference(Kind.COMPONENTS, "scheduler", None, "takes part"),
        Difference(Kind.SETTINGS, "trend.slow", 12, 20),
    ]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    return events_of(waves(tmp_path_factory.mktemp("frames"), 2_000))


@pytest.fixture(scope="module")
def logs(market: list[Event], tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    found = []
    for slow in (12, 30, 12):
        folder = tmp_path_factory.mktemp("run")
        played(market, folder, wired(f"trend.slow={slow}"))
        found.append(folder / "log.jsonl.gz")
    return found


def test_runs_that_say_the_same_never_part_and_have_the_same_orders(logs: Sequence[Path], market: list[Event]) -> None:
    assert parting(logs[0], logs[2]) is None
    span = market[0].ts_init, market[-1].ts_init
    found = beside(logs[0], logs[2], shared(span, span))
    assert found.orders.both > 0 and (found.orders.only_first, found.orders.only_second) == (0, 0)
    assert found.first == found.second and found.first is not None and any(found.first.returns)


def test_where_runs_of_other_settings_part_is_found_behind_their_settings(logs: Sequence[Path]) -> None:
    found = parting(logs[0], logs[1])
    assert found is not None and found.first is not None and found.second is not None
    assert "LeaseTaken" not in (found.first.header, found.second.header)
    assert (found.first.header, found.first.payload) != (found.second.header, found.second.payload)


def test_orders_of_one_run_only_are_counted_and_shown_with_their_ids(logs: Sequence[Path]) -> None:
    there, back = beside(logs[0], logs[1], None).orders, beside(logs[1], logs[0], None).orders
    assert there.both == back.both
    assert (there.only_first, there.only_second) == (back.only_second, back.only_first) != (0, 0)
    assert len(there.first) == min(20, there.only_first) and all(one.order_id for one in there.first)


def test_runs_that_share_no_time_have_no_periods_in_common() -> None:
    assert shared((0, 100 * SECOND), (100 * SECOND, 200 * SECOND)) is None
    folds = shared((0, 100 * SECOND), (50 * SECOND, 200 * SECOND))
    assert folds is not None and (folds.folds[0].begins_at, folds.folds[0].ends_at) == (50 * SECOND, 100 * SECOND)


def test_a_directory_without_a_run_is_refused_by_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"holds no manifest\.json"):
        look_at(tmp_path)
    (tmp_path / "manifest.json").write_text('{"run": {}, "result": {}}')
    with pytest.raises(Unusable, match=r"holds no figures\.json"):
        look_at(tmp_path)
    (tmp_path / "figures.json").write_text("{}")
    with pytest.raises(Unusable, match="no run of hmm backtest"):
        look_at(tmp_path)
