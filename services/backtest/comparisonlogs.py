"""The logs of two runs side by side: where they part, which orders only one of them has, and what each was worth.

Each log is read from its beginning to its end, and nothing of it is kept but what is told: runs of any length can be
compared.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from contracts.books import PortfolioMarked, PositionClosed
from contracts.codec import type_header
from contracts.control import LeaseTaken
from contracts.orders import OrderFilled, OrderInitialized
from services.backtest.log import Line, read_lines, read_log
from services.backtest.sweep.folds import Fold, Folds, step_for
from services.backtest.sweep.hearing import FoldHearer
from services.backtest.sweep.trials import Stretch

SHOWN = 20
"""Orders that are told of each run; the others are counted."""

_LEASE = type_header(LeaseTaken)
_HEARD = (PortfolioMarked, PositionClosed, OrderFilled, OrderInitialized)


@dataclass(frozen=True, slots=True)
class Parting:
    """The first position where two logs say something else; None where one of them is over."""

    first: Line | None
    second: Line | None


def parting(first: Path, second: Path) -> Parting | None:
    """Find where two logs part; settings, which both begin with, are no parting. None if they never do."""
    for mine, other in zip_longest(_said(first), _said(second)):
        if mine is None or other is None or _content(mine) != _content(other):
            return Parting(mine, other)
    return None


def _said(path: Path) -> Iterator[Line]:
    return (line for line in read_lines(path) if line.header != _LEASE)


def _content(line: Line) -> tuple[int, int | None, str, bytes]:
    return line.position, line.cause, line.header, line.payload


@dataclass(frozen=True, slots=True)
class Order:
    """What was ordered and when (ns UTC); its id and position differ between runs that say the same."""

    at: int
    strategy: str
    instrument: str
    side: str
    quantity: str
    order_id: str = field(compare=False)
    position: int = field(compare=False)


@dataclass(slots=True)
class Orders:
    """Orders that both runs have, and those that only one has: counted, and the first ones."""

    both: int = 0
    only_first: int = 0
    only_second: int = 0
    first: list[Order] = field(default_factory=list)
    second: list[Order] = field(default_factory=list)


@dataclass(slots=True)
class Beside:
    """What two logs tell: their orders, and returns over the same periods (None if they share too little time)."""

    orders: Orders
    folds: Folds | None
    first: Stretch | None = None
    second: Stretch | None = None


def shared(first: tuple[int, int], second: tuple[int, int]) -> Folds | None:
    """Cut the time that two runs share into even periods; None if there is too little of it."""
    begins, ends = max(first[0], second[0]), min(first[1], second[1])
    step = step_for(max(0, ends - begins))
    begins = -(-begins // step) * step
    count = (ends - begins) // step
    return Folds((Fold(begins, begins + count * step),), step) if count >= 2 else None


def beside(first: Path, second: Path, folds: Folds | None) -> Beside:
    """Read two logs at the same time; raises `BadLog`."""
    found = Beside(Orders(), folds)

    def take_first(_fold: int, stretch: Stretch) -> bool:
        found.first = stretch
        return False

    def take_second(_fold: int, stretch: Stretch) -> bool:
        found.second = stretch
        return False

    mine = _orders(first, None if folds is None else FoldHearer(folds, take_first))
    other = _orders(second, None if folds is None else FoldHearer(folds, take_second))
    for some, others in _at_the_same_time(mine, other):
        _match(found.orders, some, others)
    return found


def _orders(path: Path, hearer: FoldHearer | None) -> Iterator[Order]:
    for recorded in read_log(path, _HEARD):
        event = recorded.event
        if hearer is not None:
            hearer.hear(recorded)
        if isinstance(event, OrderInitialized):
            terms = event.order
            yield Order(
                at=event.ts_event,
                strategy=terms.strategy,
                instrument=terms.instrument,
                side=terms.side.value,
                quantity=f"{terms.quantity.normalize():f}",
                order_id=terms.client_order_id,
                position=recorded.position,
            )
    if hearer is not None:
        hearer.finish()


def _at_the_same_time(first: Iterator[Order], second: Iterator[Order]) -> Iterator[tuple[list[Order], list[Order]]]:
    """Give the orders of one moment together; one of the lists may be empty."""
    mine, other = next(first, None), next(second, None)
    while mine is not None or other is not None:
        at = min(one.at for one in (mine, other) if one is not None)
        some: list[Order] = []
        others: list[Order] = []
        while mine is not None and mine.at <= at:
            some.append(mine)
            mine = next(first, None)
        while other is not None and other.at <= at:
            others.append(other)
            other = next(second, None)
        yield some, others


def _match(orders: Orders, some: list[Order], others: list[Order]) -> None:
    common = Counter(some) & Counter(others)
    orders.both += common.total()
    mine, other = _without(some, common), _without(others, common)
    orders.only_first += len(mine)
    orders.only_second += len(other)
    orders.first += mine[: SHOWN - len(orders.first)]
    orders.second += other[: SHOWN - len(orders.second)]


def _without(orders: list[Order], common: Counter[Order]) -> list[Order]:
    left, missing = Counter(common), []
    for order in orders:
        if left[order] > 0:
            left[order] -= 1
        else:
            missing.append(order)
    return missing
