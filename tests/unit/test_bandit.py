"""The bandit: tries what it does not know, keeps what pays, and tries again when that no longer does."""

from collections import Counter
from statistics import fmean

import pytest

from quant.bandit import Arms, Experience, Habits, Spread, Unit, belief, best, learn, sample
from quant.chance import Chance

STEADY = Habits(discount=1.0, alarm=1e9)


def arms(*names: str) -> Arms:
    return {name: Experience() for name in names}


def told(known: Arms, rewards: dict[str, list[float]], habits: Habits = STEADY) -> Arms:
    for name, values in rewards.items():
        for value in values:
            learn(known, name, value, habits)
    return known


def shares(known: Arms, habits: Habits, draws: int = 2_000) -> dict[str, float]:
    """How often each arm is chosen, if nothing more is learned."""
    chance = Chance(5)
    chosen = Counter(best(sample(known, habits, chance)) for _ in range(draws))
    return {name: chosen[name] / draws for name in known}


def test_what_nobody_has_tried_is_chosen_as_often_as_any_other() -> None:
    assert shares(arms("a", "b", "c"), STEADY) == pytest.approx({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, abs=0.04)


def test_an_arm_begins_with_the_average_worth_of_all() -> None:
    known = told(arms("tried", "new"), {"tried": [2.0, 4.0]})
    assert belief(known, "new", STEADY).mean == 3.0
    assert belief(known, "new", STEADY).deviation > belief(known, "tried", STEADY).deviation


def test_what_is_believed_is_the_posterior_of_a_normal_mean() -> None:
    habits = Habits(discount=1.0, alarm=1e9, boldness=0.5, prior=2.0)
    known = told(arms("a", "b"), {"a": [1.0, 3.0], "b": [-1.0]})
    average = (1 + 3 - 1) / 3
    assert belief(known, "a", habits).mean == pytest.approx((1 + 3 + 2 * average) / (2 + 2))
    assert belief(known, "a", habits).deviation == pytest.approx(0.5 / 4**0.5)


def test_what_earned_more_is_chosen_more_often_and_the_rest_is_still_tried() -> None:
    known = told(arms("poor", "rich"), {"poor": [0.0] * 3, "rich": [0.8] * 3})
    chosen = shares(known, STEADY)
    assert 0.02 < chosen["poor"] < 0.3
    assert shares(known, Habits(discount=1.0, alarm=1e9, boldness=3.0))["poor"] > chosen["poor"]


def test_earlier_rewards_count_less() -> None:
    known = told(arms("a"), {"a": [4.0, 0.0]}, Habits(discount=0.5))
    assert (known["a"].trades, known["a"].total) == (1.5, 2.0)


def test_what_is_not_tried_for_long_becomes_uncertain_again() -> None:
    habits = Habits(discount=0.9)
    known = told(arms("a", "b"), {"b": [0.0] * 20}, habits)
    sure = belief(known, "b", habits).deviation
    told(known, {"a": [0.0] * 20}, habits)
    assert belief(known, "b", habits).deviation > 1.5 * sure


def test_an_arm_that_falls_for_good_makes_old_experience_count_little() -> None:
    habits = Habits()
    known = told(arms("a", "b"), {"b": [0.5] * 10, "a": [1.0] * 100}, habits)
    falls = [learn(known, "a", -1.0, habits) for _ in range(20)]
    assert falls.count(True) == 1
    assert known["b"].trades < 1
    assert all(arm.shortfall < habits.alarm for arm in known.values())


def test_one_bad_trade_changes_no_world() -> None:
    habits = Habits()
    known = told(arms("a", "b"), {"a": [1.0] * 100}, habits)
    assert learn(known, "a", -4.0, habits) is False


def test_an_arm_that_brings_more_than_believed_is_no_reason_to_forget() -> None:
    habits = Habits()
    known = told(arms("a"), {"a": [0.0] * 50}, habits)
    assert not any(learn(known, "a", 4.0, habits) for _ in range(50))


@pytest.mark.parametrize(
    "wrong", [{"discount": 0.0}, {"discount": 1.1}, {"kept": -0.1}, {"boldness": 0.0}, {"prior": 0.0}, {"alarm": 0.0}]
)
def test_habits_that_cannot_learn_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(AssertionError):
        Habits(**wrong)


def measured(returns: list[float], unit: Unit) -> Spread:
    spread = Spread()
    for earned in returns:
        spread.reward(earned, unit, ())
    return spread


def test_the_deviation_is_that_of_the_returns_around_their_mean() -> None:
    unit = Unit(typical=1.0, prior=1e-12, discount=1.0, most=1e15)
    spread = measured([1.0, 2.0, 3.0, 6.0], unit)
    assert spread.mean == pytest.approx(3.0)
    assert spread.deviation(unit) == pytest.approx(3.5**0.5)


def test_before_any_return_the_deviation_is_the_typical_one() -> None:
    assert Spread().deviation(Unit(0.003)) == pytest.approx(0.003)


def test_what_is_typical_soon_gives_way_to_what_is_seen() -> None:
    unit = Unit(typical=1.0)
    assert measured([-0.2, 0.2] * 20, unit).deviation(unit) == pytest.approx(0.2, rel=0.05)


def test_one_enormous_return_counts_as_a_large_one() -> None:
    unit = Unit(typical=1.0, most=4.0)
    spread = measured([-0.5, 0.5] * 20, unit)
    reach = 4 * spread.deviation(unit)
    assert spread.reward(1e6, unit, ()) * spread.deviation(unit) == pytest.approx(reach, abs=0.05)


def test_returns_that_are_all_the_same_have_a_reward_that_is_finite() -> None:
    unit = Unit(typical=0.003, discount=0.5)
    assert measured([-0.001] * 5_000, unit).reward(-0.001, unit, ()) == pytest.approx(-0.001 / 0.0003)


def test_returns_that_are_all_far_from_nothing_are_still_told_apart() -> None:
    unit = Unit(typical=0.003)
    spread = measured([-0.0105, -0.0095] * 500, unit)
    poor, rich = (spread.reward(earned, unit, ()) for earned in (-0.0105, -0.0095))
    assert rich - poor == pytest.approx(2.0, rel=0.05)


def test_earlier_rewards_are_told_in_the_unit_of_the_last_one() -> None:
    habits, unit, spread = Habits(discount=1.0, alarm=1e9), Unit(typical=1.0, discount=1.0), Spread()
    known, returns = arms("a"), [-0.02, -0.01] * 100
    for earned in returns:
        learn(known, "a", spread.reward(earned, unit, [known]), habits)
    assert belief(known, "a", habits).mean == pytest.approx(-0.015 / spread.deviation(unit), rel=1e-6)


def chosen_best(seed: int, rounds: int, habits: Habits) -> list[bool]:
    """Play three arms of deviation 1, of which the last is the best."""
    means = {"a": 0.0, "b": 0.3, "c": 0.8}
    known, chance, world = arms(*means), Chance(seed), Chance(seed + 1000)
    hits = []
    for _ in range(rounds):
        name = best(sample(known, habits, chance))
        learn(known, name, means[name] + world.normal(), habits)
        hits.append(name == "c")
    return hits


def test_the_best_arm_is_chosen_ever_more_often() -> None:
    runs = [chosen_best(seed, 200, Habits()) for seed in range(40)]
    early, middle, late = (
        fmean(fmean(run[start:end]) for run in runs) for start, end in ((0, 10), (30, 60), (160, 200))
    )
    assert early < middle - 0.1
    assert middle < late
    assert early < 0.6
    assert late > 0.8
