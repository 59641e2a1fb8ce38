"""The rules of an instrument: market floats become booked amounts on the tick and the lot."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.types import instrument_id, symbol_of, venue_of
from tests.builders import BTC, LISTING
from venues.instruments import BINANCE_SPOT, Instrument, listing

COIN = LISTING[BTC]
UNITS = st.sampled_from(["0.01", "0.1", "1", "0.00001", "0.025", "5"]).map(Decimal)


@pytest.mark.parametrize(
    ("value", "price"),
    [(100.1, "100.1"), (100.14, "100.1"), (100.16, "100.2"), (100.15, "100.2"), (100.25, "100.2"), (0.1 + 0.2, "0.3")],
)
def test_a_market_price_is_booked_at_the_nearest_tick(value: float, price: str) -> None:
    assert COIN.price(value) == Decimal(price)


@pytest.mark.parametrize(
    ("value", "quantity"), [(1.0019, "1.001"), (0.0009, "0"), (0.3, "0.3"), (Decimal("0.7999"), "0.799")]
)
def test_a_quantity_is_booked_in_whole_lots_and_never_above(value: float | Decimal, quantity: str) -> None:
    assert COIN.quantity(value) == Decimal(quantity)


@given(UNITS, UNITS, st.floats(1e-6, 1e7))
def test_what_is_booked_is_on_the_grid_and_near(tick: Decimal, lot: Decimal, value: float) -> None:
    instrument = Instrument(BTC, "BTC", "USDT", tick=tick, lot=lot, min_notional=Decimal(0))
    price, quantity = instrument.price(value), instrument.quantity(value)
    assert instrument.is_price(price) and abs(price - Decimal(repr(value))) <= tick / 2
    assert 0 <= Decimal(repr(value)) - quantity < lot
    assert instrument.is_quantity(quantity) or quantity == 0
    assert (instrument.price(float(price)), instrument.quantity(quantity)) == (price, quantity)


@pytest.mark.parametrize(("price", "fits"), [("100.1", True), ("100.10", True), ("100.15", False), ("1e80", False)])
def test_a_price_fits_the_tick_or_not(price: str, *, fits: bool) -> None:
    assert COIN.is_price(Decimal(price)) is fits


@pytest.mark.parametrize(
    ("quantity", "fits"),
    [("0.001", True), ("2", True), ("0.0015", False), ("0", False), ("-1", False), ("1e100", False)],
)
def test_a_quantity_fits_the_lot_or_not(quantity: str, *, fits: bool) -> None:
    assert COIN.is_quantity(Decimal(quantity)) is fits


@pytest.mark.parametrize("rules", [{"tick": "0"}, {"lot": "-1"}, {"min_notional": "-1"}])
def test_rules_without_sense_are_refused(rules: dict[str, str]) -> None:
    changes: dict[str, Any] = {name: Decimal(value) for name, value in rules.items()}
    with pytest.raises(AssertionError):
        replace(COIN, **changes)


def test_a_listing_finds_an_instrument_by_its_id() -> None:
    assert listing([COIN]) == {BTC: COIN}
    assert all(name == instrument.id for name, instrument in BINANCE_SPOT.items())


def test_an_id_is_the_venue_and_the_symbol() -> None:
    name = instrument_id("binance", "BTCUSDT")
    assert (name, venue_of(name), symbol_of(name)) == ("binance.BTCUSDT", "binance", "BTCUSDT")
