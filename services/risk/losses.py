"""Losses of equity: of a day, from the peak, and one after the other. What led to a lock counts no more after it."""

from dataclasses import dataclass, field
from decimal import Decimal

from contracts.books import EquityMarked, PositionClosed
from contracts.types import Rail
from services.risk.locks import Lock
from services.risk.settings import RiskSettings

ZERO = Decimal(0)
SECOND = 1_000_000_000
DAY = 86_400 * SECOND


@dataclass(slots=True)
class Curve:
    """A strategy's equity: as it was when the day (UTC, counted from the epoch) began, as it is, and at its highest."""

    day: int
    opening: Decimal
    equity: Decimal
    peak: Decimal

    def mark(self, equity: Decimal, day: int) -> None:
        if day > self.day:
            self.day, self.opening = day, self.equity
        self.equity = equity
        if equity > self.peak:  # noqa: PLR1730 # cheaper than the call
            self.peak = equity

    def opening_of(self, day: int) -> Decimal:
        """The equity when that day began: what was marked last, if nothing was marked in it yet."""
        return self.opening if self.day >= day else self.equity


@dataclass(frozen=True, slots=True)
class Kept:
    """The parts of an equity that are left when the most is lost that settings allow; None where all may be lost."""

    day: Decimal | None
    total_day: Decimal | None
    peak: Decimal | None
    total_peak: Decimal | None

    @classmethod
    def of(cls, settings: RiskSettings) -> "Kept":
        return cls(
            _kept(settings.max_daily_loss_pct),
            _kept(settings.max_total_daily_loss_pct),
            _kept(settings.max_drawdown_pct),
            _kept(settings.max_total_drawdown_pct),
        )


@dataclass(slots=True)
class Losses:
    curves: dict[str, Curve] = field(default_factory=dict)
    """By strategy."""
    total_peak: Decimal = ZERO
    in_a_row: dict[str, int] = field(default_factory=dict)
    """Losing positions that a strategy has closed, one after the other."""

    def equity(self, strategy: str, settings: RiskSettings) -> float:
        curve = self.curves.get(strategy)
        return settings.starting_capital if curve is None else float(curve.equity)

    def marked(self, mark: EquityMarked, settings: RiskSettings, kept: Kept) -> list[Lock]:
        """Count a new equity. What is lost is only told in % where `kept` cannot tell that it is little."""
        day = mark.ts_init // DAY
        curve = self.curves.get(mark.strategy)
        if curve is None:
            curve = self.curves[mark.strategy] = Curve(day, mark.equity, mark.equity, mark.peak)
            self.total_peak += mark.peak
        curve.mark(mark.equity, day)
        total = opening = ZERO
        for one in self.curves.values():
            total += one.equity
            opening += one.opening if one.day >= day else one.equity
        if total > self.total_peak:  # noqa: PLR1730 # cheaper than the call
            self.total_peak = total
        equity = curve.equity
        if (
            (kept.day is None or equity >= curve.opening * kept.day)
            and (kept.peak is None or equity >= curve.peak * kept.peak)
            and (kept.total_day is None or total >= opening * kept.total_day)
            and (kept.total_peak is None or total >= self.total_peak * kept.total_peak)
        ):
            return []
        found = (
            self._daily(mark.strategy, curve, day, settings),
            self._total_daily(total, day, settings),
            self._drawdown(mark, curve, settings),
            self._total_drawdown(mark, total, settings),
        )
        return [lock for lock in found if lock is not None]

    def _daily(self, strategy: str, curve: Curve, day: int, settings: RiskSettings) -> Lock | None:
        most, lost = settings.max_daily_loss_pct, fall_pct(curve.opening, curve.equity)
        if most is None or lost <= most:
            return None
        curve.opening = curve.equity
        reason = f"{strategy} lost {lost:.2f} % today, above max_daily_loss_pct {most:g}"
        return Lock(Rail.DAILY_LOSS, strategy, None, (day + 1) * DAY, reason)

    def _total_daily(self, total: Decimal, day: int, settings: RiskSettings) -> Lock | None:
        most = settings.max_total_daily_loss_pct
        lost = fall_pct(sum([one.opening_of(day) for one in self.curves.values()], ZERO), total)
        if most is None or lost <= most:
            return None
        for one in self.curves.values():
            one.day, one.opening = max(day, one.day), one.equity
        reason = f"all strategies lost {lost:.2f} % today, above max_total_daily_loss_pct {most:g}"
        return Lock(Rail.DAILY_LOSS, None, None, (day + 1) * DAY, reason)

    def _drawdown(self, mark: EquityMarked, curve: Curve, settings: RiskSettings) -> Lock | None:
        most, fallen = settings.max_drawdown_pct, fall_pct(curve.peak, curve.equity)
        if most is None or fallen <= most:
            return None
        curve.peak = curve.equity
        reason = f"{mark.strategy} is {fallen:.2f} % below its peak, above max_drawdown_pct {most:g}"
        return Lock(Rail.DRAWDOWN, mark.strategy, None, _paused(mark, settings), reason)

    def _total_drawdown(self, mark: EquityMarked, total: Decimal, settings: RiskSettings) -> Lock | None:
        most, fallen = settings.max_total_drawdown_pct, fall_pct(self.total_peak, total)
        if most is None or fallen <= most:
            return None
        self.total_peak = total
        reason = f"all strategies are {fallen:.2f} % below their peak, above max_total_drawdown_pct {most:g}"
        return Lock(Rail.DRAWDOWN, None, None, _paused(mark, settings), reason)

    def closed(self, closed: PositionClosed, settings: RiskSettings) -> Lock | None:
        most = settings.max_consecutive_losses
        count = self.in_a_row.get(closed.strategy, 0) + 1 if closed.net_pnl < 0 else 0
        if most is None or count <= most:
            self.in_a_row[closed.strategy] = count
            return None
        self.in_a_row[closed.strategy] = 0
        until = closed.ts_init + round(settings.losses_pause_s * SECOND)
        reason = f"{closed.strategy} lost {most + 1} times in a row, above max_consecutive_losses {most}"
        return Lock(Rail.CONSECUTIVE_LOSSES, closed.strategy, None, until, reason)


def _kept(most_pct: float | None) -> Decimal | None:
    return None if most_pct is None else 1 - Decimal(most_pct) / 100


def _paused(mark: EquityMarked, settings: RiskSettings) -> int:
    return mark.ts_init + round(settings.drawdown_pause_s * SECOND)


def fall_pct(before: Decimal, now: Decimal) -> float:
    """Give a fall in % of where it began. What began at nothing or below has no part left to lose."""
    if now >= before:
        return 0.0
    return float((before - now) / before * 100) if before > 0 else 100.0
