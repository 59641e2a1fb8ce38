"""Record a market of any length: what the simulator shows, as the exchange would have sent it."""

import gzip
import json
from pathlib import Path

from contracts.market import Quote, Trade
from contracts.types import Side, instrument_id, symbol_of
from venues.instruments import BINANCE_SPOT
from venues.market import SimulatedMarket

START_NS = 1_723_089_600 * 1_000_000_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def record(path: Path, seed: int, seconds: float, quotes_per_s: float) -> tuple[int, int]:
    """Write `seconds` of a market with `quotes_per_s` over all symbols; gives how many quotes and trades it has."""
    instruments = [BINANCE_SPOT[instrument_id("binance", symbol)] for symbol in SYMBOLS]
    market = SimulatedMarket(instruments, str(seed), START_NS, {})
    wanted = int(seconds * quotes_per_s)
    quotes = trades = 0
    with gzip.open(path, "wt", compresslevel=1) as file:
        for event in market.events(quotes_per_s / len(SYMBOLS)):
            if isinstance(event, Quote) and quotes == wanted:
                return quotes, trades
            quotes += isinstance(event, Quote)
            trades += isinstance(event, Trade)
            file.write(f"{event.ts_init} {json.dumps(_frame(event))}\n")
    raise AssertionError("a simulated market goes on for ever")


def _frame(event: Quote | Trade) -> dict[str, object]:
    symbol = symbol_of(event.instrument)
    if isinstance(event, Quote):
        sizes = {"B": _number(event.bid_size), "A": _number(event.ask_size)}
        data = {"u": 1, "s": symbol, "b": _number(event.bid), "a": _number(event.ask), **sizes}
        return {"stream": f"{symbol.lower()}@bookTicker", "data": data}
    data = {
        "e": "trade",
        "s": symbol,
        "t": int(event.trade_id),
        "p": _number(event.price),
        "q": _number(event.size),
        "T": event.ts_event // 1_000_000,
        "m": event.aggressor is Side.SELL,
    }
    return {"stream": f"{symbol.lower()}@trade", "data": data}


def _number(value: float) -> str:
    return f"{value:.8f}"
