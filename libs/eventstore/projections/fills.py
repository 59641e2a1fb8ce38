"""fills: every trade of ours, with its position and its cause."""

from decimal import Decimal
from typing import ClassVar, NamedTuple

from contracts.orders import OrderFilled
from contracts.ownership import EventTypes
from contracts.recorded import Recorded
from contracts.types import Liquidity, Side
from eventstore.instruments import venue_and_symbol
from eventstore.projections.projection import Journal


class FillRow(NamedTuple):
    position: int
    cause: int | None
    client_order_id: str
    strategy: str
    venue: str
    symbol: str
    trade_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    cumulative: Decimal
    leaves: Decimal
    fee: Decimal
    currency: str
    liquidity: Liquidity
    ts_event: int
    ts_init: int
    fee_currency: str
    slippage_bps: float | None


class Fills(Journal[FillRow]):
    name = "fills"
    row = FillRow
    handles: ClassVar[EventTypes] = (OrderFilled,)

    def row_of(self, recorded: Recorded) -> FillRow:
        fill = recorded.event
        assert isinstance(fill, OrderFilled)
        venue, symbol = venue_and_symbol(fill.instrument)
        return FillRow(
            position=recorded.position,
            cause=recorded.cause,
            client_order_id=fill.client_order_id,
            strategy=fill.strategy,
            venue=venue,
            symbol=symbol,
            trade_id=fill.trade_id,
            side=fill.side,
            price=fill.price,
            quantity=fill.quantity,
            cumulative=fill.cumulative,
            leaves=fill.leaves,
            fee=fill.fee,
            currency=fill.currency,
            liquidity=fill.liquidity,
            ts_event=fill.ts_event,
            ts_init=fill.ts_init,
            fee_currency=fill.fee_currency or fill.currency,
            slippage_bps=fill.slippage_bps,
        )
