"""What an exchange lists: ticks, lots and limits of each instrument."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal, InvalidOperation
from enum import Enum

from contracts.types import InstrumentId, instrument_id


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

    def __post_init__(self) -> None:
        assert self.tick > 0 and self.lot > 0 and self.min_notional >= 0

    @property
    def is_perpetual(self) -> bool:
        return self.kind is InstrumentKind.PERPETUAL

    def price(self, value: float) -> Decimal:
        """Book a market price: the nearest tick to a float."""
        return (Decimal(repr(value)) / self.tick).to_integral_value(ROUND_HALF_EVEN) * self.tick

    def quantity(self, value: float | Decimal) -> Decimal:
        """Book a quantity: whole lots, never more than `value`."""
        exact = value if isinstance(value, Decimal) else Decimal(repr(value))
        return (exact / self.lot).to_integral_value(ROUND_DOWN) * self.lot

    def is_price(self, price: Decimal) -> bool:
        return _is_whole(price, self.tick)

    def is_quantity(self, quantity: Decimal) -> bool:
        return quantity > 0 and _is_whole(quantity, self.lot)


def _is_whole(value: Decimal, unit: Decimal) -> bool:
    """Say whether `value` is a multiple of `unit`; one so large that its digits cannot tell is not."""
    try:
        return value % unit == 0
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
