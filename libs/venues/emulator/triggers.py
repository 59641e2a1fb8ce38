"""When a conditional order goes off: at a level, or at a distance behind the best price seen."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(slots=True)
class Trigger:
    """Go off when the price has reached `level` from below (`rising`) or from above.

    With `trail` (a share of the price) the level follows the best price seen since `activation` was reached.
    """

    rising: bool
    level: Decimal | None = None
    trail: Decimal | None = None
    activation: Decimal | None = None
    best: Decimal | None = None

    def reached(self, price: Decimal) -> bool:
        """See a price; say whether it sets the order off."""
        if self.trail is not None:
            self._follow(price)
        if self.level is None:
            return False
        return price >= self.level if self.rising else price <= self.level

    def _follow(self, price: Decimal) -> None:
        """A falling trigger follows a maximum, a rising one a minimum."""
        assert self.trail is not None
        if self.best is None and self.activation is not None:
            waiting = price > self.activation if self.rising else price < self.activation
            if waiting:
                return
        if self.best is None or (price < self.best if self.rising else price > self.best):
            self.best = price
            self.level = price * (1 + self.trail if self.rising else 1 - self.trail)
