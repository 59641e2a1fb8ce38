"""The gate: a model is promoted by itself only if it predicts better and is calibrated no worse."""

from contracts.models import Score
from quant.training import Gate, passes_gate


def score(likelihood: float, error: float, observations: int = 500) -> Score:
    return Score(observations=observations, log_likelihood=likelihood, calibration_error=error)


GATE = Gate(least_observations=100, most_calibration_error=0.1, least_gain=0.01, worse_calibration=0.02)


def test_the_first_model_passes_if_it_is_calibrated() -> None:
    assert passes_gate(score(-1.0, 0.05), None, GATE)[0]
    passed, reason = passes_gate(score(-1.0, 0.11), None, GATE)
    assert not passed
    assert reason == "calibration error 0.110 is above 0.1"


def test_a_champion_must_be_beaten_by_the_least_gain() -> None:
    champion = score(-1.0, 0.05)
    assert passes_gate(score(-0.98, 0.05), champion, GATE)[0]
    passed, reason = passes_gate(score(-0.995, 0.05), champion, GATE)
    assert not passed
    assert "+0.0050 nats" in reason


def test_an_equal_model_does_not_replace_the_champion() -> None:
    assert not passes_gate(score(-1.0, 0.05), score(-1.0, 0.05), Gate())[0]


def test_better_predictions_do_not_excuse_a_worse_calibration() -> None:
    champion = score(-1.0, 0.01)
    assert passes_gate(score(-0.5, 0.03), champion, GATE)[0]
    passed, reason = passes_gate(score(-0.5, 0.04), champion, GATE)
    assert not passed
    assert "worse than the champion's" in reason


def test_a_score_of_few_observations_proves_nothing() -> None:
    passed, reason = passes_gate(score(5.0, 0.0, observations=99), None, GATE)
    assert not passed
    assert reason == "scored on 99 observations, 100 are needed"
