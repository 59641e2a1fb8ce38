"""What the matching asks of an account, and the commission that both accounts charge alike."""

from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

from venues.emulator.ledger import Ledger, Place, booked
from venues.emulator.orders import Fill, Order
from venues.emulator.settings import EmulatorSettings
from venues.emulator.words import Board, FeeAsset, Side

BnbPrice = Callable[[], Decimal]
"""The price of BNB in quote at this moment."""


class Account(Protocol):
    """The funds behind the orders of one board."""

    ledger: Ledger

    def admit(self, order: Order, cost: Decimal | None, now: int) -> None:
        """Set aside what a new order needs, or refuse. `cost`: what a market order would cost at once, in quote."""

    def affordable(self, order: Order, price: Decimal, quantity: Decimal) -> Decimal:
        """Say how much of `quantity` the account can trade at `price` now."""

    def settle(self, order: Order, fill_id: int, price: Decimal, quantity: Decimal, now: int, *, maker: bool) -> Fill:
        """Book an execution; the order's `filled` and `quote` are brought forward too."""

    def release(self, order: Order, now: int) -> None:
        """Free what is set aside for an order that is no longer open."""


class Commission:
    """Charges commissions to a ledger."""

    def __init__(self, settings: EmulatorSettings, board: Board, ledger: Ledger, bnb_price: BnbPrice) -> None:
        self._settings = settings
        self._board = board
        self._ledger = ledger
        self._bnb_price = bnb_price

    def in_quote(self, side: Side) -> bool:
        """Say whether a commission may have to be paid out of the quote asset."""
        return self._board is Board.USDM or self._settings.fee_asset is FeeAsset.QUOTE or side is Side.SELL

    def worst(self) -> Decimal:
        """Say the highest share of notional that can be charged."""
        return max(self._settings.fee(self._board, maker=maker) for maker in (True, False))

    def charge(self, order: Order, price: Decimal, quantity: Decimal, now: int, *, maker: bool) -> tuple[Decimal, str]:
        """Take the commission of an execution; give amount and asset."""
        rate = self._settings.fee(self._board, maker=maker)
        amount, asset = self._due(order, price, quantity, rate)
        self._ledger.move(asset, amount, Place.FREE, Place.FEES, "commission", now)
        return amount, asset

    def _due(self, order: Order, price: Decimal, quantity: Decimal, rate: Decimal) -> tuple[Decimal, str]:
        settings, pair = self._settings, order.pair
        if settings.fee_asset is FeeAsset.BNB:
            amount = booked(price * quantity * rate * (1 - settings.bnb_discount) / self._bnb_price())
            if self._ledger.free("BNB") >= amount:
                return amount, "BNB"
        in_base = self._board is Board.SPOT and order.side is Side.BUY and settings.fee_asset is not FeeAsset.QUOTE
        if in_base:
            return booked(quantity * rate), pair.base
        return booked(price * quantity * rate), pair.quote
