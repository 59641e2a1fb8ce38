"""Regret of our bandit beside MABWiser's Thompson sampling and UCB1, where the arms stay as they are and where not.

Five arms, `ROUNDS` choices, `SEEDS` worlds for each problem, all of them the same for every bandit. Regret is what the
best arm of the moment would have brought more, on average. MABWiser's Thompson sampling knows wins and losses only: of
normal rewards it is told which are above the middle of the arms' means. Ours is told rewards as params tells it: in
units of their own discounted deviation, cut to four of them; its habits are those of the settings' defaults in every
problem.

Run it with `python -m tests.bench.bench_bandit`; it takes some minutes and fails if ours is behind.
"""

import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean, stdev
from time import process_time
from typing import Any, Protocol

from mabwiser.mab import MAB, LearningPolicy

from quant.bandit import Arms, Experience, Habits, Spread, best, learn, sample
from quant.chance import stream
from services.params.settings import ParamsSettings

ARMS = 5
ROUNDS = 2_000
SEEDS = 40
SETTINGS = ParamsSettings()
Policy = Any
"""MABWiser's policies have no type in common."""
STATIONARY_AT_MOST = 1.1
SWITCHING_AT_MOST = 1.0
TOO_FAST = 200
"""Arms that change places this often can hardly be learned in between: shown, and not judged."""


class Rewards(Enum):
    BERNOULLI = "Bernoulli"
    GAUSSIAN = "Gaussian"

    @property
    def means(self) -> list[float]:
        return [0.3, 0.4, 0.5, 0.6, 0.7] if self is Rewards.BERNOULLI else [0.0, 0.25, 0.5, 0.75, 1.0]


@dataclass(frozen=True)
class Problem:
    """The arms change places every `lasts` rounds; None: never."""

    rewards: Rewards
    lasts: int | None

    @property
    def at_most(self) -> float | None:
        """Above this ratio of regrets we are behind; None where nobody learns enough to be judged by it."""
        if self.lasts == TOO_FAST:
            return None
        return STATIONARY_AT_MOST if self.lasts is None else SWITCHING_AT_MOST

    def __str__(self) -> str:
        return f"{self.rewards.value}, {'stationary' if self.lasts is None else f'switching every {self.lasts}'}"


PROBLEMS = [Problem(rewards, lasts) for lasts in (None, 400, TOO_FAST) for rewards in Rewards]


class World:
    """What each arm brings in each round, whoever chooses it."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = problem
        self._chance = random.Random(f"{problem}/{seed}")  # noqa: S311 # a game
        self._draws = random.Random(f"{problem}/{seed}/draws")  # noqa: S311 # as above
        self.means = problem.rewards.means
        self._chance.shuffle(self.means)

    def play(self, number: int) -> list[float]:
        lasts = self._problem.lasts
        if lasts is not None and number and number % lasts == 0:
            self._chance.shuffle(self.means)
        if self._problem.rewards is Rewards.BERNOULLI:
            return [float(self._draws.random() < mean) for mean in self.means]
        return [self._draws.gauss(mean, 1) for mean in self.means]


class Ours:
    def __init__(self, _problem: Problem, seed: int) -> None:
        self._arms: Arms = {str(arm): Experience() for arm in range(ARMS)}
        self._chance = stream(seed, "bench")
        self._habits: Habits = SETTINGS.habits
        self._spread = Spread()

    def choose(self) -> int:
        return int(best(sample(self._arms, self._habits, self._chance)))

    def learn(self, arm: int, reward: float) -> None:
        scaled = self._spread.reward(reward * SETTINGS.typical_return, SETTINGS.unit, [self._arms])
        learn(self._arms, str(arm), scaled, self._habits)


class MabWiser:
    """Its policies have to be told of some rewards first: Thompson sampling of one, UCB1 of one from each arm."""

    def __init__(self, policy: Policy, first: int, seed: int) -> None:
        self._mab = MAB(list(range(ARMS)), policy, seed=seed)
        self._first = list(range(first))
        self._is_fitted = False

    def choose(self) -> int:
        return self._first[0] if self._first else int(self._mab.predict())

    def learn(self, arm: int, reward: float) -> None:
        if self._first:
            self._first.pop(0)
        tell = self._mab.partial_fit if self._is_fitted else self._mab.fit
        tell([arm], [reward])
        self._is_fitted = True


def thompson(problem: Problem, seed: int) -> MabWiser:
    middle = fmean(problem.rewards.means)
    return MabWiser(LearningPolicy.ThompsonSampling(lambda _arm, reward: int(reward > middle)), 1, seed)


def ucb1(_problem: Problem, seed: int) -> MabWiser:
    return MabWiser(LearningPolicy.UCB1(alpha=1.0), ARMS, seed)


class Bandit(Protocol):
    def choose(self) -> int: ...

    def learn(self, arm: int, reward: float) -> None: ...


BANDITS: Mapping[str, Callable[[Problem, int], Bandit]] = {"ours": Ours, "Thompson": thompson, "UCB1": ucb1}


def regret(make: Callable[[Problem, int], Bandit], problem: Problem, seed: int) -> float:
    bandit, world, lost = make(problem, seed), World(problem, seed), 0.0
    for number in range(ROUNDS):
        rewards = world.play(number)
        arm = bandit.choose()
        lost += max(world.means) - world.means[arm]
        bandit.learn(arm, rewards[arm])
    return lost


def told(regrets: Sequence[float]) -> str:
    return f"{fmean(regrets):7.1f} +-{stdev(regrets) / len(regrets) ** 0.5:5.1f}"


def step_us() -> float:
    """Give what a choice and its reward cost us, in microseconds of CPU time."""
    bandit = Ours(PROBLEMS[0], 0)
    began = process_time()
    for number in range(ROUNDS):
        bandit.learn(bandit.choose(), float(number % 2))
    return (process_time() - began) / ROUNDS * 1e6


def main() -> None:
    print(f"regret after {ROUNDS} choices of {ARMS} arms, mean of {SEEDS} worlds and its standard error\n")
    print(
        f"{'problem':<32}" + "".join(f"{name:>17}" for name in BANDITS) + f"{'/ Thompson':>12}{'/ UCB1':>8}{'most':>6}"
    )
    behind = []
    for problem in PROBLEMS:
        lost = {name: [regret(make, problem, seed) for seed in range(SEEDS)] for name, make in BANDITS.items()}
        means = {name: fmean(regrets) for name, regrets in lost.items()}
        ratios = [means["ours"] / means[name] for name in ("Thompson", "UCB1")]
        most = problem.at_most
        print(
            f"{problem!s:<32}"
            + "".join(f"{told(regrets):>17}" for regrets in lost.values())
            + f"{ratios[0]:>12.2f}{ratios[1]:>8.2f}{'-' if most is None else format(most, '.1f'):>6}",
            flush=True,
        )
        behind += [str(problem)] if most is not None and max(ratios) > most else []
    print(f"\na choice and its reward: {step_us():.1f} us")
    if behind:
        sys.exit(f"behind: {'; '.join(behind)}")


if __name__ == "__main__":
    main()
