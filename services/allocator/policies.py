"""By what capital is divided: from what strategies have done so far to the share of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from quant.sizing import covariance, risk_parity, shrunk_to_diagonal, within_bounds
from services.allocator.settings import AllocatorSettings, Policy
from services.allocator.track import Track

Tracks = Mapping[str, Track]
Weights = dict[str, float]


@dataclass(frozen=True)
class Division:
    """The share of each strategy (parts of the total, together at most 1), and why."""

    shares: Weights
    why: str
    objection: str | None = None
    """What in the settings could not be done as it is written."""


def divide(settings: AllocatorSettings, tracks: Tracks) -> Division:
    """Give every strategy its share: fixed ones first, then what the policy makes of the rest, within bounds.

    A strategy without equity left gets nothing. What fixed shares and bounds leave to nobody is not divided.
    """
    shares: Weights = {
        name: 0.0 if track.is_ruined else settings.shares.get(name, 0.0) for name, track in tracks.items()
    }
    free = {name: track for name, track in tracks.items() if name not in settings.shares and not track.is_ruined}
    rest = max(0.0, 1 - sum(settings.shares.values()))
    if not free or rest == 0:
        return Division(shares, "fixed shares")
    weights, why = _POLICIES[settings.policy](settings, free)
    bounds = [settings.bounds_of(name) for name in free]
    least, most = [bound.least / rest for bound in bounds], [bound.most / rest for bound in bounds]
    objection = None
    if sum(least) > 1 + 1e-9:
        objection = f"the least shares of {', '.join(free)} sum to {sum(least) * rest:.4g}, and {rest:.4g} is left"
    for name, weight in zip(free, within_bounds([weights[name] for name in free], least, most), strict=True):
        shares[name] = weight * rest
    return Division(shares, why, objection)


def equal(_settings: AllocatorSettings, tracks: Tracks) -> tuple[Weights, str]:
    return dict.fromkeys(tracks, 1 / len(tracks)), f"equal parts for {len(tracks)}"


def by_risk(settings: AllocatorSettings, tracks: Tracks) -> tuple[Weights, str]:
    """Let each measured strategy add the same to the risk of all of them; one that is not gets an equal part."""
    measured = _measured(settings, tracks)
    length = min((len(tracks[name].returns) for name in measured), default=0)
    series = {name: tracks[name].returns[-length:] for name in measured}
    moving = [name for name in measured if max(series[name]) > min(series[name])]
    weights, why = equal(settings, tracks)
    if not moving:
        return weights, f"{why}: nothing is measured"
    covariances = covariance([series[name] for name in moving])
    balanced = risk_parity(shrunk_to_diagonal(covariances, settings.covariance_shrinkage))
    if balanced is None:
        return weights, f"{why}: their risks cannot be balanced"
    for name, weight in zip(moving, balanced, strict=True):
        weights[name] = weight * len(moving) / len(tracks)
    return weights, f"equal risk of {_listed(moving, tracks)} over {length} returns"


def by_performance(settings: AllocatorSettings, tracks: Tracks) -> tuple[Weights, str]:
    """Tilt equal parts toward what earned more for its risk.

    A strategy's ratio of mean to deviation (W. F. Sharpe, Mutual Fund Performance, J. Business 39, 1966) is drawn to
    that of all measured ones, the more so the fewer positions it closed: B. Efron, C. Morris, Stein's Paradox in
    Statistics, Scientific American 236 (1977); what was seen of it weighs n / (n + prior), as in credibility theory.
    `tilt` of the capital goes by these ratios, where they are above 0, and the rest equally.
    """
    measured = _measured(settings, tracks)
    weights, why = equal(settings, tracks)
    if not measured:
        return weights, f"{why}: nothing is measured"
    ratios = {name: _ratio(tracks[name].returns) for name in measured}
    middle = sum(ratios.values()) / len(ratios)
    scores: Weights = {}
    for name, ratio in ratios.items():
        closed = sum(tracks[name].trades)
        scores[name] = max(0.0, middle + (ratio - middle) * closed / (closed + settings.prior_trades))
    total = sum(scores.values())
    if total <= 0:
        return weights, f"{why}: none of {_listed(measured, tracks)} earned anything"
    for name, score in scores.items():
        part = weights[name]
        weights[name] = (1 - settings.tilt) * part + settings.tilt * part * len(measured) * score / total
    return weights, f"performance of {_listed(measured, tracks)}"


def _measured(settings: AllocatorSettings, tracks: Tracks) -> list[str]:
    return [name for name, track in tracks.items() if len(track.returns) >= settings.least_returns]


def _ratio(returns: Sequence[float]) -> float:
    mean = sum(returns) / len(returns)
    squares = sum((value - mean) ** 2 for value in returns)
    return mean / sqrt(squares / (len(returns) - 1)) if squares > 0 else 0.0


def _listed(names: Sequence[str], tracks: Tracks) -> str:
    return f"{len(names)} of {len(tracks)}"


_POLICIES: dict[Policy, Callable[[AllocatorSettings, Tracks], tuple[Weights, str]]] = {
    Policy.FIXED: equal,
    Policy.RISK_PARITY: by_risk,
    Policy.PERFORMANCE: by_performance,
}
