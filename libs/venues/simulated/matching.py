"""What of our orders trades, and what is booked and said when it does."""

from collections.abc import Iterable
from decimal import Decimal

from contracts.event import Event
from contracts.market import Quote
from contracts.orders import OrderTerms
from contracts.types import InstrumentId, Liquidity
from contracts.venue import VenueFilled
from venues.instruments import Listing
from venues.simulated.account import Books
from venues.simulated.book import ZERO, Ending, Market, Working, accepts, opposite
from venues.simulated.borrow import Lending
from venues.simulated.memory import Memory
from venues.simulated.reports import ended, of
from venues.simulated.settling import Settling
from venues.simulated.taking import Taking
from venues.simulated.tiers import Fees


class Matching:
    def __init__(
        self,
        markets: dict[InstrumentId, Market],
        books: Books,
        memory: Memory,
        settling: Settling,
        fees: Fees,
        taking: Taking,
        lending: Lending,
        listing: Listing,
    ) -> None:
        self._markets = markets
        self._books = books
        self._memory = memory
        self._settling = settling
        self._fees = fees
        self._taking = taking
        self._lending = lending
        self._listing = listing

    def find(self, client_order_id: str, instrument: InstrumentId) -> Working | None:
        market = self._markets.get(instrument)
        return None if market is None else market.orders.get(client_order_id)

    def is_open(self, client_order_id: str) -> bool:
        return any(client_order_id in market.orders for market in self._markets.values())

    def offered(self, market: Market, working: Working, quote: Quote) -> tuple[Decimal, Decimal]:
        """Give the price that the order meets, and how much of it the displayed side would fill there if it accepts."""
        terms, instrument = working.terms, self._listing[working.terms.instrument]
        price, size = opposite(instrument, terms.side, quote)
        if not accepts(terms, price):
            return price, ZERO
        left = Decimal(repr(size))
        if market.taken:
            left -= market.taken.get(terms.side, ZERO)
        return price, instrument.quantity(max(min(left, working.leaves), ZERO))

    def fills_whole(self, market: Market, working: Working, quote: Quote) -> bool:
        price, available = self.offered(market, working, quote)
        if not self._taking.is_free:
            price = self._taking.price(market, working.terms, price)
        return available == working.leaves == self.allowed(working.terms, price, available)

    def allowed(self, terms: OrderTerms, price: Decimal, quantity: Decimal) -> Decimal:
        """Give how much an order may trade of what it could."""
        if terms.reduce_only:
            return min(quantity, self._books.account.reducible(terms))
        return self._books.affordable(terms, price, quantity)

    def take(self, market: Market, working: Working, quote: Quote, role: Liquidity, now: Event) -> Iterable[Event]:
        met, quantity = self.offered(market, working, quote)
        if quantity <= 0:
            return ()
        side, price = working.terms.side, working.terms.limit_price
        if price is None or role is Liquidity.TAKER:
            price, role = met, Liquidity.TAKER
            if not self._taking.is_free:
                price = self._taking.price(market, working.terms, met)
        reports = self.fill(market, working, quantity, price, role, now)
        for report in reports:
            if isinstance(report, VenueFilled):
                market.taken[side] = market.taken.get(side, ZERO) + report.quantity
        return reports

    def fill(
        self, market: Market, working: Working, quantity: Decimal, price: Decimal, role: Liquidity, now: Event
    ) -> list[Event]:
        """Trade as much of `quantity` as the order may; when it may trade no more, its rest expires."""
        terms = working.terms
        allowed = self.allowed(terms, price, quantity)
        reports = self._trade(market, working, allowed, price, role, now) if allowed > 0 else []
        if allowed < quantity:
            reason = "reduce only: nothing is left to reduce" if terms.reduce_only else "insufficient funds"
            reports.append(self.end(working, Ending.EXPIRED, reason, now))
        return reports

    def _trade(
        self, market: Market, working: Working, quantity: Decimal, price: Decimal, role: Liquidity, now: Event
    ) -> list[Event]:
        terms, instrument = working.terms, self._listing[working.terms.instrument]
        working.leaves -= quantity
        assert working.leaves >= 0, f"{terms.client_order_id} is filled above its quantity"
        fill = VenueFilled(
            **of(terms, now),
            trade_id=f"{terms.client_order_id}-{len(working.fills) + 1}",
            side=terms.side,
            price=price,
            quantity=quantity,
            fee=price * quantity * self._fees.share(instrument, role, now.ts_init),
            currency=instrument.quote_currency,
            liquidity=role,
        )
        working.fills.append(fill)
        if working.leaves == 0:
            del market.orders[terms.client_order_id]
            self._memory.remember(terms, working.fills, Ending.FILLED)
        self._books.book(terms, fill)
        self._fees.count(instrument, price * quantity, now.ts_init)
        self._lending.traded(terms, fill)
        return [fill, *self._settling.account_of(instrument, now)]

    def end(self, working: Working, ending: Ending, reason: str, now: Event) -> Event:
        terms = working.terms
        del self._markets[terms.instrument].orders[terms.client_order_id]
        self._memory.remember(terms, working.fills, ending, reason)
        return ended(terms, ending, reason, now)
