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

Json = Annotated[str, Field(max_length=65_536, pattern=r"^[^\x00]*$")]
"""A JSON document inside an event: settings, for instance."""

LARGEST = 2**63 - 1
"""The largest whole number that the database keeps; also the last nanosecond an event can tell."""

Nanos = Annotated[int, Field(ge=0, le=LARGEST)]
"""Nanoseconds UTC since the epoch."""

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


def instrument_id(venue: str, symbol: str) -> InstrumentId:
    """Name the instrument `symbol` (as the exchange writes it) of `venue`."""
    return InstrumentId(f"{venue}.{symbol}")


def venue_of(instrument: InstrumentId) -> str:
    return instrument.partition(".")[0]


def symbol_of(instrument: InstrumentId) -> str:
    return instrument.partition(".")[2]


class Side(Enum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(Enum):
    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(Enum):
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class Liquidity(Enum):
    MAKER = "maker"
    TAKER = "taker"


class Interval(Enum):
    """The length of a bar."""

    S1 = "1s"
    S5 = "5s"
    S15 = "15s"
    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    H1 = "1h"

    @property
    def nanos(self) -> int:
        return _INTERVAL_SECONDS[self.value] * 1_000_000_000


_INTERVAL_SECONDS = {"1s": 1, "5s": 5, "15s": 15, "1m": 60, "5m": 300, "15m": 900, "1h": 3600}


class GapKind(Enum):
    """What was missing from a feed."""

    MISSING_TRADES = "missing_trades"
    SILENCE = "silence"


class TradingState(Enum):
    """What the operator lets the system do; the kill switch is HALTED."""

    ACTIVE = "active"
    REDUCE_ONLY = "reduce_only"
    HALTED = "halted"


class Rail(Enum):
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


class OrderStatus(Enum):
    INITIALIZED = "initialized"
    DENIED = "denied"
    SUBMITTED = "submitted"
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    PENDING_CANCEL = "pending_cancel"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


class Severity(Enum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
