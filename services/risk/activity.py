"""How much is wished for, and how often: judged ids, repeated wishes, and the rate of orders, all on event time."""

from collections import OrderedDict
from dataclasses import dataclass, field

from contracts.orders import OrderTerms
from services.risk.settings import RiskSettings

REMEMBERED_IDS = 100_000
"""How many judged orders are remembered against a repetition."""
SECOND = 1_000_000_000
MILLISECOND = 1_000_000


@dataclass(slots=True)
class Bucket:
    """A token bucket: `tokens` at the time `at` (ns)."""

    tokens: float
    at: int

    def filled_up(self, now: int, settings: RiskSettings) -> float:
        tokens, most = self.tokens, settings.order_burst
        if now > self.at:
            tokens += (now - self.at) / SECOND * settings.order_rate_per_s
        return tokens if tokens <= most else most  # noqa: FURB136 # cheaper than the call


@dataclass(slots=True)
class Activity:
    judged: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Ids of orders, the oldest first."""
    wishes: dict[str, int] = field(default_factory=dict)
    """When a wish was last approved, by all that makes it the same."""
    buckets: dict[str, Bucket] = field(default_factory=dict)
    """By strategy."""

    def remember(self, client_order_id: str) -> None:
        self.judged[client_order_id] = None
        if len(self.judged) > REMEMBERED_IDS:
            self.judged.popitem(last=False)

    def tokens(self, strategy: str, now: int, settings: RiskSettings) -> float:
        bucket = self.buckets.get(strategy)
        return float(settings.order_burst) if bucket is None else bucket.filled_up(now, settings)

    def take_tokens(self, strategy: str, count: int, now: int, settings: RiskSettings) -> None:
        bucket = self.buckets.get(strategy)
        if bucket is None:
            bucket = self.buckets[strategy] = Bucket(float(settings.order_burst), now)
        left = bucket.filled_up(now, settings) - count
        bucket.tokens = left if left > 0 else 0.0
        if now > bucket.at:  # noqa: PLR1730 # cheaper than the call
            bucket.at = now

    def since_same(self, order: OrderTerms, now: int) -> int | None:
        """Tell how long ago (ns) the same was approved; None if it was not, or too long ago."""
        at = self.wishes.get(_same(order))
        return None if at is None else now - at

    def approved(self, order: OrderTerms, now: int, settings: RiskSettings) -> None:
        if settings.duplicate_window_ms is None:
            return
        oldest = now - round(settings.duplicate_window_ms * MILLISECOND)
        while self.wishes and self.wishes[first := next(iter(self.wishes))] < oldest:
            del self.wishes[first]
        wish = _same(order)
        self.wishes.pop(wish, None)
        self.wishes[wish] = now


def _same(order: OrderTerms) -> str:
    prices = f"{order.limit_price or 0:f} {order.trigger_price or 0:f}"
    what = f"{order.side.value} {order.quantity.normalize():f} {order.order_type.value}"
    return f"{order.strategy} {order.instrument} {what} {prices}"
