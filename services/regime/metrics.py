"""What the models say of each instrument now, and how sure they are."""

from prometheus_client import Counter, Gauge

from contracts.event import Event
from contracts.regimes import UNKNOWN, DirectionInferred, RegimeInferred
from tape.blueprint import Observers

PROBABILITY = Gauge("regime_probability", "Filtered probability of a regime", ["instrument", "regime"])
CURRENT = Gauge("regime_current", "1 for the regime that holds, 0 for the others", ["instrument", "regime"])
CONFIDENCE = Gauge("regime_confidence", "Calibrated probability of the most probable regime", ["instrument"])
ENTROPY = Gauge("regime_entropy", "How open it is which regime it is, 0..1", ["instrument"])
LOG_LIKELIHOOD = Gauge(
    "regime_log_likelihood_nats", "Predictive log-likelihood of the last observation", ["instrument"]
)
OBSERVATIONS = Counter("regime_observations_total", "Observations that a regime was inferred from", ["instrument"])
UP = Gauge("direction_up_probability", "Probability that the price will be higher", ["instrument"])


class _Regimes:
    """Knows the labels that are shown, so that those of an earlier model do not stay."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[str, ...]] = {}

    def on_regime(self, event: Event, _since_origin_ms: float | None) -> None:
        assert isinstance(event, RegimeInferred)
        instrument = event.instrument
        for label in set(self._shown.get(instrument, ())).difference(event.states):
            PROBABILITY.remove(instrument, label)
            CURRENT.remove(instrument, label)
        self._shown[instrument] = event.states
        for label, probability in zip(event.states, event.probabilities, strict=True):
            PROBABILITY.labels(instrument, label).set(probability)
        for label in (*event.states, UNKNOWN):
            CURRENT.labels(instrument, label).set(label == event.regime)
        CONFIDENCE.labels(instrument).set(event.confidence)
        ENTROPY.labels(instrument).set(event.entropy)
        LOG_LIKELIHOOD.labels(instrument).set(event.log_likelihood)
        OBSERVATIONS.labels(instrument).inc()


def observe() -> Observers:
    return {RegimeInferred: _Regimes().on_regime, DirectionInferred: _on_direction}


def _on_direction(event: Event, _since_origin_ms: float | None) -> None:
    assert isinstance(event, DirectionInferred)
    UP.labels(event.instrument).set(event.up)
