"""What an exchange lists: ticks, lots and limits of each instrument."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal, InvalidOperation
from enum import Enum

from contracts.types import InstrumentId, instrument_id

_EXACT_DECIMALS = 15
_MOST_TICKS = 1e14
"""So far a float tells the number of ticks to less than a quarter, and is written with the digits of the price."""


class InstrumentKind(Enum):
    """What is traded: the coins themselves, or a contract on them that never expires and pays funding."""

    SPOT = "spot"
    PERPETUAL = "perpetual"


@dataclass(frozen=True, slots=True)
class Instrument:
    """The trading rules of one instrument: `tick` and `min_notional` in `quote_currency`, `lot` in `base_currency`."""

    id: InstrumentId
    base_currency: str
    quote_currency: str
    tick: Decimal
    lot: Decimal
    min_notional: Decimal
    kind: InstrumentKind = InstrumentKind.SPOT
    is_perpetual: bool = field(init=False, repr=False, compare=False)
    _ticks_in_one: float = field(init=False, repr=False, compare=False)
    """0 where a tick is no power of ten below one."""
    _lot_is_a_power_of_ten: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        assert self.tick > 0 and self.lot > 0 and self.min_notional >= 0
        tick = self.tick.as_tuple()
        decimals = -tick.exponent if isinstance(tick.exponent, int) and tick.digits == (1,) else 0
        object.__setattr__(self, "is_perpetual", self.kind is InstrumentKind.PERPETUAL)
        object.__setattr__(self, "_ticks_in_one", 10.0**decimals if 0 < decimals <= _EXACT_DECIMALS else 0.0)
        object.__setattr__(self, "_lot_is_a_power_of_ten", self.lot.as_tuple().digits == (1,))

    def price(self, value: float) -> Decimal:
        """Book a market price: the nearest tick to a float.

        Most prices are found without writing the float down. Not those halfway, and not those that are on the tick and
        end in a zero: that is not written.
        """
        ticks = value * self._ticks_in_one
        if 1.0 <= ticks < _MOST_TICKS:
            nearest = round(ticks)
            if -0.25 < ticks - nearest < 0.25 and (nearest % 10 or nearest / self._ticks_in_one != value):
                return nearest * self.tick
        return (Decimal(repr(value)) / self.tick).to_integral_value(ROUND_HALF_EVEN) * self.tick

    def quantity(self, value: float | Decimal) -> Decimal:
        """Book a quantity: whole lots, never more than `value`."""
        if not isinstance(value, Decimal):
            value = Decimal(repr(value))
        elif self._lot_is_a_power_of_ten and value.same_quantum(self.lot):
            return value
        return (value / self.lot).to_integral_value(ROUND_DOWN) * self.lot

    def is_price(self, price: Decimal) -> bool:
        return _is_whole(price, self.tick)

    def is_quantity(self, quantity: Decimal) -> bool:
        return quantity > 0 and _is_whole(quantity, self.lot)


def _is_whole(value: Decimal, unit: Decimal) -> bool:
    """Say whether `value` is a multiple of `unit`; one so large that its digits cannot tell is not."""
    try:
        return not value % unit
    except InvalidOperation:
        return False


Listing = Mapping[InstrumentId, Instrument]


def listing(instruments: Iterable[Instrument]) -> Listing:
    return {instrument.id: instrument for instrument in instruments}


def _usdt(base: str, tick: str, lot: str) -> Instrument:
    return Instrument(
        instrument_id("binance", f"{base}USDT"), base, "USDT", Decimal(tick), Decimal(lot), min_notional=Decimal(5)
    )


BINANCE_SPOT: Listing = listing(
    (
        _usdt("BTC", tick="0.01", lot="0.00001"),
        _usdt("ETH", tick="0.01", lot="0.0001"),
        _usdt("SOL", tick="0.01", lot="0.001"),
        _usdt("BNB", tick="0.01", lot="0.001"),
        _usdt("DOGE", tick="0.00001", lot="1"),
    )
)
"""Rules as the exchange publishes them for these pairs; a live gateway replaces them with what it is told."""


def _perpetual(base: str, tick: str, lot: str, min_notional: str) -> Instrument:
    return Instrument(
        instrument_id("binanceusdm", f"{base}USDT"),
        base,
        "USDT",
        Decimal(tick),
        Decimal(lot),
        Decimal(min_notional),
        InstrumentKind.PERPETUAL,
    )


BINANCE_USDM: Listing = listing(
    (
        _perpetual("BTC", tick="0.1", lot="0.001", min_notional="100"),
        _perpetual("ETH", tick="0.01", lot="0.001", min_notional="20"),
    )
)
"""The same for perpetuals that are margined and settled in USDT: one contract is one coin."""

LISTING: Listing = {**BINANCE_SPOT, **BINANCE_USDM}
"""All that can be traded."""
