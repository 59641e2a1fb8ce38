"""What of our orders trades, and what is booked and said when it does."""

from collections.abc import Iterable
from decimal import Decimal

from contracts.event import Event, maker
from contracts.market import Quote
from contracts.orders import OrderTerms
from contracts.types import InstrumentId, Liquidity
from contracts.venue import VenueFilled
from venues.instruments import Listing
from venues.simulated.account import Books
from venues.simulated.book import ZERO, Ending, Market, Working, accepts, opposite
from venues.simulated.borrow import Lending
from venues.simulated.memory import Memory
from venues.simulated.reports import ended
from venues.simulated.settling import Settling
from venues.simulated.taking import Taking
from venues.simulated.tiers import Fees

_TAKER, _FILLED = Liquidity.TAKER, Ending.FILLED
_venue_filled = maker(VenueFilled)


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
        self._open = {name for market in markets.values() for name in market.orders}

    def find(self, client_order_id: str, instrument: InstrumentId) -> Working | None:
        market = self._markets.get(instrument)
        return None if market is None else market.orders.get(client_order_id)

    def is_open(self, client_order_id: str) -> bool:
        return client_order_id in self._open

    def place(self, market: Market, working: Working) -> None:
        """Let an order stand behind our others."""
        name = working.terms.client_order_id
        market.orders[name] = working
        self._open.add(name)

    def _remove(self, market: Market, working: Working) -> None:
        name = working.terms.client_order_id
        del market.orders[name]
        self._open.remove(name)

    def offered(self, market: Market, working: Working, quote: Quote) -> tuple[Decimal, Decimal]:
        """Give the price that the order meets, and how much of it the displayed side would fill there if it accepts."""
        terms, instrument = working.terms, self._listing[working.terms.instrument]
        price, size = opposite(instrument, terms.side, quote)
        if terms.limit_price is not None and not accepts(terms, price):
            return price, ZERO
        leaves = working.leaves
        if not market.taken and float(leaves) < size:  # so it is below the decimal, too, that the size is written as
            return price, instrument.quantity(leaves)
        left = Decimal(repr(size)) - market.taken.get(terms.side, ZERO)
        return price, instrument.quantity(max(min(left, leaves), ZERO))

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
        if not quantity:
            return ()
        side, price = working.terms.side, working.terms.limit_price
        if price is None or role is _TAKER:
            price, role = met, _TAKER
            if not self._taking.is_free:
                price = self._taking.price(market, working.terms, met)
        reports = self.fill(market, working, quantity, price, role, now)
        first = reports[0]
        if isinstance(first, VenueFilled):
            market.taken[side] = market.taken.get(side, ZERO) + first.quantity
        return reports

    def fill(
        self, market: Market, working: Working, quantity: Decimal, price: Decimal, role: Liquidity, now: Event
    ) -> list[Event]:
        """Trade as much of `quantity` as the order may, first of all; when it may trade no more, its rest expires."""
        terms = working.terms
        if self._books.is_unlimited and not terms.reduce_only:
            return self._trade(market, working, quantity, price, role, now)
        allowed = self.allowed(terms, price, quantity)
        reports = self._trade(market, working, allowed, price, role, now) if allowed > 0 else []
        if allowed < quantity:
            reason = "reduce only: nothing is left to reduce" if terms.reduce_only else "insufficient funds"
            reports.append(self.end(working, Ending.EXPIRED, reason, now))
        return reports

    def _trade(
        self, market: Market, working: Working, quantity: Decimal, price: Decimal, role: Liquidity, now: Event
    ) -> list[Event]:
        terms, fills, at = working.terms, working.fills, now.ts_init
        left = working.leaves - quantity
        assert left >= 0, f"{terms.client_order_id} is filled above its quantity"
        instrument, notional = self._listing[terms.instrument], price * quantity
        fill = _venue_filled(
            ts_event=at,
            ts_init=at,
            client_order_id=terms.client_order_id,
            instrument=terms.instrument,
            trade_id=f"{terms.client_order_id}-{len(fills) + 1}",
            side=terms.side,
            price=price,
            quantity=quantity,
            fee=notional * self._fees.share(instrument, role, at),
            currency=instrument.quote_currency,
            liquidity=role,
        )
        fills.append(fill)
        working.leaves = left
        if not left:
            self._remove(market, working)
            self._memory.remember(terms, fills, _FILLED)
        self._books.book(terms, fill)
        if self._fees.are_in_tiers:
            self._fees.count(instrument, notional, at)
        if not self._lending.is_free:
            self._lending.traded(terms, fill)
        return [fill, *self._settling.account_of(instrument, now)]

    def end(self, working: Working, ending: Ending, reason: str, now: Event) -> Event:
        terms = working.terms
        self._remove(self._markets[terms.instrument], working)
        self._memory.remember(terms, working.fills, ending, reason)
        return ended(terms, ending, reason, now)
