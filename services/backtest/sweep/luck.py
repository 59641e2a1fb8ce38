"""How much of the best result of a sweep is luck: what is said so that nobody fools himself.

Deflated Sharpe ratio: D. Bailey, M. Lopez de Prado, J. Portfolio Management 40 (2014). Probability of backtest
overfitting: D. Bailey, J. Borwein, M. Lopez de Prado, Q. Zhu, J. Computational Finance 20 (2016).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from math import sqrt

from quant.honesty import Overfitting, best_of_luck, overfitting
from quant.performance import sharpe
from services.backtest.sweep.objective import Objective, mean, skill_of, total, value_of
from services.backtest.sweep.trials import Fate, Trial, best_of, joined

SURE = 0.95
BLOCKS = 12
"""The time is cut into so many for the cross-validation: 924 ways to take half of them."""


class Verdict(Enum):
    NOTHING = "nothing"
    """No trial was played to its end, or none of them traded."""
    LUCK = "luck"
    """The best trial is not distinguishable from the best of as many without any skill."""
    SKILL = "skill"
    """It is, with a confidence of 95 %."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What would have been chosen before a fold, by all that counted until then, and what it then brought."""

    fold: int
    trial: int
    inside: float
    outside: float
    returns: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Luck:
    """All that is known of the luck in a sweep. Ratios are per return; times the root of `scale` they are of a year.

    `tried`: different combinations that were played, given up ones among them. `effective`: how many independent
    trials those are worth. `variance` of the trials' ratios. `lucky`: the ratio to be expected of the best of so many
    without skill. `deflated` is the probability that the best trial is better than that; `deflated_all` if each trial
    counted as independent.
    """

    best: int | None
    tried: int
    complete: int
    effective: float
    scale: float
    observations: int
    ratio: float | None
    variance: float
    lucky: float
    deflated: float | None
    deflated_all: float | None
    plain: float | None
    """The same probability if the best had been the only trial."""
    overfit: Overfitting | None
    choices: tuple[Choice, ...]
    verdict: Verdict

    def of_year(self, ratio: float | None) -> float | None:
        return None if ratio is None else ratio * sqrt(self.scale)

    @property
    def chosen_return(self) -> float | None:
        """What who chose anew before every fold would have made in all of them."""
        return total(joined_choices(self.choices)) if self.choices else None

    @property
    def inside(self) -> float:
        return mean([choice.inside for choice in self.choices])

    @property
    def outside(self) -> float:
        return mean([choice.outside for choice in self.choices])


def joined_choices(choices: Sequence[Choice]) -> list[float]:
    return [change for choice in choices for change in choice.returns]


def judge(trials: Sequence[Trial], objective: Objective, scale: float) -> Luck:
    """Judge a sweep by all of its trials."""
    own = [trial for trial in trials if trial.is_own]
    complete = [trial for trial in own if trial.fate is Fate.COMPLETE]
    best = best_of(complete)
    ratios = [sharpe(trial.returns, 1.0) or 0.0 for trial in own]
    middle = mean(ratios)
    variance = sum((one - middle) ** 2 for one in ratios) / (len(ratios) - 1) if len(ratios) > 1 else 0.0
    effective = independent([trial.returns for trial in complete], len(own))
    lucky = best_of_luck(max(1, round(effective)), variance)
    deflated = None if best is None else skill_of(best.returns, lucky)
    return Luck(
        best=None if best is None else best.number,
        tried=len(own),
        complete=len(complete),
        effective=effective,
        scale=scale,
        observations=0 if best is None else len(best.returns),
        ratio=None if best is None else sharpe(best.returns, 1.0),
        variance=variance,
        lucky=lucky,
        deflated=deflated,
        deflated_all=None if best is None else skill_of(best.returns, best_of_luck(max(1, len(own)), variance)),
        plain=None if best is None else skill_of(best.returns),
        overfit=_overfit(complete),
        choices=tuple(_choices(complete, objective, scale)),
        verdict=_verdict(deflated),
    )


def _verdict(deflated: float | None) -> Verdict:
    if deflated is None:
        return Verdict.NOTHING
    return Verdict.SKILL if deflated >= SURE else Verdict.LUCK


