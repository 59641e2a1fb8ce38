"""What it costs to know the regime, beside the same step in numpy and in hmmlearn's compiled forward pass.

A filter of 3 states and 4 features takes one observation at a time, as it does live. hmmlearn's pass is the floor: it
is given all observations at once, which no live filter can have, and its cost is divided by their number. The numpy
step is what one would write instead: the same formulas in arrays of 3 and 4 numbers. All are measured in turn in the
same run, in CPU time.

Run it with `python -m tests.bench.bench_regime_filter`.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from time import process_time

import numpy as np
from hmmlearn.hmm import GaussianHMM
from numpy.typing import NDArray

from contracts.market import Bar
from contracts.models import (
    Bins,
    Feature,
    FeatureSpec,
    Gaussian,
    HiddenMarkovModel,
    HiddenState,
    RegimeModel,
    Scale,
    SlowModel,
    Vector,
)
from contracts.types import Interval
from quant.features import Features
from quant.hmm import HmmFilter
from quant.indicators import Ema
from quant.regime import RegimeFilter
from tests.builders import bar

Array = NDArray[np.float64]

ROUNDS = 9
OBSERVATIONS = 4_000
STATES = 3
FEATURES = (Feature.LOG_RETURN, Feature.VOLATILITY, Feature.VOLUME, Feature.TREND)
MOST_US = 30.0
"""A filter step of 3 states and 4 features may cost so much."""


@dataclass(frozen=True)
class Line:
    """Something measured beside what it is compared with, in seconds for each observation or bar, and round."""

    what: str
    seconds: Sequence[float]
    beside: str
    floor: Sequence[float]
    most_us: float

    @property
    def microseconds(self) -> float:
        return median(self.seconds) * 1e6

    @property
    def ratio(self) -> float:
        return median(own / floor for own, floor in zip(self.seconds, self.floor, strict=True))

    def __str__(self) -> str:
        own, floor = self.microseconds, median(self.floor) * 1e6
        return f"{self.what:<46} {own:>7.2f} us   {self.beside:<34} {floor:>7.2f} us   {self.ratio:>6.2f}"


def theirs() -> GaussianHMM:
    rng = np.random.default_rng(1)
    size = len(FEATURES)
    made = GaussianHMM(n_components=STATES, covariance_type="full")
    made.startprob_ = np.full(STATES, 1 / STATES)
    made.transmat_ = np.full((STATES, STATES), 0.02) + 0.94 * np.eye(STATES)
    factors = rng.normal(size=(STATES, size, size))
    made.n_features, made.means_ = size, rng.normal(size=(STATES, size))
    made.covars_ = factors @ factors.transpose(0, 2, 1) + 0.3 * np.eye(size)
    return made


def ours(model: GaussianHMM) -> HiddenMarkovModel:
    def rows(matrix: Array) -> tuple[Vector, ...]:
        return tuple(tuple(map(float, row)) for row in matrix)

    covariances = [(matrix + matrix.T) / 2 for matrix in model.covars_]
    return HiddenMarkovModel(
        states=tuple(
            HiddenState(
                label=f"state-{number}",
                occupancy=1 / STATES,
                mixture=(Gaussian(weight=1.0, mean=mean, covariance=rows(covariances[number])),),
            )
            for number, mean in enumerate(rows(model.means_))
        ),
        initial=tuple(map(float, model.startprob_)),
        transitions=rows(model.transmat_),
    )


class NumpyFilter:
    """The same forward step in arrays, with everything that can be precomputed."""

    def __init__(self, model: GaussianHMM) -> None:
        self.transitions = model.transmat_
        self.means = model.means_
        self.precisions = np.linalg.inv(model.covars_)
        self.constants = -0.5 * (np.linalg.slogdet(model.covars_)[1] + len(FEATURES) * np.log(2 * np.pi))
        self.probabilities = model.startprob_
        self.begun = False

    def step(self, x: Array) -> float:
        prior = self.probabilities @ self.transitions if self.begun else self.probabilities
        self.begun = True
        moved = x - self.means
        densities = self.constants - 0.5 * np.einsum("si,sij,sj->s", moved, self.precisions, moved)
        most = densities.max()
        joint = prior * np.exp(densities - most)
        total = joint.sum()
        self.probabilities = joint / total
        return float(most + np.log(total))


def regime_model(fast: HiddenMarkovModel, *, slow: bool) -> RegimeModel:
    scaler = (Scale(center=0.0, spread=1.0),) * len(FEATURES)
    conditioned = SlowModel(every=12, scaler=scaler, model=fast, transitions=(fast.transitions,) * STATES)
    return RegimeModel(
        spec=spec(1),
        scaler=scaler,
        fast=fast,
        slow=conditioned if slow else None,
        confidence_exponent=0.8,
        improbable_below=-20.0,
        usual=Scale(center=-5.0, spread=1.0),
        reference=(Bins(edges=(0.0,), shares=(0.5, 0.5)),) * len(FEATURES),
    )


def spec(window: int) -> FeatureSpec:
    return FeatureSpec(interval=Interval.M1, window=window, lookback=30, features=FEATURES)


def market() -> list[Bar]:
    rng = np.random.default_rng(2)
    closes = 100 * np.exp(np.cumsum(rng.normal(scale=1e-3, size=OBSERVATIONS)))
    volumes = rng.exponential(size=OBSERVATIONS)
    bars = []
    for number, (close, volume) in enumerate(zip(closes.tolist(), volumes.tolist(), strict=True)):
        one = bar(close, number=number, high=close * 1.0005, low=close * 0.9995, interval=Interval.M1)
        bars.append(replace(one, volume=volume))
    return bars


def timed(work: Callable[[], object], count: int) -> float:
    """Give the seconds that each of `count` observations or bars takes."""
    gc.collect()
    began = process_time()
    work()
    return (process_time() - began) / count


def each(step: Callable[[], Callable[..., object]], over: Sequence[object]) -> Callable[[], float]:
    """Make something anew, and time its steps only."""

    def work() -> float:
        one_step = step()

        def all_() -> None:
            for item in over:
                one_step(item)

        return timed(all_, len(over))

    return work


def compare(what: str, own: Callable[[], float], beside: str, floor: Callable[[], float], most_us: float) -> Line:
    pairs = [(own(), floor()) for _ in range(ROUNDS)]
    return Line(what, [pair[0] for pair in pairs], beside, [pair[1] for pair in pairs], most_us)


def agreement(model: GaussianHMM, x: Array) -> str:
    """Say how far the three are apart in what they compute."""
    online, arrays = HmmFilter(ours(model)), NumpyFilter(model)
    exact = model.score(x)
    own = sum(online.step(tuple(map(float, row))) for row in x) - exact
    numpy = sum(arrays.step(row) for row in x) - exact
    return f"log-likelihood of {len(x):,} observations: {exact:.6f}; off by {own:+.1e} (ours), {numpy:+.1e} (numpy)"


def measure() -> Iterator[Line]:
    model = theirs()
    fast = ours(model)
    x, _ = model.sample(OBSERVATIONS, random_state=3)
    xs = [tuple(map(float, row)) for row in x]
    print(agreement(model, x))
    step = each(lambda: HmmFilter(fast).step, xs)
    yield compare(
        "a filter step, 3 states x 4 features",
        step,
        "hmmlearn's forward pass, all at once",
        lambda: timed(lambda: model.score(x), len(x)),
        most_us=MOST_US,
    )
    yield compare(
        "a filter step, 3 states x 4 features",
        step,
        "the same step in numpy",
        each(lambda: NumpyFilter(model).step, list(x)),
        most_us=MOST_US,
    )
    bars = market()
    closes = [one.close for one in bars]
    average = each(lambda: Ema(30).update, closes)
    for window in (1, 12):
        yield compare(
            f"features of a bar, windows of {window}",
            each(lambda window=window: Features(spec(window)).update, bars),  # type: ignore[misc]
            "one moving average of its close",
            average,
            most_us=MOST_US,
        )
    for name, slow in (("one model", False), ("a hierarchical pair", True)):
        yield compare(
            f"a bar to a regime, {name}",
            each(lambda slow=slow: RegimeFilter(regime_model(fast, slow=slow)).update, bars),  # type: ignore[misc]
            "a filter step",
            step,
            most_us=2 * MOST_US,
        )


def main() -> list[Line]:
    print()
    lines = []
    for line in measure():
        print(line, flush=True)
        lines.append(line)
    return lines


def test_a_filter_step_costs_at_most_30_us_and_a_bar_not_much_more() -> None:
    assert [str(line) for line in main() if line.microseconds > line.most_us] == []


if __name__ == "__main__":
    main()
