"""Whatever a stream loses, doubles or mixes up: with one full look at the venue, each of its facts is reported once."""

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.event import Event
from contracts.orders import Amendment, OrderTerms
from contracts.types import Liquidity, Side
from contracts.venue import (
    AmendOrder,
    VenueAccepted,
    VenueAmended,
    VenueCanceled,
    VenueExpired,
    VenueFilled,
    VenueForeignOrder,
    VenueRejected,
)
from tests.builders import BTC, START, submit, terms
from venues.reconciliation.book import VenueBook
from venues.reconciliation.register import RegisterState
from venues.reconciliation.views import VenueOrderView, VenueStatus, VenueTradeView

Heard = VenueOrderView | VenueTradeView


@dataclass(frozen=True)
class Truth:
    """What happened to an order at the venue: each look at it in turn, and its trades."""

    name: str
    order: OrderTerms | None
    looks: tuple[VenueOrderView, ...]
    trades: tuple[VenueTradeView, ...]

    @property
    def last(self) -> VenueOrderView:
        return self.looks[-1]


@st.composite
def truths(draw: st.DrawFn, number: int) -> Truth:
    """An order that rests, trades in parts, is reduced now and then, and may end; one in five is not ours."""
    name = f"trend-{number}-0"
    venue_order_id = str(1000 + number)
    quantity = draw(st.integers(1, 9))
    order = terms(Side.BUY, str(quantity), limit="100", order_id=name)
    look = VenueOrderView(
        instrument=BTC,
        client_order_id=name,
        venue_order_id=venue_order_id,
        status=VenueStatus.OPEN,
        side=Side.BUY,
        quantity=Decimal(quantity),
        filled=Decimal(0),
        limit_price=Decimal(100),
        updated_at=START,
    )
    looks, trades = [look], []
    for step in range(draw(st.integers(0, 4))):
        if look.status is VenueStatus.FILLED:
            break
        at = START + 1 + step
        if draw(st.booleans()):
            least = int(look.filled) + 1
            quantity = draw(st.integers(least, max(least, int(look.quantity))))
            look = replace(look, quantity=Decimal(quantity), updated_at=at)
            looks.append(look)
        left = int(look.quantity - look.filled)
        part = draw(st.integers(1, left)) if left else 0
        if part:
            trades.append(_trade(venue_order_id, f"{number}-{step}", part, at))
            filled = look.filled + part
            status = VenueStatus.FILLED if filled == look.quantity else VenueStatus.OPEN
            look = replace(look, filled=filled, status=status, updated_at=at)
            looks.append(look)
    if look.status is VenueStatus.OPEN:
        end = draw(st.sampled_from([VenueStatus.OPEN, VenueStatus.CANCELED, VenueStatus.EXPIRED]))
        if end is not VenueStatus.OPEN:
            looks.append(replace(look, status=end, updated_at=look.updated_at + 1))
    ours = draw(st.integers(0, 4)) > 0
    return Truth(name, order if ours else None, tuple(looks), tuple(trades))


def _trade(venue_order_id: str, trade_id: str, quantity: int, at: int) -> VenueTradeView:
    return VenueTradeView(
        instrument=BTC,
        trade_id=trade_id,
        venue_order_id=venue_order_id,
        side=Side.BUY,
        price=Decimal(100),
        quantity=Decimal(quantity),
        currency="USDT",
        fee=Decimal("0.1"),
        fee_currency="BNB",
        liquidity=Liquidity.MAKER,
        traded_at=at,
    )


worlds = st.integers(1, 3).flatmap(lambda count: st.tuples(*(truths(number) for number in range(count))))


@st.composite
def streamed(draw: st.DrawFn, world: tuple[Truth, ...]) -> list[Heard]:
    """What a bad stream brings: anything, in any order, some of it twice and some of it never."""
    said: list[Heard] = []
    for truth in world:
        said += truth.looks
        said += truth.trades
    kept = [one for one in said for _ in range(draw(st.sampled_from([0, 1, 1, 2])))]
    shuffled: list[Heard] = draw(st.permutations(kept))
    return shuffled


def looked_at(world: tuple[Truth, ...]) -> list[Heard]:
    """What a full look at the venue shows: every order as it is now, and every trade."""
    return [*(truth.last for truth in world), *(trade for truth in world for trade in truth.trades)]


def _commanded(world: tuple[Truth, ...]) -> list[Event]:
    return [submit(truth.order) for truth in world if truth.order is not None]


def _book(tape: list[Event]) -> VenueBook:
    book = VenueBook("sim", adopts=True, replaces=False)
    for position, event in enumerate(tape):
        book.fold(event, position)
    return book


def _hear(book: VenueBook, heard: list[Heard]) -> list[Event]:
    said: list[Event] = []
    for one in heard:
        said += book.heard_order(one, START) if isinstance(one, VenueOrderView) else book.heard_trade(one, START)
    return said


@given(data=st.data(), world=worlds)
def test_after_a_full_look_every_trade_and_every_end_is_reported_once(
    data: st.DataObject, world: tuple[Truth, ...]
) -> None:
    commands = _commanded(world)
    book = _book(commands)
    said = _hear(book, data.draw(streamed(world))) + _hear(book, looked_at(world))
    assert Counter(event.trade_id for event in said if isinstance(event, VenueFilled)) == Counter(
        trade.trade_id for truth in _reportable(world) for trade in truth.trades
    )
    for truth in _reportable(world):
        _require_a_legal_life(truth, [event for event in said if _venue_name(event, said) == truth.last.venue_order_id])


