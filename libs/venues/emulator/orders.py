"""Orders and fills as the exchange keeps them."""

from dataclasses import dataclass, field
from decimal import Decimal

from venues.emulator.settings import Pair
from venues.emulator.triggers import Trigger
from venues.emulator.words import AlgoStatus, Kind, PositionSide, Side, Status, TimeInForce, WorkingType

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What was asked for: prices in quote, quantities in base; None is absence."""

    pair: Pair
    side: Side
    kind: Kind
    client_id: str
    quantity: Decimal
    time_in_force: TimeInForce = TimeInForce.GTC
    price: Decimal | None = None
    stop_price: Decimal | None = None
    quote_quantity: Decimal | None = None
    iceberg_quantity: Decimal = ZERO
    trailing: Decimal | None = None
    activation: Decimal | None = None
    working_type: WorkingType = WorkingType.CONTRACT_PRICE
    position_side: PositionSide = PositionSide.BOTH
    reduce_only: bool = False
    close_position: bool = False

    @property
    def is_post_only(self) -> bool:
        return self.kind is Kind.LIMIT_MAKER or self.time_in_force is TimeInForce.GTX


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution: `quote` = price x quantity, `realized` is the profit it took (USD-M), `time` in ms."""

    id: int
    price: Decimal
    quantity: Decimal
    quote: Decimal
    fee: Decimal
    fee_asset: str
    is_maker: bool
    realized: Decimal
    time: int


@dataclass(slots=True)
class Order:
    """An order with what became of it; times in ms."""

    id: int
    ticket: Ticket
    quantity: Decimal
    price: Decimal | None
    created: int
    updated: int
    status: Status = Status.NEW
    trigger: Trigger | None = None
    filled: Decimal = ZERO
    quote: Decimal = ZERO
    ahead: Decimal = ZERO
    reserved: Decimal = ZERO
    realized: Decimal = ZERO
    fills: list[Fill] = field(default_factory=list)
    canceled_by: str = ""
    expiry_reason: str = ""

    @property
    def pair(self) -> Pair:
        return self.ticket.pair

    @property
    def side(self) -> Side:
        return self.ticket.side

    @property
    def leaves(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def is_working(self) -> bool:
        """A conditional order works once it is triggered."""
        return self.trigger is None

    @property
    def average(self) -> Decimal:
        return self.quote / self.filled if self.filled else ZERO

    def accepts(self, price: Decimal) -> bool:
        """Say whether the order trades at `price`."""
        if self.price is None:
            return True
        return price <= self.price if self.side is Side.BUY else price >= self.price


@dataclass(slots=True)
class Algo:
    """A conditional order of USD-M: it becomes an order of its own when it is triggered."""

    id: int
    ticket: Ticket
    trigger: Trigger
    created: int
    updated: int
    status: AlgoStatus = AlgoStatus.NEW
    triggered_at: int = 0
    order: Order | None = None
    reason: str = ""
