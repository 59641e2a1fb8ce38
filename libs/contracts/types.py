"""The vocabulary that events are made of: identifiers, units and closed sets of outcomes."""

import decimal
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, NewType

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

_TOKEN = r"[A-Za-z0-9_-]+"

InstrumentId = NewType("InstrumentId", str)
"""`venue.SYMBOL`, for instance `binance.BTCUSDT`: the last two tokens of a subject."""

Instrument = Annotated[InstrumentId, Field(pattern=rf"^{_TOKEN}\.{_TOKEN}$", max_length=64)]
Name = Annotated[str, Field(pattern=rf"^{_TOKEN}$", max_length=32)]
ClientOrderId = Annotated[str, Field(pattern=rf"^{_TOKEN}$", max_length=36)]
MAX_TEXT = 2000
Text = Annotated[str, Field(max_length=MAX_TEXT, pattern=r"^[^\x00]*$")]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

Json = Annotated[str, Field(max_length=65_536, pattern=r"^[^\x00]*$")]
"""A JSON document inside an event: settings, for instance."""

LARGEST = 2**63 - 1
"""The largest whole number that the database keeps; also the last nanosecond an event can tell."""

Nanos = Annotated[int, Field(ge=0, le=LARGEST)]
"""Nanoseconds UTC since the epoch."""

Rate = Annotated[float, Field(ge=-10, le=10)]
"""A share, such as a funding rate: 0.0001 is one basis point."""

Bps = Annotated[float, Field()]
"""Basis points: hundredths of a percent."""

Count = Annotated[int, Field(ge=0, le=LARGEST)]
Price = Annotated[float, Field(gt=0)]
Size = Annotated[float, Field(ge=0)]

MONEY_DIGITS = 60
"""Sums and products of money are exact up to this many digits, in every process that speaks of events."""

decimal.DefaultContext.prec = MONEY_DIGITS
decimal.getcontext().prec = MONEY_DIGITS


class _MoneySchema:
    """Money on the wire: a string, so that no reader makes a float of it on the way."""

    def __init__(self, *, positive: bool) -> None:
        self.positive = positive

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(pattern=r"^-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$")
        number = core_schema.decimal_schema(gt=Decimal(0) if self.positive else None, strict=False)
        return core_schema.json_or_python_schema(
            json_schema=core_schema.chain_schema([text, number]),
            python_schema=core_schema.chain_schema([core_schema.is_instance_schema(Decimal), number]),
            serialization=core_schema.to_string_ser_schema(when_used="json"),
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "positive-decimal" if self.positive else "decimal"}


Money = Annotated[Decimal, _MoneySchema(positive=False)]
"""An exact amount that is booked: a string on the wire, NUMERIC in the database."""

PositiveMoney = Annotated[Decimal, _MoneySchema(positive=True)]


_ZERO = Decimal(0)


def exponent_of(amount: Decimal) -> int:
    """Give the exponent of the last digit of a finite amount, without the tuple of all digits that `as_tuple` makes."""
    return (amount * _ZERO).adjusted()


def instrument_id(venue: str, symbol: str) -> InstrumentId:
    """Name the instrument `symbol` (as the exchange writes it) of `venue`."""
    return InstrumentId(f"{venue}.{symbol}")


def venue_of(instrument: InstrumentId) -> str:
    return instrument.partition(".")[0]


def symbol_of(instrument: InstrumentId) -> str:
    return instrument.partition(".")[2]


class Closed(Enum):
    """A closed set of words. Its members are singletons, so identity is hash enough; that of `Enum` is a call."""

    __hash__ = object.__hash__


class Side(Closed):
    BUY = "buy"
    SELL = "sell"

    sign: int

    def __init__(self, word: str) -> None:
        self.sign = 1 if word == "buy" else -1

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self.sign > 0 else Side.BUY


class PositionSide(Closed):
    """Which position: the only one (netting), or that of one side (hedging)."""

    NET = "net"
    LONG = "long"
    SHORT = "short"


class OrderType(Closed):
    """How an order comes to trade. A take-profit is an order "if touched" that only reduces."""

    MARKET = "market"
    LIMIT = "limit"
    STOP_MARKET = "stop_market"
    STOP_LIMIT = "stop_limit"
    MARKET_IF_TOUCHED = "market_if_touched"
    LIMIT_IF_TOUCHED = "limit_if_touched"
    TRAILING_STOP = "trailing_stop"

    has_limit: bool
    """Whether it never trades at a price worse than its limit."""
    is_conditional: bool
    """Whether it waits for the market to reach a price before it trades."""
    is_stop: bool
    """Whether it waits for a price worse than the present one: what ends a loss."""

    def __init__(self, word: str) -> None:
        self.has_limit = word in ("limit", "stop_limit", "limit_if_touched")
        self.is_conditional = word not in ("market", "limit")
        self.is_stop = word in ("stop_market", "stop_limit", "trailing_stop")

    @property
    def triggered(self) -> "OrderType":
        """What it becomes when its condition is met."""
        return OrderType.LIMIT if self.has_limit else OrderType.MARKET


