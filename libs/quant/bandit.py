"""Choosing by experience among arms whose worth changes: discounted Thompson sampling with Gaussian rewards.

Each choice draws a worth for every arm from what is believed of it and takes the largest: W. R. Thompson, On the
likelihood that one unknown probability exceeds another, Biometrika 25 (1933). What is long ago counts less: V. Raj,
S. Kalyani, Taming Non-stationary Bandits: A Bayesian Approach, arXiv:1707.09727 (2017).

A discount that is right for a world that changes costs much in one that does not. So the usual discount is small, and
all is discounted steeply at once when what an arm brings has fallen for good below what was believed of it, which the
one-sided cumulative sum of E. S. Page, Continuous Inspection Schemes, Biometrika 41 (1954), finds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt

from quant.chance import Chance

LEAST = 0.1
"""A deviation is not measured below this part of the typical one: returns may all be the same."""
FADES = 0.8
"""What the typical deviation still counts after one more return: a dozen of them tell better."""


@dataclass(frozen=True)
class Habits:
    """How fast a bandit forgets, and how much it tries. Rewards are in units of their own deviation."""

    discount: float = 0.9999
    """What earlier rewards still count after one more, 0..1."""
    boldness: float = 0.7
    """Deviation that the reward of an arm is thought to have: more explores more."""
    prior: float = 2.0
    """An arm begins as if it had so many trades of the average worth of all of them."""
    slack: float = 0.25
    """What a reward may fall short of the belief without being a sign of change."""
    alarm: float = 12.0
    """The sum of what falls short beyond that, at which the world is held to have changed."""
    kept: float = 0.03
    """What earlier rewards still count after that."""

    def __post_init__(self) -> None:
        assert 0 < self.discount <= 1, f"a discount of {self.discount} forgets nothing, or all"
        assert 0 <= self.kept <= 1, f"{self.kept} of what was learned cannot be kept"
        assert min(self.boldness, self.prior, self.slack, self.alarm) > 0, f"{self} cannot learn"


@dataclass(slots=True)
class Experience:
    """Of one arm: discounted number and sum of its rewards, and how far they have fallen short lately."""

    trades: float = 0.0
    total: float = 0.0
    shortfall: float = 0.0


@dataclass(frozen=True)
class Belief:
    """What the reward of an arm is thought to be: normal, with this mean and deviation of it."""

    mean: float
    deviation: float


Arms = dict[str, Experience]
"""Experience by the name of the arm, in the order in which draws are made."""


def belief(arms: Mapping[str, Experience], name: str, habits: Habits) -> Belief:
    """Say what is believed of an arm: the posterior of a normal mean whose prior is centred on the mean of all arms."""
    arm = arms[name]
    trades = arm.trades + habits.prior
    return Belief((arm.total + habits.prior * _average(arms)) / trades, habits.boldness / sqrt(trades))


def sample(arms: Mapping[str, Experience], habits: Habits, chance: Chance) -> dict[str, float]:
    """Draw a worth for each arm, once each, in their order."""
    drawn = {}
    for name in arms:
        believed = belief(arms, name, habits)
        drawn[name] = believed.mean + believed.deviation * chance.normal()
    return drawn


def best(drawn: Mapping[str, float]) -> str:
    """Name the arm of the largest draw; of equal ones the first."""
    return max(drawn, key=drawn.__getitem__)


def learn(arms: Arms, name: str, reward: float, habits: Habits) -> bool:
    """Credit a reward to an arm; say whether it makes the world another one, in which old experience counts little."""
    arm, believed = arms[name], belief(arms, name, habits)
    short = (believed.mean - reward) / sqrt(1 + 1 / (arm.trades + habits.prior))
    arm.shortfall = max(0.0, arm.shortfall + short - habits.slack)
    changed = arm.shortfall > habits.alarm
    keep = habits.kept if changed else habits.discount
    for other in arms.values():
        other.trades *= keep
        other.total *= keep
        if changed:
            other.shortfall = 0.0
    arm.trades += 1
    arm.total += reward
    return changed


def _average(arms: Mapping[str, Experience]) -> float:
    trades = sum(arm.trades for arm in arms.values())
    return sum(arm.total for arm in arms.values()) / trades if trades else 0.0


@dataclass(frozen=True)
class Unit:
    """How the unit of rewards, the deviation of returns, is measured."""

    typical: float
    """The deviation that is expected before any return was seen."""
    prior: float = 3.0
    """Returns that this is worth at first; it fades with those that are seen."""
    discount: float = 0.99
    """What earlier returns still count after one more."""
    most: float = 4.0
    """Returns further from their mean than so many deviations count as if they were so far."""

    def __post_init__(self) -> None:
        assert min(self.typical, self.prior, self.most) > 0, f"{self} measures nothing"
        assert 0 < self.discount <= 1, f"a discount of {self.discount} forgets nothing, or all"


@dataclass(slots=True)
class Spread:
    """Discounted mean and deviation of returns."""

    weight: float = 0.0
    mean: float = 0.0
    squares: float = 0.0
    expected: float = 1.0
    """What the expectation from before all returns still counts."""

    def deviation(self, unit: Unit) -> float:
        prior = unit.prior * self.expected
        seen = sqrt((prior * unit.typical**2 + self.squares) / (prior + self.weight))
        return max(seen, unit.typical * LEAST)

    def reward(self, earned: float, unit: Unit, told: Iterable[Arms]) -> float:
        """Learn of a return, and give it in deviations, without what is out of all proportion to those before it.

        The rewards that were `told` before are told in the new deviation too: else a return far from zero would seem to
        change whenever its unit does.
        """
        deviation = self.deviation(unit)
        reach = unit.most * deviation
        seen = max(self.mean - reach, min(earned, self.mean + reach))
        self._learn(seen, unit.discount)
        measured = self.deviation(unit)
        for arms in told:
            for arm in arms.values():
                arm.total *= deviation / measured
        return seen / measured

    def _learn(self, value: float, discount: float) -> None:
        self.expected *= FADES
        self.weight = discount * self.weight + 1
        before = value - self.mean
        self.mean += before / self.weight
        self.squares = discount * self.squares + before * (value - self.mean)
