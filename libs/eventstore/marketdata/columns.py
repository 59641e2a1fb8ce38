"""Which column is which: told, or recognised by the names that exchanges and libraries give them."""

import re
from collections.abc import Collection, Mapping
from enum import Enum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from contracts.types import Interval, Name
from eventstore.marketdata.forms import USUAL_ORDER, BadFile, Head


class DataKind(Enum):
    """What a row tells."""

    BARS = "bars"
    TRADES = "trades"
    QUOTES = "quotes"


class Role(Enum):
    """What a column tells."""

    TIME = "time"
    RECEIVED = "received"
    SYMBOL = "symbol"
    OPEN = "open"
    HIGH = "high"
    LOW = "low"
    CLOSE = "close"
    VOLUME = "volume"
    TRADES = "trades"
    PRICE = "price"
    SIZE = "size"
    SIDE = "side"
    BUYER_IS_MAKER = "is_buyer_maker"
    TRADE_ID = "id"
    BID = "bid"
    BID_SIZE = "bid_size"
    ASK = "ask"
    ASK_SIZE = "ask_size"


class BarTime(Enum):
    """What the time of a bar tells."""

    OPENS = "opens"
    CLOSES = "closes"


class SizeUnit(Enum):
    """What sizes and volumes count."""

    BASE = "base"
    """Coins."""
    QUOTE = "quote"
    """Money: they are divided by the price beside them (of bars: the close)."""


