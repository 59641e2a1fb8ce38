"""What a venue says, in our words: orders, trades, balances, positions and funding as one look at it shows them."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from contracts.types import InstrumentId, InstrumentState, Liquidity, Side


class VenueStatus(Enum):
    """Where an order stands at a venue."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class VenueTradeView:
    """A trade of ours: `price` in `currency`, `quantity` in base units, `fee` in `fee_currency`, time in ns UTC."""

    instrument: InstrumentId
    trade_id: str
    venue_order_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    currency: str
    fee: Decimal
    fee_currency: str
    liquidity: Liquidity
    traded_at: int


@dataclass(frozen=True, slots=True)
class VenueOrderView:
    """An order as the venue has it. `client_order_id` is as the venue keeps it: not necessarily one of ours.

    `filled` may be more than the trades heard of so far: those that came with this look are `trades`.
    """

    instrument: InstrumentId
    client_order_id: str
    venue_order_id: str
    status: VenueStatus
    side: Side
    quantity: Decimal
    filled: Decimal
    limit_price: Decimal | None
    updated_at: int
    reason: str = ""
    trades: tuple[VenueTradeView, ...] = ()


@dataclass(frozen=True, slots=True)
class BalanceView:
    """What an account holds of a currency; `free` is not bound by orders or margin."""

    currency: str
    total: Decimal
    free: Decimal


@dataclass(frozen=True, slots=True)
class PositionView:
    """What an account holds of a derivative; negative: short."""

    instrument: InstrumentId
    quantity: Decimal
    entry_price: Decimal | None
    liquidation_price: Decimal | None
    margin: Decimal


@dataclass(frozen=True, slots=True)
class FundingView:
    """A payment of funding: `amount` in `currency`, negative when we paid it. Time in ns UTC."""

    funding_id: str
    instrument: InstrumentId
    amount: Decimal
    currency: str
    paid_at: int


@dataclass(frozen=True, slots=True)
class AccountView:
    """One look at an account: what it lists is all that it has."""

    balances: tuple[BalanceView, ...]
    positions: tuple[PositionView, ...]


@dataclass(frozen=True, slots=True)
class MarketView:
    """The rules of an instrument as the venue lists it now."""

    instrument: InstrumentId
    tick: Decimal
    lot: Decimal
    min_notional: Decimal
    state: InstrumentState