@given(data=st.data(), world=worlds)
def test_a_book_made_anew_from_the_tape_goes_on_as_the_one_that_died(
    data: st.DataObject, world: tuple[Truth, ...]
) -> None:
    heard = [*data.draw(streamed(world)), *looked_at(world)]
    cut = data.draw(st.integers(0, len(heard)))
    commands = _commanded(world)
    before = _hear(_book(commands), heard[:cut])
    after = _hear(_book([*commands, *before]), [*heard[cut:], *looked_at(world)])
    fills = Counter(event.trade_id for event in (*before, *after) if isinstance(event, VenueFilled))
    assert fills == Counter(trade.trade_id for truth in _reportable(world) for trade in truth.trades)
    for truth in _reportable(world):
        said = [*before, *after]
        _require_a_legal_life(truth, [event for event in said if _venue_name(event, said) == truth.last.venue_order_id])


@given(world=worlds)
def test_a_second_look_finds_nothing(world: tuple[Truth, ...]) -> None:
    book = _book(_commanded(world))
    _hear(book, looked_at(world))
    assert _hear(book, looked_at(world)) == []


@given(world=worlds)
def test_an_order_that_is_not_ours_is_reported_and_left_alone_unless_it_is_adopted(world: tuple[Truth, ...]) -> None:
    book = VenueBook("sim", adopts=False, replaces=False)
    for event in _commanded(world):
        book.fold(event)
    said = _hear(book, looked_at(world))
    foreign = [truth for truth in _reportable(world) if truth.order is None]
    assert [event.venue_order_id for event in said if isinstance(event, VenueForeignOrder)] == [
        truth.last.venue_order_id for truth in foreign
    ]
    strangers = {trade.trade_id for truth in foreign for trade in truth.trades}
    assert not strangers & {event.trade_id for event in said if isinstance(event, VenueFilled)}


@given(data=st.data(), world=worlds, replaces=st.booleans())
def test_a_book_survives_being_written_down(data: st.DataObject, world: tuple[Truth, ...], replaces: bool) -> None:  # noqa: FBT001
    book = VenueBook("sim", adopts=True, replaces=replaces)
    for event in _commanded(world):
        book.fold(event)
    heard = data.draw(streamed(world))
    _hear(book, heard)
    again = VenueBook("sim", adopts=True, replaces=replaces)
    kept = TypeAdapter(RegisterState)
    again.restore(kept.validate_json(kept.dump_json(book.state())))
    assert _facts(_hear(again, looked_at(world))) == _facts(_hear(book, looked_at(world)))


@given(data=st.data(), sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_a_replaced_order_is_one_order_whatever_is_heard_first(data: st.DataObject, sizes: list[int]) -> None:
    total = sum(sizes) + 1
    order = terms(Side.BUY, str(total), limit="100", order_id="trend-1-0")
    position = 17
    first = VenueOrderView(
        instrument=BTC,
        client_order_id=order.client_order_id,
        venue_order_id="1",
        status=VenueStatus.CANCELED,
        side=Side.BUY,
        quantity=Decimal(total),
        filled=Decimal(sizes[0]),
        limit_price=Decimal(100),
        updated_at=START + 1,
    )
    second = replace(
        first,
        client_order_id=f"{order.client_order_id}.{position}",
        venue_order_id="2",
        status=VenueStatus.FILLED,
        quantity=Decimal(total - sizes[0]),
        filled=Decimal(total - sizes[0]),
        limit_price=Decimal(99),
        updated_at=START + 2,
    )
    trades = [_trade("1", "a", sizes[0], START), _trade("2", "b", total - sizes[0], START + 2)]
    heard: list[Heard] = data.draw(st.permutations([first, second, *trades, first, second]))
    book = VenueBook("sim", adopts=True, replaces=True)
    book.fold(submit(order), 16)
    book.fold(AmendOrder(ts_event=START, ts_init=START, amendment=_cheaper(order)), position)
    said = _hear(book, [*heard, first, second, *trades])
    assert sorted(event.trade_id for event in said if isinstance(event, VenueFilled)) == ["a", "b"]
    assert [type(event) for event in said if isinstance(event, VenueCanceled | VenueAmended)] == [VenueAmended]
    assert not book.live()


def _cheaper(order: OrderTerms) -> Amendment:
    return Amendment(
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        quantity=None,
        limit_price=Decimal(99),
        trigger_price=None,
    )


def _facts(said: list[Event]) -> Counter[str]:
    return Counter(repr(event) for event in said)


def _reportable(world: tuple[Truth, ...]) -> list[Truth]:
    """Leave out what ended without a trade and was never ours: there is nothing to tell of it."""
    return [
        truth
        for truth in world
        if truth.order is not None or truth.last.status is VenueStatus.OPEN or truth.last.filled > 0
    ]


def _venue_name(event: Event, said: list[Event]) -> str:
    """The venue's own id of the order that a report is about."""
    name = getattr(event, "client_order_id", "")
    return next(
        one.venue_order_id
        for one in said
        if isinstance(one, VenueAccepted | VenueForeignOrder) and one.client_order_id == name
    )


def _require_a_legal_life(truth: Truth, said: list[Event]) -> None:
    """First it is accepted (or foreign), then it trades and changes, then it ends, and after that nothing is said."""
    first, *rest = [type(event) for event in said]
    assert first in (VenueAccepted, VenueForeignOrder)
    assert not set(rest) & {VenueAccepted, VenueForeignOrder, VenueRejected}
    ends = [kind for kind in rest if kind in (VenueCanceled, VenueExpired)]
    wanted = {VenueStatus.CANCELED: [VenueCanceled], VenueStatus.EXPIRED: [VenueExpired]}
    assert ends == wanted.get(truth.last.status, [])
    assert not ends or rest[-1] is ends[0]
    quantities = [event.quantity for event in said if isinstance(event, VenueAmended)]
    assert not quantities or quantities[-1] == truth.last.quantity
