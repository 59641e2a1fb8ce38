"""Laws of the bandit: what it knows is a discounted sum, what it does follows from its seed and its history alone."""

from math import isclose, isfinite, sqrt

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from quant.bandit import FADES, Arms, Experience, Habits, Spread, Unit, belief, best, learn, sample
from quant.chance import Chance

NAMES = ("a", "b", "c")
ARMS: TypeAdapter[Arms] = TypeAdapter(Arms)

rewards = st.floats(-4, 4).map(lambda value: round(value, 3))
histories = st.lists(st.tuples(st.sampled_from(NAMES), rewards), max_size=60)
habits = st.builds(
    Habits,
    discount=st.floats(0.5, 1),
    boldness=st.floats(0.1, 3),
    prior=st.floats(0.1, 10),
    slack=st.floats(0.01, 1),
    alarm=st.floats(0.5, 20),
    kept=st.floats(0, 1),
)
seeds = st.integers(0, 2**64 - 1)


def fresh() -> Arms:
    return {name: Experience() for name in NAMES}


@given(histories, habits)
def test_experience_is_the_sum_of_rewards_each_discounted_by_all_that_came_after(
    history: list[tuple[str, float]], own: Habits
) -> None:
    known = fresh()
    weights: list[float] = []
    for name, reward in history:
        keep = own.kept if learn(known, name, reward, own) else own.discount
        weights = [weight * keep for weight in weights] + [1.0]
    for name in NAMES:
        mine = [(weight, reward) for weight, (arm, reward) in zip(weights, history, strict=True) if arm == name]
        assert isclose(known[name].trades, sum(weight for weight, _ in mine), rel_tol=1e-9, abs_tol=1e-12)
        total = sum(weight * reward for weight, reward in mine)
        assert isclose(known[name].total, total, rel_tol=1e-9, abs_tol=1e-9)


@given(histories, st.floats(0.5, 0.999))
def test_without_a_change_the_discount_is_a_power_of_how_long_ago_a_reward_was(
    history: list[tuple[str, float]], discount: float
) -> None:
    known = fresh()
    for name, reward in history:
        assert not learn(known, name, reward, Habits(discount=discount, alarm=1e9))
    assert isclose(
        sum(arm.trades for arm in known.values()),
        (1 - discount ** len(history)) / (1 - discount),
        rel_tol=1e-9,
        abs_tol=1e-12,
    )


def chosen(known: Arms, chance: Chance, replies: list[float], own: Habits) -> list[str]:
    """Choose and hear what the choice brings, as often as there are replies."""
    names = []
    for reply in replies:
        name = best(sample(known, own, chance))
        learn(known, name, reply, own)
        names.append(name)
    return names


@given(seeds, st.lists(rewards, max_size=40), st.integers(0, 40), habits)
def test_the_same_seed_and_history_give_the_same_choices_also_across_a_restart(
    seed: int, replies: list[float], cut: int, own: Habits
) -> None:
    whole = chosen(fresh(), Chance(seed), replies, own)
    known, chance = fresh(), Chance(seed)
    before = chosen(known, chance, replies[:cut], own)
    kept = ARMS.validate_json(ARMS.dump_json(known))
    assert kept == known
    assert before + chosen(kept, Chance(chance.seed, chance.drawn), replies[cut:], own) == whole


@given(histories, habits, seeds)
def test_every_choice_draws_once_for_each_arm(history: list[tuple[str, float]], own: Habits, seed: int) -> None:
    known, chance = fresh(), Chance(seed)
    for name, reward in history:
        learn(known, name, reward, own)
    drawn = sample(known, own, chance)
    assert tuple(drawn) == NAMES
    assert chance.drawn == len(NAMES)
    assert all(isfinite(value) for value in drawn.values())
    assert drawn[best(drawn)] == max(drawn.values())


@given(histories, habits, st.sampled_from(NAMES), st.floats(0.01, 4))
def test_a_better_reward_never_makes_an_arm_believed_worse(
    history: list[tuple[str, float]], own: Habits, name: str, more: float
) -> None:
    steady = Habits(own.discount, own.boldness, own.prior, own.slack, 1e9, own.kept)
    poor, rich = fresh(), fresh()
    for arm, reward in history:
        learn(poor, arm, reward, steady)
        learn(rich, arm, reward, steady)
    learn(poor, name, 0.0, steady)
    learn(rich, name, more, steady)
    assert belief(rich, name, steady).mean > belief(poor, name, steady).mean
    assert belief(rich, name, steady).deviation == belief(poor, name, steady).deviation


returns = st.lists(st.floats(-10, 10), min_size=1, max_size=60)


@given(returns, st.floats(0.5, 1))
def test_the_deviation_is_that_of_returns_weighted_by_their_age(values: list[float], discount: float) -> None:
    spread, unit = Spread(), Unit(typical=0.5, prior=2.0, discount=discount, most=1e9)
    for value in values:
        spread.reward(value, unit, ())
    weights = [discount**age for age in range(len(values))][::-1]
    total, prior = sum(weights), 2 * FADES ** len(values)
    mean = sum(weight * value for weight, value in zip(weights, values, strict=True)) / total
    squares = sum(weight * (value - mean) ** 2 for weight, value in zip(weights, values, strict=True))
    expected = max(sqrt((prior * 0.25 + squares) / (prior + total)), 0.05)
    assert isclose(spread.mean, mean, rel_tol=1e-9, abs_tol=1e-9)
    assert isclose(spread.deviation(unit), expected, rel_tol=1e-6, abs_tol=1e-7)


@given(returns, st.floats(-1e6, 1e6), st.floats(0.5, 1), st.floats(0.5, 10))
def test_no_return_is_rewarded_out_of_proportion_to_those_before_it(
    values: list[float], last: float, discount: float, most: float
) -> None:
    spread, unit = Spread(), Unit(typical=0.5, discount=discount, most=most)
    for value in values:
        spread.reward(value, unit, ())
    mean, deviation = spread.mean, spread.deviation(unit)
    reward = spread.reward(last, unit, ()) * spread.deviation(unit)
    assert abs(reward - mean) <= most * deviation * (1 + 1e-9) + 1e-9
    if abs(last - mean) < most * deviation:
        assert isclose(reward, last, rel_tol=1e-9, abs_tol=1e-9)


@given(returns, st.floats(0.001, 1000))
def test_rewards_do_not_depend_on_the_unit_that_returns_are_told_in(values: list[float], factor: float) -> None:
    one, other = Spread(), Spread()
    for value in values:
        plain = one.reward(value, Unit(typical=0.5), ())
        assert isclose(plain, other.reward(value * factor, Unit(typical=0.5 * factor), ()), rel_tol=1e-6, abs_tol=1e-6)


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.floats(-2, 2)), min_size=1, max_size=60))
def test_what_is_known_is_the_sum_of_returns_in_the_present_deviation(history: list[tuple[str, float]]) -> None:
    known, spread, unit = fresh(), Spread(), Unit(typical=0.5, most=1e9)
    for name, earned in history:
        learn(known, name, spread.reward(earned, unit, [known]), Habits(discount=1.0, alarm=1e9))
    for name in NAMES:
        earned_by = sum(earned for arm, earned in history if arm == name)
        assert isclose(known[name].total * spread.deviation(unit), earned_by, rel_tol=1e-9, abs_tol=1e-9)
