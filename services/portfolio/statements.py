"""What the books say on the tape: of a position, of a trade that ended, of a strategy, and of all together."""

from collections.abc import Iterable
from decimal import Decimal

from contracts.books import (
    EquityMarked,
    MarkedBalance,
    MarkedPosition,
    PortfolioMarked,
    PositionChanged,
    PositionClosed,
)
from contracts.event import Event, maker
from contracts.orders import OrderFilled
from contracts.types import InstrumentId, PositionSide
from services.portfolio.books import StrategyBooks
from services.portfolio.desk import Desk
from services.portfolio.position import Position, RoundTrip, average
from services.portfolio.prices import Prices

ZERO = Decimal(0)


_changed, _closed, _marked = maker(PositionChanged), maker(PositionClosed), maker(EquityMarked)
_position = maker(MarkedPosition)


def position_changed(
    event: Event, strategy: str, instrument: InstrumentId, side: PositionSide, position: Position, mark: Decimal | None
) -> PositionChanged:
    """Tell a position; before the first mark, at the price that was paid last."""
    if mark is None:
        mark = position.last_price
        assert mark is not None, f"{instrument} has no price"
    return _changed(
        ts_event=event.ts_event,
        ts_init=event.ts_init,
        strategy=strategy,
        instrument=instrument,
        quantity=position.quantity,
        average_price=position.average_price,
        realized_pnl=position.realized_pnl,
        fees=position.fees,
        mark=mark,
        funding=position.funding,
        position_side=side,
    )


def position_closed(fill: OrderFilled, trip: RoundTrip, *, stopped: bool) -> PositionClosed:
    """Tell a trade that has ended: as much was left as was entered."""
    entered = trip.entered
    return _closed(
        ts_event=fill.ts_event,
        ts_init=fill.ts_init,
        strategy=fill.strategy,
        instrument=fill.instrument,
        side=trip.side,
        quantity=entered,
        entry_price=average(trip.entered_value, entered),
        exit_price=average(trip.exited_value, entered),
        realized_pnl=trip.realized_pnl,
        fees=trip.fees,
        funding=trip.funding,
        opened_at=trip.opened_at,
        closed_at=fill.ts_event,
        closed_by=fill.client_order_id,
        stopped=stopped,
    )


def equity_marked(
    event: Event, desk: Desk, prices: Prices, known: InstrumentId | None = None, known_mark: Decimal | None = None
) -> EquityMarked:
    """Value what a strategy has; its peak may rise by that. The mark of one instrument may be known already.

    `unrealized_pnl` is that of positions, and what foreign balances have gained since they were booked.
    """
    books, cash = desk.books, desk.cash.amount
    unrealized, equity = ZERO, cash
    positions: list[MarkedPosition] = []
    for side, of_side in books.sides():
        for instrument, position in of_side.items():
            quantity = position.quantity
            if not quantity:
                continue
            mark = known_mark if instrument == known else prices.mark(instrument)
            if mark is None:
                mark = position.last_price
                assert mark is not None, f"{instrument} has no price"
            value = quantity * mark
            gained = value - position.cost
            unrealized += gained
            equity += value
            positions.append(
                _position(
                    instrument=instrument,
                    quantity=quantity,
                    mark=mark,
                    value=value,
                    unrealized_pnl=gained,
                    position_side=side,
                )
            )
    balances = tuple(_marked_balances(books, prices)) if books.foreign else ()
    for balance in balances:
        unrealized += balance.value - books.foreign[balance.currency].cost
        equity += balance.value
    realized, fees, funding = books.realized_pnl, books.fees, books.funding
    earned = realized + unrealized - fees + funding
    assert equity == books.capital + earned, f"the books of {desk.strategy} do not balance"
    peak = books.peak
    if equity > peak:
        peak = books.peak = equity
    return _marked(
        ts_event=event.ts_event,
        ts_init=event.ts_init,
        strategy=desk.strategy,
        currency=books.currency,
        cash=cash,
        equity=equity,
        realized_pnl=realized,
        unrealized_pnl=unrealized,
        fees=fees,
        peak=peak,
        positions=tuple(positions),
        balances=balances,
        funding=funding,
    )


def portfolio_marked(event: Event, currency: str, marks: Iterable[EquityMarked], peak: Decimal) -> PortfolioMarked:
    """Add up all strategies; `peak` is the highest equity before."""
    equity = gross = net = realized = unrealized = fees = funding = ZERO
    for marked in marks:
        equity += marked.equity
        realized += marked.realized_pnl
        unrealized += marked.unrealized_pnl
        fees += marked.fees
        funding += marked.funding
        for position in marked.positions:
            gross += abs(position.value)
            net += position.value
    return PortfolioMarked(
        ts_event=event.ts_event,
        ts_init=event.ts_init,
        currency=currency,
        equity=equity,
        peak=max(peak, equity),
        gross=gross,
        net=net,
        realized_pnl=realized,
        unrealized_pnl=unrealized,
        fees=fees,
        funding=funding,
    )


def _marked_balances(books: StrategyBooks, prices: Prices) -> Iterable[MarkedBalance]:
    for currency, balance in books.foreign.items():
        if balance.source is not None and balance.amount:
            rate = prices.mark(balance.source)
            assert rate is not None, f"{balance.source} had a price before"
            yield MarkedBalance(currency=currency, amount=balance.amount, rate=rate, value=balance.amount * rate)
