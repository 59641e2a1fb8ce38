"""What of our orders trades, and what is booked and said when it does."""

from collections.abc import Iterator
from decimal import Decimal

from contracts.event import Event
from contracts.market import Quote
from contracts.orders import OrderTerms
from contracts.types import InstrumentId, Liquidity
from contracts.venue import VenueFilled
from venues.instruments import Listing
from venues.simulated.account import Books
from venues.simulated.book import ZERO, Ending, Market, Working, accepts, opposite
from venues.simulated.memory import Memory
from venues.simulated.reports import ended, of
from venues.simulated.settings import SimulationSettings
from venues.simulated.settling import Settling


class Matching:
    def __init__(
        self,
        markets: dict[InstrumentId, Market],
        books: Books,
        memory: Memory,
        settling: Settling,
        listing: Listing,
        settings: SimulationSettings,
    ) -> None:
        self._markets = markets
        self._books = books
        self._memory = memory
        self._settling = settling
        self._listing = listing
        self._settings = settings

    def find(self, client_order_id: str, instrument: InstrumentId) -> Working | None:
        market = self._markets.get(instrument)
        return None if market is None else market.orders.get(client_order_id)

    def is_open(self, client_order_id: str) -> bool:
        return any(client_order_id in market.orders for market in self._markets.values())

    def available(self, market: Market, working: Working, quote: Quote) -> Decimal:
        """How much of the order the displayed side would fill at a price it accepts."""
        side, instrument = working.terms.side, self._listing[working.terms.instrument]
        price, size = opposite(instrument, side, quote)
        if not accepts(working.terms, price):
            return ZERO
        left = Decimal(repr(size)) - market.taken.get(side, ZERO)
        return instrument.quantity(max(min(left, working.leaves), ZERO))

    def fills_whole(self, market: Market, working: Working, quote: Quote) -> bool:
        price, _ = opposite(self._listing[quote.instrument], working.terms.side, quote)
        available = self.available(market, working, quote)
        return available == working.leaves == self.allowed(working.terms, price, available)

    def allowed(self, terms: OrderTerms, price: Decimal, quantity: Decimal) -> Decimal:
        """Give how much an order may trade of what it could."""
        if terms.reduce_only:
            return min(quantity, self._books.account.reducible(terms))
        return self._books.affordable(terms, price, quantity)

    def take(self, market: Market, working: Working, quote: Quote, role: Liquidity, now: Event) -> Iterator[Event]:
        quantity = self.available(market, working, quote)
        if quantity <= 0:
            return
        side, price = working.terms.side, working.terms.limit_price
        if price is None or role is Liquidity.TAKER:
            price, _ = opposite(self._listing[quote.instrument], side, quote)
            role = Liquidity.TAKER
        for report in self.fill(market, working, quantity, price, role, now):
            if isinstance(report, VenueFilled):
                market.taken[side] = market.taken.get(side, ZERO) + report.quantity
            yield report

    def fill(
        self, market: Market, working: Working, quantity: Decimal, price: Decimal, role: Liquidity, now: Event
    ) -> Iterator[Event]:
        """Trade as much of `quantity` as the order may; when it may trade no more, its rest expires."""
        terms = working.terms
        allowed = self.allowed(terms, price, quantity)
        if allowed > 0:
            yield from self._trade(market, working, allowed, price, role, now)
        if allowed < quantity:
            reason = "reduce only: nothing is left to reduce" if terms.reduce_only else "insufficient funds"
            yield self.end(working, Ending.EXPIRED, reason, now)

    def _trade(
        self, market: Market, working: Working, quantity: Decimal, price: Decimal, role: Liquidity, now: Event
    ) -> Iterator[Event]:
        terms, instrument = working.terms, self._listing[working.terms.instrument]
        working.leaves -= quantity
        assert working.leaves >= 0, f"{terms.client_order_id} is filled above its quantity"
        fill = VenueFilled(
            **of(terms, now),
            trade_id=f"{terms.client_order_id}-{len(working.fills) + 1}",
            side=terms.side,
            price=price,
            quantity=quantity,
            fee=price * quantity * self._settings.fee(instrument, role),
            currency=instrument.quote_currency,
            liquidity=role,
        )
        working.fills.append(fill)
        if working.leaves == 0:
            del market.orders[terms.client_order_id]
            self._memory.remember(terms, working.fills, Ending.FILLED)
        self._books.book(terms, fill)
        yield fill
        yield from self._settling.account_of(instrument, now)

    def end(self, working: Working, ending: Ending, reason: str, now: Event) -> Event:
        terms = working.terms
        del self._markets[terms.instrument].orders[terms.client_order_id]
        self._memory.remember(terms, working.fills, ending, reason)
        return ended(terms, ending, reason, now)
