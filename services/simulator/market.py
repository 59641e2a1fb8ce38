"""The market of a simulation: a seeded walk, the same for every instance of the feed that shows it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from contracts.market import Quote, Trade
from services.feed.frames import FrameReport, Rejected
from services.simulator.disguise import BEGAN_S
from venues.instruments import BINANCE_SPOT
from venues.market import SimulatedMarket

BAD_EVERY = 500
"""Now and then a frame that cannot be taken."""


class Market:
    """What a recording would hold. It goes on for ever, until it is closed behind what was shown."""

    def __init__(self, seed: int, symbols: Sequence[str], quotes_per_s: float) -> None:
        self.shown: list[Quote | Trade] = []
        self._seed = seed
        self._closed = False
        instruments = [BINANCE_SPOT[name] for name in BINANCE_SPOT if name.partition(".")[2] in symbols]
        self._coming = SimulatedMarket(instruments, str(seed), BEGAN_S * 1_000_000_000, {}).events(quotes_per_s)

    def close(self) -> None:
        """End behind the last event that anybody was shown."""
        self._closed = True

    def fingerprint(self, _files: Sequence[Path]) -> str:
        """Stand in for the feed's function of this name."""
        return f"market-{self._seed}"

    def read_frames(
        self, _files: Sequence[Path], _venue: str, report: FrameReport
    ) -> Iterator[Quote | Trade | Rejected]:
        """Stand in for the feed's function of this name."""
        shown = self.shown
        for number in range(10**9):
            if number == len(shown):
                if self._closed:
                    return
                shown.append(next(self._coming))
            event = shown[number]
            if number % BAD_EVERY == BAD_EVERY - 1:
                rejected = Rejected(event.ts_init, f"frame {number}", "it is no frame", "?")
                report.reject(rejected)
                yield rejected
            yield event
