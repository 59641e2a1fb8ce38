"""equity: what each strategy was worth, whenever it was marked."""

from decimal import Decimal
from typing import ClassVar, NamedTuple

from contracts.books import EquityMarked
from contracts.ownership import EventTypes
from contracts.recorded import Recorded
from eventstore.projections.projection import Journal

NOTHING = Decimal(0)


class EquityRow(NamedTuple):
    """All amounts in `currency`."""

    position: int
    strategy: str
    currency: str
    cash: Decimal
    equity: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    fees: Decimal
    peak: Decimal
    ts_event: int
    ts_init: int
    funding: Decimal
    balances: Decimal
    """What other currencies are worth."""


class Equity(Journal[EquityRow]):
    name = "equity"
    row = EquityRow
    handles: ClassVar[EventTypes] = (EquityMarked,)

    def row_of(self, recorded: Recorded) -> EquityRow:
        marked = recorded.event
        assert isinstance(marked, EquityMarked)
        return EquityRow(
            position=recorded.position,
            strategy=marked.strategy,
            currency=marked.currency,
            cash=marked.cash,
            equity=marked.equity,
            realized_pnl=marked.realized_pnl,
            unrealized_pnl=marked.unrealized_pnl,
            fees=marked.fees,
            peak=marked.peak,
            ts_event=marked.ts_event,
            ts_init=marked.ts_init,
            funding=marked.funding,
            balances=sum((balance.value for balance in marked.balances), NOTHING),
        )
