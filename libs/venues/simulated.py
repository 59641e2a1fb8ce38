"""A simulated exchange: it matches orders against the quotes and trades that others see.

What is assumed:
- Our orders move nobody: the market data stays what it was. Displayed size that we took is gone until the next quote.
- A market order takes the displayed size of the best price and waits for the next quotes with what is left of it.
- A resting limit order fills when the other side of the quote reaches its price (up to the displayed size), or when a
  trade goes through its price (up to the traded size). A trade exactly at its price does not fill it: others queue
  before us.
- Market prices are compared as they are booked: on the tick. A float just beside a limit is at the limit.
- A command takes effect `latency` after it came, on the time of market events: its own may be of another clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypedDict

from pydantic import BaseModel, ConfigDict, Field

from contracts.event import Event
from contracts.market import Quote, Trade
from contracts.orders import OrderTerms
from contracts.types import InstrumentId, Liquidity, Side, TimeInForce
from contracts.venue import (
    CancelOrder,
    SubmitOrder,
    VenueAccepted,
    VenueCanceled,
    VenueCancelRejected,
    VenueExpired,
    VenueFilled,
    VenueRejected,
)
from venues.instruments import Instrument, Listing


class SimulationSettings(BaseModel):
    """How the simulated exchange treats us."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_ms: float = Field(default=0.0, ge=0, le=60_000, description="from a command to its effect, in event time")
    maker_fee: Decimal = Field(default=Decimal("0.001"), ge=-1, le=1, description="share of notional")
    taker_fee: Decimal = Field(default=Decimal("0.001"), ge=-1, le=1, description="share of notional")


REMEMBERED_ORDERS = 10_000
"""How many orders are remembered against a repetition, beyond those that are open."""


@dataclass(slots=True)
class Working:
    """An order the exchange holds."""

    terms: OrderTerms
    leaves: Decimal
    fills: int = 0


@dataclass(slots=True)
class Market:
    """What is shown for one instrument, what we took of it, and our orders there in time priority."""

    quote: Quote | None = None
    trade: Trade | None = None
    taken: dict[Side, Decimal] = field(default_factory=dict)
    orders: dict[str, Working] = field(default_factory=dict)


@dataclass(slots=True)
class ExchangeState:
    """What the exchange knows: its markets, commands with the time they take effect, ids of orders (oldest first)."""

    markets: dict[InstrumentId, Market]
    in_flight: list[tuple[int, SubmitOrder | CancelOrder]]
    known: dict[str, None]


class _Report(TypedDict):
    """What every report says."""

    client_order_id: str
    instrument: InstrumentId
    ts_event: int
    ts_init: int


