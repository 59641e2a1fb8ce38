"""What covers a position: protective orders by size and side, and the changes that make them fit."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from contracts.orders import OrderTerms
from contracts.types import InstrumentId, Side

ZERO = Decimal(0)
AUTHOR = "stops-"
"""How the ids of our own orders begin."""


@dataclass(slots=True)
class Cover:
    """An order that ends the loss of a position, or (`exits`) leaves it at once. `side` is the order's.

    `parent` must trade first. `wanted` is what its leaves should become, `going` that it should go; `asked_at` is when
    that was asked for, or the order itself (ns; None: nothing is awaited).
    """

    client_order_id: str
    strategy: str
    instrument: InstrumentId
    side: Side
    quantity: Decimal
    leaves: Decimal
    exits: bool
    parent: str | None = None
    known: bool = False
    """Whether the router has it."""
    triggered: bool = False
    fixed: bool = False
    """Whether an amendment of it was refused: then it is replaced."""
    going: bool = False
    wanted: Decimal | None = None
    asked_at: int | None = None

    @property
    def own(self) -> bool:
        return self.client_order_id.startswith(AUTHOR)

    @property
    def counts(self) -> Decimal:
        """How much of the position it covers, when what was asked for is done."""
        if self.parent is not None or self.going:
            return ZERO
        return self.leaves if self.wanted is None else self.wanted

    @property
    def settled(self) -> bool:
        """Whether it can be changed now."""
        return self.known and not self.going and self.wanted is None

    @property
    def may_grow(self) -> bool:
        return self.own and self.settled and not self.triggered and not self.fixed and self.parent is None


def cover_of(terms: OrderTerms, *, exits: bool) -> Cover:
    return Cover(
        terms.client_order_id,
        terms.strategy,
        terms.instrument,
        terms.side,
        terms.quantity,
        terms.quantity,
        exits,
        parent=None if terms.link is None else terms.link.parent,
    )


@dataclass(slots=True)
class Leg:
    """What is held and left by orders of one side: a long by sales. `since` is when its cover began not to fit (ns)."""

    quantity: Decimal = ZERO
    average: Decimal | None = None
    since: int | None = None
    failures: int = 0
    next_at: int = 0


@dataclass(slots=True)
class Holding:
    """What a strategy holds of an instrument, by the side that leaves it.

    `unbooked_at`: a fill was heard of, and not yet what it made of the position (ns).
    """

    legs: dict[Side, Leg] = field(default_factory=lambda: {side: Leg() for side in Side})
    unbooked_at: int | None = None

    @property
    def is_flat(self) -> bool:
        return all(leg.quantity == 0 for leg in self.legs.values())


@dataclass(frozen=True, slots=True)
class Place:
    """A new stop."""

    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Resize:
    """A stop with `leaves` instead of what it has."""

    cover: Cover
    leaves: Decimal


@dataclass(frozen=True, slots=True)
class Remove:
    """No such stop."""

    cover: Cover


Repair = Place | Resize | Remove


def covered(covers: Iterable[Cover]) -> Decimal:
    return sum((cover.counts for cover in covers), ZERO)


def repairs(needed: Decimal, covers: list[Cover]) -> Iterator[Repair]:
    """Give what makes `covers` (all of one side) as large as what is `needed`: as few changes as possible.

    Of what is too much our own goes first, then the youngest, and last what is trading already. What is too little is
    ours to add: nobody else's stop is made larger.
    """
    excess = covered(covers) - needed
    if excess < 0:
        own = next((one for one in covers if one.may_grow), None)
        yield Place(-excess) if own is None else Resize(own, own.leaves - excess)
        return
    youngest_first = covers[::-1]
    for cover in sorted(youngest_first, key=lambda one: (one.triggered, not one.own)):
        if excess <= 0:
            return
        if not cover.settled or cover.parent is not None:
            continue
        if cover.leaves <= excess or cover.fixed:
            yield Remove(cover)
            excess -= cover.leaves
        else:
            yield Resize(cover, cover.leaves - excess)
            excess = ZERO
