"""What a rail may look at: an order, the market it comes into, and what is held and bound already."""

from dataclasses import dataclass, field
from decimal import Decimal
from itertools import takewhile
from math import isfinite
from typing import NamedTuple

from contracts.market import Quote
from contracts.orders import ExecutionOverride, OrderTerms
from contracts.permission import Permission
from contracts.types import CircuitState, InstrumentId, Side, venue_of
from contracts.venue import InstrumentStatus
from services.risk.activity import Activity
from services.risk.correlations import Correlations
from services.risk.exposure import ZERO, Exposure, Stake, holding_of, stands_by
from services.risk.locks import Locks
from services.risk.losses import Losses
from services.risk.protections import Protections
from services.risk.settings import RiskSettings
from venues.instruments import Instrument, InstrumentKind, Listing


@dataclass(frozen=True, slots=True)
class Objection:
    """What is wrong with an order. `fits` is the largest quantity that is right, None where size is not the matter."""

    detail: str
    fits: float | None = None


@dataclass(slots=True)
class Ground:
    """All that is known when an order is judged."""

    settings: RiskSettings
    listing: Listing
    correlations: Correlations
    trading: Permission = field(default_factory=Permission)
    quotes: dict[InstrumentId, Quote] = field(default_factory=dict)
    marks: dict[InstrumentId, float] = field(default_factory=dict)
    """Mark prices of perpetuals."""
    statuses: dict[InstrumentId, InstrumentStatus] = field(default_factory=dict)
    circuits: dict[str, CircuitState] = field(default_factory=dict)
    """By venue."""
    overrides: dict[InstrumentId, ExecutionOverride] = field(default_factory=dict)
    capital: dict[str, Decimal] = field(default_factory=dict)
    """By strategy, where some was allocated."""
    exposure: Exposure = field(default_factory=Exposure)
    activity: Activity = field(default_factory=Activity)
    losses: Losses = field(default_factory=Losses)
    protections: Protections = field(default_factory=Protections)
    locks: Locks = field(default_factory=Locks)
    margins: dict[InstrumentId, float] = field(init=False, repr=False)
    """The part of a position's value that binds equity, where it is not the whole."""

    def __post_init__(self) -> None:
        perpetual = InstrumentKind.PERPETUAL
        listed = self.listing.items()
        self.margins = {name: self.settings.perpetual_margin for name, one in listed if one.kind is perpetual}

    def mark(self, instrument: InstrumentId) -> float | None:
        """Give the middle of the last quote; None if there is none, or none that a number can tell."""
        quote = self.quotes.get(instrument)
        if quote is None:
            return None
        mid = quote.mid
        return mid if isfinite(mid) else None

    def value_of(self, instrument: InstrumentId) -> float | None:
        """Give the best known price of what is held: the last quote, the mark price, or what was paid last."""
        mark = self.mark(instrument)
        if mark is not None:
            return mark
        paid = self.exposure.paid.get(instrument)
        return self.marks.get(instrument, None if paid is None else float(paid))

    def margin_of(self, instrument: InstrumentId) -> float:
        """Give the part of a position's value that binds equity."""
        return self.margins.get(instrument, 1.0)

    def capital_of(self, strategy: str) -> float:
        allocated = self.capital.get(strategy)
        return self.settings.starting_capital if allocated is None else float(allocated)


class Bound(NamedTuple):
    """Worst-case exposures beside the holding that an order belongs to (quote currency), and the margin they bind."""

    symbol: float
    venue: float
    strategy: float
    total: float
    margin: float
    """Of the strategy."""


NOTHING_BOUND = Bound(0.0, 0.0, 0.0, 0.0, 0.0)


def bound_beside(ground: Ground, own: Stake | None, strategy: str, instrument: InstrumentId) -> Bound:
    """Look at every holding but one's own once, for several rails: it has to be plain."""
    quotes, margins = ground.quotes, ground.margins
    symbol = venue = by_strategy = total = margin = 0.0
    at_venue = f"{venue_of(instrument)}."
    for (holder, held), stake in ground.exposure.stakes.items():
        if stake is own:
            continue
        worst = stake.known_worst
        if worst is None:
            worst = stake.worst
        if not worst:
            continue
        quote = quotes.get(held)
        price = ground.value_of(held) if quote is None else (quote.bid + quote.ask) / 2
        if price is None:
            continue
        value = worst * price
        total += value
        if held.startswith(at_venue):
            venue += value
            if held == instrument:
                symbol += value
        if holder == strategy:
            by_strategy += value
            margin += value * margins.get(held, 1.0)
    return Bound(symbol, venue, by_strategy, total, margin)