class FileMapping(BaseModel):
    """What is said about files of market data; None is found out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    venue: Name = Field(default="file", description="the venue that instruments are named with")
    symbol: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9_-]{1,40}$", description="None: by the file's name or its column `symbol`"
    )
    kind: DataKind | None = Field(default=None, description="what the rows are; None: by the columns")
    columns: Mapping[Role, str] = Field(
        default={}, description="the column of each role, by its name, or as `column 3` in a file without names"
    )
    interval: Interval | None = Field(default=None, description="length of bars; None: by the steps between them")
    bar_time: BarTime = Field(
        default=BarTime.OPENS, description="whether the time of a bar is its beginning or its end"
    )
    sizes: SizeUnit = Field(default=SizeUnit.BASE, description="what sizes and volumes count: coins, or money")
    zone: str | None = Field(
        default=None, description="IANA time zone of dates that do not say theirs, such as Europe/Berlin; None: UTC"
    )


TIME_NAMES = ("timestamp", "time", "date", "datetime", "open_time", "open time", "opentime", "ts_open", "ts", "unix")
TRADES_NAMES = ("trades", "count", "number_of_trades", "num_trades", "trade_count", "column 9")

ALIASES: Mapping[Role, tuple[str, ...]] = {
    Role.TIME: (
        *TIME_NAMES,
        "ts_event",
        "transact_time",
        "transact time",
        "trade_time",
        "exchange_timestamp",
        "event_time",
    ),
    Role.RECEIVED: ("ts_init", "ts_recv", "local_timestamp", "received", "receive_time", "received_at", "recv_time"),
    Role.SYMBOL: ("symbol", "instrument", "ticker", "pair"),
    Role.OPEN: ("open", "o", "open_price"),
    Role.HIGH: ("high", "h", "high_price"),
    Role.LOW: ("low", "l", "low_price"),
    Role.CLOSE: ("close", "c", "close_price"),
    Role.VOLUME: ("volume", "v", "vol", "base_volume", "volume_base"),
    Role.TRADES: TRADES_NAMES,
    Role.PRICE: ("price", "p", "px"),
    Role.SIZE: ("size", "qty", "quantity", "amount", "q"),
    Role.SIDE: ("side", "aggressor", "aggressor_side", "taker_side", "direction"),
    Role.BUYER_IS_MAKER: ("is_buyer_maker", "isbuyermaker", "buyer_maker", "m", "is buyer maker"),
    Role.TRADE_ID: ("id", "trade_id", "agg_trade_id", "tradeid", "tid"),
    Role.BID: ("bid", "bid_price", "best_bid", "best_bid_price", "bid_px", "b"),
    Role.BID_SIZE: ("bid_size", "bid_amount", "bid_qty", "best_bid_qty", "best_bid_size", "bid_sz", "bidsize"),
    Role.ASK: ("ask", "ask_price", "best_ask", "best_ask_price", "ask_px", "a"),
    Role.ASK_SIZE: ("ask_size", "ask_amount", "ask_qty", "best_ask_qty", "best_ask_size", "ask_sz", "asksize"),
}

NEEDED: Mapping[DataKind, tuple[Role, ...]] = {
    DataKind.BARS: (Role.TIME, Role.OPEN, Role.HIGH, Role.LOW, Role.CLOSE, Role.VOLUME),
    DataKind.TRADES: (Role.TIME, Role.PRICE, Role.SIZE),
    DataKind.QUOTES: (Role.TIME, Role.BID, Role.BID_SIZE, Role.ASK, Role.ASK_SIZE),
}
OPTIONAL: Mapping[DataKind, tuple[Role, ...]] = {
    DataKind.BARS: (Role.TRADES, Role.SYMBOL),
    DataKind.TRADES: (Role.RECEIVED, Role.SIDE, Role.BUYER_IS_MAKER, Role.TRADE_ID, Role.SYMBOL),
    DataKind.QUOTES: (Role.RECEIVED, Role.SYMBOL),
}
_TELLING: Mapping[DataKind, tuple[Role, ...]] = {
    DataKind.BARS: (Role.OPEN, Role.HIGH, Role.LOW, Role.CLOSE),
    DataKind.QUOTES: (Role.BID, Role.ASK),
    DataKind.TRADES: (Role.PRICE, Role.SIZE),
}

FILE_NAME = re.compile(
    r"^(?P<symbol>[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*?)[_-]"
    r"(?:(?P<interval>1s|5s|15s|1m|5m|15m|1h)|trades|aggTrades|ticks|quotes|bookTicker|bars|klines|candles)(?![0-9A-Za-z])"
)
"""`BTCUSDT-1m-2024-01.csv`, `BTC-PERP-trades-2024.parquet`: of which instrument a file is, how long its bars are."""

Columns = Mapping[Role, str]


def recognise(head: Head, mapping: FileMapping) -> tuple[DataKind, Columns]:
    """Say what the rows are and which column has which role; raises `BadFile`."""
    for role, said in mapping.columns.items():
        if said.lower() not in head.names:
            raise BadFile(f"it has no column {said!r} for the {role.value}; it has {_listed(head.names)}")
    found = {role: name for role in Role if (name := _named(role, head, mapping)) is not None}
    kind = mapping.kind or _kind(head, found)
    for role in NEEDED[kind]:
        if role not in found:
            raise BadFile(
                f"there is no column for the {role.value} of {kind.value} (such as {', '.join(ALIASES[role][:3])}); "
                f"it has {_listed(head.names)}: rename one, or say which it is"
            )
    if kind is DataKind.TRADES and not {Role.SIDE, Role.BUYER_IS_MAKER} & found.keys():
        raise BadFile(
            f"no column tells who took (such as side or is_buyer_maker); it has {_listed(head.names)}: say which it is"
        )
    return kind, {role: found[role] for role in (*NEEDED[kind], *OPTIONAL[kind]) if role in found}


def _named(role: Role, head: Head, mapping: FileMapping) -> str | None:
    if role in mapping.columns:
        return mapping.columns[role].lower()
    if head.named:
        return next((name for name in ALIASES[role] if name in head.names), None)
    if mapping.columns or mapping.kind not in (None, DataKind.BARS) or len(head.names) < len(USUAL_ORDER):
        return None
    if role.value in USUAL_ORDER:
        return f"column {USUAL_ORDER.index(role.value) + 1}"
    return "column 9" if role is Role.TRADES and "column 9" in head.names else None


def _kind(head: Head, found: Collection[Role]) -> DataKind:
    kinds = [kind for kind, roles in _TELLING.items() if all(role in found for role in roles)]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise BadFile(f"its columns tell of {' and of '.join(kind.value for kind in kinds)}: say which it is")
    raise BadFile(
        f"its columns ({_listed(head.names)}) are neither those of bars (open, high, low, close) nor of trades (price, "
        "size, side) nor of quotes (bid, ask): say which is which"
    )


def symbol_of_name(path: Path) -> str | None:
    """Read off a file's name of which instrument it is; None if that does not tell."""
    named = FILE_NAME.match(path.name)
    return named["symbol"] if named else None


def interval_of_name(path: Path) -> Interval | None:
    named = FILE_NAME.match(path.name)
    return Interval(named["interval"]) if named and named["interval"] else None


def _listed(names: Collection[str]) -> str:
    return ", ".join(names)[:120]
