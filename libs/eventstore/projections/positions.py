"""positions: what each strategy holds, at its last fill and its last mark.

After each EquityMarked of a strategy, quantity x mark over its rows plus that event's cash is its equity, exactly.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar, NamedTuple

from contracts.books import EquityMarked, MarkedPosition, PositionChanged
from contracts.event import Event
from contracts.ownership import EventTypes
from contracts.recorded import Recorded
from contracts.types import InstrumentId
from eventstore.instruments import venue_and_symbol
from eventstore.projections.projection import EXACT, Key, Ledger

NOTHING = Decimal(0)


class PositionRow(NamedTuple):
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


class Positions(Ledger[PositionRow]):
    name = "positions"
    row = PositionRow
    key: ClassVar[tuple[str, ...]] = ("strategy", "venue", "symbol")
    handles: ClassVar[EventTypes] = (PositionChanged, EquityMarked)

    def keys(self, event: Event) -> Sequence[Key]:
        if isinstance(event, PositionChanged):
            return (_key(event.strategy, event.instrument),)
        assert isinstance(event, EquityMarked)
        return [_key(event.strategy, position.instrument) for position in event.positions]

    def fold(self, rows: Mapping[Key, PositionRow], recorded: Recorded) -> Mapping[Key, PositionRow]:
        event = recorded.event
        if isinstance(event, PositionChanged):
            key = _key(event.strategy, event.instrument)
            return {key: _changed(key, event, recorded.position)}
        assert isinstance(event, EquityMarked)
        after = {}
        for position in event.positions:
            key = _key(event.strategy, position.instrument)
            after[key] = _marked(key, rows.get(key), position, event.ts_init, recorded.position)
        return after


def _key(strategy: str, instrument: InstrumentId) -> Key:
    return strategy, *venue_and_symbol(instrument)


def _changed(key: Key, event: PositionChanged, at: int) -> PositionRow:
    strategy, venue, symbol = key
    gain = NOTHING if event.average_price is None else EXACT.subtract(event.mark, event.average_price)
    return PositionRow(
        strategy=strategy,
        venue=venue,
        symbol=symbol,
        quantity=event.quantity,
        average_price=event.average_price,
        realized_pnl=event.realized_pnl,
        fees=event.fees,
        mark=event.mark,
        value=EXACT.multiply(event.quantity, event.mark),
        unrealized_pnl=EXACT.multiply(event.quantity, gain),
        updated_position=at,
        updated_ts=event.ts_init,
    )


def _marked(key: Key, row: PositionRow | None, marked: MarkedPosition, ts: int, at: int) -> PositionRow:
    if row is None:
        # The fill that opened it is not on this tape; its average price is then unknown.
        strategy, venue, symbol = key
        row = PositionRow(
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
            updated_position=at,
            updated_ts=ts,
        )
    return row._replace(
        quantity=marked.quantity,
        mark=marked.mark,
        value=marked.value,
        unrealized_pnl=marked.unrealized_pnl,
        updated_position=at,
        updated_ts=ts,
    )
