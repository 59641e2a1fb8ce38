"""Drift: whether what is observed now is still what a model was trained on. One value at a time, none kept twice."""

from bisect import bisect_left
from dataclasses import dataclass, field
from math import log

from contracts.models import Bins, Scale

SLIGHT_PSI = 0.1
SIGNIFICANT_PSI = 0.25
"""The usual reading: below 0.1 the same, above 0.25 another population (N. Siddiqi, Credit Risk Scorecards, 2006)."""

_HALF = 0.5
"""Jeffreys' prior: half an observation for each bin, on both sides, so that an empty bin has a logarithm."""


@dataclass(slots=True)
class PsiState:
    """The bins of the last observations, a ring: the next one takes the place `next`."""

    shown: list[int] = field(default_factory=list)
    next: int = 0


class Psi:
    """The population stability index of the last `window` values of a scaled feature against training.

    Sum over bins of (a - e) ln(a / e), with a the shares now and e those of training, each with half an observation
    added to every bin. Without drift it is about (bins - 1) / window for independent values, more for dependent ones.
    """

    def __init__(self, reference: Bins, window: int) -> None:
        assert window >= 1, f"no share of {window} values"
        bins = len(reference.shares)
        assert bins == len(reference.edges) + 1, "one bin more than edges"
        self.reference = reference
        self.window = window
        self._whole = window + _HALF * bins
        self._expected = [(share * window + _HALF) / self._whole for share in reference.shares]
        self._counts = [0] * bins
        self._state = PsiState()

    def state(self) -> PsiState:
        return self._state

    def restore(self, state: PsiState) -> None:
        """Go on from the state of an index of the same bins and window."""
        assert len(state.shown) <= self.window, "the state is of a longer window"
        self._state = state
        self._counts = [0] * len(self._counts)
        for number in state.shown:
            self._counts[number] += 1

    def update(self, value: float) -> float | None:
        """Take in a scaled value; give the index, 0 or more, once there are `window` of them.

        A value that equals an edge lies below it.
        """
        now = self._state
        number = bisect_left(self.reference.edges, value)
        if len(now.shown) < self.window:
            now.shown.append(number)
        else:
            self._counts[now.shown[now.next]] -= 1
            now.shown[now.next] = number
            now.next = (now.next + 1) % self.window
        self._counts[number] += 1
        return self._index() if len(now.shown) == self.window else None

    def _index(self) -> float:
        total = 0.0
        for count, expected in zip(self._counts, self._expected, strict=True):
            actual = (count + _HALF) / self._whole
            total += (actual - expected) * log(actual / expected)
        return total


@dataclass(slots=True)
class PageHinkleyState:
    statistic: float = 0.0
    updates: int = 0


class PageHinkley:
    """Says how far a log-likelihood has fallen below the usual one for good.

    g = max(0, g - z - tolerance), with z = (value - mean) / deviation of training, within +-`most`, so that one outlier
    is no change. It is the cumulative sum of E. Page, Continuous Inspection Schemes, Biometrika 41 (1954), with the
    mean of training instead of Hinkley's running one: a slow fall must not pass for usual. After a fall by d deviations
    it passes a threshold h within about h / (d - tolerance) observations.
    """

    def __init__(self, usual: Scale, *, tolerance: float, most: float = 4.0) -> None:
        assert tolerance >= 0 and most > 0, "what is tolerated is no fall, and an outlier counts for something"
        self.usual = usual
        self.tolerance = tolerance
        self.most = most
        self._state = PageHinkleyState()

    @property
    def updates(self) -> int:
        return self._state.updates

    def state(self) -> PageHinkleyState:
        return self._state

    def restore(self, state: PageHinkleyState) -> None:
        self._state = state

    def update(self, log_likelihood: float) -> float:
        """Take in a predictive log-likelihood (nats); give the statistic, in deviations, 0 or more."""
        z = max(-self.most, min(self.most, (log_likelihood - self.usual.center) / self.usual.spread))
        now = self._state
        now.updates += 1
        now.statistic = max(0.0, now.statistic - z - self.tolerance)
        return now.statistic
