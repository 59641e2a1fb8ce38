"""Any valid event of any declared type, made from the types' own annotations."""

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from contracts.books import EquityMarked, MarkedBalance, MarkedPosition, PositionChanged
from contracts.data import DataChunk
from contracts.event import EVENT_TYPES, Event
from contracts.examples import AT
from contracts.market import Bar, Quote
from contracts.models import Artifact, ModelPromoted, ModelPublished
from contracts.orders import (
    Amendment,
    AmendRejected,
    OrderIntent,
    OrderLink,
    OrderTerms,
    ProtectiveIntent,
    RiskApproved,
    RiskRejected,
    Trail,
    Twap,
)
from contracts.recorded import Recorded
from contracts.regimes import RegimeInferred
from contracts.types import (
    LARGEST,
    Contingency,
    Interval,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    TrailKind,
    TriggerBy,
)
from tests.property.basic_strategies import INSTRUMENTS, hashes, nanos, numbers, prices, sizes, texts, tokens
from tests.property.model_strategies import artifacts, chunks, regime_inferences, with_artifact

money = st.decimals(min_value=-(10**12), max_value=10**12, places=9)
positive_money = st.decimals(min_value=Decimal("1e-9"), max_value=10**12, places=9)
twaps = st.builds(Twap, slices=st.integers(2, 1000), duration_ns=nanos)


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
    """Any order that could stand alone: some of what it may have is drawn, never what does not go together."""
    order_type, time_in_force = draw(st.sampled_from(OrderType)), draw(st.sampled_from(TimeInForce))
    trails = order_type is OrderType.TRAILING_STOP
    rests = order_type.has_limit and time_in_force not in (TimeInForce.IOC, TimeInForce.FOK)
    quantity = draw(positive_money)
    return OrderTerms(
        client_order_id=draw(client_order_ids),
        strategy=draw(tokens),
        instrument=draw(st.sampled_from(INSTRUMENTS)),
        side=draw(st.sampled_from(Side)),
        quantity=quantity,
        order_type=order_type,
        limit_price=draw(positive_money) if order_type.has_limit else None,
        time_in_force=time_in_force,
        reduce_only=draw(st.booleans()),
        trigger_price=draw(positive_money) if order_type.is_conditional and not trails else None,
        trigger_by=draw(st.sampled_from(TriggerBy)) if order_type.is_conditional else None,
        trail=draw(st.builds(Trail, offset=positive_money, kind=st.sampled_from(TrailKind))) if trails else None,
        expires_at=draw(nanos) if time_in_force is TimeInForce.GTD else None,
        post_only=rests and draw(st.booleans()),
        display_quantity=quantity if rests and draw(st.booleans()) else None,
        twap=None if order_type.is_conditional else draw(st.none() | twaps),
    )


@st.composite
def lists_of_orders(draw: st.DrawFn) -> tuple[OrderTerms, tuple[OrderTerms, ...]]:
    """An order, and those that wait for it."""
    entry = draw(order_terms())
    others = draw(st.lists(order_terms(), max_size=2, unique_by=lambda order: order.client_order_id))
    names = [f"{entry.client_order_id}-{number}" for number in range(len(others))]
    if not others:
        return entry, ()
    own = OrderLink(list_id=entry.client_order_id, parent=None, siblings=(), contingency=None)
    attached = []
    for name, order in zip(names, others, strict=True):
        siblings = tuple(other for other in names if other != name)
        contingency = draw(st.sampled_from(Contingency)) if siblings else None
        parent = entry.client_order_id
        link = OrderLink(list_id=parent, parent=parent, siblings=siblings, contingency=contingency)
        of_list = replace(order, strategy=entry.strategy, instrument=entry.instrument)
        attached.append(replace(of_list, client_order_id=name, link=link))
    return replace(entry, link=own), tuple(attached)


