"""Files of recorded websocket frames, made up: a market that goes up and down in waves, so that trends are there."""

import gzip
import json
import math
from collections.abc import Iterable
from pathlib import Path
from random import Random

START_NS = 1_723_089_600 * 1_000_000_000
STEP_NS = 200_000_000
QUOTES_PER_TRADE = 4
WAVE_S = 240.0
PRICES = {"BTCUSDT": 60_000.0, "ETHUSDT": 2_500.0}


def market(symbol: str, quotes: int, *, seed: int = 7) -> list[str]:
    """The lines of one symbol: `quotes` quotes, and a trade with every fourth."""
    chance = Random(f"{seed}/{symbol}")  # noqa: S311 # a market, not a secret
    lines, trades = [], 0
    for number in range(quotes):
        at = START_NS + number * STEP_NS + sorted(PRICES).index(symbol) * 1_000
        wave = 0.004 * math.sin(2 * math.pi * number * STEP_NS / 1e9 / WAVE_S)
        bid = PRICES[symbol] * (1 + wave + chance.gauss(0, 0.00002))
        lines.append(book(at, symbol, bid, bid + 0.02))
        if number % QUOTES_PER_TRADE == 0:
            trades += 1
            lines.append(trade(at, symbol, bid, trades, sold=chance.random() < 0.5))
    return lines


def book(at: int, symbol: str, bid: float, ask: float, size: str = "3.50000000") -> str:
    data = {"u": 1, "s": symbol, "b": f"{bid:.2f}", "B": size, "a": f"{ask:.2f}", "A": size}
    return _line(at, f"{symbol.lower()}@bookTicker", data)


def trade(at: int, symbol: str, price: float, number: int, *, sold: bool = False) -> str:
    data = {"e": "trade", "s": symbol, "t": number, "p": f"{price:.2f}", "q": "0.01", "T": at // 1_000_000, "m": sold}
    return _line(at, f"{symbol.lower()}@trade", data)


def write(path: Path, lines: Iterable[str]) -> Path:
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode(), compresslevel=1))
    return path


def _line(at: int, stream: str, data: dict[str, object]) -> str:
    return f"{at} {json.dumps({'stream': stream, 'data': data})}"
