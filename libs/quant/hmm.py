"""Hidden Markov models online: which state it is now, from what was shown until now.

The forward algorithm in logarithms (L. Rabiner, A Tutorial on Hidden Markov Models, Proc. IEEE 77, 1989, section III).
Plain Python: vectors of a few numbers are faster without a linear algebra library, and the same on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import exp, log, pi

from contracts.models import Gaussian, HiddenMarkovModel, Matrix, Vector

IMPOSSIBLE = -1e9
"""The log-likelihood (nats) of what no state can show; all below counts as this."""

MOST_FEATURES = 5

_LOG_2_PI = log(2 * pi)
_ZEROS = (0.0,) * MOST_FEATURES


@dataclass(frozen=True, slots=True)
class Part:
    """A Gaussian made ready: ln density = `constant` - |`whiten` (x - `mean`)|^2 / 2, its weight included.

    `whiten` is the inverse of the covariance's lower Cholesky factor, its lower triangle row by row. All are filled up
    with zeros to `MOST_FEATURES`: written out for that many, a density costs a tenth of what loops over few numbers do.
    """

    constant: float
    mean: Vector
    whiten: Vector

    def log_density(self, x: Vector) -> float:
        """Give it at `x`, which is filled up too."""
        a, b, c, d, e = x
        mean_a, mean_b, mean_c, mean_d, mean_e = self.mean
        aa, ba, bb, ca, cb, cc, da, db, dc, dd, ea, eb, ec, ed, ee = self.whiten
        a -= mean_a
        b -= mean_b
        c -= mean_c
        d -= mean_d
        e -= mean_e
        e = ea * a + eb * b + ec * c + ed * d + ee * e
        d = da * a + db * b + dc * c + dd * d
        c = ca * a + cb * b + cc * c
        b = ba * a + bb * b
        a *= aa
        return self.constant - (a * a + b * b + c * c + d * d + e * e) / 2


@dataclass(slots=True)
class FilterState:
    """`probabilities` of the states after the last observation; until one has `begun` it, where it starts."""

    probabilities: Vector
    begun: bool = False


class HmmFilter:
    """Probabilities of the states of a model, given all observations so far."""

    def __init__(self, model: HiddenMarkovModel) -> None:
        self.model = model
        self._emissions = [[prepared(part) for part in state.mixture if part.weight > 0] for state in model.states]
        self._features = len(model.states[0].mixture[0].mean)
        self._state = FilterState(model.initial)

    @property
    def probabilities(self) -> Vector:
        """Filtered, in the order of the model's states; where the chain starts before the first observation."""
        return self._state.probabilities

    @property
    def begun(self) -> bool:
        return self._state.begun

    def state(self) -> FilterState:
        return self._state

    def restore(self, state: FilterState) -> None:
        assert len(state.probabilities) == len(self.model.states), "one probability for each state"
        self._state = state

    def begin(self) -> None:
        """Forget all observations."""
        self._state = FilterState(self.model.initial)

    def prediction(self, transitions: Matrix | None = None) -> Vector:
        """Give the probabilities of the states at the next observation; `transitions` instead of the model's own."""
        if not self._state.begun:
            return self._state.probabilities
        return _moved(self._state.probabilities, self.model.transitions if transitions is None else transitions)

    def step(self, x: Vector, transitions: Matrix | None = None) -> float:
        """Take in an observation (scaled features); give its predictive log-likelihood (nats, at least `IMPOSSIBLE`).

        An impossible observation tells nothing of the states: they are then as predicted.
        """
        assert len(x) == self._features, f"{len(x)} features, and the model is of {self._features}"
        expected = self.prediction(transitions)
        filled = _filled(x)
        joint = [
            log(prior) + _log_mixture(parts, filled) if prior > 0 else IMPOSSIBLE
            for prior, parts in zip(expected, self._emissions, strict=True)
        ]
        most = max(joint)
        self._state.begun = True
        if not most > IMPOSSIBLE:
            self._state.probabilities = _normalised(expected)
            return IMPOSSIBLE
        parts = [exp(one - most) if one > IMPOSSIBLE else 0.0 for one in joint]
        total = sum(parts)
        self._state.probabilities = tuple([part / total for part in parts])
        return most + log(total)


def prepared(part: Gaussian) -> Part:
    """Factor a covariance once; it is positive definite (`HiddenMarkovModel.contradiction`), the weight above 0."""
    size = len(part.mean)
    assert size <= MOST_FEATURES, f"{size} features, and densities are written out for {MOST_FEATURES}"
    rows = _inverse(_cholesky(part.covariance))
    constant = log(part.weight) - size * _LOG_2_PI / 2 + sum(log(row[-1]) for row in rows)
    filled = [(*row, *_ZEROS)[: place + 1] for place, row in enumerate((*rows, *[()] * (MOST_FEATURES - size)))]
    return Part(constant, _filled(part.mean), tuple(chain.from_iterable(filled)))


def mixed(weights: Vector, matrices: Sequence[Matrix]) -> Matrix:
    """Give the mean of square matrices of one size; weights sum to 1."""
    size = range(len(matrices[0]))
    weighted = list(zip(weights, matrices, strict=True))
    return tuple(tuple(sum(weight * matrix[i][j] for weight, matrix in weighted) for j in size) for i in size)


def _filled(x: Vector) -> Vector:
    return (*x, *_ZEROS)[:MOST_FEATURES]


def _log_mixture(parts: list[Part], x: Vector) -> float:
    if len(parts) == 1:
        return parts[0].log_density(x)
    densities = [part.log_density(x) for part in parts]
    most = max(densities)
    if not most > IMPOSSIBLE:
        return IMPOSSIBLE
    return most + log(sum([exp(density - most) for density in densities]))


def _moved(probabilities: Vector, transitions: Matrix) -> Vector:
    moved = [0.0] * len(probabilities)
    for probability, row in zip(probabilities, transitions, strict=True):
        for to, share in enumerate(row):
            moved[to] += probability * share
    return tuple(moved)


def _normalised(probabilities: Vector) -> Vector:
    total = sum(probabilities)
    return tuple([probability / total for probability in probabilities])


def _cholesky(matrix: Matrix) -> list[list[float]]:
    """Give the lower triangular L with LL' = `matrix`, by rows without their zeros."""
    lower: list[list[float]] = []
    for i, row in enumerate(matrix):
        made: list[float] = []
        for j in range(i):
            made.append((row[j] - sum(made[k] * lower[j][k] for k in range(j))) / lower[j][j])
        square = row[i] - sum(value * value for value in made)
        assert square > 0, "a covariance is positive definite"
        lower.append([*made, square**0.5])
    return lower


def _inverse(lower: list[list[float]]) -> Matrix:
    """Invert a lower triangular matrix by forward substitution."""
    inverse: list[Vector] = []
    for i, row in enumerate(lower):
        made = [-sum(row[k] * inverse[k][j] for k in range(j, i)) / row[i] for j in range(i)]
        inverse.append((*made, 1 / row[i]))
    return tuple(inverse)
