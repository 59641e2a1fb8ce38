"""The base of a strategy: terms of every kind, lists that belong together, and what is under way."""

from dataclasses import replace
from decimal import Decimal

import pytest

from contracts.codec import encode
from contracts.event import Event
from contracts.orders import Denial, OrderIntent, OrderTerms, RiskRejected, Trail, Twap
from contracts.types import Contingency, OrderType, Rail, Side, TimeInForce, TrailKind, TriggerBy
from tape.strategy import Strategy
from tests.builders import BTC, ETH, SECOND, START, canceled, filled, listed, ns, quote

ONE = Decimal(1)
BUY, SELL = Side.BUY, Side.SELL


def strategy() -> Strategy:
    made = Strategy("trend")
    made.moment.position = 7
    return made


def wish(made: Strategy, *orders: OrderTerms) -> OrderIntent:
    return made.wish(quote(), *orders, reference_price=100.0, reason="test")


def refused(order: OrderTerms) -> RiskRejected:
    reasons = (Denial(rail=Rail.ALLOWLIST, detail="test"),)
    return RiskRejected(ts_event=START, ts_init=START, order=order, reasons=reasons)


def hear(made: Strategy, event: Event) -> None:
    listed(made.handlers()[type(event)](event))


def kinds(made: Strategy) -> list[OrderTerms]:
    trail = Trail(offset=Decimal(2), kind=TrailKind.PERCENT)
    return [
        made.market(BTC, BUY, ONE),
        made.market(BTC, BUY, ONE, twap=Twap(slices=4, duration_ns=60 * SECOND)),
        made.limit(BTC, BUY, ONE, Decimal(99)),
        made.limit(BTC, BUY, ONE, Decimal(99), time_in_force=TimeInForce.DAY, post_only=True),
        made.limit(BTC, BUY, ONE, Decimal(99), expires_at=ns(60)),
        made.limit(BTC, BUY, ONE, Decimal(99), shown=Decimal("0.1")),
        made.limit(BTC, BUY, ONE, Decimal(99), time_in_force=TimeInForce.FOK),
        made.stop(BTC, SELL, ONE, Decimal(95)),
        made.stop(BTC, SELL, ONE, Decimal(95), limit=Decimal(94), trigger_by=TriggerBy.MARK),
        made.if_touched(BTC, SELL, ONE, Decimal(110)),
        made.if_touched(BTC, SELL, ONE, Decimal(110), limit=Decimal(110)),
        made.trailing_stop(BTC, SELL, ONE, trail),
        made.trailing_stop(BTC, SELL, ONE, trail, trigger=Decimal(97)),
    ]


def test_every_kind_of_order_can_be_wished_for_and_goes_onto_the_tape() -> None:
    made = strategy()
    orders = kinds(made)
    assert {order.order_type for order in orders} == set(OrderType)
    for order in orders:
        intent = wish(made, order)
        assert intent.contradiction() is None
        assert encode(intent)


def test_each_order_has_an_id_of_its_own_that_names_its_cause() -> None:
    made = strategy()
    assert [order.client_order_id for order in kinds(made)] == [f"trend-7-{number}" for number in range(13)]


def test_a_stop_protects_and_a_target_reduces_unless_they_are_told_to_open() -> None:
    made = strategy()
    assert made.stop(BTC, SELL, ONE, Decimal(95)).is_protective
    assert made.if_touched(BTC, SELL, ONE, Decimal(110)).reduce_only
    assert not made.stop(BTC, BUY, ONE, Decimal(105), reduce_only=False).reduce_only


def test_a_market_order_is_a_wish_for_one() -> None:
    made, other = strategy(), strategy()
    for reduce_only in (False, True):
        wanted = made.market(BTC, BUY, ONE, reduce_only=reduce_only)
        intent = other.market_order(
            quote(), BTC, BUY, ONE, reference_price=100.0, reason="test", reduce_only=reduce_only
        )
        assert intent == wish(made, wanted)
    assert other.strategy_state() == made.strategy_state()


def bracket(made: Strategy) -> tuple[OrderIntent, OrderTerms, OrderTerms, OrderTerms]:
    intent = made.bracket(
        quote(),
        made.market(BTC, BUY, ONE),
        stop=made.stop(BTC, SELL, ONE, Decimal(95)),
        target=made.limit(BTC, SELL, ONE, Decimal(110), reduce_only=True),
        reference_price=100.0,
        reason="test",
    )
    stop, target = intent.attached
    return intent, intent.order, stop, target


