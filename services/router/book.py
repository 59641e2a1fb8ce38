"""The orders that the router holds, and the slices that some of them are brought to the venue in."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from contracts.lifecycle import Life
from contracts.orders import Amendment, OrderTerms
from contracts.types import OrderStatus

ZERO = Decimal(0)
BEGUN = Life()
_UNANSWERED = frozenset({OrderStatus.SUBMITTED, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_UPDATE})


@dataclass(slots=True)
class Ticket:
    """What a venue knows, or will know, under one client order id: an order, or a slice of one."""

    terms: OrderTerms
    life: Life = BEGUN
    filled: Decimal = ZERO
    sent: bool = False
    cancel_asked: bool = False
    """A cancel is on its way, or waits for room on the way."""
    change_asked: bool = False
    """The venue was asked for a change, and has not answered."""
    ask_at: int = 0
    """When the venue is asked what became of it, if it says nothing (ns)."""
    asked: int = 0
    """How often it was asked since it should have said something."""

    @property
    def id(self) -> str:
        return self.terms.client_order_id

    @property
    def leaves(self) -> Decimal:
        return ZERO if self.life.closed else self.terms.quantity - self.filled

    @property
    def unanswered(self) -> bool:
        return self.life.status in _UNANSWERED


@dataclass(slots=True)
class Slice(Ticket):
    """A part of an order, which `terms.slice_of` names."""

    replaced: bool = False
    """It is taken back because the order goes on under other terms."""


@dataclass(slots=True)
class Slicing:
    """How far an order has been cut up."""

    began_at: int
    parts: dict[str, Slice] = field(default_factory=dict)
    numbered: int = 0
    accepted: bool = False
    all_planned: bool = False
    """The last slice of a schedule was made."""
    stopped: str | None = None
    """Why no further slice is made."""

    @property
    def open_parts(self) -> list[Slice]:
        return [part for part in self.parts.values() if not part.life.closed]


@dataclass(slots=True)
class Order(Ticket):
    """An order under its present terms."""

    approved: Decimal = ZERO
    """The quantity that risk let through."""
    full: Decimal = ZERO
    """The quantity it has when its parent has traded whole."""
    granted: Decimal = ZERO
    """The quantity that its parent's fills allow; without a parent all of it."""
    taken: Decimal = ZERO
    """What orders of its list have traded in its place."""
    tried: Decimal = ZERO
    """The quantity that the venue was last asked to change it to."""
    released: bool = True
    """Whether its parent, if it has one, has traded."""
    family: tuple[str, ...] = ()
    """The ids of its list, its own among them."""
    arrival: float | None = None
    """The middle of the market when it came to trade: slippage is measured from it."""
    trigger: float | None = None
    expires_at: int | None = None
    expiring: bool = False
    expiry_tries: int = 0
    change: Amendment | None = None
    """What the venue is to be asked to change as soon as it can be."""
    change_waits: bool = False
    """The request for that change waits for room on the way."""
    slicing: Slicing | None = None
    trades: dict[str, None] = field(default_factory=dict)
    """Ids of the fills that are booked."""

    @property
    def wanted(self) -> Decimal:
        """The quantity it should have."""
        return self.granted - self.taken

    @property
    def parent(self) -> str | None:
        return self.terms.link.parent if self.terms.link else None


class Book:
    """Every open order, and the closed ones of late: for the fills that come after."""

    def __init__(self, remembered: int) -> None:
        self.orders: dict[str, Order] = {}
        self.closed: OrderedDict[str, None] = OrderedDict()
        """Ids of orders, the first that was closed first."""
        self._slices: dict[str, Slice] = {}
        self._remembered = remembered

    def restore(self, orders: dict[str, Order], closed: dict[str, None]) -> None:
        self.orders, self.closed = orders, OrderedDict(closed)
        self._slices = {
            part.id: part for order in orders.values() if order.slicing for part in order.slicing.parts.values()
        }
        self._forget_oldest()

    def __contains__(self, client_order_id: str) -> bool:
        return client_order_id in self.orders or client_order_id in self._slices

    def add(self, order: Order) -> None:
        self.orders[order.terms.client_order_id] = order

    def add_slice(self, part: Slice) -> None:
        self._slices[part.id] = part

    def find(self, client_order_id: str) -> Order | Slice | None:
        return self.orders.get(client_order_id) or self._slices.get(client_order_id)

    def order_of(self, ticket: Order | Slice) -> Order:
        if isinstance(ticket, Order):
            return ticket
        assert ticket.terms.slice_of is not None
        return self.orders[ticket.terms.slice_of]

    def open_orders(self) -> list[Order]:
        return [order for order in self.orders.values() if not order.life.closed]

    def children(self, order: Order) -> Iterator[Order]:
        """Give the orders that wait for this one to trade."""
        for member in self._family(order):
            if member.parent == order.id:
                yield member

    def siblings(self, order: Order) -> Iterator[Order]:
        """Give the orders that it concerns when this one trades."""
        for member in self._family(order):
            if member.terms.link and order.id in member.terms.link.siblings:
                yield member

    def _family(self, order: Order) -> Iterator[Order]:
        for name in order.family:
            member = self.orders.get(name)
            if member is not None and member.family == order.family:
                yield member

    def remember_closed(self, order: Order) -> None:
        self.closed[order.terms.client_order_id] = None
        if len(self.closed) > self._remembered:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self.closed) > self._remembered:
            oldest, _ = self.closed.popitem(last=False)
            forgotten = self.orders.pop(oldest)
            for part in forgotten.slicing.parts if forgotten.slicing else ():
                del self._slices[part]