class TriggerBy(Closed):
    """The price that a condition looks at."""

    BID_ASK = "bid_ask"
    """The price at which the order would trade: the bid for a sale, the ask for a purchase."""
    LAST = "last"
    MARK = "mark"


class TrailKind(Closed):
    """What the distance of a trailing stop is measured in."""

    ABSOLUTE = "absolute"
    PERCENT = "percent"


class Contingency(Closed):
    """What becomes of the other orders of a list when one of them trades."""

    OCO = "oco"
    """One cancels the other."""
    OUO = "ouo"
    """One updates the other: it is reduced by as much as was filled."""


class TimeInForce(Closed):
    """How long an order stands."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    GTD = "gtd"
    DAY = "day"
    """Until the end of the day in UTC."""


class Liquidity(Closed):
    MAKER = "maker"
    TAKER = "taker"


class Interval(Closed):
    """The length of a bar."""

    S1 = "1s"
    S5 = "5s"
    S15 = "15s"
    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    H1 = "1h"

    nanos: int

    def __init__(self, word: str) -> None:
        seconds = {"s": 1, "m": 60, "h": 3600}[word[-1]]
        self.nanos = int(word[:-1]) * seconds * 1_000_000_000


class GapKind(Closed):
    """What was missing from a feed."""

    MISSING_TRADES = "missing_trades"
    SILENCE = "silence"


class TradingState(Closed):
    """What the operator lets the system do; the kill switch is HALTED."""

    ACTIVE = "active"
    REDUCE_ONLY = "reduce_only"
    HALTED = "halted"


class InstrumentState(Closed):
    """Whether a venue lets an instrument be traded."""

    TRADING = "trading"
    BREAK = "break"
    DELISTED = "delisted"


class CircuitState(Closed):
    """Whether orders may go to a venue; HALF_OPEN: only those that find out."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class ReconciliationKind(Closed):
    """How our books and a venue differed."""

    IN_ORDER = "in_order"
    UNKNOWN_STATE = "unknown_state"
    MISSED_FILL = "missed_fill"
    MISSED_END = "missed_end"
    FOREIGN_ORDER = "foreign_order"
    BALANCE = "balance"
    POSITION = "position"


class Rail(Closed):
    """The name of a risk check, as it appears among the reasons of a rejection."""

    TRADING_STATE = "trading_state"
    ALLOWLIST = "allowlist"
    LOT_SIZE = "lot_size"
    PRICE_TICK = "price_tick"
    STALE_MARK = "stale_mark"
    MIN_NOTIONAL = "min_notional"
    MAX_NOTIONAL = "max_notional"
    PRICE_COLLAR = "price_collar"
    SYMBOL_EXPOSURE = "symbol_exposure"
    STRATEGY_EXPOSURE = "strategy_exposure"
    TOTAL_EXPOSURE = "total_exposure"
    REDUCE_ONLY = "reduce_only"
    DUPLICATE = "duplicate"
    STRATEGY_INSTRUMENTS = "strategy_instruments"
    INSTRUMENT_STATUS = "instrument_status"
    ORDER_TERMS = "order_terms"
    SPREAD = "spread"
    VENUE_EXPOSURE = "venue_exposure"
    CORRELATED_EXPOSURE = "correlated_exposure"
    LEVERAGE = "leverage"
    FREE_MARGIN = "free_margin"
    OPEN_ORDERS = "open_orders"
    ORDER_RATE = "order_rate"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    CONSECUTIVE_LOSSES = "consecutive_losses"
    CAPITAL = "capital"
    STOPLOSS_GUARD = "stoploss_guard"
    COOLDOWN = "cooldown"
    LOW_PROFIT = "low_profit"
    MAX_DRAWDOWN = "max_drawdown"
    VENUE_HEALTH = "venue_health"
    EXECUTION = "execution"


class OrderStatus(Closed):
    INITIALIZED = "initialized"
    HELD = "held"
    """Nobody but the router knows of it: it waits for a price, or for another order of its list."""
    TRIGGERED = "triggered"
    PENDING_UPDATE = "pending_update"
    DENIED = "denied"
    SUBMITTED = "submitted"
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    PENDING_CANCEL = "pending_cancel"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


class Severity(Closed):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
