"""A made-up stretch of tape, as long as wanted: market data, and orders with all that follows from them."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import count, islice
from typing import TypeVar

from contracts.books import EquityMarked, MarkedPosition, PositionChanged
from contracts.clock import ClockTick
from contracts.event import Event
from contracts.examples import AT, TERMS, examples
from contracts.market import Bar, Quote, Trade
from contracts.orders import OrderAccepted, OrderFilled, OrderInitialized, OrderIntent, OrderSubmitted, RiskApproved
from contracts.recorded import Recorded
from contracts.types import InstrumentId, instrument_id
from contracts.venue import SubmitOrder, VenueAccepted, VenueFilled

INSTRUMENTS = (instrument_id("binance", "BTCUSDT"), instrument_id("binance", "ETHUSDT"))
STEP_NANOS = 10_000_000
QUOTES_PER_ORDER = 20
QUOTES_PER_MARK = 50
CASH = Decimal("100000.10")

_EXAMPLES = examples()

E = TypeVar("E", bound=Event)


def example(event_type: type[E], **changes: object) -> E:
    """Give the example of this type with some fields changed."""
    event = replace(_EXAMPLES[event_type], **changes)  # type: ignore[arg-type]  # the caller knows the fields
    assert isinstance(event, event_type)
    return event


def recording(length: int, start: int = 1) -> list[Recorded]:
    """Give `length` events from position `start`: mostly quotes and trades, a sixth of orders, fills and books."""
    told = islice(_story(start), length)
    return [
        Recorded(start + index, None if back is None else start + index - back, f"sim/{start + index}/0", AT, event)
        for index, (event, back) in enumerate(told)
    ]


def _story(start: int) -> Iterator[tuple[Event, int | None]]:
    """Tell events, each with how many positions before it its cause lies."""
    held = dict.fromkeys(INSTRUMENTS, Decimal(0))
    for number in count(1):
        ts = AT + (start + number) * STEP_NANOS
        instrument = INSTRUMENTS[number // QUOTES_PER_ORDER % 2]
        at = {"ts_event": ts, "ts_init": ts}
        price = 61837.5 + number % 1000
        yield example(Quote, **at, instrument=instrument, bid=price, ask=price + 0.5), None
        yield example(Trade, **at, instrument=instrument, price=price, trade_id=str(number)), None
        if number % (QUOTES_PER_ORDER // 2) == 0:
            yield example(Bar, **at, instrument=instrument), 1
        if number % QUOTES_PER_ORDER == 0:
            held[instrument] += TERMS.quantity
            yield from _order(f"trend-{start}-{number}", instrument, ts, held[instrument])
        if number % QUOTES_PER_MARK == 0:
            yield example(ClockTick, **at), None
            yield _marked(held, ts, Decimal(price)), 1


def _order(client_order_id: str, instrument: InstrumentId, ts: int, held: Decimal) -> Iterator[tuple[Event, int]]:
    terms = replace(TERMS, client_order_id=client_order_id, instrument=instrument)
    at = {"ts_event": ts, "ts_init": ts}
    of = {**at, "client_order_id": client_order_id, "instrument": instrument}
    for with_list in (OrderIntent, RiskApproved):
        yield example(with_list, **at, order=terms, attached=()), 1
    for with_terms in (OrderInitialized, SubmitOrder):
        yield example(with_terms, **at, order=terms), 1
    for with_id in (OrderSubmitted, VenueAccepted, OrderAccepted):
        yield example(with_id, **of), 1
    half = terms.quantity / 2
    for leaves in (half, Decimal(0)):
        trade = {**of, "quantity": half, "trade_id": f"{client_order_id}-{leaves}"}
        yield example(VenueFilled, **trade), 1
        yield example(OrderFilled, **trade, cumulative=terms.quantity - leaves, leaves=leaves), 1
        yield example(PositionChanged, **at, instrument=instrument, quantity=held - leaves), 1


def _marked(held: dict[InstrumentId, Decimal], ts: int, mark: Decimal) -> EquityMarked:
    positions = tuple(
        MarkedPosition(
            instrument=instrument, quantity=quantity, mark=mark, value=quantity * mark, unrealized_pnl=Decimal("0.5")
        )
        for instrument, quantity in held.items()
        if quantity
    )
    equity = CASH + sum(position.value for position in positions)
    return example(EquityMarked, ts_event=ts, ts_init=ts, cash=CASH, equity=equity, positions=positions)
