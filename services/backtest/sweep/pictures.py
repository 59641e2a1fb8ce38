"""The pictures of a sweep: how values came, what they depend on, what became of the better half, and what is luck."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from services.backtest.colours import ACCENT, INK, LOSS, QUIET
from services.backtest.drawing import in_percent, legend, picture, tidy
from services.backtest.sweep.luck import Luck, joined_choices
from services.backtest.sweep.objective import Objective, value_of, wealth
from services.backtest.sweep.space import Choice, Dimension, Space
from services.backtest.sweep.trials import Fate, Trial, best_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SLICES = 9
MOST_CURVES = 200
_GIVEN_UP = "#e8a13e"


def over_trials(trials: Sequence[Trial], objective: Objective) -> bytes:
    """Draw the value of each trial in their order, and the best so far."""

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        complete = [trial for trial in trials if trial.fate is Fate.COMPLETE]
        given_up = [trial for trial in trials if trial.fate is Fate.PRUNED]
        for some, colour, name in ((complete, ACCENT, "complete"), (given_up, _GIVEN_UP, "given up behind a fold")):
            if some:
                numbers, values = [one.number for one in some], [one.value or 0.0 for one in some]
                axes.scatter(numbers, values, s=22, color=colour, alpha=0.75, linewidths=0, label=name)
        best: list[float] = []
        for trial in complete:
            best.append(max(trial.value or 0.0, best[-1] if best else float("-inf")))
        if best:
            numbers = [one.number for one in complete]
            axes.plot(numbers, best, color=LOSS, linewidth=1.3, drawstyle="steps-post", label="best so far")
        axes.set_xlabel("trial")
        axes.set_ylabel(objective.value)
        legend(axes)
        tidy(axes)

    return picture(draw, 3.6)


def slices(trials: Sequence[Trial], space: Space, importance: Mapping[str, float], objective: Objective) -> bytes:
    """Draw the value over each setting, the one that explains most first."""
    shown = sorted(space.dimensions, key=lambda one: -importance.get(one.place, 0.0))[:MOST_SLICES]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)

    def draw(figure: "Figure") -> None:
        for number, dimension in enumerate(shown, start=1):
            axes = figure.add_subplot(rows, columns, number)
            _slice(axes, trials, dimension)
            share = importance.get(dimension.place)
            explained = "" if share is None else f"  explains {share:.0%}"
            axes.set_title(f"{dimension.place}{explained}", fontsize=10, color=INK, loc="left")
            if (number - 1) % columns == 0:
                axes.set_ylabel(objective.value)

    return picture(draw, 0.4 + 2.7 * rows)


def _slice(axes: "Axes", trials: Sequence[Trial], dimension: Dimension) -> None:
    for fate, colour in ((Fate.PRUNED, _GIVEN_UP), (Fate.COMPLETE, ACCENT)):
        some = [trial for trial in trials if trial.fate is fate]
        if isinstance(dimension, Choice):
            at: list[float] = [float(dimension.words.index(str(trial.parameters[dimension.place]))) for trial in some]
        else:
            at = [float(trial.parameters[dimension.place]) for trial in some]
        axes.scatter(at, [trial.value or 0.0 for trial in some], s=18, color=colour, alpha=0.7, linewidths=0)
    best = best_of(trials)
    if best is not None and best.value is not None:
        value = best.parameters[dimension.place]
        place = float(dimension.words.index(str(value))) if isinstance(dimension, Choice) else float(value)
        axes.scatter([place], [best.value], s=90, facecolors="none", edgecolors=LOSS, linewidths=1.5)
    if isinstance(dimension, Choice):
        axes.set_xticks(range(len(dimension.words)), dimension.words, rotation=20 if len(dimension.words) > 5 else 0)
        axes.set_xlim(-0.5, len(dimension.words) - 0.5)
    elif dimension.log:
        axes.set_xscale("log")
    tidy(axes)


def curves(trials: Sequence[Trial], luck: Luck) -> bytes:
    """Draw what 1 became in the stretches that count: every trial, the best one, and who chose anew each time."""
    complete = [trial for trial in trials if trial.fate is Fate.COMPLETE]
    best = best_of(complete)

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        every = max(1, -(-len(complete) // MOST_CURVES))
        for number, trial in enumerate(complete[::every]):
            label = "every trial" if number == 0 else None
            axes.plot(_gains(trial.returns), color=QUIET, alpha=0.28, linewidth=0.7, label=label)
        if best is not None:
            axes.plot(_gains(best.returns), color=ACCENT, linewidth=1.8, label=f"the best, trial {best.number}")
            if luck.choices:
                chosen = _gains(joined_choices(luck.choices))
                begin = len(best.returns) - len(chosen) + 1
                moments = range(begin, begin + len(chosen))
                axes.plot(moments, chosen, color=LOSS, linewidth=1.8, label="chosen anew before every fold")
            edge = 0
            for stretch in best.stretches[:-1]:
                edge += len(stretch.returns)
                axes.axvline(edge, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.axhline(0, color=QUIET, linewidth=0.8)
        axes.set_xlabel("returns that count; folds are divided by lines")
        axes.set_ylabel("gain")
        in_percent(axes)
        legend(axes)
        tidy(axes)

    return picture(draw, 4.2)


def inside_outside(trials: Sequence[Trial], objective: Objective, scale: float) -> bytes:
    """Draw what trials were worth in the second half of the time over what they were worth in the first."""
    pairs = []
    for trial in trials:
        if trial.fate is Fate.COMPLETE:
            half = len(trial.returns) // 2
            first, second = trial.returns[:half], trial.returns[half:]
            pairs.append((value_of(objective, first, scale), value_of(objective, second, scale)))

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        before, after = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        axes.scatter(before, after, s=26, color=ACCENT, alpha=0.7, linewidths=0, label="a trial")
        best = max(pairs)
        axes.scatter(
            [best[0]], [best[1]], s=110, facecolors="none", edgecolors=LOSS, linewidths=1.6, label="best in the first"
        )
        middle = sorted(value for _, value in pairs)[len(pairs) // 2]
        axes.axhline(middle, color=QUIET, linewidth=0.9, linestyle=(0, (4, 3)), label="median of the second half")
        low, high = min(min(pair) for pair in pairs), max(max(pair) for pair in pairs)
        axes.plot((low, high), (low, high), color=QUIET, linewidth=0.8, label="equally good in both")
        axes.set_xlabel(f"{objective.value} in the first half")
        axes.set_ylabel(f"{objective.value} in the second half")
        legend(axes)
        tidy(axes)

    return picture(draw, 4.2)


def logits(luck: Luck) -> bytes:
    """Draw the relative rank, out of sample, of what was the best in sample: left of 0 it was below the median."""
    assert luck.overfit is not None
    found = luck.overfit.logits

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        low, high = min(found), max(found)
        width = max(0.25, (high - low) / 30)
        first, last = int(low // width), int(high // width)
        heights = dict.fromkeys(range(first, last + 1), 0)
        for one in found:
            heights[int(one // width)] += 1
        below = [number for number in heights if (number + 0.5) * width <= 0]
        for some, colour, name in (
            (below, LOSS, "below the median out of sample"),
            ([number for number in heights if number not in below], ACCENT, "above it"),
        ):
            middles = [(number + 0.5) * width for number in some]
            shares = [heights[number] / len(found) for number in some]
            axes.bar(middles, shares, width=width * 0.94, color=colour, alpha=0.8, label=name)
        axes.axvline(0, color=INK, linewidth=1.0)
        axes.set_xlabel("logit of the relative rank, out of sample, of the best in sample")
        axes.set_ylabel("share of all halvings")
        in_percent(axes)
        legend(axes)
        tidy(axes)

    return picture(draw, 3.4)


def _gains(returns: Sequence[float]) -> list[float]:
    return [held - 1 for held in wealth(returns)]
