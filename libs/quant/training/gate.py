"""The gate: whether a model may be believed without anybody's approval."""

from contracts.models import Score
from quant.training.settings import Gate


def passes_gate(score: Score, champion_score: Score | None, gate: Gate) -> tuple[bool, str]:
    """Compare with the gate's limits, and with the champion's score on the same data; the reason says how it stands."""
    if score.observations < gate.least_observations:
        return False, f"scored on {score.observations} observations, {gate.least_observations} are needed"
    error = score.calibration_error
    if error > gate.most_calibration_error:
        return False, f"calibration error {error:.3f} is above {gate.most_calibration_error:g}"
    if champion_score is None:
        return True, f"nothing to compare with; calibration error {error:.3f}"
    gain = score.log_likelihood - champion_score.log_likelihood
    if not gain > gate.least_gain:
        return False, f"{gain:+.4f} nats per observation over the champion: not above {gate.least_gain:g}"
    worse = error - champion_score.calibration_error
    if worse > gate.worse_calibration:
        return False, f"calibration error {error:.3f} is {worse:.3f} worse than the champion's"
    return True, f"{gain:+.4f} nats per observation over the champion, calibration error {worse:+.3f}"
