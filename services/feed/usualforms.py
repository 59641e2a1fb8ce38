"""Frames in the forms that exchanges send all day, each read by one expression: ten times as fast as field by field.

What differs from them in the least, or is not sound, is left to `services.feed.parsing`, which says what it is.
"""

import re
from collections.abc import Callable
from math import inf

from contracts.market import Quote, Trade
from contracts.types import InstrumentId, Side

_RECEIVED = rb"(1[0-9]{18}) "
_WHOLE = rb"(?:0|[1-9][0-9]{0,17})"
_TIME = rb"(1[0-9]{12})"
_SYMBOL = rb'"s":"([A-Z0-9]{1,20})"'
_NUMBER = rb'"([0-9]{1,15}(?:\.[0-9]{1,15})?)"'

_QUOTE = re.compile(
    _RECEIVED
    + rb'\{"stream":"[a-z0-9]++@bookTicker","data":\{(?:"e":"bookTicker",)?"u":'
    + _WHOLE
    + b","
    + _SYMBOL
    + rb',"b":'
    + _NUMBER
    + rb',"B":'
    + _NUMBER
    + rb',"a":'
    + _NUMBER
    + rb',"A":'
    + _NUMBER
    + rb'(?:,"T":'
    + _TIME
    + rb',"E":'
    + _WHOLE
    + rb")?\}\}[\r\n]*+"
)
_TRADE = re.compile(
    _RECEIVED
    + rb'\{"stream":"[a-z0-9]++@trade","data":\{"e":"trade","E":'
    + _WHOLE
    + rb'(?:,"T":'
    + _TIME
    + rb")?,"
    + _SYMBOL
    + rb',"t":('
    + _WHOLE
    + rb'),"p":'
    + _NUMBER
    + rb',"q":'
    + _NUMBER
    + rb'(?:,"T":'
    + _TIME
    + rb'|,"X":"[A-Z_]*+"),"m":(true|false)(?:,"M":(?:true|false))?\}\}[\r\n]*+'
)
"""Spot has the time of the trade (`T`) behind the size, USD-M before the symbol."""

Usual = Callable[[bytes, int], Quote | Trade | None]


def usual_forms(known: dict[bytes, InstrumentId]) -> Usual:
    """Give what reads a line that is received at `since` (ns) or later; None: somebody else has to look at it.

    `known` holds instruments by their symbols in frames; whoever looks at the others adds those that are sound.
    """
    quote_of, trade_of, instrument_of = _QUOTE.fullmatch, _TRADE.fullmatch, known.get

    def read(line: bytes, since: int) -> Quote | Trade | None:
        found = quote_of(line)
        if found is None:
            found = trade_of(line)
            return None if found is None else _trade(found, since)
        received, symbol, bid, bid_size, ask, ask_size, happened = found.groups()
        instrument, now = instrument_of(symbol), int(received)
        if instrument is None or now < since:
            return None
        quote = Quote(
            ts_event=now if happened is None else int(happened) * 1_000_000,
            ts_init=now,
            instrument=instrument,
            bid=float(bid),
            bid_size=float(bid_size),
            ask=float(ask),
            ask_size=float(ask_size),
        )
        return quote if 0.0 < quote.bid <= quote.ask < inf else None

    def _trade(found: re.Match[bytes], since: int) -> Trade | None:
        received, before, symbol, number, price, size, behind, bought = found.groups()
        instrument, now, happened = instrument_of(symbol), int(received), behind or before
        if instrument is None or now < since or happened is None or (before and behind):
            return None
        trade = Trade(
            ts_event=int(happened) * 1_000_000,
            ts_init=now,
            instrument=instrument,
            price=float(price),
            size=float(size),
            aggressor=Side.SELL if bought == b"true" else Side.BUY,
            trade_id=number.decode(),
        )
        return trade if trade.price > 0.0 else None

    return read
