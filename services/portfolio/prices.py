"""What a unit is worth: the mark of an instrument, and the rate of a currency."""

from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache

from contracts.market import Quote
from contracts.types import InstrumentId, exponent_of, symbol_of, venue_of

FINEST = Decimal("1e-18")
"""Marks are rounded to this where a float says more: times a quantity they still have a place on the tape."""


@dataclass(slots=True)
class Prices:
    """The last quote of each instrument, and of perpetuals the mark price that their venue settles on."""

    quotes: dict[InstrumentId, Quote] = field(default_factory=dict)
    marks: dict[InstrumentId, float] = field(default_factory=dict)

    def mark(self, instrument: InstrumentId) -> Decimal | None:
        """Give the mark price, or the exact middle of the last quote; None before the first one."""
        mark = self.marks.get(instrument)
        if mark is not None:
            return _fitting(Decimal(repr(mark)))
        quote = self.quotes.get(instrument)
        return None if quote is None else _middle(quote.bid, quote.ask)

    def rate_source(self, currency: str, into: str, near: str | None) -> InstrumentId | None:
        """Name an instrument that prices `currency` in `into`: at the venue `near`, or else the one first quoted."""
        symbol = f"{currency}{into}"
        found = [name for name in (*self.quotes, *self.marks) if symbol_of(name) == symbol]
        return min(found, key=lambda name: venue_of(name) != near, default=None)


@lru_cache(maxsize=256, typed=True)
def _middle(bid: float, ask: float) -> Decimal:
    """Give the exact middle; it is asked for several times at one quote."""
    return _fitting((Decimal(repr(bid)) + Decimal(repr(ask))) / 2)


def _fitting(price: Decimal) -> Decimal:
    if exponent_of(price) >= -18:
        return price
    return max(price.quantize(FINEST), FINEST)