amendments = st.builds(
    Amendment,
    client_order_id=tokens,
    instrument=st.sampled_from(INSTRUMENTS),
    quantity=positive_money,
    limit_price=st.none() | positive_money,
    trigger_price=st.none() | positive_money,
)


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
        funding=draw(money),
        position_side=draw(st.sampled_from(PositionSide)),
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
    balances = []
    for currency in draw(st.lists(st.sampled_from(["BNB", "BTC"]), unique=True)):
        amount, rate = draw(_small_money), draw(_small_positive)
        balances.append(MarkedBalance(currency=currency, amount=amount, rate=rate, value=amount * rate))
    cash = draw(_small_money)
    values = [position.value for position in positions] + [balance.value for balance in balances]
    return EquityMarked(
        ts_event=draw(nanos),
        ts_init=draw(nanos),
        strategy=draw(st.sampled_from(["trend", "scalper"])),
        currency="USDT",
        cash=cash,
        equity=cash + sum(values),
        realized_pnl=draw(_small_money),
        unrealized_pnl=draw(_small_money),
        fees=draw(_small_money),
        peak=draw(_small_money),
        positions=tuple(positions),
        balances=tuple(balances),
        funding=draw(_small_money),
    )


_OWN: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    float: numbers,
    Artifact: artifacts(),
    DataChunk: chunks(),
    RegimeInferred: regime_inferences(),
    Quote: quotes(),
    Bar: bars(),
    OrderTerms: order_terms(),
    Amendment: amendments,
    PositionChanged: position_changes(),
    EquityMarked: equity_marks(),
}
"""Types whose fields must agree with each other."""


_MADE = dict(_OWN)


def of_type(record_type: type[Any]) -> st.SearchStrategy[Any]:
    """Any valid record of this type; one strategy each, because Hypothesis examines all that it has not met."""
    if record_type not in _MADE:
        _MADE[record_type] = _of_fields(record_type)
    return _MADE[record_type]


def _of_fields(record_type: type[Any]) -> st.SearchStrategy[Any]:
    values = {field.name: _values(record_type, field.name) for field in fields(record_type)}
    if record_type in (RiskRejected, AmendRejected):
        values["reasons"] = values["reasons"].filter(bool)
    if record_type is ProtectiveIntent:
        values["order"] = values["order"].map(lambda order: replace(order, reduce_only=True))
    if record_type in (ModelPublished, ModelPromoted):
        return st.fixed_dictionaries(values).map(lambda made: record_type(**with_artifact(made)))
    if record_type in (OrderIntent, RiskApproved):
        del values["order"], values["attached"]
        return st.builds(
            lambda listed, made: made(*listed), lists_of_orders(), st.builds(_with_list, st.just(record_type), **values)
        )
    return st.builds(record_type, **values)


def _with_list(record_type: type[Any], **values: Any) -> Callable[..., Any]:  # noqa: ANN401 (of any kind)
    return lambda order, attached: record_type(order=order, attached=attached, **values)


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
        bounds = _bounds(notes)
        return st.integers(int(bounds.get("ge", 0)), int(bounds.get("le", LARGEST)))
    if plain is float:
        return _floats(_bounds(notes))
    if "[0-9a-f]" in constraints:
        return hashes
    return tokens if "A-Za-z0-9" in constraints else texts


def _bounds(notes: tuple[object, ...]) -> dict[str, float]:
    """What `Field(ge=..., le=...)` says, by its own words."""
    every = [one for note in notes for one in getattr(note, "metadata", [note])]
    return {word: getattr(one, word) for one in every for word in ("ge", "gt", "le", "lt") if hasattr(one, word)}


def _floats(bounds: dict[str, float]) -> st.SearchStrategy[float]:
    least = bounds.get("ge", bounds.get("gt"))
    most = bounds.get("le", None if least is not None else 10.0)
    least = -10.0 if least is None else least
    numbers = st.floats(least, most, exclude_min="gt" in bounds, allow_nan=False, allow_infinity=False)
    return numbers.map(lambda number: number + 0.0)
