"""Laws of everything that the router does for orders: conditions, lists, slices, times, changes, rates."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.codec import encode
from contracts.control import Alert
from contracts.event import Event
from contracts.market import Funding
from contracts.orders import OrderFilled, OrderTerms, Trail, Twap
from contracts.types import Contingency, OrderType, Side, TimeInForce, TradingState, TrailKind, TriggerBy
from contracts.venue import AmendOrder, CancelOrder, QueryOrder, SubmitOrder, VenueForeignOrder
from services.router.rules import RouterState
from services.router.settings import Pace, RouterSettings
from tests.builders import (
    BTC,
    SECOND,
    amend_approved,
    amendment,
    approval,
    cancel_intent,
    conditional,
    foreign,
    linked,
    ns,
    quote,
    terms,
    tick,
    trade,
    trading,
    venue_accepted,
    venue_amend_rejected,
    venue_amended,
    venue_cancel_rejected,
    venue_canceled,
    venue_expired,
    venue_filled,
    venue_rejected,
)
from tests.routing import Routed

OCO, OUO = Contingency.OCO, Contingency.OUO
TRAIL = Trail(offset=Decimal(3), kind=TrailKind.PERCENT)


def _bracket() -> list[OrderTerms]:
    entry = linked(terms(Side.BUY, "3", limit="100", order_id="entry"))
    stop = conditional(OrderType.STOP_MARKET, Side.SELL, "3", trigger="95", reduce_only=True, order_id="stop")
    target = terms(Side.SELL, "3", limit="105", reduce_only=True, order_id="target")
    return [
        entry,
        linked(stop, parent=entry, siblings=[target], contingency=OUO),
        linked(target, parent=entry, siblings=[stop], contingency=OUO),
    ]


def _pair(contingency: Contingency) -> list[OrderTerms]:
    name = contingency.value
    above = conditional(OrderType.STOP_LIMIT, Side.BUY, "2", trigger="104", limit="105", order_id=f"above_{name}")
    below = terms(Side.BUY, "2", limit="96", order_id=f"below_{name}")
    return [
        linked(above, siblings=[below], contingency=contingency),
        linked(below, siblings=[above], contingency=contingency),
    ]


def _scaled() -> list[OrderTerms]:
    """An iceberg whose parts are left at two limits, one of them in slices too."""
    entry = linked(replace(terms(Side.BUY, "3", limit="100", order_id="deep"), display_quantity=Decimal(1)))
    near = terms(Side.SELL, "1.5", limit="103", reduce_only=True, order_id="near")
    far = replace(
        terms(Side.SELL, "1.5", limit="106", reduce_only=True, order_id="far"), display_quantity=Decimal("0.5")
    )
    return [
        entry,
        linked(near, parent=entry, siblings=[far], contingency=OUO),
        linked(far, parent=entry, siblings=[near], contingency=OUO),
    ]


TRAILING = conditional(
    OrderType.TRAILING_STOP, quantity="2", trail=TRAIL, trigger_by=TriggerBy.MARK, order_id="trailing"
)
TOUCHED = conditional(
    OrderType.LIMIT_IF_TOUCHED, quantity="2", trigger="104", limit="104", trigger_by=TriggerBy.LAST, order_id="touched"
)
LISTS: Sequence[Sequence[OrderTerms]] = (
    [terms(quantity="3", limit="100", order_id="plain")],
    [TRAILING],
    [TOUCHED],
    [replace(terms(quantity="1", order_id="twap"), twap=Twap(slices=3, duration_ns=3 * SECOND))],
    [replace(terms(quantity="3", limit="99", order_id="iceberg"), display_quantity=Decimal(1))],
    [replace(terms(limit="98", order_id="gtd"), time_in_force=TimeInForce.GTD, expires_at=ns(4))],
    _bracket(),
    _pair(OCO),
    _pair(OUO),
    _scaled(),
)
ORDERS = [order for listed in LISTS for order in listed]
CHILDREN = {order.client_order_id: order.link.parent for order in ORDERS if order.link and order.link.parent}
SLICES = [
    replace(order, client_order_id=f"{order.client_order_id}-s{number}")
    for order in ORDERS
    if order.twap or order.display_quantity
    for number in range(3)
]
SETTINGS = st.sampled_from(
    [
        RouterSettings(),
        RouterSettings(pace=Pace(per_s=1, burst=2, reserve=1), query_after_ms=1500, query_attempts=2),
        RouterSettings(remembered_orders=2, max_slices=3),
    ]
)

SECONDS = st.integers(0, 8)
PRICES = st.sampled_from([94.0, 96.0, 100.0, 103.0, 106.0])
QUANTITIES = st.sampled_from(["0.25", "0.5", "1", "2", "3"])
NAMED = st.sampled_from([*ORDERS, *SLICES, terms(order_id="nobody")])


def funding(mark: float) -> Funding:
    return Funding(ts_event=ns(0), ts_init=ns(0), instrument=BTC, mark=mark, index=mark, rate=0.0, next_at=ns(3600))


MARKET = st.one_of(
    st.builds(lambda price, at: quote(price, price + 1, at=at), PRICES, SECONDS),
    st.builds(lambda price, at: trade(price, at=at), PRICES, SECONDS),
    PRICES.map(funding),
    SECONDS.map(tick),
)
ANY_ORDER = st.sampled_from(ORDERS)
ASKED = st.one_of(
    st.sampled_from(LISTS).map(lambda listed: approval(*listed)),
    st.sampled_from(LISTS).map(lambda listed: approval(*listed)),
    st.builds(cancel_intent, ANY_ORDER, st.sampled_from(["trend", "ops", "stranger"])),
    st.builds(lambda order, quantity: amend_approved(amendment(order, quantity=quantity)), ANY_ORDER, QUANTITIES),
    st.builds(lambda order, limit: amend_approved(amendment(order, limit=limit)), ANY_ORDER, st.just("101")),
    st.sampled_from(TradingState).map(trading),
)
FILLS = st.builds(
    lambda order, quantity, name: venue_filled(order, quantity, trade_id=name),
    NAMED,
    QUANTITIES,
    st.sampled_from("xyz"),
)
REPORTS = st.one_of(
    NAMED.map(venue_accepted),
    NAMED.map(venue_rejected),
    NAMED.map(venue_canceled),
    NAMED.map(venue_expired),
    NAMED.map(venue_cancel_rejected),
    NAMED.map(venue_amend_rejected),
    st.builds(venue_amended, NAMED, QUANTITIES),
    FILLS,
    FILLS,
    st.builds(lambda order, adopted: foreign(order, adopted=adopted), NAMED, st.booleans()),
)


@st.composite
def anything(draw: st.DrawFn) -> list[Event]:
    """Some lists, and then whatever comes, most of it about those."""
    begun = draw(BEGUN)
    orders = [order for listed in begun for order in listed]
    ids = {order.client_order_id for order in orders}
    near = st.sampled_from([*orders, *(part for part in SLICES if part.client_order_id.rpartition("-")[0] in ids)])
    quantities = st.sampled_from(["0.25", "0.5", "1"])
    fills = st.builds(
        lambda order, quantity, name: venue_filled(order, quantity, trade_id=name),
        near,
        quantities,
        st.sampled_from("abcdef"),
    )
    told = st.one_of(MARKET, ASKED, REPORTS, near.map(venue_accepted), near.map(venue_canceled), fills, fills)
    return [*(approval(*listed) for listed in begun), *draw(st.lists(told, max_size=40))]


BEGUN = st.lists(st.sampled_from(LISTS), min_size=1, max_size=4, unique_by=lambda listed: listed[0].client_order_id)
ANYTHING = anything()


def sent_too_much(routed: Routed) -> Iterator[str]:
    """Name the children that were sent for more than their parents had filled."""
    filled: dict[str, Decimal] = {}
    adopted: set[str] = set()
    for recorded in routed.whole:
        event = recorded.event
        if isinstance(event, VenueForeignOrder):
            adopted.add(event.client_order_id)
        elif isinstance(event, OrderFilled):
            filled[event.client_order_id] = event.cumulative
        elif isinstance(event, SubmitOrder | AmendOrder):
            name, quantity = _sent(event)
            parent = CHILDREN.get(name)
            if parent is not None and name not in adopted and quantity > filled.get(parent, 0):
                yield f"{name}: {quantity}"


def _sent(event: SubmitOrder | AmendOrder) -> tuple[str, Decimal]:
    if isinstance(event, SubmitOrder):
        return event.order.slice_of or event.order.client_order_id, event.order.quantity
    return event.amendment.client_order_id, event.amendment.quantity or Decimal(0)


@given(ANYTHING, SETTINGS)
def test_whatever_is_asked_and_reported_in_whatever_order_the_laws_of_orders_hold(
    inputs: list[Event], settings: RouterSettings
) -> None:
    routed = Routed(*inputs, settings=settings)
    if settings.remembered_orders > len(ORDERS):
        assert routed.violations() == []
        assert list(sent_too_much(routed)) == []
    for recorded in routed.tape.recorded:
        assert encode(recorded.event)
        assert recorded.event.contradiction() is None


@given(ANYTHING, SETTINGS)
def test_the_same_is_said_again_to_the_same(inputs: list[Event], settings: RouterSettings) -> None:
    first, second = (Routed(*inputs, settings=settings) for _ in range(2))
    assert first.tape.recorded == second.tape.recorded


KEPT: TypeAdapter[RouterState] = TypeAdapter(RouterState)


@given(ANYTHING, SETTINGS, st.integers(0, 100))
def test_a_router_that_was_restored_at_any_moment_goes_on_the_same(
    inputs: list[Event], settings: RouterSettings, percent: int
) -> None:
    cut = percent * len(inputs) // 100
    whole, first = Routed(*inputs, settings=settings), Routed(*inputs[:cut], settings=settings)
    kept = KEPT.dump_json(first.router.state())
    second = Routed(settings=settings)
    second.router.restore(KEPT.validate_json(kept))
    assert KEPT.dump_json(second.router.state()) == kept
    said = [event for one in inputs[cut:] for event in second.hear(one)]
    assert [r.event for r in first.tape.recorded] + said == [r.event for r in whole.tape.recorded]


# -- with a venue that is honest, but late -----------------------------------------------------------------------------


@dataclass
class Resting:
    terms: OrderTerms
    filled: Decimal = Decimal(0)
    open: bool = True


@dataclass
class HonestVenue:
    """Does what it is asked for, one command after the other, when its turn comes; meanwhile orders fill."""

    routed: Routed
    orders: dict[str, Resting] = field(default_factory=dict)
    commands: deque[Event] = field(default_factory=deque)
    trades: int = 0

    def hear(self, *events: Event) -> None:
        for said in self.routed.hear(*events):
            if isinstance(said, SubmitOrder | CancelOrder | AmendOrder | QueryOrder):
                self.commands.append(said)

    def take_command(self, mood: int) -> None:
        if not self.commands:
            return
        command = self.commands.popleft()
        match command:
            case SubmitOrder(order=order):
                self.orders[order.client_order_id] = Resting(order, open=mood != 0)
                self.hear(venue_accepted(order) if mood else venue_rejected(order))
            case CancelOrder(client_order_id=name):
                self._cancel(self.orders[name])
            case AmendOrder(amendment=change):
                resting = self.orders[change.client_order_id]
                quantity = change.quantity or resting.terms.quantity
                if mood == 0 or not resting.open or quantity <= resting.filled:
                    self.hear(venue_amend_rejected(resting.terms))
                    return
                resting.terms = replace(
                    resting.terms, quantity=quantity, limit_price=change.limit_price or resting.terms.limit_price
                )
                limit = resting.terms.limit_price
                self.hear(venue_amended(resting.terms, str(quantity), limit=None if limit is None else str(limit)))
            case _:
                """A question: what there is to say was said."""

    def _cancel(self, resting: Resting) -> None:
        was_open, resting.open = resting.open, False
        self.hear(venue_canceled(resting.terms) if was_open else venue_cancel_rejected(resting.terms))

    def fill(self, number: int, *, whole: bool, twice: bool) -> None:
        open_ = [resting for resting in self.orders.values() if resting.open]
        if not open_:
            return
        resting = open_[number % len(open_)]
        left = resting.terms.quantity - resting.filled
        quantity = left if whole else min(left, Decimal("0.25"))
        resting.filled += quantity
        resting.open = resting.filled < resting.terms.quantity
        self.trades += 1
        report = venue_filled(resting.terms, str(quantity), trade_id=f"t{self.trades}")
        self.hear(report, *[report] * twice)

    def settle(self) -> None:
        while self.commands:
            self.take_command(1)


Deed = tuple[str, int, float]
FEW_DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["approve", "venue", "venue", "venue", "fill", "fill", "market", "time", "cancel", "amend"]),
        st.integers(0, 11),
        PRICES,
    ),
    max_size=50,
)
DEEDS = st.tuples(BEGUN, FEW_DEEDS)


def traded(begun: Sequence[Sequence[OrderTerms]], deeds: Iterable[Deed], settings: RouterSettings) -> HonestVenue:
    """Let all that happen, then cancel what is left, with time for everything that has to wait."""
    venue = HonestVenue(Routed(quote(99, 101), settings=settings))
    venue.hear(*(approval(*listed) for listed in begun))
    seconds, to_come = 0.0, [listed for listed in LISTS if listed not in begun]
    named = [order for listed in begun for order in listed]
    for kind, number, price in deeds:
        order = named[number % len(named)]
        match kind:
            case "approve" if to_come:
                venue.hear(approval(*to_come.pop(number % len(to_come)), at=seconds))
            case "venue":
                venue.take_command(number % 6)
            case "fill":
                venue.fill(number, whole=number % 2 == 0, twice=number % 3 == 0)
            case "market":
                venue.hear(quote(price, price + 1, at=seconds), trade(price, at=seconds), funding(price))
            case "time":
                seconds += number / 4
                venue.hear(tick(seconds))
            case "cancel":
                venue.hear(cancel_intent(order, "ops", at=seconds))
            case "amend" if order.order_type.has_limit:
                limit, quantity = (str(price), None) if number % 2 else (None, str(number / 4 + 0.5))
                venue.hear(amend_approved(amendment(order, limit=limit, quantity=quantity), at=seconds))
            case _:
                continue
    for _ in range(60):
        seconds += 1
        venue.settle()
        open_orders = [order.terms for order in venue.routed.router.desk.book.open_orders()]
        venue.hear(tick(seconds), *(cancel_intent(terms_, "ops", at=seconds) for terms_ in open_orders))
    return venue


QUICK = [
    RouterSettings(query_after_ms=10_000_000 // 10),
    RouterSettings(pace=Pace(per_s=4, burst=3, reserve=1), query_after_ms=1_000_000),
]
EXPECTED = {"unprotected_fill", "list_not_adjusted", "amend_refused", "cancel_refused"}


@given(DEEDS, st.sampled_from(QUICK))
def test_with_an_honest_venue_everything_ends_and_both_books_agree(
    deeds: tuple[list[list[OrderTerms]], list[Deed]], settings: RouterSettings
) -> None:
    venue = traded(*deeds, settings)
    routed = venue.routed
    assert [order.terms for order in routed.router.desk.book.open_orders()] == []
    assert {alert.code for alert in routed.tape.of_type(Alert)} <= EXPECTED
    assert routed.violations() == []
    assert list(sent_too_much(routed)) == []
    ours = {name: order.filled for name, order in routed.router.orders.items() if order.filled}
    theirs: dict[str, Decimal] = {}
    for name, resting in venue.orders.items():
        if resting.filled:
            owner = resting.terms.slice_of or name
            theirs[owner] = theirs.get(owner, Decimal(0)) + resting.filled
    assert ours == theirs
