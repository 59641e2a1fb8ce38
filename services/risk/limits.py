"""The rails of size: each knows the largest quantity that it would let pass. Exits pass them all."""

from math import sqrt

from contracts.types import Rail
from quant.correlation import joint_square
from services.risk.situation import Objection, Situation


def min_notional(at: Situation) -> Objection | None:
    """An order is worth less than the exchange takes. Exits may be smaller."""
    if at.instrument is None or at.mark is None or at.reduces:
        return None
    notional = float(at.order.quantity) * at.mark
    least = float(at.instrument.min_notional)
    return Objection(f"{notional:.2f} below min_notional {least:.2f}") if notional < least else None


def max_notional(at: Situation) -> Objection | None:
    """A single order is too large. Exits may be larger: a position may have outgrown the limit."""
    if at.mark is None or at.reduces:
        return None
    notional = float(at.order.quantity) * at.mark
    most = at.settings.max_order_notional
    if notional <= most:
        return None
    return Objection(f"{notional:.2f} above max_order_notional {most:.2f}", most / at.mark)


def symbol_exposure(at: Situation) -> Objection | None:
    """Positions of all strategies in one instrument become too large."""
    most = at.settings.max_symbol_exposure
    return _capped(at, at.bound.symbol, most, "max_symbol_exposure") if at.is_limited else None


def venue_exposure(at: Situation) -> Objection | None:
    """Positions at one venue become too large."""
    most = at.settings.max_venue_exposure
    return _capped(at, at.bound.venue, most, "max_venue_exposure") if at.is_limited else None


def strategy_exposure(at: Situation) -> Objection | None:
    """Positions of one strategy become too large."""
    most = at.settings.max_strategy_exposure
    return _capped(at, at.bound.strategy, most, "max_strategy_exposure") if at.is_limited else None


def total_exposure(at: Situation) -> Objection | None:
    """All positions together become too large."""
    most = at.settings.max_total_exposure
    return _capped(at, at.bound.total, most, "max_total_exposure") if at.is_limited else None


def correlated_exposure(at: Situation) -> Objection | None:
    """Positions that move together become too large: sqrt(w'Cw) of worst cases w and positive correlations C."""
    most = at.settings.max_correlated_exposure
    if not at.is_limited or at.bound.total + at.worst <= most:
        return None
    own, together, others = at.order.instrument, at.ground.correlations.together, at.elsewhere()
    names = list(others)
    square = joint_square(list(others.values()), lambda i, j: together(names[i], names[j]))
    half = sum(value * together(own, name) for name, value in others.items())
    here = at.bound.symbol + at.worst
    joint = sqrt(max(here * here + 2 * here * half + square, 0.0))
    if joint <= most:
        return None
    room = sqrt(max(half * half - square + most * most, 0.0)) - half - at.bound.symbol if square <= most * most else 0.0
    detail = f"{joint:.2f} would be above max_correlated_exposure {most:.2f}"
    return Objection(detail, at.fitting(room))


def leverage(at: Situation) -> Objection | None:
    """Positions of a strategy become too large for its equity."""
    if not at.is_limited:
        return None
    equity, most = at.ground.losses.equity(at.order.strategy, at.settings), at.settings.max_leverage
    gross, room = at.bound.strategy + at.worst, most * equity
    if gross <= room:
        return None
    detail = f"{gross:.2f} would be above {room:.2f}, max_leverage {most:g} times the equity {equity:.2f}"
    return Objection(detail, at.fitting(room - at.bound.strategy))


def free_margin(at: Situation) -> Objection | None:
    """Positions of a strategy bind more than its equity, less a reserve."""
    if not at.is_limited:
        return None
    equity, reserve = at.ground.losses.equity(at.order.strategy, at.settings), at.settings.margin_reserve_pct
    free = equity * (1 - reserve / 100)
    if _bound(at) <= free:
        return None
    return _binds(at, free, f"the equity {equity:.2f} less margin_reserve_pct {reserve:g}")


def capital(at: Situation) -> Objection | None:
    """Positions of a strategy bind more than the capital that was allocated to it."""
    if not at.is_limited:
        return None
    allocated, use = at.ground.capital_of(at.order.strategy), at.settings.max_capital_use_pct
    free = allocated * use / 100
    if _bound(at) <= free:
        return None
    return _binds(at, free, f"max_capital_use_pct {use:g} of the capital {allocated:.2f}")


def _capped(at: Situation, beside: float, most: float, setting: str) -> Objection | None:
    """Judge the worst case of everything pending."""
    total = beside + at.worst
    if total <= most:
        return None
    return Objection(f"{total:.2f} would be above {setting} {most:.2f}", at.fitting(most - beside))


def _bound(at: Situation) -> float:
    """Give the margin that the strategy's positions would bind with this order."""
    return at.bound.margin + at.worst * at.ground.margin_of(at.order.instrument)


def _binds(at: Situation, free: float, what: str) -> Objection:
    room = (free - at.bound.margin) / at.ground.margin_of(at.order.instrument)
    return Objection(f"{_bound(at):.2f} would be bound, above {free:.2f}: {what}", at.fitting(room))


LIMITS = {
    Rail.MIN_NOTIONAL: min_notional,
    Rail.MAX_NOTIONAL: max_notional,
    Rail.SYMBOL_EXPOSURE: symbol_exposure,
    Rail.VENUE_EXPOSURE: venue_exposure,
    Rail.STRATEGY_EXPOSURE: strategy_exposure,
    Rail.TOTAL_EXPOSURE: total_exposure,
    Rail.CORRELATED_EXPOSURE: correlated_exposure,
    Rail.LEVERAGE: leverage,
    Rail.FREE_MARGIN: free_margin,
    Rail.CAPITAL: capital,
}
