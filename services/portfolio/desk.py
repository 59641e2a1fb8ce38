"""What the fills of a strategy ask of the books each time, found once: positions, and the accounts they move."""

from dataclasses import dataclass

from contracts.types import InstrumentId, PositionSide, venue_of
from services.portfolio.books import StrategyBooks
from services.portfolio.ledger import Account, AccountKind, Ledger, Way
from services.portfolio.position import Position


@dataclass(slots=True)
class Holding:
    """A position, the way its units take from the venue, and the way the cash for them takes there."""

    position: Position
    units: Way
    cash: Way


class Desk:
    """Leads to the books and the accounts of one strategy. It knows nothing that they do not hold."""

    def __init__(self, strategy: str, books: StrategyBooks, ledger: Ledger) -> None:
        self.strategy = strategy
        self.books = books
        self.is_as_set = False
        """Whether positions are kept as the settings say, which they then are for good."""
        self.cash = ledger.opened(Account(AccountKind.CASH, strategy, books.currency))
        self._ledger = ledger
        self._holdings: dict[PositionSide, dict[InstrumentId, Holding]] = {side: {} for side in PositionSide}
        self._fee_ways: dict[str, dict[InstrumentId, Way]] = {}

    def holding(self, side: PositionSide, instrument: InstrumentId) -> Holding:
        found = self._holdings[side].get(instrument)
        return self._new_holding(side, instrument) if found is None else found

    def fee_way(self, currency: str, instrument: InstrumentId) -> Way:
        """Give the way of fees: they leave cash for good."""
        ways = self._fee_ways.get(currency)
        found = None if ways is None else ways.get(instrument)
        return self._new_fee_way(currency, instrument) if found is None else found

    def _new_fee_way(self, currency: str, instrument: InstrumentId) -> Way:
        made = self._ledger.way(
            source=Account(AccountKind.CASH, self.strategy, currency),
            target=Account(AccountKind.FEES, self.strategy, currency, venue_of(instrument)),
        )
        self._fee_ways.setdefault(currency, {})[instrument] = made
        return made

    def _new_holding(self, side: PositionSide, instrument: InstrumentId) -> Holding:
        position = self.books.of_side(side).setdefault(instrument, Position())
        venue, strategy, currency = venue_of(instrument), self.strategy, self.books.currency
        units = self._ledger.way(
            source=Account(AccountKind.VENUE, venue, instrument, venue),
            target=Account(AccountKind.POSITION, strategy, instrument, side=side),
        )
        cash = self._ledger.way(
            source=Account(AccountKind.CASH, strategy, currency),
            target=Account(AccountKind.VENUE, venue, currency, venue),
        )
        made = self._holdings[side][instrument] = Holding(position, units, cash)
        return made
