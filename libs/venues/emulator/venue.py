"""The matching of one board: orders against the displayed book and the trades of others.

What is assumed:
- Orders of the account meet others only, never each other, and are not displayed.
- A taking order walks the displayed levels; what it took is gone until the next quote. The rest of a market order
  expires, as the exchange does it.
- A resting order trades at its own price: when a quote crosses it (up to the size displayed there), when a trade goes
  through its price, or when trades at its price have consumed what was displayed there before it came.
- Each execution of the account is a public trade too.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Generic, TypeVar

from venues.emulator.account import Account
from venues.emulator.checks import check_post_only, check_terms, listed, require_book, trigger_of
from venues.emulator.listener import Listener
from venues.emulator.market import Market
from venues.emulator.orders import ZERO, Order, Ticket
from venues.emulator.refusals import duplicate, insufficient, unknown_order
from venues.emulator.settings import EmulatorSettings
from venues.emulator.spot_account import SpotAccount
from venues.emulator.words import (
    CONDITIONAL_ON_SPOT,
    LIMITED_ON_SPOT,
    Board,
    Execution,
    Kind,
    Side,
    Status,
    TimeInForce,
)

Portion = Callable[[Order, Decimal], Decimal]
"""How much of an execution is allowed to happen: a script may force partial fills."""


def whole(order: Order, quantity: Decimal) -> Decimal:  # noqa: ARG001
    return quantity


A_co = TypeVar("A_co", bound=Account, covariant=True)


class Venue(Generic[A_co]):
    """Orders, markets and the account of one board."""

    def __init__(
        self,
        board: Board,
        settings: EmulatorSettings,
        markets: dict[str, Market],
        account: A_co,
        listener: Listener,
    ) -> None:
        self.board = board
        self.settings = settings
        self.markets = markets
        self.account = account
        self.listener = listener
        self.portion: Portion = whole
        self.orders: dict[int, Order] = {}
        self.open: dict[int, Order] = {}
        self.created: Counter[str] = Counter()
        self._by_client: dict[str, list[Order]] = {}
        self._next_order = 1
        self._next_fill = 1

    def market(self, symbol: str) -> Market:
        """Find a symbol or refuse."""
        return listed(self.markets, symbol)

    def place(self, ticket: Ticket, now: int) -> Order:
        """Take an order or refuse it."""
        market = self.market(ticket.pair.symbol)
        self.check(ticket, market)
        return self.enter(ticket, market, now)

    def check(self, ticket: Ticket, market: Market) -> None:
        """Refuse what rules forbid, whatever the account holds."""
        check_terms(ticket, market, priced=self.is_priced(ticket.kind))
        if self.find_open(ticket.client_id) is not None:
            raise duplicate(self.board)
        check_post_only(ticket, market)
        require_book(market, ticket)

    def is_priced(self, kind: Kind) -> bool:
        raise NotImplementedError

    def enter(self, ticket: Ticket, market: Market, now: int) -> Order:
        """Make the order, set aside what it needs and let it trade."""
        order = Order(self._next_order, ticket, ticket.quantity, self._limit(ticket), now, now)
        cost: Decimal | None = None
        if self.is_conditional(ticket.kind):
            order.trigger = trigger_of(ticket, market, market.last)
        elif ticket.kind is Kind.MARKET:
            if ticket.quote_quantity is not None:
                order.quantity = self._bought_with(ticket, market, ticket.quote_quantity)
            cost = self._cost(order, market)
        self.account.admit(order, cost, now)
        self._next_order += 1
        self.orders[order.id] = self.open[order.id] = order
        self._by_client.setdefault(ticket.client_id, []).append(order)
        self.created[ticket.client_id] += 1
        self.listener.ordered(order, Execution.NEW, None, now)
        if order.is_working:
            self._start(order, market, now)
        return order

    def is_conditional(self, kind: Kind) -> bool:
        raise NotImplementedError

    def cancel(self, order: Order, now: int, by: str = "") -> None:
        """Cancel an open order or refuse."""
        if order.id not in self.open:
            raise unknown_order()
        order.canceled_by = by
        self._end(order, Status.CANCELED, Execution.CANCELED, now)

    def find(self, symbol: str, order_id: int | None, client_id: str | None) -> Order | None:
        """Find an order by either id; of several with one client id, the latest."""
        if order_id is not None:
            order = self.orders.get(order_id)
        else:
            order = next(reversed(self._by_client.get(client_id or "", [])), None)
        return order if order is not None and order.pair.symbol == symbol else None

    def find_open(self, client_id: str) -> Order | None:
        return next((order for order in self._by_client.get(client_id, ()) if order.status.is_open), None)

    def of(self, symbol: str) -> list[Order]:
        """Give every order of a symbol, oldest first."""
        return [order for order in self.orders.values() if order.pair.symbol == symbol]

    def show(self, symbol: str, bids: dict[Decimal, Decimal], asks: dict[Decimal, Decimal], now: int) -> None:
        """Show a book of others; let resting orders meet it."""
        market = self.market(symbol)
        update = market.book.show(bids, asks)
        if update is not None:
            self.listener.quoted(market, update, now)
        self._trigger(market, now)
        for order in self._resting(symbol):
            self._meet(order, market, now)

    def trade(self, symbol: str, price: Decimal, size: Decimal, aggressor: Side, now: int) -> None:
        """Show a trade between others; let resting orders have their part of it."""
        market = self.market(symbol)
        self.listener.printed(market, market.print(price, size, aggressor, now))
        for order in self._resting(symbol):
            if size <= 0:
                break
            size -= self._join(order, market, price, size, now)
        self._trigger(market, now)

    def _join(self, order: Order, market: Market, price: Decimal, size: Decimal, now: int) -> Decimal:
        """Let a resting order take part in a trade; give how much of the trade is used up."""
        if order.price is None or not order.accepts(price):
            return ZERO
        used = ZERO
        if price == order.price:
            used = min(order.ahead, size)
            order.ahead -= used
        quantity = self._affordable(order, order.price, min(order.leaves, size - used), now)
        if quantity > 0:
            self._fill(order, market, order.price, quantity, now, maker=True)
        return used + quantity

    def _meet(self, order: Order, market: Market, now: int) -> None:
        """Let a resting order trade with a quote that crosses it, at its own price."""
        assert order.price is not None
        taken: list[tuple[Decimal, Decimal]] = []
        left = self._affordable(order, order.price, order.leaves, now)
        for price, size in market.book.offers(order.side):
            part = self._lots(order, min(size, left))
            if part <= 0 or not order.accepts(price):
                break
            taken.append((price, part))
            left -= part
        quantity = sum((part for _, part in taken), ZERO)
        if quantity > 0:
            self._remove(order, market, taken, now)
            self._fill(order, market, order.price, quantity, now, maker=True)

    def _start(self, order: Order, market: Market, now: int) -> None:
        """Let an order take what it may; then it rests, or the rest of it expires."""
        force = order.ticket.time_in_force
        if force is TimeInForce.FOK and self._acceptable(order, market) < order.leaves:
            self._expire(order, "fill or kill", now)
            return
        self._take(order, market, now)
        if not order.status.is_open:
            return
        if order.price is None or force in {TimeInForce.IOC, TimeInForce.FOK}:
            self._expire(order, "the rest was not displayed", now)
        else:
            order.ahead = market.book.displayed(order.side, order.price)

    def _take(self, order: Order, market: Market, now: int) -> None:
        for price, size in list(market.book.offers(order.side)):
            if not order.status.is_open or not order.accepts(price):
                return
            wanted = self._affordable(order, price, min(size, order.leaves), now)
            quantity = self._lots(order, self.portion(order, wanted))
            if quantity <= 0:
                return
            self._remove(order, market, [(price, quantity)], now)
            self._fill(order, market, price, quantity, now, maker=False)
            if quantity < wanted:
                return

    def _acceptable(self, order: Order, market: Market) -> Decimal:
        """Say how much is displayed at prices that an order accepts."""
        return sum((size for price, size in market.book.offers(order.side) if order.accepts(price)), ZERO)

    def _fill(self, order: Order, market: Market, price: Decimal, quantity: Decimal, now: int, *, maker: bool) -> None:
        fill = self.account.settle(order, self._next_fill, price, quantity, now, maker=maker)
        self._next_fill += 1
        assert order.filled <= order.quantity, f"order {order.id} is filled above its quantity"
        order.fills.append(fill)
        order.updated = now
        order.status = Status.FILLED if order.leaves == 0 else Status.PARTIALLY_FILLED
        if not order.status.is_open:
            del self.open[order.id]
        aggressor = order.side.opposite if maker else order.side
        self.listener.ordered(order, Execution.TRADE, fill, now)
        self.listener.printed(market, market.print(price, quantity, aggressor, now))
        self.filled(order, now)

    def filled(self, order: Order, now: int) -> None:
        """What a board does after an execution."""

    def _remove(self, order: Order, market: Market, taken: list[tuple[Decimal, Decimal]], now: int) -> None:
        update = market.book.take(order.side, taken)
        if update is not None:
            self.listener.quoted(market, update, now)

    def _trigger(self, market: Market, now: int) -> None:
        """Set off the conditional orders that the last price has reached."""
        last = market.last
        if last is None:
            return
        for order in [order for order in self.open.values() if order.pair is market.pair]:
            if order.trigger is not None and order.trigger.reached(last):
                order.trigger = None
                order.updated = now
                self._start(order, market, now)

    def _resting(self, symbol: str) -> Iterable[Order]:
        """Give working limit orders of a symbol, best price first, then oldest; not those that ended meanwhile."""
        resting = [
            order
            for order in self.open.values()
            if order.pair.symbol == symbol and order.is_working and order.price is not None
        ]
        resting.sort(key=lambda order: (-(order.price or ZERO) * order.side.sign, order.id))
        return (order for order in resting if order.status.is_open)

    def _limit(self, ticket: Ticket) -> Decimal | None:
        return ticket.price if self.is_priced(ticket.kind) else None

    def _cost(self, order: Order, market: Market) -> Decimal:
        """What a market order would cost at once, in quote."""
        cost, left = ZERO, order.quantity
        for price, size in market.book.offers(order.side):
            part = min(size, left)
            cost += part * price
            left -= part
        return cost

    def _bought_with(self, ticket: Ticket, market: Market, quote: Decimal) -> Decimal:
        """How many lots an amount of quote buys (or must be sold to get it)."""
        quantity = ZERO
        for price, size in market.book.offers(ticket.side):
            enough = quote >= size * price
            part = size if enough else quote / price // ticket.pair.lot * ticket.pair.lot
            quantity += part
            quote -= part * price
            if part < size:
                break
        if quantity == 0:
            raise insufficient(self.board)
        return quantity

    def _affordable(self, order: Order, price: Decimal, quantity: Decimal, now: int) -> Decimal:
        """Say how many lots the account can trade; an order that it cannot pay for at all expires."""
        wanted = self._lots(order, quantity)
        affordable = self._lots(order, self.account.affordable(order, price, wanted))
        if wanted > 0 and affordable <= 0:
            self._expire(order, "the account cannot pay for it", now)
        return affordable

    def _lots(self, order: Order, quantity: Decimal) -> Decimal:
        return quantity // order.pair.lot * order.pair.lot

    def _expire(self, order: Order, reason: str, now: int) -> None:
        order.expiry_reason = reason
        self._end(order, Status.EXPIRED, Execution.EXPIRED, now)

    def _end(self, order: Order, status: Status, execution: Execution, now: int) -> None:
        order.status = status
        order.updated = now
        self.open.pop(order.id, None)
        self.account.release(order, now)
        self.listener.ordered(order, execution, None, now)


class SpotVenue(Venue[SpotAccount]):
    """The spot board: conditional orders are orders that do not work yet."""

    def is_priced(self, kind: Kind) -> bool:
        return kind in LIMITED_ON_SPOT

    def is_conditional(self, kind: Kind) -> bool:
        return kind in CONDITIONAL_ON_SPOT
