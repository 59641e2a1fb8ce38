"""strategy_pnl: what each strategy's trades brought, day by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import ClassVar

from contracts.books import PositionClosed
from contracts.event import Event
from contracts.ownership import EventTypes
from contracts.recorded import Recorded
from eventstore.projections.projection import Key, Ledger

NOTHING = Decimal(0)

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True)
class StrategyPnlRow:
    """`day` is that of the exit (UTC); `gains` and `losses` are after fees and funding, both positive."""

    strategy: str
    day: str
    updated_position: int
    updated_ts: int
    trades: int = 0
    won: int = 0
    stopped: int = 0
    gains: Decimal = NOTHING
    losses: Decimal = NOTHING
    fees: Decimal = NOTHING
    funding: Decimal = NOTHING


class StrategyPnl(Ledger[StrategyPnlRow]):
    name = "strategy_pnl"
    row = StrategyPnlRow
    key: ClassVar[tuple[str, ...]] = ("strategy", "day")
    handles: ClassVar[EventTypes] = (PositionClosed,)

    def keys(self, event: Event) -> Sequence[Key]:
        assert isinstance(event, PositionClosed)
        return ((event.strategy, _day(event.closed_at)),)

    def fold(self, rows: dict[Key, StrategyPnlRow], recorded: Recorded) -> None:
        closed = recorded.event
        assert isinstance(closed, PositionClosed)
        strategy, day = key = closed.strategy, _day(closed.closed_at)
        row = rows.get(key)
        if row is None:
            row = rows[key] = StrategyPnlRow(strategy, day, recorded.position, closed.ts_init)
        net = closed.net_pnl
        row.updated_position = recorded.position
        row.updated_ts = closed.ts_init
        row.trades += 1
        row.won += net > 0
        row.stopped += closed.stopped
        row.gains += max(net, NOTHING)
        row.losses += max(-net, NOTHING)
        row.fees += closed.fees
        row.funding += closed.funding


def _day(ts: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=ts // 1000):%Y-%m-%d}"
