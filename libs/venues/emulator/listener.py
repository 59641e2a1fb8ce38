"""Who hears what happens on a board: the wire, which renders it for those who listen."""

from typing import Protocol

from venues.emulator.book import DepthUpdate
from venues.emulator.market import FundingPrint, Market, Print
from venues.emulator.orders import Algo, Fill, Order
from venues.emulator.usdm_account import Income
from venues.emulator.words import Execution


class Listener(Protocol):
    """Called at once, while orders and balances stand as they did when it happened."""

    def ordered(self, order: Order, execution: Execution, fill: Fill | None, now: int) -> None:
        """Hear that something happened to an order."""

    def printed(self, market: Market, trade: Print) -> None:
        """Hear of a public trade."""

    def quoted(self, market: Market, update: DepthUpdate, now: int) -> None:
        """Hear that the book changed."""

    def marked(self, market: Market, now: int) -> None:
        """Hear of a mark price."""


class UsdmListener(Listener, Protocol):
    """What there is to hear of USD-M alone."""

    def armed(self, algo: Algo, now: int) -> None:
        """Hear that something happened to an algo order."""

    def funded(self, market: Market, funding: FundingPrint, paid: list[Income], now: int) -> None:
        """Hear that funding was settled."""
