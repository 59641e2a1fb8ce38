"""A simulated market: seeded, several symbols, known regimes, occasional jumps. The same seed gives the same market."""

import heapq
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from random import Random

from contracts.market import Quote, Trade
from contracts.types import InstrumentId, Side
from venues.instruments import Instrument

SECOND = 1_000_000_000
YEAR_S = 365 * 86_400
JUMPS_PER_HOUR = 2.0
JUMP_SIZE = 0.004
"""Standard deviation of a jump, as a share of the price."""
TRADE_SHARE = 0.3
"""How many quotes come with a trade."""
TRADED_SHARE = 0.1
"""How much of a displayed size is traded at once."""

START_PRICES = {"BTCUSDT": 60_000.0, "ETHUSDT": 2_500.0, "SOLUSDT": 150.0, "BNBUSDT": 550.0, "DOGEUSDT": 0.15}


class Regime(Enum):
    CALM = "calm"
    RISING = "rising"
    FALLING = "falling"
    WILD = "wild"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How prices move in a regime: yearly drift and volatility, spread in ticks, mean length in seconds."""

    drift: float
    volatility: float
    spread_ticks: int
    lasts_s: float


BEHAVIOUR: Mapping[Regime, Behaviour] = {
    Regime.CALM: Behaviour(drift=0.0, volatility=0.35, spread_ticks=1, lasts_s=240),
    Regime.RISING: Behaviour(drift=150.0, volatility=0.6, spread_ticks=2, lasts_s=120),
    Regime.FALLING: Behaviour(drift=-150.0, volatility=0.7, spread_ticks=2, lasts_s=120),
    Regime.WILD: Behaviour(drift=0.0, volatility=1.8, spread_ticks=5, lasts_s=60),
}


class SimulatedSymbol:
    """One symbol: a price that drifts, shakes and jumps as its hidden regime has it."""

    def __init__(self, instrument: Instrument, seed: str, start_price: float) -> None:
        self.instrument = instrument
        self.regime = Regime.CALM
        self._random = Random(seed)  # noqa: S311 # a market, not a secret
        self._log_price = math.log(start_price)
        self._trades = 0

    def step(self, now: int, dt_s: float) -> Iterator[Quote | Trade]:
        """Move on by `dt_s` and show what the exchange would."""
        spread_ticks, move = self._move(dt_s)
        quote = self._quote(now, spread_ticks)
        yield quote
        if self._random.random() < TRADE_SHARE:
            yield self._trade(quote, bought=self._random.random() < 0.5 + 0.3 * math.copysign(1.0, move))

    def traded(self, dt_s: float) -> tuple[float, float] | None:
        """Move on by `dt_s` and give price and size of what is traded then, if anything is.

        It is the same market as that of `step`, in floats and many times faster: for whoever needs no quotes.
        """
        spread_ticks, move = self._move(dt_s)
        if self._random.random() >= TRADE_SHARE:
            return None
        tick, price = float(self.instrument.tick), math.exp(self._log_price)
        bid = max(round(price / tick) * tick, tick)
        bought = self._random.random() < 0.5 + 0.3 * math.copysign(1.0, move)
        lots = TRADED_SHARE * self._random.lognormvariate(8.5, 1.0) / price // float(self.instrument.lot)
        return bid + spread_ticks * tick if bought else bid, max(lots, 1.0) * float(self.instrument.lot)

    def _move(self, dt_s: float) -> tuple[int, float]:
        """Move the price on, and now and then the regime; gives the spread in ticks, and the move (log)."""
        behaviour = BEHAVIOUR[self.regime]
        if self._random.random() < dt_s / behaviour.lasts_s:
            self.regime = self._random.choice([regime for regime in Regime if regime is not self.regime])
        dt_years = dt_s / YEAR_S
        noise = self._random.gauss(0.0, 1.0)
        move = behaviour.drift * dt_years + behaviour.volatility * math.sqrt(dt_years) * noise
        if self._random.random() < JUMPS_PER_HOUR * dt_s / 3600:
            move += self._random.gauss(0.0, JUMP_SIZE)
        self._log_price += move
        return behaviour.spread_ticks, move

    def _quote(self, now: int, spread_ticks: int) -> Quote:
        tick = self.instrument.tick
        bid = max(self.instrument.price(math.exp(self._log_price)), tick)
        return Quote(
            ts_event=now,
            ts_init=now,
            instrument=self.instrument.id,
            bid=float(bid),
            bid_size=self._size(1.0),
            ask=float(bid + spread_ticks * tick),
            ask_size=self._size(1.0),
        )

    def _trade(self, quote: Quote, *, bought: bool) -> Trade:
        self._trades += 1
        return Trade(
            ts_event=quote.ts_event,
            ts_init=quote.ts_init,
            instrument=quote.instrument,
            price=quote.ask if bought else quote.bid,
            size=self._size(TRADED_SHARE),
            aggressor=Side.BUY if bought else Side.SELL,
            trade_id=str(self._trades),
        )

    def _size(self, share: float) -> float:
        """A share of a displayed size, which is worth some thousands of USDT; in whole lots."""
        worth = share * self._random.lognormvariate(8.5, 1.0)
        quantity = self.instrument.quantity(Decimal(repr(worth / math.exp(self._log_price))))
        return float(max(quantity, self.instrument.lot))


class SimulatedMarket:
    """Several symbols, each with its own seed, their events in one order of time."""

    def __init__(
        self, instruments: list[Instrument], seed: str, start_ns: int, prices: Mapping[InstrumentId, float]
    ) -> None:
        self.start_ns = start_ns
        self.symbols = [
            SimulatedSymbol(item, f"{seed}/{item.id}", prices.get(item.id) or start_price(item)) for item in instruments
        ]

    def events(self, quotes_per_s: float) -> Iterator[Quote | Trade]:
        """Go on for ever; symbols take turns within each step of time."""
        dt_s = 1 / quotes_per_s
        turns = [(self.start_ns + int(i * SECOND * dt_s / len(self.symbols)), i) for i in range(len(self.symbols))]
        heapq.heapify(turns)
        while True:
            now, which = turns[0]
            yield from self.symbols[which].step(now, dt_s)
            heapq.heapreplace(turns, (now + int(SECOND * dt_s), which))


def start_price(instrument: Instrument) -> float:
    return START_PRICES.get(instrument.id.partition(".")[2], 100.0)
