"""Slicing: how much of an order goes to the venue next, and under which id."""

from dataclasses import replace
from decimal import Decimal
from hashlib import blake2b

from contracts.orders import OrderTerms
from services.router.book import ZERO, Order, Slice, Slicing
from services.router.lists import whole_lots

MAX_ID = 36
_DIGEST = 5
"""Bytes; twice as many digits."""


def is_sliced(terms: OrderTerms) -> bool:
    """Say whether an order goes to the venue in parts."""
    shown = terms.display_quantity
    return terms.twap is not None or (shown is not None and shown < terms.quantity)


def slice_id(client_order_id: str, number: int) -> str:
    """Name a slice: `<id>-s<number>`, or where that is too long the beginning of the id and a digest of all of it."""
    ending = f"-s{number}"
    if len(client_order_id) + len(ending) <= MAX_ID:
        return client_order_id + ending
    digest = blake2b(client_order_id.encode(), digest_size=_DIGEST).hexdigest()
    return f"{client_order_id[: MAX_ID - len(digest) - len(ending) - 1]}_{digest}{ending}"


def slice_terms(terms: OrderTerms, name: str, quantity: Decimal) -> OrderTerms:
    return replace(terms.at_venue, client_order_id=name, quantity=quantity, slice_of=terms.client_order_id)


def most_slices(terms: OrderTerms) -> int:
    """Give the number of slices that an order is cut into if every one trades whole."""
    if terms.twap is not None:
        return terms.twap.slices
    return int(-(-terms.quantity // (terms.display_quantity or terms.quantity)))


def committed(order: Order) -> Decimal:
    """Give what is filled, and what slices that are out may still fill."""
    parts = order.slicing.open_parts if order.slicing else []
    return order.filled + sum((part.leaves for part in parts), ZERO)


def next_quantity(order: Order, slicing: Slicing, lot: Decimal, now: int) -> Decimal:
    """Give the quantity of the next slice: an iceberg's tip, or what the schedule lacks by now. 0: none at present."""
    rest = order.terms.quantity - committed(order)
    if order.terms.twap is None:
        shown = order.terms.display_quantity or rest
        return max(ZERO, min(rest, shown))
    return max(ZERO, min(rest, scheduled(order.terms, slicing, lot, now) - committed(order)))


def scheduled(terms: OrderTerms, slicing: Slicing, lot: Decimal, now: int) -> Decimal:
    """Give what a TWAP should have sent by now: equal parts in whole lots, and all of it with the last."""
    assert terms.twap is not None
    begun = begun_slices(terms, slicing, now)
    if begun == terms.twap.slices:
        return terms.quantity
    return whole_lots(terms.quantity * begun / terms.twap.slices, lot)


def begun_slices(terms: OrderTerms, slicing: Slicing, now: int) -> int:
    """Give the number of slices whose time has come; the first comes at once, the last one step before the end."""
    assert terms.twap is not None
    slices, duration = terms.twap.slices, terms.twap.duration_ns
    if duration == 0:
        return slices
    return min(slices, max(0, now - slicing.began_at) * slices // duration + 1)


def time_of(terms: OrderTerms, slicing: Slicing, number: int) -> int:
    """Give the time when slice `number` (from 0) is due."""
    assert terms.twap is not None
    return slicing.began_at - (-number * terms.twap.duration_ns // terms.twap.slices)


def ending(slicing: Slicing, parts: list[Slice]) -> str:
    """Say why a sliced order ends although not all of it was filled."""
    return slicing.stopped or f"its {len(parts)} slices have ended"
