"""Execution overrides: an instrument that trades badly is traded smaller or not at all, until it does better."""

from dataclasses import dataclass, field

from services.router.settings import ExecutionSettings

SECOND = 1_000_000_000


@dataclass(slots=True)
class Quality:
    """How orders in one instrument fared of late; times in ns."""

    factor: float = 1.0
    muted_until: int | None = None
    slippages: list[float] = field(default_factory=list)
    good: int = 0
    """Fills in a row that were no worse than the limit."""
    rejects: list[int] = field(default_factory=list)
    bad_at: int = 0


def filled(quality: Quality, slippage_bps: float, now: int, settings: ExecutionSettings) -> str | None:
    """Judge a fill; give the reason if the override changes."""
    limit, fills, slippages = settings.slippage_bps, settings.fills, quality.slippages
    slippages.append(slippage_bps)
    del slippages[:-fills]
    if len(slippages) == fills and (average := sum(slippages) / fills) > limit:
        quality.slippages, quality.good, quality.bad_at = [], 0, now
        return _set_factor(
            quality,
            max(settings.smallest, quality.factor * settings.cut),
            f"{fills} fills slipped by {average:.1f} bps, above slippage_bps {limit:g}",
        )
    quality.good = quality.good + 1 if slippage_bps <= limit else 0
    if quality.factor == 1 or quality.good < settings.good_fills:
        return None
    quality.good = 0
    return _set_factor(quality, min(1.0, quality.factor / settings.cut), f"{settings.good_fills} good fills in a row")


def rejected(quality: Quality, now: int, settings: ExecutionSettings) -> str | None:
    """Count a rejection by the venue; give the reason if the instrument is muted for it."""
    since = now - int(settings.rejects_within_s * SECOND)
    quality.rejects = [*(at for at in quality.rejects if at > since), now][-settings.rejects :]
    if len(quality.rejects) < settings.rejects:
        return None
    quality.rejects, quality.bad_at = [], now
    quality.muted_until = now + int(settings.mute_s * SECOND)
    return f"{settings.rejects} rejections within {settings.rejects_within_s:g} s"


def passed(quality: Quality, now: int, settings: ExecutionSettings) -> str | None:
    """Let time heal; give the reason if the override changes."""
    reasons = []
    if quality.muted_until is not None and now >= quality.muted_until:
        quality.muted_until = None
        reasons.append("muted long enough")
    if quality.factor < 1 and now >= recovers_at(quality, settings):
        quality.factor = 1.0
        reasons.append(f"nothing bad for {settings.recover_s:g} s")
    return ", ".join(reasons) or None


def recovers_at(quality: Quality, settings: ExecutionSettings) -> int:
    return quality.bad_at + int(settings.recover_s * SECOND)


def _set_factor(quality: Quality, factor: float, reason: str) -> str | None:
    if factor == quality.factor:
        return None
    quality.factor = factor
    return reason