class SimulatedExchange:
    """Deterministic matching for a listing: the same events and commands in the same order give the same reports."""

    def __init__(self, listing: Listing, settings: SimulationSettings) -> None:
        self.settings = settings
        self._listing = listing
        self._markets = {name: Market() for name in listing}
        self._latency_ns = int(settings.latency_ms * 1_000_000)
        self._in_flight: list[tuple[int, SubmitOrder | CancelOrder]] = []
        self._known: dict[str, None] = {}

    def state(self) -> ExchangeState:
        return ExchangeState(self._markets, self._in_flight, self._known)

    def restore(self, state: ExchangeState) -> None:
        """Go on from `state`; what is not listed any more is gone, with our orders there."""
        self._markets = {name: state.markets.get(name, Market()) for name in self._listing}
        self._in_flight = state.in_flight
        self._known = state.known

    def on_quote(self, quote: Quote) -> Iterator[Event] | None:
        """Show a quote; None when it concerns no order of ours."""
        market = self._markets.get(quote.instrument)
        if market is None:
            return self._land(quote) if self._in_flight else None
        market.quote = quote
        if market.taken:
            market.taken.clear()
        if market.orders or self._in_flight:
            return self._match_quote(market, quote)
        return None

    def on_trade(self, trade: Trade) -> Iterator[Event] | None:
        """Show a trade between others; None when it concerns no order of ours."""
        market = self._markets.get(trade.instrument)
        if market is not None:
            market.trade = trade
        if self._in_flight or (market is not None and market.orders):
            return self._match_trade(market, trade)
        return None

    def command(self, command: SubmitOrder | CancelOrder) -> Iterator[Event] | None:
        """Take a command: at once, or when event time has come `latency` further; none overtakes another."""
        if self._latency_ns == 0 and not self._in_flight:
            return self._execute(command, command)
        self._in_flight.append((self._event_time(command) + self._latency_ns, command))
        return None

    def _event_time(self, command: Event) -> int:
        shown = [event for market in self._markets.values() for event in (market.quote, market.trade)]
        return max((event.ts_init for event in shown if event is not None), default=command.ts_init)

    def _land(self, now: Event) -> Iterator[Event]:
        while self._in_flight and self._in_flight[0][0] <= now.ts_init:
            _, command = self._in_flight.pop(0)
            yield from self._execute(command, now)

    def _match_quote(self, market: Market, quote: Quote) -> Iterator[Event]:
        yield from self._land(quote)
        for working in list(market.orders.values()):
            yield from self._take(market, working, quote, Liquidity.MAKER)

    def _match_trade(self, market: Market | None, trade: Trade) -> Iterator[Event]:
        yield from self._land(trade)
        if market is None:
            return
        instrument = self._listing[trade.instrument]
        price, traded = instrument.price(trade.price), Decimal(repr(trade.size))
        for working in list(market.orders.values()):
            limit = working.terms.limit_price
            if limit is None or traded <= 0:
                continue
            through = price < limit if working.terms.side is Side.BUY else price > limit
            quantity = instrument.quantity(min(working.leaves, traded))
            if through and quantity > 0:
                traded -= quantity
                yield self._fill(market, working, quantity, limit, Liquidity.MAKER, trade)

    def _execute(self, command: SubmitOrder | CancelOrder, now: Event) -> Iterator[Event]:
        return self._cancel(command, now) if isinstance(command, CancelOrder) else self._submit(command.order, now)

    def _submit(self, terms: OrderTerms, now: Event) -> Iterator[Event]:
        market = self._markets.get(terms.instrument)
        if terms.client_order_id in self._known or (market and terms.client_order_id in market.orders):
            return
        self._remember(terms.client_order_id)
        at = _report(terms, now)
        if market is None:
            yield VenueRejected(**at, reason=f"{terms.instrument} is not listed here")
            return
        if problem := _refusal(terms, self._listing[terms.instrument], market.quote):
            yield VenueRejected(**at, reason=problem)
            return
        assert market.quote is not None
        working = Working(terms, terms.quantity)
        market.orders[terms.client_order_id] = working
        yield VenueAccepted(**at, venue_order_id=f"sim-{terms.client_order_id}")
        if terms.time_in_force is TimeInForce.FOK and self._available(market, working, market.quote) < working.leaves:
            del market.orders[terms.client_order_id]
            yield VenueExpired(**at, reason="fill or kill: not enough displayed")
            return
        yield from self._take(market, working, market.quote, Liquidity.TAKER, now)
        if terms.time_in_force is TimeInForce.IOC and working.leaves > 0:
            del market.orders[terms.client_order_id]
            yield VenueExpired(**at, reason="immediate or cancel: the rest was not displayed")

    def _cancel(self, command: CancelOrder, now: Event) -> Iterator[Event]:
        at = _report(command, now)
        market = self._markets.get(command.instrument)
        if market is None or market.orders.pop(command.client_order_id, None) is None:
            yield VenueCancelRejected(**at, reason="no such open order")
        else:
            yield VenueCanceled(**at, reason="canceled on request")

    def _remember(self, client_order_id: str) -> None:
        self._known[client_order_id] = None
        if len(self._known) > REMEMBERED_ORDERS:
            del self._known[next(iter(self._known))]

    def _available(self, market: Market, working: Working, quote: Quote) -> Decimal:
        """How much of the order the displayed side would fill at a price it accepts."""
        side, limit = working.terms.side, working.terms.limit_price
        instrument = self._listing[working.terms.instrument]
        price, size = _opposite(instrument, side, quote)
        if limit is not None and (price > limit if side is Side.BUY else price < limit):
            return Decimal(0)
        left = Decimal(repr(size)) - market.taken.get(side, Decimal(0))
        return instrument.quantity(max(min(left, working.leaves), Decimal(0)))

    def _take(
        self, market: Market, working: Working, quote: Quote, role: Liquidity, now: Event | None = None
    ) -> Iterator[Event]:
        quantity = self._available(market, working, quote)
        if quantity <= 0:
            return
        side, limit = working.terms.side, working.terms.limit_price
        market.taken[side] = market.taken.get(side, Decimal(0)) + quantity
        if limit is not None and role is Liquidity.MAKER:
            yield self._fill(market, working, quantity, limit, Liquidity.MAKER, now or quote)
            return
        price, _ = _opposite(self._listing[quote.instrument], side, quote)
        yield self._fill(market, working, quantity, price, Liquidity.TAKER, now or quote)

    def _fill(
        self, market: Market, working: Working, quantity: Decimal, price: Decimal, role: Liquidity, now: Event
    ) -> VenueFilled:
        terms = working.terms
        working.leaves -= quantity
        working.fills += 1
        assert working.leaves >= 0, f"{terms.client_order_id} is filled above its quantity"
        if working.leaves == 0:
            del market.orders[terms.client_order_id]
        rate = self.settings.maker_fee if role is Liquidity.MAKER else self.settings.taker_fee
        return VenueFilled(
            **_report(terms, now),
            trade_id=f"{terms.client_order_id}-{working.fills}",
            side=terms.side,
            price=price,
            quantity=quantity,
            fee=price * quantity * rate,
            currency=self._listing[terms.instrument].quote_currency,
            liquidity=role,
        )


def _opposite(instrument: Instrument, side: Side, quote: Quote) -> tuple[Decimal, float]:
    """Price and displayed size that an order of `side` meets."""
    price, size = (quote.ask, quote.ask_size) if side is Side.BUY else (quote.bid, quote.bid_size)
    return instrument.price(price), size


def _refusal(terms: OrderTerms, instrument: Instrument, quote: Quote | None) -> str | None:
    if quote is None:
        return f"{terms.instrument} has no quote yet"
    if not instrument.is_quantity(terms.quantity):
        return f"quantity {terms.quantity} is not a multiple of the lot {instrument.lot}"
    if terms.limit_price is not None and not instrument.is_price(terms.limit_price):
        return f"limit_price {terms.limit_price} is not a multiple of the tick {instrument.tick}"
    return None


def _report(order: OrderTerms | CancelOrder, now: Event) -> _Report:
    return _Report(
        client_order_id=order.client_order_id, instrument=order.instrument, ts_event=now.ts_init, ts_init=now.ts_init
    )
