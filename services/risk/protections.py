"""Pauses that closed positions lead to, after the protections of freqtrade: only new exits bring them about."""

from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate

from contracts.books import PositionClosed
from contracts.types import InstrumentId, Rail
from services.risk.locks import Lock
from services.risk.settings import RiskSettings

SECOND = 1_000_000_000
REMEMBERED = 10_000
"""The most closed positions that are remembered."""
ZERO = Decimal(0)


@dataclass(slots=True)
class ClosedTrade:
    """What a closed position has earned, for how much was entered (quote currency)."""

    strategy: str
    instrument: InstrumentId
    at: int
    entered: Decimal
    net: Decimal
    stopped: bool


@dataclass(slots=True)
class Protections:
    trades: list[ClosedTrade] = field(default_factory=list)
    """The oldest first."""

    def closed(self, closed: PositionClosed, equity: float, settings: RiskSettings) -> list[Lock]:
        """Count a closed position of a strategy that is worth `equity`."""
        now = closed.ts_init
        self._remember(closed, settings)
        found = (
            self._cooldown(closed, settings),
            self._stoploss_guard(closed, settings),
            self._low_profit(closed, settings),
            self._max_drawdown(closed, equity, settings),
        )
        return [lock for lock in found if lock is not None and lock.until > now]

    def _remember(self, closed: PositionClosed, settings: RiskSettings) -> None:
        counting = (settings.stoploss_guard, settings.low_profit, settings.max_drawdown)
        within = [protection.within_s for protection in counting if protection is not None]
        if not within:
            self.trades = []
            return
        trade = ClosedTrade(
            closed.strategy,
            closed.instrument,
            closed.ts_init,
            closed.quantity * closed.entry_price,
            closed.net_pnl,
            closed.stopped,
        )
        oldest = closed.ts_init - round(max(within) * SECOND)
        self.trades = [one for one in (*self.trades[1 - REMEMBERED :], trade) if one.at >= oldest]

    def _of(self, closed: PositionClosed, within_s: float, *, instrument: bool) -> list[ClosedTrade]:
        oldest = closed.ts_init - round(within_s * SECOND)
        return [
            one
            for one in self.trades
            if one.strategy == closed.strategy
            and one.at >= oldest
            and not (instrument and one.instrument != closed.instrument)
        ]

    def _cooldown(self, closed: PositionClosed, settings: RiskSettings) -> Lock | None:
        cooldown = settings.cooldown
        if cooldown is None:
            return None
        reason = f"{closed.strategy} just closed one in {closed.instrument}, cooldown.pause_s {cooldown.pause_s:g}"
        return _lock(Rail.COOLDOWN, closed, cooldown.pause_s, reason, instrument=True)

    def _stoploss_guard(self, closed: PositionClosed, settings: RiskSettings) -> Lock | None:
        guard = settings.stoploss_guard
        if guard is None or not closed.stopped:
            return None
        trades = self._of(closed, guard.within_s, instrument=guard.per_instrument)
        stops = sum(one.stopped and one.net < 0 for one in trades)
        if stops < guard.stops:
            return None
        reason = f"{stops} stops within {guard.within_s:g} s, stoploss_guard.stops allows less than {guard.stops}"
        return _lock(Rail.STOPLOSS_GUARD, closed, guard.pause_s, reason, instrument=guard.per_instrument)

    def _low_profit(self, closed: PositionClosed, settings: RiskSettings) -> Lock | None:
        limit = settings.low_profit
        if limit is None:
            return None
        trades = self._of(closed, limit.within_s, instrument=True)
        earned = float(sum((one.net for one in trades), ZERO) / sum((one.entered for one in trades), ZERO) * 100)
        if len(trades) < limit.trades or earned >= limit.least_pct:
            return None
        reason = f"{len(trades)} trades earned {earned:.3f} %, below low_profit.least_pct {limit.least_pct:g}"
        return _lock(Rail.LOW_PROFIT, closed, limit.pause_s, reason, instrument=True)

    def _max_drawdown(self, closed: PositionClosed, equity: float, settings: RiskSettings) -> Lock | None:
        limit = settings.max_drawdown
        if limit is None:
            return None
        trades = self._of(closed, limit.within_s, instrument=False)
        sums = list(accumulate((one.net for one in trades), initial=ZERO))
        fallen = float(max(accumulate(sums, max)) - sums[-1])
        pct = 100 * fallen / equity if equity > 0 else 100.0
        if len(trades) < limit.trades or pct <= limit.most_pct:
            return None
        what = f"{len(trades)} trades fell {pct:.2f} % from their best sum"
        reason = f"{what}, above max_drawdown.most_pct {limit.most_pct:g}"
        return _lock(Rail.MAX_DRAWDOWN, closed, limit.pause_s, reason, instrument=False)


def _lock(rail: Rail, closed: PositionClosed, pause_s: float, reason: str, *, instrument: bool) -> Lock:
    until = closed.ts_init + round(pause_s * SECOND)
    return Lock(rail, closed.strategy, closed.instrument if instrument else None, until, reason)
