"""The direction of prices: as scikit-learn's classifiers have it, made ready for one observation at a time."""

from math import exp

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeRegressor

from contracts.models import DirectionModel, Feature, FeatureSpec, Scale, Tree
from contracts.types import Interval
from quant.direction import DirectionScorer, leaf, probability_up, score
from quant.features import Features, FeaturesState, scaled
from tests.regime_builders import direction_model, moving, spec

Array = NDArray[np.float64]
FEATURES = (Feature.LOG_RETURN, Feature.VOLATILITY, Feature.TREND)
STUMP = Tree(feature=(0, -1, -1), threshold=(0.5, 0.0, 0.0), left=(1, 0, 0), right=(2, 0, 0), value=(0.0, -3.0, 3.0))


@pytest.fixture(scope="module")
def samples() -> tuple[Array, NDArray[np.int64]]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(600, len(FEATURES)))
    return x, (x[:, 0] * x[:, 1] + 0.5 * x[:, 2] + rng.normal(scale=0.5, size=600) > 0).astype(np.int64)


def model(
    *,
    intercept: float = 0.0,
    weights: tuple[float, ...] = (),
    trees: tuple[Tree, ...] = (),
    slope: float = 1.0,
    offset: float = 0.0,
) -> DirectionModel:
    return DirectionModel(
        spec=FeatureSpec(interval=Interval.S5, window=1, lookback=2, features=FEATURES),
        scaler=(Scale(center=0.0, spread=1.0),) * len(FEATURES),
        horizon=3,
        intercept=intercept,
        weights=weights,
        trees=trees,
        slope=slope,
        offset=offset,
    )


def rows_of(regressor: DecisionTreeRegressor, rate: float) -> Tree:
    found = regressor.tree_
    return Tree(
        feature=tuple(max(-1, int(feature)) for feature in found.feature),
        threshold=tuple(map(float, found.threshold)),
        left=tuple(map(int, found.children_left)),
        right=tuple(map(int, found.children_right)),
        value=tuple(rate * float(value) for value in found.value[:, 0, 0]),
    )


def said(of: DirectionModel, x: Array) -> list[float]:
    return [probability_up(of, tuple(map(float, row))) for row in x]


def test_a_logistic_regression_says_what_scikit_learns_does(samples: tuple[Array, NDArray[np.int64]]) -> None:
    x, y = samples
    theirs = LogisticRegression().fit(x, y)
    ours = model(intercept=float(theirs.intercept_[0]), weights=tuple(map(float, theirs.coef_[0])))
    assert said(ours, x) == pytest.approx(list(theirs.predict_proba(x)[:, 1]), abs=1e-12)


def test_boosted_trees_say_what_scikit_learns_do(samples: tuple[Array, NDArray[np.int64]]) -> None:
    x, y = samples
    theirs = GradientBoostingClassifier(n_estimators=40, max_depth=3, random_state=0).fit(x, y)
    prior = float(y.mean())
    ours = model(
        intercept=float(np.log(prior / (1 - prior))),
        trees=tuple(rows_of(one, theirs.learning_rate) for one in theirs.estimators_[:, 0]),
    )
    assert ours.contradiction() is None
    unseen = np.random.default_rng(4).normal(size=(400, len(FEATURES)))
    for some in (x, unseen):
        assert said(ours, some) == pytest.approx(list(theirs.predict_proba(some)[:, 1]), abs=1e-12)


def test_a_value_at_a_threshold_goes_left() -> None:
    assert [leaf(STUMP, (x,)) for x in (0.4, 0.5, 0.6)] == [-3.0, -3.0, 3.0]


def test_a_tree_of_one_leaf_says_the_same_of_all() -> None:
    assert leaf(Tree(feature=(-1,), threshold=(0.0,), left=(0,), right=(0,), value=(7.0,)), (1.0,)) == 7.0


def test_scores_add_up_and_are_calibrated() -> None:
    ours = model(intercept=0.5, weights=(1.0, 0.0, -2.0), trees=(STUMP, STUMP), slope=0.5, offset=-1.0)
    x = (1.0, 9.0, 0.25)
    assert score(ours, x) == pytest.approx(0.5 + 1.0 - 0.5 + 6.0)
    assert probability_up(ours, x) == pytest.approx(1 / (1 + exp(-(0.5 * 7.0 - 1.0))))


@pytest.mark.parametrize(("intercept", "expected"), [(1e9, 1.0), (-1e9, 0.0)])
def test_the_surest_scores_are_probabilities_too(intercept: float, expected: float) -> None:
    assert probability_up(model(intercept=intercept), (0.0,) * 3) == pytest.approx(expected)


def test_a_probability_comes_with_each_window_that_closes() -> None:
    history = moving([1.0, 2.0, -1.0, 0.5])
    scorer = DirectionScorer(direction_model(of=spec(window=2)))
    assert [scorer.update(one) is not None for one in history] == [False, False, False, True]


def test_a_probability_is_of_the_features_as_the_model_scales_them() -> None:
    history, ours = moving([1.0, 2.0, -1.0, 0.5]), direction_model()
    scorer, features = DirectionScorer(ours), Features(ours.spec)
    for one in history:
        raw = features.update(one)
        expected = None if raw is None else probability_up(ours, scaled(raw, ours.scaler))
        assert scorer.update(one) == expected


def test_a_kept_scorer_goes_on_as_if_nothing_had_been() -> None:
    history, ours, as_json = moving([1.0, 2.0, -1.0, 0.5] * 3), direction_model(), TypeAdapter(FeaturesState)
    whole, before, after = DirectionScorer(ours), DirectionScorer(ours), DirectionScorer(ours)
    expected = [whole.update(one) for one in history]
    for one in history[:5]:
        before.update(one)
    after.restore(as_json.validate_json(as_json.dump_json(before.state())))
    assert [after.update(one) for one in history[5:]] == expected[5:]
