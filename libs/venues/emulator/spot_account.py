"""The spot account: what an open order may cost is locked; an execution exchanges one asset for the other."""

from decimal import Decimal

from venues.emulator.account import BnbPrice, Commission
from venues.emulator.ledger import Ledger, Place
from venues.emulator.orders import ZERO, Fill, Order
from venues.emulator.refusals import insufficient
from venues.emulator.settings import EmulatorSettings
from venues.emulator.words import Board, FeeAsset, Kind, Side


class SpotAccount:
    """Balances free and locked. A buy locks quote (with its commission, where that is paid in quote), a sale base."""

    def __init__(self, settings: EmulatorSettings, bnb_price: BnbPrice) -> None:
        self.ledger = Ledger()
        self._commission = Commission(settings, Board.SPOT, self.ledger, bnb_price)
        self._markup = self._commission.worst() if settings.fee_asset is FeeAsset.QUOTE else ZERO
        for asset, amount in settings.spot_balances.items():
            self.ledger.move(asset, amount, Place.OUTSIDE, Place.FREE, "deposit", 0)

    def admit(self, order: Order, cost: Decimal | None, now: int) -> None:
        asset = _spent(order)
        if cost is None:
            needed = self._needed(order)
        else:
            needed = cost * (1 + self._markup) if order.side is Side.BUY else order.quantity
        if needed > self.ledger.free(asset):
            raise insufficient(Board.SPOT)
        self._set_aside(order, now)

    def affordable(self, order: Order, price: Decimal, quantity: Decimal) -> Decimal:
        funds = self.ledger.free(_spent(order)) + order.reserved
        if order.side is Side.BUY:
            funds /= price * (1 + self._markup)
        lot = order.pair.lot
        return min(quantity, funds // lot * lot)

    def settle(self, order: Order, fill_id: int, price: Decimal, quantity: Decimal, now: int, *, maker: bool) -> Fill:
        pair, cost = order.pair, price * quantity
        self.release(order, now)
        paid, got = ((pair.quote, cost), (pair.base, quantity))
        if order.side is Side.SELL:
            paid, got = got, paid
        self.ledger.move(*paid, Place.FREE, Place.MARKET, "trade", now)
        self.ledger.move(*got, Place.MARKET, Place.FREE, "trade", now)
        fee, fee_asset = self._commission.charge(order, price, quantity, now, maker=maker)
        order.filled += quantity
        order.quote += cost
        self._set_aside(order, now)
        return Fill(fill_id, price, quantity, cost, fee, fee_asset, maker, ZERO, now)

    def release(self, order: Order, now: int) -> None:
        self.ledger.move(_spent(order), order.reserved, Place.LOCKED, Place.FREE, "release", now)
        order.reserved = ZERO

    def _set_aside(self, order: Order, now: int) -> None:
        order.reserved = self._needed(order)
        self.ledger.move(_spent(order), order.reserved, Place.FREE, Place.LOCKED, "reserve", now)

    def _needed(self, order: Order) -> Decimal:
        """What the rest of an order may cost; a market order is never left open, so it needs nothing."""
        if order.side is Side.SELL:
            return ZERO if order.ticket.kind is Kind.MARKET else order.leaves
        trail = order.trigger.level if order.trigger is not None else None
        price = order.price or order.ticket.stop_price or trail or ZERO
        return price * order.leaves * (1 + self._markup)


def _spent(order: Order) -> str:
    return order.pair.quote if order.side is Side.BUY else order.pair.base
