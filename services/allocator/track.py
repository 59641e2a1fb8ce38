"""What a strategy has done so far, in equal pieces of time: returns on its equity, and how often it traded."""

from dataclasses import dataclass, field
from decimal import Decimal

LARGEST_RETURN = 1e6
"""Returns are cut to this, so that no books, however broken, make numbers that cannot be reckoned with."""


@dataclass(slots=True)
class Track:
    """`returns` and `trades` have one value for each piece of time, the last one last.

    Tracks are cut at the same moments, so those of several strategies are counted from their ends together.
    """

    equity: Decimal | None = None
    begun: Decimal | None = None
    """The equity at which the piece of time began; None before the first cut."""
    returns: list[float] = field(default_factory=list)
    trades: list[int] = field(default_factory=list)
    closed: int = 0
    """Positions closed since then."""

    @property
    def is_ruined(self) -> bool:
        return self.equity is not None and self.equity <= 0

    def cut(self, most: int) -> None:
        """End a piece of time and begin the next; `most` are kept. From nothing there is no return: it begins anew."""
        if self.equity is None:
            return
        if self.begun is not None and self.begun > 0:
            change = float(self.equity / self.begun - 1)
            self.returns.append(max(-LARGEST_RETURN, min(change, LARGEST_RETURN)))
            self.trades.append(self.closed)
            del self.returns[:-most], self.trades[:-most]
        else:
            self.returns, self.trades = [], []
        self.begun, self.closed = self.equity, 0

    def restart(self) -> None:
        """Forget what was measured over other pieces of time."""
        self.begun, self.returns, self.trades, self.closed = None, [], [], 0
