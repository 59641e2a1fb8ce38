"""What a parity comparison knows of an order: what it was decided on, what was known then, and what was traded."""

from dataclasses import dataclass, field
from decimal import Decimal

from contracts.orders import Denial
from contracts.types import InstrumentId, Interval, Liquidity, Side


@dataclass(frozen=True, slots=True)
class Top:
    """A quote: the `number`-th of its instrument."""

    number: int
    at: int
    bid: float
    ask: float

    @property
    def middle(self) -> float:
        return (self.bid + self.ask) / 2

    def touch(self, side: Side) -> float:
        """Give the price at which that side trades at once."""
        return self.ask if side is Side.BUY else self.bid


@dataclass(frozen=True, slots=True)
class Trigger:
    """The event that an order was decided on, as both sides would name it; `bar` is the key of one."""

    words: str
    bar: tuple[InstrumentId, Interval, int] | None = None


@dataclass(frozen=True, slots=True)
class BarShown:
    open: float
    high: float
    low: float
    close: float
    volume: float
    closed_at: int
    position: int

    def otherwise(self, other: "BarShown") -> str:
        """Name what it shows otherwise than `other`; empty where only the moment may differ at which it was said."""
        names = ("open", "high", "low", "close", "volume")
        shown = [(name, getattr(self, name), getattr(other, name)) for name in names]
        return ", ".join(f"{name} {mine:.10g} and not {theirs:.10g}" for name, mine, theirs in shown if mine != theirs)


@dataclass(frozen=True, slots=True)
class Fill:
    """A trade of an order. `fee` in quote currency; `top` is what the exchange saw when it traded."""

    position: int
    at: int
    price: float
    quantity: float
    fee: float
    liquidity: Liquidity
    top: Top | None


@dataclass(slots=True)
class Order:
    """A wish, what became of it, and what was known when it was decided."""

    order_id: str
    strategy: str
    instrument: InstrumentId
    side: Side
    by: str
    """Whose wish it is: the strategy's own, or of whoever protects it."""
    quantity: Decimal
    order_type: str
    reference: float
    position: int
    cause: int
    """The position of what it was decided on."""
    decided_at: int
    trigger: Trigger
    top: Top | None
    """The market when it was decided, or when what it waited for happened."""
    approved: Decimal | None = None
    denials: tuple[Denial, ...] = ()
    """Why it was refused or made smaller."""
    refused: bool = False
    ended: str = ""
    """Why it ended otherwise than filled."""
    fills: list[Fill] = field(default_factory=list)

    @property
    def filled(self) -> float:
        return sum(fill.quantity for fill in self.fills)

    @property
    def average(self) -> float | None:
        filled = self.filled
        return sum(fill.price * fill.quantity for fill in self.fills) / filled if filled else None

    @property
    def fees(self) -> float:
        return sum(fill.fee for fill in self.fills)

    @property
    def signed(self) -> float:
        return self.filled if self.side is Side.BUY else -self.filled

    def worth(self, mark: float) -> float:
        """Give what its fills have brought with the instrument at `mark`, after fees (quote currency)."""
        spent = sum(fill.price * fill.quantity for fill in self.fills)
        return self.signed * mark - (spent if self.side is Side.BUY else -spent) - self.fees