def independent(trials: Sequence[Sequence[float]], tried: int) -> float:
    """Count independent trials: rho + (1 - rho) x tried, rho being the mean correlation of their returns.

    Bailey, Lopez de Prado (2014), appendix 3. Trials that never moved are taken for independent ones: that is strict.
    """
    import numpy as np  # noqa: PLC0415 # slow to import

    count = len(trials)
    if count < 2:
        return float(tried)
    matrix = np.array(trials, dtype=np.float64)
    matrix = matrix - matrix.mean(axis=1, keepdims=True)
    size = np.sqrt((matrix * matrix).sum(axis=1))
    moved = size > 0
    unit = matrix[moved] / size[moved][:, None]
    together = unit.sum(axis=0)
    rho = (float(together @ together) - int(moved.sum())) / (count * (count - 1))
    rho = min(1.0, max(0.0, rho))
    return rho + (1 - rho) * tried


def _overfit(complete: Sequence[Trial]) -> Overfitting | None:
    """Cross-validate the choice among trials that differ."""
    different = list({trial.returns: None for trial in complete})
    if len(different) < 2 or len(different[0]) < 2 * BLOCKS:
        return None
    return overfitting(different, BLOCKS)


def _choices(complete: Sequence[Trial], objective: Objective, scale: float) -> Iterator[Choice]:
    """Choose anew before each fold but the first."""
    folds = min((len(trial.stretches) for trial in complete), default=0)
    for fold in range(1, folds) if len(complete) > 1 else ():
        valued = [(value_of(objective, joined(trial.stretches[:fold]), scale), trial) for trial in complete]
        inside, chosen = max(valued, key=lambda one: (one[0], -one[1].number))
        returns = chosen.stretches[fold].returns
        yield Choice(fold, chosen.number, inside, value_of(objective, returns, scale), returns)


def words(luck: Luck) -> Iterator[str]:
    """Say it plainly."""
    if luck.deflated is None:
        nothing = "No trial traded enough to be judged: orders and rails are in the report of a single hmm backtest."
        yield nothing if luck.complete else "No trial was played to its end."
        return
    ratio, lucky = luck.of_year(luck.ratio) or 0.0, luck.of_year(luck.lucky) or 0.0
    unit = "of a year" if luck.scale > 1 else "per return"
    told = (
        f"The best of {luck.tried} trials (worth {luck.effective:.1f} independent ones) has a Sharpe ratio of "
        f"{ratio:.3g} ({unit}); the best of as many without any skill is expected to have {lucky:.3g}."
    )
    if luck.verdict is Verdict.SKILL:
        yield f"Luck does not explain it. {told} It is better than that with {_percent(luck.deflated)} probability."
    else:
        yield (
            f"It may be luck alone. {told} It is better than that with {_percent(luck.deflated)} probability, and "
            f"{_percent(SURE)} would be needed."
        )
    if ratio < 0:
        yield "Even the best one lost money."
    if luck.tried > 1 and luck.variance == 0:
        yield "The settings that were varied make no difference: all trials have the same ratio."
    if luck.overfit is not None:
        yield from _of_choosing(luck.overfit)
    if luck.choices and luck.chosen_return is not None:
        yield (
            f"Who had chosen anew before every fold, by what was known then, would have had {luck.chosen_return:+.3%} "
            f"in {len(luck.choices)} folds; the objective was {luck.inside:.3g} where it was chosen by, and "
            f"{luck.outside:.3g} after."
        )


def _of_choosing(overfit: Overfitting) -> Iterator[str]:
    told = (
        f"The trial that was the best in one half of the time was below the median in the other half in "
        f"{_percent(overfit.probability)} of all ways to halve it"
    )
    if overfit.probability >= 0.4:
        yield f"{told}: choosing by this objective is as good as drawing lots."
    elif overfit.probability >= 0.1:
        yield f"{told}: the choice is worth something, and not much."
    else:
        yield f"{told}: the choice holds out of sample."


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0.001 <= share <= 0.999 else ("under 0.1%" if share < 0.001 else "over 99.9%")
