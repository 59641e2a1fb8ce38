"""The reference workload: a market of integers that any language can make, and what trading it by rule must end with.

A linear congruential generator moves the mid price by -2..+2 ticks of 0.1 a quote, ten quotes a second; bid and ask lie
one tick beside it with a size of 1. `Cross` holds 0.01 long while its fast average is above its slow one, short while
it is below. Fills are immediate, whole, at the ask or the bid; the fee is 0.04 % of the notional.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import gt, lt
from typing import NamedTuple

from contracts.market import Quote
from contracts.orders import OrderFilled, OrderIntent
from contracts.types import Side, instrument_id
from quant.indicators import Ema
from services.bars.rules import Bars
from services.bars.settings import BarsSettings, PriceSource
from services.gateway.rules import Gateway
from services.portfolio.ledger import AccountKind
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from services.router.rules import Router
from services.router.settings import RouterSettings
from tape.component import Component, on
from tape.memory import MemoryTape
from tape.span import Span
from tape.strategy import Strategy
from venues.instruments import Instrument, listing
from venues.simulated import SimulationSettings

BUY, SELL = Side.BUY, Side.SELL
"""To look a member up in its class costs more than to compare it."""
COIN = instrument_id("sim", "BTC0USDT")
LISTING = listing(
    (Instrument(COIN, "BTC", "USDT", tick=Decimal("0.1"), lot=Decimal("0.001"), min_notional=Decimal(0)),)
)
TICK = 0.1
QUANTITY = Decimal("0.010")
FEE = Decimal("0.0004")
CAPITAL = Decimal(1_000_000)
START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000
START_MID = 300_000
SEED = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Outcome:
    """What trading ended with; `pnl` is at the last mid, after fees."""

    orders: int
    position: Decimal
    fees: Decimal
    pnl: Decimal


def mids(count: int) -> Iterator[int]:
    """Give mid prices, in ticks."""
    state, mid = SEED, START_MID
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        mid += (state >> 33) % 5 - 2
        yield mid


def quotes(count: int) -> list[Quote]:
    return [
        Quote(
            ts_event=START_NS + number * STEP_NS,
            ts_init=START_NS + number * STEP_NS,
            instrument=COIN,
            bid=(mid - 1) * TICK,
            bid_size=1.0,
            ask=(mid + 1) * TICK,
            ask_size=1.0,
        )
        for number, mid in enumerate(mids(count))
    ]


def reference(count: int, fast: int, slow: int) -> Outcome:
    """Trade the workload in a plain loop."""
    averages: tuple[float, float] | None = None
    position = cash = fees = Decimal(0)
    orders = mid = 0
    for number, mid in enumerate(mids(count), start=1):
        price = mid * TICK
        before = averages or (price, price)
        averages = _averaged(before[0], price, fast), _averaged(before[1], price, slow)
        sign = (averages[0] > averages[1]) - (averages[0] < averages[1])
        change = sign * QUANTITY - position
        if number < slow or sign == 0 or change == 0:
            continue
        paid = Decimal(mid + (1 if change > 0 else -1)) / 10
        cash -= change * paid
        fees += abs(change) * paid * FEE
        position += change
        orders += 1
    return Outcome(orders, position, fees, cash + position * mid / 10 - fees)


def _averaged(before: float, price: float, period: int) -> float:
    rise = 2 / (period + 1)
    return rise * price + (1 - rise) * before


class Ahead(NamedTuple):
    """Where the averages go in a span, from one of its quotes on, and what that asks for."""

    span: Span
    begin: int
    fast: list[float]
    slow: list[float]
    ups: bytes
    """For each quote 1 if it asks for a long position."""
    downs: bytes
    """For each quote 1 if it asks for a short one."""

    def next_other(self, side: Side | None, begin: int, end: int) -> int:
        """Give the first of `quotes[begin:end]` that asks for another side; `end` if none does."""
        if side is None:
            return min(self.next_other(Side.BUY, begin, end), self.next_other(Side.SELL, begin, end))
        others = self.downs if side is BUY else self.ups
        found = others.find(1, begin - self.begin, end - self.begin)
        return end if found < 0 else found + self.begin


class Cross(Strategy):
    """Always in the market: long while the fast average of mid prices is above the slow one, short while below."""

    def __init__(self, fast: int, slow: int) -> None:
        super().__init__("cross")
        self.fast, self.slow = Ema(fast), Ema(slow)
        self.side: Side | None = None
        self._ahead: Ahead | None = None

    def quiet_to(self, span: Span, begin: int, end: int) -> int:
        """Look ahead once a span, for quotes alone decide what the averages become."""
        ahead = self._ahead
        if ahead is None or ahead.span is not span:
            ahead = self._ahead = self._look_ahead(span, begin)
        if not self.is_free(span.instrument):
            return end
        return ahead.next_other(self.side, begin, end)

    def skim(self, span: Span, begin: int, end: int) -> None:
        ahead = self._ahead
        assert ahead is not None and ahead.span is span, "skimmed without a look ahead"
        last = end - 1 - ahead.begin
        self.fast.skip_to(ahead.fast[last], end - begin)
        self.slow.skip_to(ahead.slow[last], end - begin)

    def _look_ahead(self, span: Span, begin: int) -> Ahead:
        mids = span.mids[begin:]
        fast, slow = self.fast.ahead(mids), self.slow.ahead(mids)
        cold = max(self.slow.period - 1 - self.slow.updates, 0)
        ups, downs = bytes(map(gt, fast, slow)), bytes(map(lt, fast, slow))
        return Ahead(span, begin, fast, slow, bytes(cold) + ups[cold:], bytes(cold) + downs[cold:])

    @on(Quote)
    def on_quote(self, quote: Quote) -> tuple[OrderIntent] | None:
        mid = (quote.bid + quote.ask) / 2
        fast, slow = self.fast.update(mid), self.slow.update(mid)
        side = BUY if fast > slow else SELL
        if side is self.side or fast == slow or not self.slow.warm or not self.is_free(quote.instrument):
            return None
        self.side = side
        quantity = abs(side.sign * QUANTITY - self.position(quote.instrument))
        order = self.market_order(
            quote, quote.instrument, side, quantity, reference_price=mid, reason="the averages crossed"
        )
        return (order,)


def components(fast: int, slow: int) -> list[Component]:
    """Everything that trades the workload: the gateway first, so that an order meets the quote it was decided on."""
    loose = RiskSettings(
        collar_bps=1000,
        max_order_notional=1e9,
        max_symbol_exposure=1e9,
        max_strategy_exposure=1e9,
        max_total_exposure=1e9,
    )
    return [
        Gateway(SimulationSettings(taker_fee=FEE), LISTING),
        Bars(BarsSettings(source=PriceSource.MID)),
        Cross(fast, slow),
        Risk(loose, LISTING),
        Router(RouterSettings()),
        Portfolio(PortfolioSettings(capital=CAPITAL)),
    ]


def outcome(tape: MemoryTape, wired: Sequence[Component], last_mid: int) -> Outcome:
    """Read what the books say after the tape was played."""
    (portfolio,) = (component for component in wired if isinstance(component, Portfolio))
    held = portfolio.books["cross"].positions[COIN]
    cash = portfolio.ledger.balance(AccountKind.CASH, "cross", "USDT")
    worth = held.quantity * last_mid / 10
    return Outcome(len(tape.of_type(OrderFilled)), held.quantity, held.fees, cash + worth - CAPITAL)
