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
from contracts.event import Event
from contracts.orders import OrderFilled
from contracts.types import InstrumentId, PositionSide
from services.portfolio.books import StrategyBooks
from services.portfolio.position import Position, RoundTrip
from services.portfolio.prices import Prices

ZERO = Decimal(0)


def position_changed(
    event: Event, strategy: str, instrument: InstrumentId, side: PositionSide, position: Position, prices: Prices
) -> PositionChanged:
    return PositionChanged(
        ts_event=event.ts_event,
        ts_init=event.ts_init,
        strategy=strategy,
        instrument=instrument,
        quantity=position.quantity,
        average_price=position.average_price,
        realized_pnl=position.realized_pnl,
        fees=position.fees,
        mark=mark_of(instrument, position, prices),
        funding=position.funding,
        position_side=side,
    )


def position_closed(fill: OrderFilled, trip: RoundTrip, *, stopped: bool) -> PositionClosed:
    return PositionClosed(
        ts_event=fill.ts_event,
        ts_init=fill.ts_init,
        strategy=fill.strategy,
        instrument=fill.instrument,
        side=trip.side,
        quantity=trip.entered,
        entry_price=trip.entry_price,
        exit_price=trip.exit_price,
        realized_pnl=trip.realized_pnl,
        fees=trip.fees,
        funding=trip.funding,
        opened_at=trip.opened_at,
        closed_at=fill.ts_event,
        closed_by=fill.client_order_id,
        stopped=stopped,
    )


def equity_marked(event: Event, strategy: str, books: StrategyBooks, cash: Decimal, prices: Prices) -> EquityMarked:
    """Value what a strategy has; its peak may rise by that.

    `unrealized_pnl` is that of positions, and what foreign balances have gained since they were booked.
    """
    unrealized, equity = ZERO, cash
    positions = tuple([_marked_position(*held, prices) for held in books.held()])
    for position in positions:
        unrealized += position.unrealized_pnl
        equity += position.value
    balances = tuple(_marked_balances(books, prices)) if books.foreign else ()
    for balance in balances:
        unrealized += balance.value - books.foreign[balance.currency].cost
        equity += balance.value
    earned = books.realized_pnl + unrealized - books.fees + books.funding
    assert equity == books.capital + earned, f"the books of {strategy} do not balance"
    books.peak = max(books.peak, equity)
    return EquityMarked(
        ts_event=event.ts_event,
        ts_init=event.ts_init,
        strategy=strategy,
        currency=books.currency,
        cash=cash,
        equity=equity,
        realized_pnl=books.realized_pnl,
        unrealized_pnl=unrealized,
        fees=books.fees,
        peak=books.peak,
        positions=positions,
        balances=balances,
        funding=books.funding,
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


def mark_of(instrument: InstrumentId, position: Position, prices: Prices) -> Decimal:
    """Give the mark; before the first one, the price that was paid last."""
    mark = prices.mark(instrument)
    if mark is not None:
        return mark
    assert position.last_price is not None, f"{instrument} has no price"
    return position.last_price


def _marked_position(
    instrument: InstrumentId, side: PositionSide, position: Position, prices: Prices
) -> MarkedPosition:
    mark = mark_of(instrument, position, prices)
    value = position.quantity * mark
    return MarkedPosition(
        instrument=instrument,
        quantity=position.quantity,
        mark=mark,
        value=value,
        unrealized_pnl=value - position.cost,
        position_side=side,
    )


def _marked_balances(books: StrategyBooks, prices: Prices) -> Iterable[MarkedBalance]:
    for currency, balance in books.foreign.items():
        if balance.source is not None and balance.amount:
            rate = prices.mark(balance.source)
            assert rate is not None, f"{balance.source} had a price before"
            yield MarkedBalance(currency=currency, amount=balance.amount, rate=rate, value=balance.amount * rate)
