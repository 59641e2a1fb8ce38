"""Hears a run fold by fold: equity at even distances, and what was traded for it. Memory is bounded by the folds."""

from collections.abc import Callable
from itertools import pairwise

from contracts.books import PortfolioMarked, PositionClosed
from contracts.orders import OrderFilled
from contracts.recorded import Recorded
from services.backtest.sweep.folds import Folds
from services.backtest.sweep.trials import Stretch

Closed = Callable[[int, Stretch], bool]
"""Is told the number of a fold that ended and what came of it; says whether to go on."""


class FoldHearer:
    """Tells of each fold as soon as something later is heard; `finish` tells of those that nothing follows.

    What is marked holds until the next mark. Books in another currency than the first are not added.
    """

    def __init__(self, folds: Folds, closed: Closed) -> None:
        self.stopped = False
        """Someone wants no more folds: the run may end."""
        self._folds = folds
        self._closed = closed
        self._number = 0
        self._next = folds.folds[0].begins_at
        """When equity is looked at next."""
        self._currency: str | None = None
        self._pnl = 0.0
        self._fees = 0.0
        self._capital = 0.0
        self._fees_before = 0.0
        self._samples: list[float] = []
        self._trades = 0
        self._fills = 0

    def hear(self, recorded: Recorded) -> None:
        event = recorded.event
        if event.ts_init > self._next:
            self._pass(event.ts_init)
        match event:
            case PortfolioMarked():
                self._mark(event)
            case PositionClosed():
                self._trades += 1
            case OrderFilled():
                self._fills += 1
            case _:
                return

    def finish(self) -> None:
        """Close what is open: there is nothing more to hear."""
        if not self.stopped and self._number < len(self._folds.folds):
            self._pass(self._folds.folds[-1].ends_at + 1)

    def _mark(self, marked: PortfolioMarked) -> None:
        self._currency = self._currency or marked.currency
        if marked.currency == self._currency:
            earned = marked.realized_pnl + marked.unrealized_pnl - marked.fees + marked.funding
            self._pnl, self._fees, self._capital = float(earned), float(marked.fees), float(marked.equity - earned)

    def _pass(self, now: int) -> None:
        """Look at equity at every even moment before `now`."""
        while self._number < len(self._folds.folds) and self._next < now and not self.stopped:
            fold = self._folds.folds[self._number]
            if not self._samples:
                self._fees_before, self._trades, self._fills = self._fees, 0, 0
            self._samples.append(self._pnl)
            if self._next < fold.ends_at:
                self._next += self._folds.step
                continue
            self._close()

    def _close(self) -> None:
        """End a fold; returns are as if all capital had been there from the beginning."""
        samples, capital = self._samples, self._capital
        returns = []
        for before, after in pairwise(samples):
            worth = capital + before
            returns.append((after - before) / worth if worth > 0 else 0.0)
        stretch = Stretch(
            returns=tuple(returns),
            net=samples[-1] - samples[0],
            fees=self._fees - self._fees_before,
            trades=self._trades,
            fills=self._fills,
        )
        number, self._number = self._number, self._number + 1
        self._samples = []
        if self._number < len(self._folds.folds):
            self._next = self._folds.folds[self._number].begins_at
        self.stopped = not self._closed(number, stretch)
