"""Our orders in the book of one instrument: what is shown there, who is before us, and which of ours comes first."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from contracts.event import Event
from contracts.market import Quote, Trade
from contracts.orders import OrderTerms
from contracts.types import InstrumentId, Side
from contracts.venue import AmendOrder, CancelOrder, QueryOrder, SubmitOrder, VenueFilled
from venues.instruments import Instrument
from venues.simulated.rolling import Rolling
from venues.simulated.settings import QueueModel

ZERO = Decimal(0)
_BUY, _FRONT, _RISK_AVERSE = Side.BUY, QueueModel.FRONT, QueueModel.RISK_AVERSE
"""Kept, here and in the modules beside: to look a member up in its `Enum` costs more than a call in CPython 3.11."""
Command = SubmitOrder | CancelOrder | AmendOrder | QueryOrder


@dataclass(slots=True)
class Working:
    """An order the exchange holds. `ahead`: the size of others that trades before us; None: not known yet."""

    terms: OrderTerms
    leaves: Decimal
    fills: list[VenueFilled] = field(default_factory=list)
    ahead: Decimal | None = None
    amended: bool = False

    @property
    def filled(self) -> Decimal:
        return self.terms.quantity - self.leaves


@dataclass(slots=True)
class Market:
    """What is shown for one instrument, what we took of it, and our orders there in time priority.

    `traded` is what others traded there, where impact is measured by that.
    """

    quote: Quote | None = None
    trade: Trade | None = None
    taken: dict[Side, Decimal] = field(default_factory=dict)
    orders: dict[str, Working] = field(default_factory=dict)
    traded: Rolling = field(default_factory=Rolling)


class Ending(Enum):
    """How an order ended."""

    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


@dataclass(slots=True)
class Past:
    """What became of an order that has ended."""

    instrument: InstrumentId
    fills: list[VenueFilled]
    ending: Ending
    reason: str


@dataclass(slots=True)
class InFlight:
    """A command on its way, and when it takes effect. One of the four: by their fields JSON could not tell."""

    due: int
    submit: SubmitOrder | None = None
    cancel: CancelOrder | None = None
    amend: AmendOrder | None = None
    query: QueryOrder | None = None

    @property
    def command(self) -> Command:
        command = self.submit or self.cancel or self.amend or self.query
        assert command is not None
        return command


def on_its_way(command: Command, due: int) -> InFlight:
    match command:
        case SubmitOrder():
            return InFlight(due, submit=command)
        case CancelOrder():
            return InFlight(due, cancel=command)
        case AmendOrder():
            return InFlight(due, amend=command)
        case QueryOrder():
            return InFlight(due, query=command)


def by_priority(orders: Iterable[Working]) -> list[Working]:
    """List our orders as they come to trade: the better price first, of equal ones the older."""
    return sorted(orders, key=_price_priority)


def _price_priority(working: Working) -> tuple[bool, Decimal]:
    limit = working.terms.limit_price
    return (False, ZERO) if limit is None else (True, -working.terms.side.sign * limit)


def opposite(instrument: Instrument, side: Side, quote: Quote) -> tuple[Decimal, float]:
    """Price and displayed size that an order of `side` meets."""
    price, size = (quote.ask, quote.ask_size) if side is _BUY else (quote.bid, quote.bid_size)
    return instrument.price(price), size


def accepts(terms: OrderTerms, price: Decimal) -> bool:
    """Say whether an order would trade at `price`."""
    return terms.limit_price is None or terms.side.sign * (price - terms.limit_price) <= 0


def join(working: Working, quote: Quote, instrument: Instrument, model: QueueModel) -> None:
    """Put an order at the end of the queue at its price."""
    working.ahead = ZERO if model is _FRONT else None
    if working.terms.limit_price is not None:
        advance(working, quote, instrument, model)


def advance(working: Working, quote: Quote, instrument: Instrument, model: QueueModel) -> None:
    """Move an order up when less is displayed at its price than was before it."""
    limit, side = working.terms.limit_price, working.terms.side
    if limit is None or model is not _RISK_AVERSE:
        return
    best, size = opposite(instrument, side.opposite, quote)
    if best == limit:
        displayed = Decimal(repr(size))
        working.ahead = displayed if working.ahead is None else min(working.ahead, displayed)
    elif side.sign * (limit - best) > 0:
        working.ahead = ZERO


def reached(working: Working, trade: Trade, price: Decimal, size: Decimal) -> Decimal:
    """Say how much of `size`, traded at `price`, comes to an order; what trades before it moves it up."""
    terms = working.terms
    if terms.limit_price is None:
        return ZERO
    if terms.side.sign * (terms.limit_price - price) > 0:
        return size
    if price != terms.limit_price or trade.aggressor is terms.side or working.ahead is None:
        return ZERO
    before = min(working.ahead, size)
    working.ahead -= before
    return size - before


def moment(*shown: Event | None) -> int:
    """Give the latest time that market events tell."""
    return max((event.ts_init for event in shown if event is not None), default=0)
