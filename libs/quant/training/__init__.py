"""Training: from bars to a model that is chosen, calibrated and scored, or the reason why there is none.

Pure: the same bars, settings and seed give the same artifact. What it is done with (hmmlearn, scikit-learn, scipy)
costs seconds to import, so it is imported by the first training.
"""

from collections.abc import Callable

from quant.training.gate import passes_gate
from quant.training.request import NoModel, Problem, Trained, Training
from quant.training.settings import Covariance, DirectionKind, DirectionTraining, Gate, RegimeTraining

__all__ = [
    "Covariance",
    "DirectionKind",
    "DirectionTraining",
    "Gate",
    "Problem",
    "RegimeTraining",
    "Trained",
    "Training",
    "passes_gate",
    "train_direction",
    "train_regime",
]


def train_regime(request: Training) -> Trained | Problem:
    from quant.training import regimes  # noqa: PLC0415 # imports hmmlearn

    return _outcome(regimes.train, request)


def train_direction(request: Training) -> Trained | Problem:
    from quant.training import directions  # noqa: PLC0415 # imports scikit-learn

    return _outcome(directions.train, request)


def _outcome(train: Callable[[Training], Trained], request: Training) -> Trained | Problem:
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 # finds out which libraries are loaded by then

    try:
        # Sums of many threads depend on their number: the same training gives the same model on every machine.
        with threadpool_limits(limits=1):
            return train(request)
    except NoModel as none:
        return none.problem