def test_a_bracket_is_one_wish_for_an_entry_with_its_stop_and_target() -> None:
    intent, entry, stop, target = bracket(strategy())
    assert intent.contradiction() is None
    assert entry.link and stop.link and target.link
    assert entry.link.parent is None
    assert stop.link.parent == target.link.parent == entry.client_order_id
    assert (stop.link.siblings, target.link.siblings) == ((target.client_order_id,), (stop.client_order_id,))
    assert stop.link.contingency is target.link.contingency is Contingency.OUO


@pytest.mark.parametrize("contingency", Contingency)
def test_orders_of_which_one_ends_or_reduces_the_others_name_each_other(contingency: Contingency) -> None:
    made = strategy()
    orders = [made.limit(BTC, BUY, ONE, Decimal(price)) for price in (99, 98, 97)]
    build = made.oco if contingency is Contingency.OCO else made.ouo
    intent = build(quote(), *orders, reference_price=100.0, reason="test")
    assert intent.contradiction() is None
    for one in (intent.order, *intent.attached):
        assert one.link is not None
        assert one.link.contingency is contingency
        assert {*one.link.siblings, one.client_order_id} == {order.client_order_id for order in orders}


def test_an_order_triggers_others() -> None:
    made = strategy()
    children = [made.limit(BTC, SELL, ONE, Decimal(price), reduce_only=True) for price in (110, 120)]
    intent = made.oto(quote(), made.market(BTC, BUY, ONE), *children, reference_price=100.0, reason="test")
    assert intent.contradiction() is None
    parents = [child.link and child.link.parent for child in intent.attached]
    assert parents == [intent.order.client_order_id] * 2


def test_an_instrument_is_not_free_until_the_order_there_has_ended() -> None:
    made = strategy()
    order = wish(made, made.market(BTC, BUY, ONE)).order
    assert (made.is_free(BTC), made.is_free(ETH)) == (False, True)
    hear(made, filled(order, "0.5"))
    assert not made.is_free(BTC)
    hear(made, filled(order, "0.5", before="0.5"))
    assert made.is_free(BTC)
    assert made.position(BTC) == 1


def test_a_bracket_is_under_way_until_its_entry_has_ended_and_its_stop_and_target_only_rest() -> None:
    made = strategy()
    _, entry, stop, target = bracket(made)
    assert not made.is_free(BTC)
    hear(made, filled(entry))
    assert made.is_free(BTC)
    assert made.open_orders(BTC) == (stop, target)
    hear(made, filled(stop))
    hear(made, canceled(target))
    assert made.open_orders(BTC) == ()
    assert made.position(BTC) == 0


def test_a_refusal_is_of_the_whole_list() -> None:
    made = strategy()
    _, entry, _, _ = bracket(made)
    other = wish(made, made.stop(BTC, SELL, ONE, Decimal(90))).order
    hear(made, refused(entry))
    assert made.open_orders(BTC) == (other,)
    assert made.is_free(BTC)


def test_a_pair_is_under_way_until_both_have_ended() -> None:
    made = strategy()
    intent = made.oco(
        quote(),
        made.limit(BTC, BUY, ONE, Decimal(95)),
        made.stop(BTC, BUY, ONE, Decimal(105), reduce_only=False),
        reference_price=100.0,
        reason="test",
    )
    hear(made, canceled(intent.order))
    assert not made.is_free(BTC)
    hear(made, canceled(intent.attached[0]))
    assert made.is_free(BTC)


def test_what_becomes_of_the_orders_of_others_is_none_of_its_business() -> None:
    made = strategy()
    order = wish(made, made.market(BTC, BUY, ONE)).order
    others = replace(order, strategy="scalper")
    for event in (filled(others), canceled(others), refused(others)):
        hear(made, event)
    assert made.position(BTC) == 0
    assert not made.is_free(BTC)


def test_it_takes_back_and_changes_its_orders_under_its_own_name() -> None:
    made = strategy()
    order = wish(made, made.limit(BTC, BUY, ONE, Decimal(99))).order
    amend = made.amend(quote(), order, limit=Decimal(98), reason="test")
    assert (amend.by, amend.contradiction()) == ("trend", None)
    assert (amend.amendment.client_order_id, amend.amendment.limit_price) == (order.client_order_id, Decimal(98))
    (cancel,) = made.cancel_all(quote(), BTC, "test")
    assert (cancel.by, cancel.client_order_id) == ("trend", order.client_order_id)
    assert listed(made.cancel_all(quote(), ETH, "test")) == []