@dataclass(slots=True)
class Situation:
    """An order under judgement. `adds` is how much of its quantity is new: all of it, unless an order is amended.

    What the rails ask for is worked out at once; what limits are judged on only where they concern the order.
    """

    ground: Ground
    order: OrderTerms
    now: int
    adds: Decimal
    reference_price: float | None = None
    """The price it was decided on."""
    listed: tuple[OrderTerms, ...] = ()
    """All orders of its list; empty when it stands alone."""
    count: int = 1
    """How many orders come with it."""
    settings: RiskSettings = field(init=False)
    instrument: Instrument | None = field(init=False)
    mark: float | None = field(init=False)
    parent: OrderTerms | None = field(init=False)
    """The order of its list that it waits for."""
    exits_list: bool = field(init=False)
    """Whether it takes away again what an order of its list brings."""
    reducible: Decimal = field(init=False)
    """How much it may take away: the exit of a list that of its parent, any other of what is held."""
    reduces: bool = field(init=False)
    is_limited: bool = field(init=False)
    """Whether limits concern it: not if it only reduces, or has no mark. What follows is there only if they do."""
    bound: Bound = field(init=False, repr=False)
    """What is bound beside it."""
    reach: tuple[float, float] = field(init=False, repr=False)
    """How far pending orders may move the position in its own direction, and in the other (signed that way)."""
    worst: float = field(init=False, repr=False)
    """The worst case of its own holding once it is on its way too (quote currency)."""

    def __post_init__(self) -> None:
        ground, order = self.ground, self.order
        self.settings = ground.settings
        self.instrument = ground.listing.get(order.instrument)
        self.mark = ground.mark(order.instrument)
        self.parent = parent = _parent_of(order, self.listed) if self.listed else None
        self.exits_list = parent is not None and order.reduce_only
        if parent is not None and order.reduce_only:
            self.reducible = parent.quantity if parent.side is not order.side else ZERO
        else:
            self.reducible = ground.exposure.reducible(order)
        self.reduces = self.adds <= self.reducible
        self.is_limited = self.mark is not None and not self.reduces
        if self.mark is not None and self.is_limited:
            own = ground.exposure.stakes.get(holding_of(order))
            self.bound = bound_beside(ground, own, order.strategy, order.instrument)
            self.reach = ahead, behind = self._reached()
            self.worst = max(abs(ahead + float(self.adds)), abs(behind)) * self.mark

    def elsewhere(self) -> dict[InstrumentId, float]:
        """Give worst-case exposures in all other instruments (quote currency)."""
        values: dict[InstrumentId, float] = {}
        for (_, held), stake in self.ground.exposure.stakes.items():
            price = self.ground.value_of(held)
            if held != self.order.instrument and price is not None and stake.worst:
                values[held] = values.get(held, 0.0) + stake.worst * price
        return values

    def _reached(self) -> tuple[float, float]:
        stake = self.ground.exposure.stake(self.order)
        high, low = stake.highest, stake.lowest
        for one in takewhile(lambda one: one is not self.order, self.listed) if self.listed else ():
            if not stands_by(one):
                high += one.quantity if one.side is Side.BUY else ZERO
                low -= one.quantity if one.side is Side.SELL else ZERO
        return (float(high), float(low)) if self.order.side is Side.BUY else (-float(low), -float(high))

    def fitting(self, room: float) -> float:
        """Give the largest quantity whose worst case is within `room` (quote currency); 0 if none is."""
        assert self.mark is not None, "an order without a mark has no value"
        ahead, behind = self.reach
        most = room / self.mark
        return max(most - ahead, 0.0) if abs(behind) <= most else 0.0


def _parent_of(order: OrderTerms, listed: tuple[OrderTerms, ...]) -> OrderTerms | None:
    if order.link is None or order.link.parent is None:
        return None
    return next((one for one in listed if one.client_order_id == order.link.parent), None)
