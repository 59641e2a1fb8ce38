"""Rate limits: request weight by minute, orders by ten seconds; who goes on after a 429 is banned."""

from dataclasses import dataclass, field

from venues.emulator.refusals import banned, too_many_orders, too_much_weight
from venues.emulator.settings import EmulatorSettings
from venues.emulator.words import Board

MINUTE = 60_000
TEN_SECONDS = 10_000


@dataclass(slots=True)
class Window:
    """A count within fixed windows of `length` ms."""

    length: int
    number: int = -1
    count: int = 0

    def add(self, amount: int, now: int) -> int:
        if now // self.length != self.number:
            self.number, self.count = now // self.length, 0
        self.count += amount
        return self.count

    def left_s(self, now: int) -> int:
        """Seconds until the window ends, at least 1."""
        return max(1, (self.length - now % self.length + 999) // 1000)


@dataclass(slots=True)
class Limits:
    """What one IP has used of one board."""

    settings: EmulatorSettings
    board: Board
    weight: Window = field(default_factory=lambda: Window(MINUTE))
    orders: Window = field(default_factory=lambda: Window(TEN_SECONDS))
    strikes: Window = field(default_factory=lambda: Window(MINUTE))
    banned_until: int = 0

    @property
    def weight_limit(self) -> int:
        spot = self.board is Board.SPOT
        return self.settings.spot_weight_per_minute if spot else self.settings.usdm_weight_per_minute

    @property
    def order_limit(self) -> int:
        spot = self.board is Board.SPOT
        return self.settings.spot_orders_per_10s if spot else self.settings.usdm_orders_per_10s

    def request(self, weight: int, now: int) -> None:
        """Count a request or refuse it."""
        if now < self.banned_until:
            raise banned(self.banned_until, (self.banned_until - now + 999) // 1000)
        if self.weight.add(weight, now) > self.weight_limit:
            if self.strikes.add(1, now) > self.settings.strikes:
                self.ban(self.settings.ban_s, now)
                raise banned(self.banned_until, self.settings.ban_s)
            raise too_much_weight(self.weight_limit, self.weight.left_s(now))

    def order(self, now: int) -> None:
        """Count an order or refuse it."""
        if self.orders.add(1, now) > self.order_limit:
            raise too_many_orders(self.order_limit, 10)

    def ban(self, seconds: int, now: int) -> None:
        self.banned_until = now + seconds * 1000

    def headers(self) -> dict[str, str]:
        return {
            "X-MBX-USED-WEIGHT": str(self.weight.count),
            "X-MBX-USED-WEIGHT-1M": str(self.weight.count),
            "X-MBX-ORDER-COUNT-10S": str(self.orders.count),
        }
