"""Make events of good rows."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import repeat
from typing import TypeVar

from contracts.event import Event
from contracts.market import Bar, MarketGap, Quote, Trade
from contracts.types import GapKind, InstrumentId, Interval
from eventstore.marketdata.columns import DataKind, Role
from eventstore.marketdata.rows import Rows

E = TypeVar("E", bound=Event)


def events_of(
    kind: DataKind,
    instrument: InstrumentId,
    interval: Interval | None,
    rows: Rows,
    gaps: Sequence[tuple[int, int]],
) -> list[Event]:
    """Make an event of each row; before each of `gaps` (row, missing ns) one that tells of it."""
    events: list[Event]
    match kind:
        case DataKind.BARS:
            assert interval is not None
            events = [*_bars(instrument, interval, rows)]
        case DataKind.TRADES:
            events = [*_trades(instrument, rows)]
        case DataKind.QUOTES:
            events = [*_quotes(instrument, rows)]
    for row, missing in reversed(gaps):
        now = int(rows.known[row])
        gap = MarketGap(ts_event=now, ts_init=now, instrument=instrument, kind=GapKind.SILENCE, missing=missing)
        events.insert(row, gap)
    return events


def _quotes(instrument: InstrumentId, rows: Rows) -> list[Quote]:
    columns = {
        "ts_event": rows.happened.tolist(),
        "ts_init": rows.known.tolist(),
        "instrument": repeat(instrument),
        "bid": rows.values[Role.BID].tolist(),
        "bid_size": rows.values[Role.BID_SIZE].tolist(),
        "ask": rows.values[Role.ASK].tolist(),
        "ask_size": rows.values[Role.ASK_SIZE].tolist(),
    }
    return made(Quote, len(rows), columns)


def _trades(instrument: InstrumentId, rows: Rows) -> list[Trade]:
    """A trade without an id is named by its line."""
    lines = rows.lines.tolist()
    ids = rows.values[Role.TRADE_ID].tolist() if Role.TRADE_ID in rows.values else lines
    columns = {
        "ts_event": rows.happened.tolist(),
        "ts_init": rows.known.tolist(),
        "instrument": repeat(instrument),
        "price": rows.values[Role.PRICE].tolist(),
        "size": rows.values[Role.SIZE].tolist(),
        "aggressor": rows.values[Role.SIDE].tolist(),
        "trade_id": [str(line if name is None else name) for name, line in zip(ids, lines, strict=True)]
        if None in ids or ids is lines
        else ids,
    }
    return made(Trade, len(rows), columns)


def _bars(instrument: InstrumentId, interval: Interval, rows: Rows) -> list[Bar]:
    closes_at = (rows.known + interval.nanos).tolist()
    counts = rows.values.get(Role.TRADES)
    columns = {
        "ts_event": closes_at,
        "ts_init": closes_at,
        "instrument": repeat(instrument),
        "interval": repeat(interval),
        "ts_open": rows.known.tolist(),
        "ts_close": closes_at,
        "open": rows.values[Role.OPEN].tolist(),
        "high": rows.values[Role.HIGH].tolist(),
        "low": rows.values[Role.LOW].tolist(),
        "close": rows.values[Role.CLOSE].tolist(),
        "volume": rows.values[Role.VOLUME].tolist(),
        "trades": repeat(0) if counts is None else counts.astype("int64").tolist(),
    }
    return made(Bar, len(rows), columns)


def made(event_type: type[E], count: int, columns: Mapping[str, Iterable[object]]) -> list[E]:
    """Make events field by field: half again as fast as event by event, because no step of it is Python's."""
    assert columns.keys() == {field.name for field in fields(event_type)}
    events = list(map(object.__new__, repeat(event_type, count)))
    for name, values in columns.items():
        deque(map(getattr(event_type, name).__set__, events, values), maxlen=0)
    return events
