"""Correlations of instruments, from returns that are sampled from quotes at regular moments of event time."""

from dataclasses import dataclass, field
from math import isfinite, log

from contracts.market import Quote
from contracts.types import InstrumentId
from quant.correlation import correlation
from services.risk.settings import RiskSettings

SECOND = 1_000_000_000


@dataclass(slots=True)
class Samples:
    """Logarithms of the last sampled prices, and the returns until then, of which the newest comes last."""

    every_s: float
    next_at: int = 0
    logs: dict[InstrumentId, float] = field(default_factory=dict)
    returns: dict[InstrumentId, list[float]] = field(default_factory=dict)


class Correlations:
    def __init__(self, settings: RiskSettings) -> None:
        self.settings = settings
        self.samples = Samples(settings.correlation_every_s)
        self._known: dict[tuple[InstrumentId, InstrumentId], float] = {}

    def restore(self, samples: Samples) -> None:
        """Go on from `samples`, unless they were taken at other intervals."""
        self._known = {}
        if samples.every_s == self.settings.correlation_every_s:
            self.samples = samples

    def sample(self, quotes: dict[InstrumentId, Quote], now: int) -> None:
        """Take the prices that were shown before `now`, the first moment at or after a full interval."""
        samples, step = self.samples, round(self.samples.every_s * SECOND)
        samples.next_at = (now // step + 1) * step
        self._known = {}
        for instrument, quote in quotes.items():
            before = samples.logs.get(instrument)
            price = log(quote.mid) if isfinite(quote.mid) else before
            if price is None:
                continue
            if before is not None:
                returns = samples.returns.setdefault(instrument, [])
                returns.append(price - before)
                del returns[: -self.settings.correlation_samples]
            samples.logs[instrument] = price

    def together(self, a: InstrumentId, b: InstrumentId) -> float:
        """Give what counts of the correlation, 0..1: opposite moves are no excuse, and what is unknown counts whole."""
        if a == b:
            return 1.0
        key = (a, b) if a < b else (b, a)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._computed(*key)
        return known

    def _computed(self, a: InstrumentId, b: InstrumentId) -> float:
        xs, ys = self.samples.returns.get(a, []), self.samples.returns.get(b, [])
        count = min(len(xs), len(ys))
        if count < self.settings.correlation_least:
            return 1.0
        found = correlation(xs[-count:], ys[-count:])
        return 1.0 if found is None else max(found, 0.0)
