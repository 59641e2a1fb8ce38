"""The double-entry ledger of the exchange: nothing is created, everything moves from one place to another."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, localcontext
from enum import Enum, unique

from venues.emulator.settings import PLACES

UNIT = Decimal(1).scaleb(-PLACES)


@unique
class Place(Enum):
    """Where an asset can be."""

    FREE = "free"
    LOCKED = "locked"
    MARKET = "market"
    FEES = "fees"
    FUNDING = "funding"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Posting:
    """One movement: `amount` of `asset`, never negative; `time` in ms."""

    asset: str
    amount: Decimal
    source: Place
    target: Place
    why: str
    time: int


class Ledger:
    """Balances by place and asset, with every posting that made them."""

    def __init__(self) -> None:
        self.postings: list[Posting] = []
        self._balances: defaultdict[tuple[Place, str], Decimal] = defaultdict(Decimal)

    def move(self, asset: str, amount: Decimal, source: Place, target: Place, why: str, time: int) -> None:
        """Move; a negative amount moves the other way. The account itself never goes below zero."""
        if amount < 0:
            self.move(asset, -amount, target, source, why, time)
            return
        if amount == 0:
            return
        self.postings.append(Posting(asset, amount, source, target, why, time))
        with localcontext() as context:
            context.prec = 60
            self._balances[source, asset] -= amount
            self._balances[target, asset] += amount

    def at(self, place: Place, asset: str) -> Decimal:
        return self._balances.get((place, asset), Decimal(0))

    def free(self, asset: str) -> Decimal:
        return self.at(Place.FREE, asset)

    def locked(self, asset: str) -> Decimal:
        return self.at(Place.LOCKED, asset)

    def total(self, asset: str) -> Decimal:
        """What the account owns of an asset, free or locked."""
        return self.free(asset) + self.locked(asset)

    @property
    def assets(self) -> list[str]:
        """Every asset the account ever held, by name."""
        return sorted({asset for place, asset in self._balances if place in {Place.FREE, Place.LOCKED}})

    def imbalance(self) -> dict[str, Decimal]:
        """Assets whose places do not sum to zero: always empty, or the books are wrong."""
        sums: defaultdict[str, Decimal] = defaultdict(Decimal)
        for (_, asset), amount in self._balances.items():
            sums[asset] += amount
        return {asset: amount for asset, amount in sums.items() if amount != 0}


def booked(amount: Decimal) -> Decimal:
    """Round a commission or a profit to what is booked: towards zero."""
    return amount.quantize(UNIT, ROUND_DOWN)
