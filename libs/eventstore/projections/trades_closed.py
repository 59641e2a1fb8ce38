"""trades_closed: every position that was left again, and what it brought."""

from decimal import Decimal
from typing import ClassVar, NamedTuple

from contracts.books import PositionClosed
from contracts.ownership import EventTypes
from contracts.recorded import Recorded
from contracts.types import Side
from eventstore.instruments import venue_and_symbol
from eventstore.projections.projection import Journal


class TradeClosedRow(NamedTuple):
    """`side` is that of the entry; `realized_pnl` is before `fees` and `funding` (quote currency)."""

    position: int
    cause: int | None
    strategy: str
    venue: str
    symbol: str
    side: Side
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    realized_pnl: Decimal
    fees: Decimal
    funding: Decimal
    opened_at: int
    closed_at: int
    closed_by: str
    stopped: bool
    ts_init: int


class TradesClosed(Journal[TradeClosedRow]):
    name = "trades_closed"
    row = TradeClosedRow
    handles: ClassVar[EventTypes] = (PositionClosed,)

    def row_of(self, recorded: Recorded) -> TradeClosedRow:
        closed = recorded.event
        assert isinstance(closed, PositionClosed)
        venue, symbol = venue_and_symbol(closed.instrument)
        return TradeClosedRow(
            position=recorded.position,
            cause=recorded.cause,
            strategy=closed.strategy,
            venue=venue,
            symbol=symbol,
            side=closed.side,
            quantity=closed.quantity,
            entry_price=closed.entry_price,
            exit_price=closed.exit_price,
            realized_pnl=closed.realized_pnl,
            fees=closed.fees,
            funding=closed.funding,
            opened_at=closed.opened_at,
            closed_at=closed.closed_at,
            closed_by=closed.closed_by,
            stopped=closed.stopped,
            ts_init=closed.ts_init,
        )
