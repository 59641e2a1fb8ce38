"""How far stated probabilities may be believed: measured on data that nothing was fitted to, and put right."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from quant.training.samples import Array

BINS = 10
_LEAST_EXPONENT, _MOST_EXPONENT = 0.05, 5.0
_TINY = 1e-12


def expected_calibration_error(stated: Array, came_true: Array) -> float:
    """Give the mean distance, weighted by counts over ten bins of stated probability, of what was stated and came true.

    M. Naeini, G. Cooper, M. Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning (2015).
    `came_true` may be probabilities itself, where the truth is not known for sure. 0..1.
    """
    if not len(stated):
        return 0.0
    which = np.minimum((stated * BINS).astype(int), BINS - 1)
    gaps = np.bincount(which, weights=stated - came_true, minlength=BINS)
    return float(min(1.0, np.abs(gaps).sum() / len(stated)))


def sharpened(probabilities: Array, exponent: float) -> Array:
    """Give p^exponent, each row normalised."""
    powers = probabilities**exponent
    result: Array = powers / powers.sum(axis=1, keepdims=True)
    return result


def confidence_exponent(probabilities: Array, truth: Array) -> float:
    """Give the exponent under which filtered probabilities explain the retrospective ones best (cross-entropy).

    Temperature scaling: C. Guo et al., On Calibration of Modern Neural Networks, ICML 2017; the exponent is 1/T.
    """
    logs = np.log(np.maximum(probabilities, _TINY))

    def loss(log_exponent: float) -> float:
        powers = np.exp(log_exponent) * logs
        normalised = powers - np.logaddexp.reduce(powers, axis=1, keepdims=True)
        return float(-(truth * normalised).sum(axis=1).mean())

    bounds = (np.log(_LEAST_EXPONENT), np.log(_MOST_EXPONENT))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def platt(scores: Array, rose: NDArray[np.bool_]) -> tuple[float, float]:
    """Give slope and offset of P(up) = 1 / (1 + exp(-(slope s + offset))).

    J. Platt, Probabilistic Outputs for Support Vector Machines (1999), with his targets, which keep away from 0 and 1.
    A score that misled on this data is not turned round, but not believed: its slope is 0.
    """
    ups = int(rose.sum())
    high, low = (ups + 1) / (ups + 2), 1 / (len(rose) - ups + 2)
    target = np.where(rose, high, low)

    def loss(line: Array) -> float:
        z = line[0] * scores + line[1]
        return float((np.logaddexp(0.0, z) - target * z).mean())

    base = float(np.log(target.mean() / (1 - target.mean())))
    found = minimize(loss, np.array([1.0, base]), method="L-BFGS-B", bounds=[(0.0, None), (None, None)])
    return float(found.x[0]), float(found.x[1])
