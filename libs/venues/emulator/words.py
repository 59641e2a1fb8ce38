"""The exchange's own words: what it calls its boards, orders and states, exactly as they stand on the wire."""

from enum import StrEnum, unique


@unique
class Board(StrEnum):
    """The two markets it runs: each has its own symbols, accounts, limits and paths."""

    SPOT = "spot"
    USDM = "usdm"


@unique
class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


@unique
class Kind(StrEnum):
    """Order types of both boards. `TAKE_PROFIT` ends as a market order on spot, and as a limit order on USD-M."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    LIMIT_MAKER = "LIMIT_MAKER"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"
    STOP = "STOP"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"


SPOT_KINDS = (
    Kind.LIMIT,
    Kind.LIMIT_MAKER,
    Kind.MARKET,
    Kind.STOP_LOSS,
    Kind.STOP_LOSS_LIMIT,
    Kind.TAKE_PROFIT,
    Kind.TAKE_PROFIT_LIMIT,
)
ALGO_KINDS = (Kind.STOP, Kind.STOP_MARKET, Kind.TAKE_PROFIT, Kind.TAKE_PROFIT_MARKET, Kind.TRAILING_STOP_MARKET)
"""What USD-M takes only through its algo orders."""
USDM_KINDS = (Kind.LIMIT, Kind.MARKET, *ALGO_KINDS)

LIMITED_ON_SPOT = frozenset({Kind.LIMIT, Kind.LIMIT_MAKER, Kind.STOP_LOSS_LIMIT, Kind.TAKE_PROFIT_LIMIT})
CONDITIONAL_ON_SPOT = frozenset({Kind.STOP_LOSS, Kind.STOP_LOSS_LIMIT, Kind.TAKE_PROFIT, Kind.TAKE_PROFIT_LIMIT})
LIMITED_ALGO = frozenset({Kind.STOP, Kind.TAKE_PROFIT})
PROFIT_TAKING = frozenset({Kind.TAKE_PROFIT, Kind.TAKE_PROFIT_LIMIT, Kind.TAKE_PROFIT_MARKET})


@unique
class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"


@unique
class Status(StrEnum):
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"

    @property
    def is_open(self) -> bool:
        return self in {Status.NEW, Status.PARTIALLY_FILLED}


@unique
class AlgoStatus(StrEnum):
    NEW = "NEW"
    TRIGGERING = "TRIGGERING"
    TRIGGERED = "TRIGGERED"
    FINISHED = "FINISHED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


@unique
class Execution(StrEnum):
    """What an order report reports."""

    NEW = "NEW"
    TRADE = "TRADE"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    AMENDMENT = "AMENDMENT"


@unique
class PositionSide(StrEnum):
    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"


@unique
class WorkingType(StrEnum):
    """Which price an algo order watches."""

    CONTRACT_PRICE = "CONTRACT_PRICE"
    MARK_PRICE = "MARK_PRICE"


@unique
class Phase(StrEnum):
    """Whether a symbol trades."""

    TRADING = "TRADING"
    BREAK = "BREAK"


@unique
class FeeAsset(StrEnum):
    """What a commission is paid in; USD-M knows only quote and BNB."""

    QUOTE = "quote"
    RECEIVED = "received"
    BNB = "BNB"
