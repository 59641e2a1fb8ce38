"""The judgement: one score of an instrument from its averages, its regime and its direction; or why there is none."""

from dataclasses import dataclass

from contracts.regimes import UNKNOWN, DirectionInferred, RegimeInferred
from services.hmm_ensemble.averages import Averages
from services.hmm_ensemble.settings import HmmEnsembleSettings

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """`score` -1..1. `aside`: nothing is to be held; `firm`: a position may be opened, on the side of the averages."""

    score: float
    aside: bool
    firm: bool
    reason: str


def judge(
    settings: HmmEnsembleSettings,
    averages: Averages,
    regime: RegimeInferred | None,
    direction: DirectionInferred | None,
    now: int,
) -> Judgement | None:
    """Judge at `now` (ns); None while the averages are not warm and nothing else forbids to hold.

    score = (1 - d) tanh(distance of the averages / range) w + d (2 up - 1), w = sum of P(state) weight(state), and d =
    `direction_share` while the direction model speaks, else 0. The direction alone opens nothing.
    """
    if objection := _objection(settings, regime, now):
        return Judgement(0.0, aside=True, firm=False, reason=objection)
    if not averages.warm:
        return None
    assert regime is not None
    cross = averages.cross(settings)
    weight = weight_of(settings, regime)
    score = weighted = cross * weight
    told = "no direction"
    if direction is not None and _is_fresh(direction.ts_event, now, settings.max_direction_age_s):
        share = settings.direction_share
        score = (1 - share) * score + share * (2 * direction.up - 1)
        told = f"up {direction.up:.2f}"
    score = max(-1.0, min(1.0, score)) + 0.0
    hesitant = "" if regime.confident else ", not confident"
    reason = (
        f"ema {settings.fast} of {settings.slow}: {cross:+.2f}; {regime.regime} {regime.confidence:.2f}{hesitant}, "
        f"weight {weight:.2f}; {told}; score {score:+.2f}"
    )
    return Judgement(
        max(-1.0, min(1.0, score)), aside=False, firm=regime.confident and weighted * score > 0, reason=reason
    )


def weight_of(settings: HmmEnsembleSettings, regime: RegimeInferred) -> float:
    """Give the mean weight of the states, each as probable as it is; 0..1."""
    pairs = zip(regime.states, regime.probabilities, strict=True)
    return max(0.0, min(1.0, sum(probability * settings.weight(state) for state, probability in pairs)))


def _objection(settings: HmmEnsembleSettings, regime: RegimeInferred | None, now: int) -> str | None:
    """Say why nothing is to be held, if so."""
    if regime is None:
        return "aside: no regime model speaks"
    if not _is_fresh(regime.ts_event, now, settings.max_regime_age_s):
        return f"aside: the last regime is of {(now - regime.ts_event) / SECOND:.0f} s ago"
    return f"aside: the regime is unknown to {regime.model_id}" if regime.regime == UNKNOWN else None


def _is_fresh(at: int, now: int, max_age_s: float) -> bool:
    """Say whether `at` is near `now`; what comes from a future is not believed either."""
    return abs(now - at) <= max_age_s * SECOND
