"""Whoever tries much finds something: a sweep over noise must say so, and must not doubt what is really there."""

from statistics import fmean

import pytest

from quant.chance import stream
from services.backtest.sweep.luck import Verdict, independent, judge, words
from services.backtest.sweep.objective import Objective, value_of
from services.backtest.sweep.trials import Fate, Trial
from tests.swept import trial

FOLDS, EACH = 4, 60


def noise(seed: int, number: int, edge: float = 0.0) -> list[list[float]]:
    chance = stream(seed, "noise", str(number))
    return [[edge + 0.01 * chance.normal() for _ in range(EACH)] for _ in range(FOLDS)]


def sweep(seed: int, edges: dict[int, float] | None = None, count: int = 30) -> list[Trial]:
    trials = []
    for number in range(count):
        folds = noise(seed, number, (edges or {}).get(number, 0.0))
        returns = [change for fold in folds for change in fold]
        trials.append(trial(number, folds, value_of(Objective.SHARPE, returns, 1.0)))
    return trials


def test_the_best_of_pure_noise_is_called_luck_although_alone_it_would_convince() -> None:
    judged = [judge(sweep(seed), Objective.SHARPE, 1.0) for seed in range(20)]
    assert all(luck.verdict is Verdict.LUCK for luck in judged)
    assert fmean(luck.plain or 0.0 for luck in judged) > 0.95
    assert all("may be luck alone" in next(words(luck)) for luck in judged)


def test_choosing_among_noise_is_overfitted_half_of_the_time() -> None:
    found = [
        luck.overfit.probability for seed in range(20) if (luck := judge(sweep(seed), Objective.SHARPE, 1.0)).overfit
    ]
    assert len(found) == 20 and fmean(found) == pytest.approx(0.5, abs=0.1)


def test_a_true_edge_among_noise_is_not_called_luck_and_the_choice_of_it_holds() -> None:
    for seed in range(5):
        luck = judge(sweep(seed, {7: 0.005}), Objective.SHARPE, 1.0)
        assert luck.best == 7 and luck.verdict is Verdict.SKILL
        assert luck.overfit is not None and luck.overfit.probability < 0.1
        assert [choice.trial for choice in luck.choices][-1] == 7
        assert "Luck does not explain it" in next(words(luck))


def test_who_chooses_anew_among_noise_finds_less_than_he_was_promised() -> None:
    judged = [judge(sweep(seed), Objective.SHARPE, 1.0) for seed in range(10)]
    assert fmean(luck.inside for luck in judged) > 0.1 > abs(fmean(luck.outside for luck in judged))


def test_more_trials_ask_for_more_than_fewer() -> None:
    few, many = (judge(sweep(3, count=count), Objective.SHARPE, 1.0) for count in (5, 60))
    assert few.lucky < many.lucky


def test_trials_that_do_the_same_are_worth_one() -> None:
    folds = noise(1, 1)
    same = [trial(number, folds, 0.1) for number in range(10)]
    luck = judge(same, Objective.SHARPE, 1.0)
    assert luck.effective == pytest.approx(1.0) and luck.overfit is None
    assert any("make no difference" in said for said in words(luck))


def test_trials_that_have_nothing_to_do_with_each_other_are_worth_all() -> None:
    trials = [one.returns for one in sweep(5, count=40)]
    assert independent(trials, 40) == pytest.approx(40, abs=2)


def test_trials_that_were_given_up_count_as_tries() -> None:
    trials = sweep(3, count=10)
    more = [trial(10 + number, noise(9, number)[:1], -0.1, Fate.PRUNED) for number in range(50)]
    assert judge([*trials, *more], Objective.SHARPE, 1.0).lucky > judge(trials, Objective.SHARPE, 1.0).lucky


def test_refused_failed_and_repeated_trials_are_no_tries() -> None:
    trials = sweep(3, count=10)
    others = [
        trial(10, [], 0.0, Fate.REFUSED),
        trial(11, [], 0.0, Fate.FAILED),
        trial(12, noise(3, 1), 0.1, Fate.REPEATED),
    ]
    assert judge([*trials, *others], Objective.SHARPE, 1.0) == judge(trials, Objective.SHARPE, 1.0)


def test_without_a_trial_that_traded_there_is_nothing_to_judge() -> None:
    still = [trial(number, [[0.0] * EACH] * FOLDS, 0.0) for number in range(3)]
    for trials in ([], still, [trial(0, [], 0.0, Fate.REFUSED)]):
        luck = judge(trials, Objective.SHARPE, 1.0)
        assert luck.verdict is Verdict.NOTHING and list(words(luck))
