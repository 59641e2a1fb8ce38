"""The rules of an instrument: market floats become booked amounts on the tick and the lot."""

import math
from dataclasses import replace
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.types import instrument_id, symbol_of, venue_of
from tests.builders import BTC, LISTING
from venues.instruments import BINANCE_SPOT, Instrument, listing

COIN = LISTING[BTC]
UNITS = st.sampled_from(["0.01", "0.1", "1", "0.00001", "0.025", "5", "0.10", "1E+1", "1E-15", "1E-20"]).map(Decimal)
WRITTEN = st.builds(lambda digits, places: digits / 10**places, st.integers(0, 10**9), st.integers(0, 8))
"""Prices and sizes as feeds write them."""
BESIDE = st.builds(math.nextafter, WRITTEN, st.sampled_from([0.0, math.inf]))
TICKS = st.sampled_from([0.1, 0.01, 0.05, 0.00001])
COMPUTED = st.builds(lambda count, tick: count * tick, st.integers(0, 10**9), TICKS)
VALUES = WRITTEN | BESIDE | COMPUTED | st.floats(0, 1e30, allow_subnormal=False)


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


@given(UNITS, VALUES)
def test_a_price_is_booked_as_if_it_were_written_down_and_divided(tick: Decimal, value: float) -> None:
    exact = (Decimal(repr(value)) / tick).to_integral_value(ROUND_HALF_EVEN) * tick
    assert str(replace(COIN, tick=tick).price(value)) == str(exact)


@given(UNITS, VALUES, st.integers(0, 8), st.sampled_from([1, -1]))
def test_a_quantity_is_booked_as_if_it_were_divided(lot: Decimal, value: float, places: int, sign: int) -> None:
    rules, written = replace(COIN, lot=lot), sign * Decimal(repr(value))
    padded = written.quantize(Decimal(1).scaleb(-places))
    for quantity in (written, padded, padded * lot):
        assert str(rules.quantity(quantity)) == str((quantity / lot).to_integral_value(ROUND_DOWN) * lot)
        assert rules.is_quantity(quantity) is (quantity > 0 and rules.quantity(quantity) == quantity)


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
