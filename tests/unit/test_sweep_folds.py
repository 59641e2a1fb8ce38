"""Folds and what is heard of them: only what counts is counted, once, and an embargo lies before each."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers, lists

from contracts.books import PortfolioMarked
from contracts.recorded import Recorded
from services.backtest.settings import Unusable
from services.backtest.sweep.folds import MOST_RETURNS, SECOND, Fold, Folds, cut, duration
from services.backtest.sweep.hearing import FoldHearer
from services.backtest.sweep.trials import Stretch

HOUR = 3600 * SECOND


def marked(at: int, pnl: float, capital: int = 1_000) -> Recorded:
    earned = Decimal(repr(pnl))
    event = PortfolioMarked(
        ts_event=at,
        ts_init=at,
        currency="USDT",
        equity=capital + earned,
        peak=capital + max(earned, Decimal(0)),
        gross=Decimal(0),
        net=Decimal(0),
        realized_pnl=earned,
        unrealized_pnl=Decimal(0),
        fees=Decimal(0),
        funding=Decimal(0),
    )
    return Recorded(1, None, "portfolio/1/1", at, event)


@given(
    hours=integers(min_value=2, max_value=5_000),
    count=integers(min_value=1, max_value=20),
    embargo=integers(min_value=0, max_value=10),
    first=integers(min_value=0, max_value=10**18),
)
def test_folds_lie_in_order_within_the_data_an_embargo_apart(hours: int, count: int, embargo: int, first: int) -> None:
    embargo, last = embargo * 60 * SECOND, first + hours * HOUR
    try:
        folds = cut(first, last, count, None, embargo)
    except Unusable:
        return
    ends = first + (last - first) // (count + 1)
    for fold in folds.folds:
        assert fold.begins_at >= ends + embargo and fold.begins_at % folds.step == 0
        assert fold.ends_at > fold.begins_at and (fold.ends_at - fold.begins_at) % folds.step == 0
        ends = fold.ends_at
    assert ends <= last and len(folds.folds) == count and folds.returns <= MOST_RETURNS


def test_too_little_time_is_refused_with_what_would_help() -> None:
    with pytest.raises(Unusable, match="a fold would have 0 s") as refused:
        cut(0, 10 * HOUR, 5, None, 2 * HOUR)
    assert "--embargo" in refused.value.remedy


def test_warming_up_takes_the_time_it_is_given() -> None:
    assert cut(0, 10 * HOUR, 2, 6 * HOUR, 0).folds[0].begins_at == 6 * HOUR


@pytest.mark.parametrize(("typed", "nanos"), [("0", 0), ("90s", 90), ("15m", 900), ("4h", 14_400), ("1.5d", 129_600)])
def test_lengths_of_time_are_read(typed: str, nanos: int) -> None:
    assert duration("--embargo", typed) == nanos * SECOND


@pytest.mark.parametrize("typed", ["5", "h", "-1h", "1w", "nan", "infs"])
def test_what_is_no_length_of_time_is_refused(typed: str) -> None:
    with pytest.raises(Unusable, match="no length of time"):
        duration("--embargo", typed)


def heard(folds: Folds, marks: list[Recorded], *, most: int = 99) -> tuple[FoldHearer, list[Stretch]]:
    stretches: list[Stretch] = []

    def closed(_fold: int, stretch: Stretch) -> bool:
        stretches.append(stretch)
        return len(stretches) < most

    hearer = FoldHearer(folds, closed)
    for mark in marks:
        hearer.hear(mark)
    hearer.finish()
    return hearer, stretches


TWO = Folds((Fold(100, 140), Fold(160, 200)), 10)


@given(lists(floats(min_value=-500, max_value=500), min_size=30, max_size=30))
def test_what_was_earned_outside_the_folds_counts_nowhere(pnls: list[float]) -> None:
    marks = [marked(10 * (number + 1), pnl) for number, pnl in enumerate(pnls)]
    _, stretches = heard(TWO, marks)
    at = {10 * (number + 1): pnl for number, pnl in enumerate(pnls)}
    assert [stretch.net for stretch in stretches] == pytest.approx([at[140] - at[100], at[200] - at[160]])
    assert [len(stretch.returns) for stretch in stretches] == [4, 4]
    assert stretches[0].returns[0] == pytest.approx((at[110] - at[100]) / (1_000 + at[100]))


def test_a_mark_holds_until_the_next_and_what_was_never_marked_earned_nothing() -> None:
    _, stretches = heard(TWO, [marked(95, 50.0), marked(125, 71.0)])
    assert stretches[0].returns == pytest.approx((0.0, 0.0, 21 / 1_050, 0.0))
    assert stretches[1].returns == (0.0, 0.0, 0.0, 0.0)
    _, silent = heard(TWO, [])
    assert [stretch.returns for stretch in silent] == [(0.0,) * 4, (0.0,) * 4]


def test_a_fold_is_told_as_soon_as_something_later_is_heard_and_no_more_once_nobody_wants_it() -> None:
    hearer, stretches = heard(TWO, [marked(120, 5.0), marked(141, 9.0), marked(300, 11.0)], most=1)
    assert hearer.stopped and len(stretches) == 1
