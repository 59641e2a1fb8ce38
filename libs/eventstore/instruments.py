"""An instrument as two columns; kept in memory, because millions of rows share a few of them."""

from functools import lru_cache

from contracts.types import InstrumentId, instrument_id, symbol_of, venue_of


@lru_cache(maxsize=4096)
def venue_and_symbol(instrument: InstrumentId) -> tuple[str, str]:
    return venue_of(instrument), symbol_of(instrument)


@lru_cache(maxsize=4096)
def instrument_of(venue: str, symbol: str) -> InstrumentId:
    return instrument_id(venue, symbol)
