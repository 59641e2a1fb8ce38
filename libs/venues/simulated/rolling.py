"""Sums over a time that moves on, kept by parts of it: hours, or days."""

from dataclasses import dataclass, field
from decimal import Decimal

ZERO = Decimal(0)


@dataclass(slots=True)
class Rolling:
    """Amounts by the number of the part of time in which they came, the oldest first."""

    parts: list[tuple[int, Decimal]] = field(default_factory=list)

    def add(self, part: int, amount: Decimal) -> None:
        """Count an amount; what comes late counts for the part that was last."""
        if self.parts and self.parts[-1][0] >= part:
            self.parts[-1] = (self.parts[-1][0], self.parts[-1][1] + amount)
        else:
            self.parts.append((part, amount))

    def forget(self, before: int) -> None:
        while self.parts and self.parts[0][0] < before:
            self.parts.pop(0)

    def total(self, first: int, last: int) -> Decimal:
        """Sum the parts from `first` to `last`, both included."""
        return sum((amount for part, amount in self.parts if first <= part <= last), ZERO)
