"""Laws of plain orders: their short way to the venue is the way of all others."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.event import Event
from contracts.orders import OrderLink, OrderTerms, Trail, Twap
from contracts.types import OrderType, Side, TimeInForce, TradingState, TrailKind, TriggerBy
from services.router import desk
from services.router.plain import is_plain
from services.router.rules import RouterState
from services.router.settings import Pace, RouterSettings
from tests.builders import (
    SECOND,
    approval,
    cancel_intent,
    ns,
    quote,
    terms,
    tick,
    trading,
    venue_accepted,
    venue_canceled,
    venue_filled,
    venue_rejected,
)
from tests.routing import Routed

AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)
MAYBE = st.booleans()


@st.composite
def legal_terms(draw: st.DrawFn) -> OrderTerms:
    """Everything that a single order can be, of which most have something special."""
    special = draw(st.sets(st.sampled_from(["kind", "time", "link", "twap", "shown"]), max_size=2))
    kind = draw(st.sampled_from(OrderType if "kind" in special else [OrderType.MARKET, OrderType.LIMIT]))
    time_in_force = draw(st.sampled_from(TimeInForce if "time" in special else [TimeInForce.GTC, *AT_ONCE]))
    side, quantity = draw(st.sampled_from(Side)), draw(st.sampled_from(["1", "3"]))
    order = terms(side, quantity, limit="100" if kind.has_limit else None, order_id=draw(st.sampled_from("abcd")))
    order = replace(
        order,
        order_type=kind,
        time_in_force=time_in_force,
        reduce_only=draw(MAYBE),
        expires_at=ns(draw(st.integers(0, 6))) if time_in_force is TimeInForce.GTD else None,
        link=OrderLink(list_id="list", parent=None, siblings=(), contingency=None) if "link" in special else None,
    )
    if kind.is_conditional:
        trail = Trail(offset=Decimal(2), kind=TrailKind.ABSOLUTE) if kind is OrderType.TRAILING_STOP else None
        trigger = None if trail else Decimal(draw(st.sampled_from(["95", "105"])))
        order = replace(order, trigger_price=trigger, trigger_by=TriggerBy.BID_ASK, trail=trail)
    elif "twap" in special:
        order = replace(order, twap=Twap(slices=2, duration_ns=2 * SECOND))
    if kind.has_limit and time_in_force not in AT_ONCE:
        shown = Decimal("0.5") if "shown" in special else None
        order = replace(order, post_only=draw(MAYBE), display_quantity=shown)
    assert order.contradiction() is None
    return order


@st.composite
def stories(draw: st.DrawFn) -> list[Event]:
    """Approvals at any time, and what a venue may say to them."""
    taken = draw(st.lists(legal_terms(), min_size=1, max_size=4, unique_by=lambda order: order.client_order_id))
    orders = st.sampled_from(taken)
    seconds = st.integers(0, 8)
    fills = st.builds(
        lambda order, quantity, name, fee: replace(venue_filled(order, quantity, trade_id=name), fee_currency=fee),
        orders,
        st.sampled_from(["0.5", "1", "3"]),
        st.sampled_from("xyz"),
        st.sampled_from([None, "BNB"]),
    )
    said = st.one_of(
        st.builds(lambda order, at: approval(order, at=at), orders, seconds),
        st.builds(lambda order, at: approval(order, at=at), orders, seconds),
        orders.map(venue_accepted),
        orders.map(venue_rejected),
        orders.map(venue_canceled),
        orders.map(cancel_intent),
        fills,
        fills,
        seconds.map(tick),
        st.builds(lambda price, at: quote(price, price + 1, at=at), st.sampled_from([94.0, 100.0, 106.0]), seconds),
        st.sampled_from(TradingState).map(trading),
    )
    return [*map(approval, taken), *draw(st.lists(said, max_size=30))]


SETTINGS = st.sampled_from(
    [RouterSettings(), RouterSettings(pace=Pace(per_s=1, burst=2, reserve=1), query_after_ms=900, remembered_orders=2)]
)
KEPT: TypeAdapter[RouterState] = TypeAdapter(RouterState)


@given(legal_terms())
def test_plain_is_what_a_venue_takes_as_it_is(order: OrderTerms) -> None:
    assert is_plain(order) is (order.at_venue is order)


@given(stories(), SETTINGS)
def test_a_plain_order_meets_what_it_would_meet_on_the_way_of_all_others(
    inputs: list[Event], settings: RouterSettings
) -> None:
    plain = Routed(*inputs, settings=settings)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(desk, "is_plain", lambda _terms: False)
        general = Routed(*inputs, settings=settings)
    assert plain.tape.recorded == general.tape.recorded
    assert KEPT.dump_json(plain.router.state()) == KEPT.dump_json(general.router.state())
