"""The USD-M board: algo orders that become orders, amendments, mark prices, funding, liquidation."""

from dataclasses import replace
from decimal import Decimal

from venues.emulator.checks import check_notional, check_price, check_quantity, check_terms, trigger_of
from venues.emulator.listener import UsdmListener
from venues.emulator.market import FundingPrint, Market
from venues.emulator.orders import ZERO, Algo, Order, Ticket
from venues.emulator.refusals import Refusal, duplicate, not_trading, unknown_order
from venues.emulator.settings import EmulatorSettings
from venues.emulator.usdm_account import UsdmAccount
from venues.emulator.venue import Venue
from venues.emulator.words import (
    LIMITED_ALGO,
    AlgoStatus,
    Board,
    Execution,
    Kind,
    Phase,
    PositionSide,
    Side,
    Status,
    TimeInForce,
    WorkingType,
)

FIRST_ALGO = 1_000_000_001
"""Ids of algo orders are far from those of orders, which clients keep in one map."""


class UsdmVenue(Venue[UsdmAccount]):
    """Orders, algo orders and positions of USD-M."""

    def __init__(
        self, settings: EmulatorSettings, markets: dict[str, Market], account: UsdmAccount, listener: UsdmListener
    ) -> None:
        super().__init__(Board.USDM, settings, markets, account, listener)
        self.usdm_listener = listener
        self.algos: dict[int, Algo] = {}
        self._next_algo = FIRST_ALGO

    def is_priced(self, kind: Kind) -> bool:
        return kind is Kind.LIMIT or kind in LIMITED_ALGO

    def is_conditional(self, kind: Kind) -> bool:  # noqa: ARG002
        return False

    def amend(self, order: Order, price: Decimal, quantity: Decimal, now: int) -> None:
        """Give an open limit order a new price and quantity: it loses its place, keeps its id and its fills."""
        market = self.market(order.pair.symbol)
        if order.id not in self.open or order.price is None:
            raise unknown_order()
        if market.phase is not Phase.TRADING:
            raise not_trading(self.board)
        if price == order.price and quantity == order.quantity:
            raise Refusal(-5027, "No need to modify the order.")
        check_price(price, market)
        check_quantity(quantity, market)
        check_notional(replace(order.ticket, price=price, quantity=quantity), market)
        if quantity <= order.filled:
            self.cancel(order, now)
            return
        if order.ticket.is_post_only and self._would_take(order, price, market):
            self._expire(order, "the amendment would have taken", now)
            return
        self.account.amend(order, price, quantity)
        order.price, order.quantity, order.updated = price, quantity, now
        self.listener.ordered(order, Execution.AMENDMENT, None, now)
        self._start(order, market, now)

    def arm(self, ticket: Ticket, now: int) -> Algo:
        """Take a conditional order or refuse it; nothing is set aside before it is triggered."""
        market = self.market(ticket.pair.symbol)
        check_terms(ticket, market, priced=ticket.kind in LIMITED_ALGO)
        if self.find_algo(ticket.pair.symbol, None, ticket.client_id, open_only=True) is not None:
            raise duplicate(self.board)
        trigger = trigger_of(ticket, market, self._watched(ticket, market))
        algo = Algo(self._next_algo, ticket, trigger, now, now)
        self._next_algo += 1
        self.algos[algo.id] = algo
        self.created[ticket.client_id] += 1
        self.usdm_listener.armed(algo, now)
        return algo

    def disarm(self, algo: Algo, now: int) -> None:
        if algo.status is not AlgoStatus.NEW:
            raise unknown_order()
        self._advance(algo, AlgoStatus.CANCELED, now)

    def find_algo(
        self, symbol: str | None, algo_id: int | None, client_id: str | None, *, open_only: bool = False
    ) -> Algo | None:
        """Find a conditional order by either id; of several with one client id, the latest."""
        for algo in reversed(self.algos.values()):
            same = algo.id == algo_id if algo_id is not None else algo.ticket.client_id == client_id
            if same and symbol in {None, algo.ticket.pair.symbol}:
                return algo if algo.status is AlgoStatus.NEW or not open_only else None
        return None

    def mark(self, symbol: str, mark: Decimal, index: Decimal | None, now: int) -> None:
        """Set the mark price; set off what watches it; liquidate when margin is gone."""
        market = self.market(symbol)
        market.set_mark(mark, index)
        self.listener.marked(market, now)
        self._trigger(market, now)
        self._liquidate(now)

    def fund(self, symbol: str, rate: Decimal, now: int) -> None:
        """Settle funding of a symbol at its mark price."""
        market = self.market(symbol)
        mark = market.mark
        assert mark is not None, f"{symbol} has neither quote nor mark price: funding has no notional"
        market.rate = rate
        funding = FundingPrint(rate, mark, now)
        market.fundings.append(funding)
        paid = self.account.fund(symbol, rate, mark, now)
        self.usdm_listener.funded(market, funding, paid, now)

    def filled(self, order: Order, now: int) -> None:
        """Let algo orders know of their executions; end reduce-only orders of a position that is gone."""
        for algo in self.algos.values():
            if algo.order is order and not order.status.is_open:
                self._advance(algo, AlgoStatus.FINISHED, now)
        symbol, side = order.pair.symbol, order.ticket.position_side
        if self.account.position(symbol, side).amount == 0:
            for other in list(self.open.values()):
                same = (other.pair.symbol, other.ticket.position_side) == (symbol, side)
                if same and other.ticket.reduce_only:
                    self._expire(other, "the position is closed", now)

    def _trigger(self, market: Market, now: int) -> None:
        for algo in list(self.algos.values()):
            if algo.status is not AlgoStatus.NEW or algo.ticket.pair is not market.pair:
                continue
            price = self._watched(algo.ticket, market)
            if price is not None and algo.trigger.reached(price):
                self._release(algo, market, now)

    def _release(self, algo: Algo, market: Market, now: int) -> None:
        """Turn a triggered algo order into an order under the same client id."""
        algo.triggered_at = now
        self._advance(algo, AlgoStatus.TRIGGERING, now)
        ticket = algo.ticket
        if ticket.close_position:
            amount = self.account.position(ticket.pair.symbol, ticket.position_side).amount
            ticket = replace(ticket, quantity=abs(amount), reduce_only=True)
        kind = Kind.LIMIT if ticket.kind in LIMITED_ALGO else Kind.MARKET
        force = ticket.time_in_force if kind is Kind.LIMIT else TimeInForce.GTC
        try:
            released = replace(ticket, kind=kind, time_in_force=force)
            self.check(released, market)
            algo.order = self.enter(released, market, now)
        except Refusal as refusal:
            algo.reason = refusal.text
            self._advance(algo, AlgoStatus.REJECTED, now)
            return
        self._advance(algo, AlgoStatus.TRIGGERED if algo.order.status.is_open else AlgoStatus.FINISHED, now)

    def _end(self, order: Order, status: Status, execution: Execution, now: int) -> None:
        super()._end(order, status, execution, now)
        for algo in self.algos.values():
            if algo.order is order:
                self._advance(algo, AlgoStatus.FINISHED, now)

    def _advance(self, algo: Algo, status: AlgoStatus, now: int) -> None:
        algo.status, algo.updated = status, now
        self.usdm_listener.armed(algo, now)

    def _watched(self, ticket: Ticket, market: Market) -> Decimal | None:
        return market.mark if ticket.working_type is WorkingType.MARK_PRICE else market.last

    def _would_take(self, order: Order, price: Decimal, market: Market) -> bool:
        best = market.book.best(order.side)
        return best is not None and (price - best[0]) * order.side.sign >= 0

    def _liquidate(self, now: int) -> None:
        """Close every position at the market once the wallet with unrealized profit is below the maintenance margin."""
        account = self.account
        for quote in sorted({market.pair.quote for market in self.markets.values()}):
            held = [
                (symbol, side, position.amount)
                for (symbol, side), position in account.positions.items()
                if position.amount and self.markets[symbol].pair.quote == quote
            ]
            notional = sum((abs(amount) * (self.markets[name].mark or ZERO) for name, _, amount in held), ZERO)
            equity = account.ledger.free(quote) + account.unrealized(quote)
            if held and equity < notional * self.settings.maintenance_rate:
                for symbol, side, amount in held:
                    self._close_out(symbol, side, amount, now)

    def _close_out(self, symbol: str, side: PositionSide, amount: Decimal, now: int) -> None:
        market = self.markets[symbol]
        for order in [order for order in self.open.values() if order.pair.symbol == symbol]:
            self._expire(order, "liquidation", now)
        ticket = Ticket(
            pair=market.pair,
            side=Side.SELL if amount > 0 else Side.BUY,
            kind=Kind.MARKET,
            client_id=f"autoclose-{now}-{self._next_order}",
            quantity=abs(amount),
            position_side=side,
            reduce_only=True,
        )
        self.enter(ticket, market, now)
