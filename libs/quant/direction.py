"""Direction online: the probability that the price is higher some observations ahead, by a trained classifier."""

from math import exp

from contracts.market import Bar
from contracts.models import DirectionModel, Tree, Vector
from quant.features import Features, FeaturesState, scaled


def probability_up(model: DirectionModel, observation: Vector) -> float:
    """Give 1 / (1 + exp(-(slope s + offset))) for the score s of a scaled observation, 0..1.

    J. Platt, Probabilistic Outputs for Support Vector Machines, Advances in Large Margin Classifiers (1999).
    """
    return _logistic(model.slope * score(model, observation) + model.offset)


def score(model: DirectionModel, observation: Vector) -> float:
    """Give the classifier's decision function: intercept + weights . x + the sum over trees."""
    total = model.intercept
    if model.weights:
        total += sum(weight * value for weight, value in zip(model.weights, observation, strict=True))
    for tree in model.trees:
        total += leaf(tree, observation)
    return total


def leaf(tree: Tree, observation: Vector) -> float:
    """Walk a tree from its root; give the value of the leaf that is reached."""
    node = 0
    while (feature := tree.feature[node]) >= 0:
        node = tree.left[node] if observation[feature] <= tree.threshold[node] else tree.right[node]
    return tree.value[node]


class DirectionScorer:
    """Makes observations of bars as the model was trained on, and scores each."""

    def __init__(self, model: DirectionModel) -> None:
        self.model = model
        self._features = Features(model.spec)

    @property
    def warm_up(self) -> int:
        """So many bars in a row are enough for a probability, wherever they begin."""
        return self._features.warm_up

    def state(self) -> FeaturesState:
        return self._features.state()

    def restore(self, state: FeaturesState) -> None:
        self._features.restore(state)

    def update(self, bar: Bar) -> float | None:
        """Give the probability up, 0..1, when `bar` closes a window; None if it closes none, or before warm-up."""
        raw = self._features.update(bar)
        return None if raw is None else probability_up(self.model, scaled(raw, self.model.scaler))


def _logistic(x: float) -> float:
    if x >= 0:
        return 1 / (1 + exp(-x))
    grown = exp(x)
    return grown / (1 + grown)
