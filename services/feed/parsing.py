"""What a frame of a Binance spot or USD-M stream says, read field by field; or why it cannot be taken."""

from enum import Enum
from typing import Any, TypeVar

from pydantic_core import from_json

from contracts.codec import Undecodable, encode
from contracts.market import Funding, Quote, Trade
from contracts.types import InstrumentId, Side, instrument_id

Shown = Quote | Trade | Funding
"""What a frame may say."""

E = TypeVar("E", Quote, Trade, Funding)


class BadFrame(ValueError):
    """A frame that cannot be taken; the text says why, naming the field where there is one."""


class FrameKind(Enum):
    QUOTE = "quote"
    TRADE = "trade"
    FUNDING = "funding"
    DEPTH = "depth"
    SNAPSHOT = "snapshot"
    BAD = "bad"


def parse_frame(frame: bytes, received_ns: int, venue: str) -> tuple[FrameKind, Shown | None]:
    """Read one frame of a Binance spot or USD-M stream; raises `BadFrame`."""
    try:
        document = from_json(frame, cache_strings=False)
    except ValueError as error:
        raise BadFrame(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadFrame("not a JSON object")
    if "lastUpdateId" in document:
        return FrameKind.SNAPSHOT, None
    stream, data = document.get("stream"), document.get("data")
    if not isinstance(stream, str) or not isinstance(data, dict):
        raise BadFrame("stream, data: a frame has both")
    kind = stream.partition("@")[2]
    if kind.startswith("depth"):
        return FrameKind.DEPTH, None
    try:
        if kind == "bookTicker":
            return FrameKind.QUOTE, _quote(data, received_ns, venue)
        if kind == "trade":
            return FrameKind.TRADE, _trade(data, received_ns, venue)
        if kind.startswith("markPrice"):
            return FrameKind.FUNDING, _funding(data, received_ns, venue)
    except KeyError as missing:
        raise BadFrame(f"data.{missing.args[0]}: is missing") from None
    raise BadFrame(f"stream: {stream!r} is unknown; known are bookTicker, trade, markPrice and depth")


def _quote(data: dict[str, Any], received_ns: int, venue: str) -> Quote:
    quote = Quote(
        ts_event=_exchange_time(data, received_ns),
        ts_init=received_ns,
        instrument=_instrument(data, venue),
        bid=_number(data, "b"),
        bid_size=_number(data, "B"),
        ask=_number(data, "a"),
        ask_size=_number(data, "A"),
    )
    return _checked(quote)


def _trade(data: dict[str, Any], received_ns: int, venue: str) -> Trade:
    trade = Trade(
        ts_event=_exchange_time(data, received_ns),
        ts_init=received_ns,
        instrument=_instrument(data, venue),
        price=_number(data, "p"),
        size=_number(data, "q"),
        aggressor=Side.SELL if _flag(data, "m") else Side.BUY,
        trade_id=str(data["t"]),
    )
    return _checked(trade)


def _funding(data: dict[str, Any], received_ns: int, venue: str) -> Funding:
    """In these frames E is when it happened, and T when funding is due."""
    funding = Funding(
        ts_event=_time(data, "E") or received_ns,
        ts_init=received_ns,
        instrument=_instrument(data, venue),
        mark=_number(data, "p"),
        index=_number(data, "i"),
        rate=_number(data, "r"),
        next_at=_time(data, "T"),
    )
    return _checked(funding)


def _exchange_time(data: dict[str, Any], received_ns: int) -> int:
    """Spot book tickers carry no time of the exchange's: they happened when we heard of them."""
    return _time(data, "T") or received_ns


def _time(data: dict[str, Any], key: str) -> int:
    """Read a time in ms as ns; 0 where there is none."""
    time_ms = data.get(key, 0)
    if type(time_ms) is not int or time_ms < 0:
        raise BadFrame(f"data.{key}: {time_ms!r} is no time in ms")
    return time_ms * 1_000_000


def _instrument(data: dict[str, Any], venue: str) -> InstrumentId:
    return instrument_id(venue, str(data["s"]))


def _number(data: dict[str, Any], key: str) -> float:
    try:
        return float(data[key])
    except (TypeError, ValueError):
        raise BadFrame(f"data.{key}: {data[key]!r} is no number") from None


def _flag(data: dict[str, Any], key: str) -> bool:
    flag = data[key]
    if not isinstance(flag, bool):
        raise BadFrame(f"data.{key}: {flag!r} is neither true nor false")
    return flag


def _checked(event: E) -> E:
    try:
        encode(event)
    except Undecodable as error:
        raise BadFrame(str(error)) from None
    return event
