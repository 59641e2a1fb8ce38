"""How an event lies in its table: each in exactly one, and back again without loss."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from contracts.codec import CODEC, Undecodable
from contracts.event import Event
from contracts.market import Bar, Quote, Trade
from contracts.recorded import Recorded
from contracts.types import Interval, Side
from eventstore.copying import JSONB_AS, JSONB_PREFIX, TIMESTAMP_AS, Columns, timestamp
from eventstore.instruments import instrument_of, venue_and_symbol

Row = tuple[Any, ...]

# Looking a name up here costs a fifth of asking the enum.
_SIDES = {side.value: side for side in Side}
_INTERVALS = {interval.value: interval for interval in Interval}


@dataclass(frozen=True, eq=False)
class Table:
    """Rows written in the order of `columns`; read in the order of `read_columns`, whose first one is `seq`."""

    name: str
    columns: Columns
    read_columns: tuple[str, ...]
    row_of: Callable[[Any], Row]
    recorded_of: Callable[[Row], Recorded]


_OF_MARKET = {
    "time": TIMESTAMP_AS,
    "seq": "int8",
    "ts_event": "int8",
    "ts_init": "int8",
    "cause": "int8",
    "ts_recorded": "int8",
    "msg_id": "text",
    "venue": "text",
    "symbol": "text",
}


def _market_table(
    name: str, own: Columns, row_of: Callable[[Any], Row], recorded_of: Callable[[Row], Recorded]
) -> Table:
    columns = {**_OF_MARKET, **own}
    return Table(name, columns, tuple(columns)[1:], row_of, recorded_of)


def _quote_row(recorded: Recorded) -> Row:
    quote: Any = recorded.event
    ts_init = quote.ts_init
    venue, symbol = venue_and_symbol(quote.instrument)
    return (
        timestamp(ts_init),
        recorded.position,
        quote.ts_event,
        ts_init,
        recorded.cause,
        recorded.ts_recorded,
        recorded.msg_id,
        venue,
        symbol,
        quote.bid,
        quote.bid_size,
        quote.ask,
        quote.ask_size,
    )


def _quote_of(row: Row) -> Recorded:
    seq, ts_event, ts_init, cause, ts_recorded, msg_id, venue, symbol, bid, bid_size, ask, ask_size = row
    quote = Quote(
        ts_event=ts_event,
        ts_init=ts_init,
        instrument=instrument_of(venue, symbol),
        bid=bid,
        bid_size=bid_size,
        ask=ask,
        ask_size=ask_size,
    )
    return Recorded(seq, cause, msg_id, ts_recorded, quote)


def _trade_row(recorded: Recorded) -> Row:
    trade: Any = recorded.event
    ts_init = trade.ts_init
    venue, symbol = venue_and_symbol(trade.instrument)
    return (
        timestamp(ts_init),
        recorded.position,
        trade.ts_event,
        ts_init,
        recorded.cause,
        recorded.ts_recorded,
        recorded.msg_id,
        venue,
        symbol,
        trade.price,
        trade.size,
        trade.aggressor.value,
        trade.trade_id,
    )


def _trade_of(row: Row) -> Recorded:
    seq, ts_event, ts_init, cause, ts_recorded, msg_id, venue, symbol, price, size, aggressor, trade_id = row
    trade = Trade(
        ts_event=ts_event,
        ts_init=ts_init,
        instrument=instrument_of(venue, symbol),
        price=price,
        size=size,
        aggressor=_SIDES[aggressor],
        trade_id=trade_id,
    )
    return Recorded(seq, cause, msg_id, ts_recorded, trade)


def _bar_row(recorded: Recorded) -> Row:
    bar: Any = recorded.event
    ts_init = bar.ts_init
    venue, symbol = venue_and_symbol(bar.instrument)
    return (
        timestamp(ts_init),
        recorded.position,
        bar.ts_event,
        ts_init,
        recorded.cause,
        recorded.ts_recorded,
        recorded.msg_id,
        venue,
        symbol,
        bar.interval.value,
        bar.ts_open,
        bar.ts_close,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        bar.trades,
    )


def _bar_of(row: Row) -> Recorded:
    seq, ts_event, ts_init, cause, ts_recorded, msg_id, venue, symbol, interval, ts_open, ts_close, *shape = row
    open_, high, low, close, volume, trades = shape
    bar = Bar(
        ts_event=ts_event,
        ts_init=ts_init,
        instrument=instrument_of(venue, symbol),
        interval=_INTERVALS[interval],
        ts_open=ts_open,
        ts_close=ts_close,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        trades=trades,
    )
    return Recorded(seq, cause, msg_id, ts_recorded, bar)


def _event_row(recorded: Recorded) -> Row:
    event = recorded.event
    event_type = type(event)
    return (
        recorded.position,
        timestamp(event.ts_init),
        event_type.subject_of(event),
        event_type.type_name,
        event_type.version,
        recorded.msg_id,
        recorded.cause,
        recorded.ts_recorded,
        JSONB_PREFIX + CODEC.write(event),  # what came from the tape was checked on the way in
    )


def _event_of(row: Row) -> Recorded:
    seq, subject, type_name, version, msg_id, cause, ts_recorded, payload = row
    try:
        event = CODEC.decode(_header(type_name, version), subject, payload)
    except Undecodable as error:
        raise Undecodable(f"position {seq} of the event store: {error}") from None
    return Recorded(seq, cause, msg_id, ts_recorded, event)


def _event_again_of(row: Row) -> Recorded:
    seq, type_name, version, msg_id, cause, ts_recorded, payload = row
    try:
        event = _reader(type_name, version)(payload)
    except ValueError as error:
        raise Undecodable(f"position {seq} of the event store: {error}") from None
    return Recorded(seq, cause, msg_id, ts_recorded, event)


@lru_cache(maxsize=1024)
def _reader(type_name: str, version: int) -> Callable[[bytes], Event]:
    return CODEC.reader(_header(type_name, version))


@lru_cache(maxsize=1024)
def _header(type_name: str, version: int) -> str:
    return f"{type_name}.v{version}"


EVENTS = Table(
    "events",
    {
        "seq": "int8",
        "ts": TIMESTAMP_AS,
        "subject": "text",
        "type": "text",
        "version": "int4",
        "msg_id": "text",
        "cause": "int8",
        "ts_recorded": "int8",
        "payload": JSONB_AS,
    },
    ("seq", "subject", "type", "version", "msg_id", "cause", "ts_recorded", "payload"),
    _event_row,
    _event_of,
)
QUOTES = _market_table(
    "quotes", {"bid": "float8", "bid_size": "float8", "ask": "float8", "ask_size": "float8"}, _quote_row, _quote_of
)
TRADES = _market_table(
    "trades", {"price": "float8", "size": "float8", "aggressor": "text", "trade_id": "text"}, _trade_row, _trade_of
)
BARS = _market_table(
    "bars",
    {
        "interval": "text",
        "ts_open": "int8",
        "ts_close": "int8",
        "open": "float8",
        "high": "float8",
        "low": "float8",
        "close": "float8",
        "volume": "float8",
        "trades": "int8",
    },
    _bar_row,
    _bar_of,
)
EVENTS_AGAIN = replace(
    EVENTS,
    read_columns=("seq", "type", "version", "msg_id", "cause", "ts_recorded", "payload"),
    recorded_of=_event_again_of,
)
"""The same for who reads what was checked when it was kept: without the subject, which follows from the event."""

TABLES = (EVENTS, QUOTES, TRADES, BARS)

MARKET_TABLE_OF: dict[type[Event], Table] = {Quote: QUOTES, Trade: TRADES, Bar: BARS}
"""The table of each type that has one of its own; every other type is in `events`."""
