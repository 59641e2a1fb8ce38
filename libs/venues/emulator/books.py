"""The truth of the exchange about the account: what tests compare with what others believe."""

from dataclasses import dataclass
from decimal import Decimal

from venues.emulator.account import Account
from venues.emulator.ledger import Ledger
from venues.emulator.orders import ZERO, Fill, Order
from venues.emulator.usdm_account import UsdmAccount
from venues.emulator.usdm_venue import UsdmVenue
from venues.emulator.venue import SpotVenue, Venue
from venues.emulator.words import Board


@dataclass(frozen=True, slots=True)
class Books:
    """Balances, positions, orders and executions of both boards."""

    spot: Ledger
    usdm: UsdmAccount
    spot_venue: SpotVenue
    usdm_venue: UsdmVenue

    def venue(self, board: Board) -> Venue[Account]:
        return self.spot_venue if board is Board.SPOT else self.usdm_venue

    def balance(self, asset: str, board: Board = Board.SPOT) -> Decimal:
        """What the account owns of an asset, free or locked; on USD-M the wallet."""
        return self.spot.total(asset) if board is Board.SPOT else self.usdm.ledger.total(asset)

    def position(self, symbol: str) -> Decimal:
        """The amount of a USD-M position in base; both sides together in hedge mode."""
        amounts = (position.amount for (name, _), position in self.usdm.positions.items() if name == symbol)
        return sum(amounts, ZERO)

    def created(self, client_id: str, board: Board | None = None) -> int:
        """How many orders were ever made under a client order id."""
        boards = tuple(Board) if board is None else (board,)
        return sum(self.venue(name).created[client_id] for name in boards)

    def orders(self, board: Board = Board.SPOT) -> list[Order]:
        return list(self.venue(board).orders.values())

    def open_orders(self, board: Board = Board.SPOT) -> list[Order]:
        return list(self.venue(board).open.values())

    def order(self, client_id: str, board: Board = Board.SPOT) -> Order | None:
        """The latest order under a client order id."""
        same = [order for order in self.venue(board).orders.values() if order.ticket.client_id == client_id]
        return same[-1] if same else None

    def fills(self, board: Board = Board.SPOT) -> list[tuple[Order, Fill]]:
        """Every execution, oldest first."""
        pairs = [(order, fill) for order in self.orders(board) for fill in order.fills]
        return sorted(pairs, key=lambda pair: pair[1].id)
