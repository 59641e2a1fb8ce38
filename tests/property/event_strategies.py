"""Any valid event of any declared type, made from the types' own annotations."""

from collections.abc import Iterable
from dataclasses import fields
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from contracts.books import EquityMarked, MarkedPosition, PositionChanged
from contracts.event import EVENT_TYPES, Event
from contracts.examples import AT
from contracts.market import Bar, Quote
from contracts.orders import OrderTerms, RiskRejected
from contracts.recorded import Recorded
from contracts.types import Interval, OrderType, instrument_id

SYMBOLS = ("BTCUSDT", "ETHUSDT", "1000SATS-PERP_X")
INSTRUMENTS = [instrument_id(venue, symbol) for venue in ("binance", "kraken") for symbol in SYMBOLS]
DAY = 86_400_000_000_000

nanos = st.builds(
    lambda day, rest: day + rest, st.sampled_from([0, AT, AT + DAY, 2**63 - 1 - DAY]), st.integers(0, 10**9)
)
"""From a few days only, the first and last possible among them: each day of market data is a table of its own."""

prices = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
sizes = st.floats(min_value=0, allow_infinity=False)
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40)
tokens = st.text("abcXYZ019_-", min_size=1, max_size=12)
money = st.decimals(min_value=-(10**12), max_value=10**12, places=9)
positive_money = st.decimals(min_value=Decimal("1e-9"), max_value=10**12, places=9)


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    bid, ask = sorted((draw(prices), draw(prices)))
    return Quote(
        ts_event=draw(nanos),
        ts_init=draw(nanos),
        instrument=draw(st.sampled_from(INSTRUMENTS)),
        bid=bid,
        bid_size=draw(sizes),
        ask=ask,
        ask_size=draw(sizes),
    )


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    low, open_, high = sorted((draw(prices), draw(prices), draw(prices)))
    interval = draw(st.sampled_from(Interval))
    ts_open = draw(st.integers(0, AT))
    return Bar(
        ts_event=draw(nanos),
        ts_init=draw(nanos),
        instrument=draw(st.sampled_from(INSTRUMENTS)),
        interval=interval,
        ts_open=ts_open,
        ts_close=ts_open + interval.nanos,
        open=open_,
        high=high,
        low=low,
        close=open_,
        volume=draw(sizes),
        trades=draw(st.integers(0, 2**63 - 1)),
    )


@st.composite
def order_terms(draw: st.DrawFn, client_order_ids: st.SearchStrategy[str] = tokens) -> OrderTerms:
    order_type = draw(st.sampled_from(OrderType))
    values = {field.name: draw(_values(OrderTerms, field.name)) for field in fields(OrderTerms)}
    values["client_order_id"] = draw(client_order_ids)
    values["order_type"] = order_type
    values["limit_price"] = draw(positive_money) if order_type is OrderType.LIMIT else None
    return OrderTerms(**values)


@st.composite
def position_changes(draw: st.DrawFn) -> PositionChanged:
    quantity = draw(st.one_of(st.just(Decimal(0)), money))
    return PositionChanged(
        ts_event=draw(nanos),
        ts_init=draw(nanos),
        strategy=draw(st.sampled_from(["trend", "scalper"])),
        instrument=draw(st.sampled_from(INSTRUMENTS)),
        quantity=quantity,
        average_price=draw(positive_money) if quantity else None,
        realized_pnl=draw(money),
        fees=draw(money),
        mark=draw(positive_money),
    )


# Few enough digits that the sums of the contracts, which Python rounds to 28 digits, are exact.
_small_money = st.decimals(min_value=-(10**6), max_value=10**6, places=4)
_small_positive = st.decimals(min_value=Decimal("0.0001"), max_value=10**6, places=4)


@st.composite
def equity_marks(draw: st.DrawFn) -> EquityMarked:
    positions = []
    for instrument in draw(st.lists(st.sampled_from(INSTRUMENTS), unique=True)):
        quantity, mark = draw(_small_money), draw(_small_positive)
        positions.append(
            MarkedPosition(
                instrument=instrument,
                quantity=quantity,
                mark=mark,
                value=quantity * mark,
                unrealized_pnl=draw(_small_money),
            )
        )
    cash = draw(_small_money)
    return EquityMarked(
        ts_event=draw(nanos),
        ts_init=draw(nanos),
        strategy=draw(st.sampled_from(["trend", "scalper"])),
        currency="USDT",
        cash=cash,
        equity=cash + sum(position.value for position in positions),
        realized_pnl=draw(_small_money),
        unrealized_pnl=draw(_small_money),
        fees=draw(_small_money),
        peak=draw(_small_money),
        positions=tuple(positions),
    )


_OWN: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    Quote: quotes(),
    Bar: bars(),
    OrderTerms: order_terms(),
    PositionChanged: position_changes(),
    EquityMarked: equity_marks(),
}
"""Types whose fields must agree with each other."""


def of_type(record_type: type[Any]) -> st.SearchStrategy[Any]:
    """Any valid record of this type."""
    if record_type in _OWN:
        return _OWN[record_type]
    values = {field.name: _values(record_type, field.name) for field in fields(record_type)}
    if record_type is RiskRejected:
        values["reasons"] = values["reasons"].filter(bool)
    return st.builds(record_type, **values)


def events(types: Iterable[type[Event]] | None = None) -> st.SearchStrategy[Event]:
    """Any valid event of one of these types (None: of all)."""
    return st.one_of([of_type(event_type) for event_type in types or EVENT_TYPES.values()])


def tapes(
    any_event: st.SearchStrategy[Event], min_size: int = 0, max_size: int = 30
) -> st.SearchStrategy[list[Recorded]]:
    """Events with places on a tape that begins at 1 and has gaps; causes are positions before."""

    def record(drawn: list[tuple[Event, int, int | None, str]]) -> list[Recorded]:
        position, recorded = 0, []
        for event, step, back, msg_id in drawn:
            position += step
            cause = None if back is None or back >= position else position - back
            recorded.append(Recorded(position, cause, msg_id, event.ts_init, event))
        return recorded

    steps, backs = st.integers(1, 3), st.none() | st.integers(1, 50)
    return st.lists(st.tuples(any_event, steps, backs, texts), min_size=min_size, max_size=max_size).map(record)


_NAMED: dict[str, st.SearchStrategy[Any]] = {
    "ts_event": nanos,
    "ts_init": nanos,
    "instrument": st.sampled_from(INSTRUMENTS),
}
"""Fields that mean the same wherever they are."""


def _values(record_type: type, field: str) -> st.SearchStrategy[Any]:
    return _of_hint(field, get_type_hints(record_type, include_extras=True)[field])


def _of_hint(field: str, hint: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 (annotations are of any kind)
    if field in _NAMED:
        return _NAMED[field]
    if get_origin(hint) in (Union, UnionType):
        choices = [st.none() if choice is NoneType else _of_hint(field, choice) for choice in get_args(hint)]
        return st.one_of(choices)
    if get_origin(hint) is tuple:
        return st.lists(_of_hint(field, get_args(hint)[0]), max_size=3).map(tuple)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if get_origin(hint) is Annotated:
        return _of_annotated(*get_args(hint))
    return of_type(hint)


def _of_annotated(plain: type, *notes: object) -> st.SearchStrategy[Any]:
    constraints = " ".join(map(repr, notes))
    if plain is Decimal:
        return positive_money if any(getattr(note, "positive", False) for note in notes) else money
    if plain is int:
        return st.integers(0, 2**63 - 1)
    if plain is float:
        return prices if "Gt(" in constraints else sizes
    return tokens if "A-Za-z0-9" in constraints else texts
