"""positions: what each strategy holds, at its last fill and its last mark.

After each EquityMarked of a strategy, quantity x mark over its rows plus that event's cash and what its other
currencies are worth is its equity, exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from contracts.books import EquityMarked, MarkedPosition, PositionChanged
from contracts.event import Event
from contracts.ownership import EventTypes
from contracts.recorded import Recorded
from contracts.types import InstrumentId, PositionSide
from eventstore.instruments import venue_and_symbol
from eventstore.projections.projection import Key, Ledger

NOTHING = Decimal(0)


@dataclass(slots=True)
class PositionRow:
    """`quantity` in base units, the rest in quote currency; `average_price` is None when flat."""

    strategy: str
    venue: str
    symbol: str
    quantity: Decimal
    average_price: Decimal | None
    realized_pnl: Decimal
    fees: Decimal
    mark: Decimal
    value: Decimal
    unrealized_pnl: Decimal
    updated_position: int
    updated_ts: int
    position_side: PositionSide
    funding: Decimal


class Positions(Ledger[PositionRow]):
    name = "positions"
    row = PositionRow
    key: ClassVar[tuple[str, ...]] = ("strategy", "venue", "symbol", "position_side")
    handles: ClassVar[EventTypes] = (PositionChanged, EquityMarked)

    def keys(self, event: Event) -> Sequence[Key]:
        if isinstance(event, PositionChanged):
            return (_key(event.strategy, event.instrument, event.position_side),)
        assert isinstance(event, EquityMarked)
        return [_key(event.strategy, position.instrument, position.position_side) for position in event.positions]

    def fold(self, rows: dict[Key, PositionRow], recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, PositionChanged):
            key = _key(event.strategy, event.instrument, event.position_side)
            rows[key] = _changed(key, event, recorded.position)
            return
        assert isinstance(event, EquityMarked)
        for position in event.positions:
            key = _key(event.strategy, position.instrument, position.position_side)
            row = rows.get(key)
            if row is None:
                row = rows[key] = _of_unknown_origin(key, position)
            row.quantity = position.quantity
            row.mark = position.mark
            row.value = position.value
            row.unrealized_pnl = position.unrealized_pnl
            row.updated_position = recorded.position
            row.updated_ts = event.ts_init


def _key(strategy: str, instrument: InstrumentId, side: PositionSide) -> Key:
    return strategy, *venue_and_symbol(instrument), side.value


def _changed(key: Key, event: PositionChanged, at: int) -> PositionRow:
    strategy, venue, symbol, _ = key
    gain = NOTHING if event.average_price is None else event.mark - event.average_price
    return PositionRow(
        strategy=strategy,
        venue=venue,
        symbol=symbol,
        quantity=event.quantity,
        average_price=event.average_price,
        realized_pnl=event.realized_pnl,
        fees=event.fees,
        mark=event.mark,
        value=event.quantity * event.mark,
        unrealized_pnl=event.quantity * gain,
        updated_position=at,
        updated_ts=event.ts_init,
        position_side=event.position_side,
        funding=event.funding,
    )


def _of_unknown_origin(key: Key, marked: MarkedPosition) -> PositionRow:
    """Begin a row at its mark: the fill that opened it is not on this tape, so its average price is unknown."""
    strategy, venue, symbol, _ = key
    return PositionRow(
        strategy=strategy,
        venue=venue,
        symbol=symbol,
        quantity=marked.quantity,
        average_price=None,
        realized_pnl=NOTHING,
        fees=NOTHING,
        mark=marked.mark,
        value=marked.value,
        unrealized_pnl=marked.unrealized_pnl,
        updated_position=0,
        updated_ts=0,
        position_side=marked.position_side,
        funding=NOTHING,
    )
