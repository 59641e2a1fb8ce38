"""The displayed order book of one symbol: what others offer, less what the account took of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from venues.emulator.words import Side

Levels = dict[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class DepthUpdate:
    """Levels that changed, with their new sizes (0: gone), and the update ids that this covers."""

    first: int
    last: int
    before: int
    bids: Levels
    asks: Levels


class Book:
    """Displayed sizes by price. Each changed level takes one update id, so ids have no gaps."""

    def __init__(self) -> None:
        self.bids: Levels = {}
        self.asks: Levels = {}
        self.update_id = 1_000

    def show(self, bids: Mapping[Decimal, Decimal], asks: Mapping[Decimal, Decimal]) -> DepthUpdate | None:
        """Replace what is displayed; None when nothing changed."""
        changes = (_changes(self.bids, bids), _changes(self.asks, asks))
        self.bids = {price: size for price, size in bids.items() if size > 0}
        self.asks = {price: size for price, size in asks.items() if size > 0}
        return self._update(*changes)

    def take(self, side: Side, taken: Iterable[tuple[Decimal, Decimal]]) -> DepthUpdate | None:
        """Remove what an order of `side` took."""
        levels, changed = self._opposite(side), {}
        for price, quantity in taken:
            left = levels[price] - quantity
            assert left >= 0, f"more was taken at {price} than was shown"
            changed[price] = left
            if left > 0:
                levels[price] = left
            else:
                del levels[price]
        return self._update(*(({}, changed) if side is Side.BUY else (changed, {})))

    def offers(self, side: Side) -> Iterator[tuple[Decimal, Decimal]]:
        """Give price and size that an order of `side` meets, best first."""
        levels = self._opposite(side)
        return iter(sorted(levels.items(), reverse=side is Side.SELL))

    def best(self, side: Side) -> tuple[Decimal, Decimal] | None:
        """Give the best price and its size that an order of `side` would meet; None when there is none."""
        levels = self._opposite(side)
        if not levels:
            return None
        price = min(levels) if side is Side.BUY else max(levels)
        return price, levels[price]

    def displayed(self, side: Side, price: Decimal) -> Decimal:
        """Say how much stands at `price` on the own side of an order."""
        return (self.bids if side is Side.BUY else self.asks).get(price, Decimal(0))

    def top(self, side: Side, limit: int) -> list[tuple[Decimal, Decimal]]:
        """Give up to `limit` levels of bids (BUY) or asks (SELL), best first."""
        levels = self.bids if side is Side.BUY else self.asks
        return sorted(levels.items(), reverse=side is Side.BUY)[:limit]

    def _opposite(self, side: Side) -> Levels:
        return self.asks if side is Side.BUY else self.bids

    def _update(self, bids: Levels, asks: Levels) -> DepthUpdate | None:
        changed = len(bids) + len(asks)
        if changed == 0:
            return None
        before = self.update_id
        self.update_id += changed
        return DepthUpdate(before + 1, self.update_id, before, bids, asks)


def _changes(old: Mapping[Decimal, Decimal], new: Mapping[Decimal, Decimal]) -> Levels:
    zero = Decimal(0)
    changed = {price: zero for price in old if new.get(price, zero) == 0}
    changed.update((price, size) for price, size in new.items() if size > 0 and old.get(price) != size)
    return changed
