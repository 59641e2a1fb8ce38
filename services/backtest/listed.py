"""The rules of instruments that no exchange we know lists: taken for granted, and told in the report."""

import math
from collections.abc import Mapping
from decimal import Decimal

from contracts.types import InstrumentId
from venues.instruments import LISTING, Instrument, InstrumentKind, Listing

_DIGITS = 7
"""Digits of a price that count; with those of a quantity, and of a fee's share, they make an amount that is booked."""
_MOST_PLACES = 8
_QUOTED_IN = ("USDT", "USDC", "BUSD", "TUSD", "USD", "EUR", "BTC", "ETH", "BNB")
_PERPETUAL = ("-PERP", "_PERP", "PERP")
_USUAL_QUOTE = "USDT"


def listing_with(prices: Mapping[InstrumentId, float]) -> tuple[Listing, tuple[str, ...]]:
    """Give what can be traded, and what is assumed of those instruments that are not listed, by their first prices."""
    made = {instrument: assumed(instrument, price) for instrument, price in prices.items() if instrument not in LISTING}
    said = tuple(
        f"{one.id} is not listed: it is taken for a {one.kind.value} of {one.base_currency} paid in "
        f"{one.quote_currency}, with a tick of {one.tick:f} and a lot of {one.lot:f}"
        for one in made.values()
    )
    return {**LISTING, **made}, said


def assumed(instrument: InstrumentId, price: float) -> Instrument:
    """Read off a symbol what is traded: `BTC-PERP` is a perpetual, `ADABTC` is ADA paid in BTC."""
    symbol = instrument.partition(".")[2]
    for ending in _PERPETUAL:
        if symbol.endswith(ending) and symbol != ending:
            base = _without_quote(symbol.removesuffix(ending).rstrip("-_"))
            return _instrument(instrument, base, InstrumentKind.PERPETUAL, price)
    return _instrument(instrument, _without_quote(symbol), InstrumentKind.SPOT, price)


def _without_quote(symbol: str) -> tuple[str, str]:
    for quote in _QUOTED_IN:
        base = symbol.removesuffix(quote).rstrip("-_")
        if base and base != symbol:
            return base, quote
    return symbol, _USUAL_QUOTE


def _instrument(instrument: InstrumentId, pair: tuple[str, str], kind: InstrumentKind, price: float) -> Instrument:
    places = min(max(_DIGITS - 1 - math.floor(math.log10(price)), 0), _MOST_PLACES)
    tick, lot = Decimal(10) ** -places, Decimal(10) ** -max(_DIGITS - places, 0)
    return Instrument(instrument, *pair, tick=tick, lot=lot, min_notional=Decimal(0), kind=kind)
