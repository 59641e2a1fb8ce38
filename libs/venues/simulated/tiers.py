"""Fees that fall with what we trade, as exchanges set them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from contracts.types import Liquidity, venue_of
from venues.instruments import Instrument
from venues.simulated.rolling import Rolling

_MAKER = Liquidity.MAKER
DAY = 86_400_000_000_000
COUNTED_DAYS = 30
"""How many whole days (UTC) before the present one count, as at Binance."""


class FeeTier(BaseModel):
    """What is paid by who traded at least so much in the 30 days before today. Shares are of notional."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_volume: Decimal = Field(gt=0, le=Decimal("1e15"), description="in the quote currency")
    maker_fee: Decimal = Field(ge=-1, le=1, description="share of notional")
    taker_fee: Decimal = Field(ge=-1, le=1, description="share of notional")


class Rates(Protocol):
    """What is paid on one kind of instrument: below the first tier, and in the tiers."""

    @property
    def maker_fee(self) -> Decimal: ...
    @property
    def taker_fee(self) -> Decimal: ...
    @property
    def fee_tiers(self) -> tuple[FeeTier, ...]: ...


def require_falling(rates: Rates) -> None:
    """Refuse tiers that are out of order or cost more than the one below: money is bound by the fees of the lowest."""
    for lower, tier in pairwise(rates.fee_tiers):
        if tier.from_volume <= lower.from_volume:
            raise ValueError(f"fee_tiers: {tier.from_volume} does not come after {lower.from_volume}")
    lower_ones: tuple[Rates | FeeTier, ...] = (rates, *rates.fee_tiers)
    for below, above in zip(lower_ones, rates.fee_tiers, strict=False):
        if above.maker_fee > below.maker_fee or above.taker_fee > below.taker_fee:
            raise ValueError(
                f"fee_tiers: from {above.from_volume} on more is paid ({above.maker_fee}, {above.taker_fee}) than "
                f"before ({below.maker_fee}, {below.taker_fee})"
            )


@dataclass(frozen=True, slots=True)
class _PlainRates:
    """The same, as attributes of a plain class: those of settings are looked up at four times the cost."""

    maker_fee: Decimal
    taker_fee: Decimal
    fee_tiers: tuple[FeeTier, ...]


class Fees:
    """Says what a trade costs, by how much was traded at its venue before; `volumes` by venue."""

    def __init__(self, volumes: dict[str, Rolling], spot: Rates, perpetual: Rates) -> None:
        self._volumes = volumes
        self._spot = _PlainRates(spot.maker_fee, spot.taker_fee, spot.fee_tiers)
        self._perpetual = _PlainRates(perpetual.maker_fee, perpetual.taker_fee, perpetual.fee_tiers)
        self.are_in_tiers = bool(spot.fee_tiers or perpetual.fee_tiers)
        """Whether it matters what is counted."""

    def share(self, instrument: Instrument, role: Liquidity, now: int) -> Decimal:
        """Give the share of notional that a trade costs."""
        rates = self._perpetual if instrument.is_perpetual else self._spot
        if not rates.fee_tiers:
            return rates.maker_fee if role is _MAKER else rates.taker_fee
        tier = _tier(rates, self.volume(venue_of(instrument.id), now))
        return tier.maker_fee if role is _MAKER else tier.taker_fee

    def volume(self, venue: str, now: int) -> Decimal:
        """Give what was traded in the days that count."""
        traded, today = self._volumes.get(venue), now // DAY
        return Decimal(0) if traded is None else traded.total(today - COUNTED_DAYS, today - 1)

    def count(self, instrument: Instrument, notional: Decimal, now: int) -> None:
        """Count a trade of ours."""
        if not self.are_in_tiers:
            return
        traded, today = self._volumes.setdefault(venue_of(instrument.id), Rolling()), now // DAY
        traded.forget(today - COUNTED_DAYS)
        traded.add(today, notional)


def _tier(rates: Rates, volume: Decimal) -> Rates | FeeTier:
    reached: Sequence[FeeTier] = [tier for tier in rates.fee_tiers if tier.from_volume <= volume]
    return reached[-1] if reached else rates
