"""Router and simulated exchange together: what one asks for the other does, for every kind of order and list."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import pytest

from contracts.control import Alert
from contracts.event import Event
from contracts.laws import Laws
from contracts.market import Quote
from contracts.orders import OrderFilled, OrderTerms, Twap
from contracts.recorded import Recorded
from contracts.types import Contingency, OrderStatus, OrderType, Side, TimeInForce
from services.gateway.rules import Gateway
from services.router.rules import Router
from services.router.settings import RouterSettings
from tape.memory import MemoryTape
from tests.builders import (
    LISTING,
    SECOND,
    amend_approved,
    amendment,
    approval,
    cancel_intent,
    conditional,
    linked,
    ns,
    quote,
    terms,
)
from tests.routing import OF_ORDERS
from venues.simulated import SimulationSettings

S = OrderStatus
ENTRY = linked(terms(Side.BUY, "3", order_id="entry"))
_STOP = conditional(OrderType.STOP_MARKET, Side.SELL, "3", trigger="95", reduce_only=True, order_id="stop")
_TARGET = terms(Side.SELL, "3", limit="110", reduce_only=True, order_id="target")
STOP = linked(_STOP, parent=ENTRY, siblings=[_TARGET], contingency=Contingency.OUO)
TARGET = linked(_TARGET, parent=ENTRY, siblings=[_STOP], contingency=Contingency.OUO)
BRACKET = approval(ENTRY, STOP, TARGET)


class Traded:
    def __init__(self, latency_ms: float) -> None:
        self.router = Router(RouterSettings(), LISTING)
        self.tape = MemoryTape([Gateway(SimulationSettings(latency_ms=latency_ms), LISTING), self.router])
        self.whole: list[Recorded] = []

    def play(self, events: Iterable[Event]) -> "Traded":
        for event in events:
            before, position = len(self.tape.recorded), self.tape.position + 1
            self.tape.play([event])
            self.whole += [Recorded(position, None, "", 0, event), *self.tape.recorded[before:]]
        laws = Laws()
        found = [violation for recorded in self.whole for violation in laws.look(recorded)]
        assert [violation for violation in (*found, *laws.at_rest()) if violation.law in OF_ORDERS] == []
        assert self.tape.of_type(Alert) == []
        return self

    def stand(self, *orders: OrderTerms) -> list[tuple[OrderStatus, float]]:
        held = [self.router.orders[order.client_order_id] for order in orders]
        return [(order.life.status, float(order.filled)) for order in held]


def market(*bids: float, size: float = 1.0) -> list[Quote]:
    """Show one price after the other, a second each, with a spread of 1."""
    return [quote(bid, bid + 1, size=size, at=second) for second, bid in enumerate(bids, start=1)]


@pytest.fixture(params=[0.0, 250.0], ids=["at once", "late"])
def traded(request: pytest.FixtureRequest) -> Traded:
    return Traded(request.param).play([quote(99.0, 100.0, size=1.0)])


def test_a_bracket_enters_part_by_part_and_leaves_at_its_target(traded: Traded) -> None:
    traded.play([BRACKET, *market(99, 99, 99, 99, 111, 111, 111, 111, 111)])
    assert traded.stand(ENTRY, TARGET, STOP) == [(S.FILLED, 3), (S.FILLED, 3), (S.CANCELED, 0)]


def test_a_bracket_leaves_at_its_stop_and_takes_the_target_back(traded: Traded) -> None:
    traded.play([BRACKET, *market(99, 99, 99, 99, 94, 94, 94, 94, 94)])
    assert traded.stand(ENTRY, STOP, TARGET) == [(S.FILLED, 3), (S.FILLED, 3), (S.CANCELED, 0)]


def test_a_twap_trades_all_of_it_over_its_time(traded: Traded) -> None:
    order = replace(terms(quantity="1", order_id="twap"), twap=Twap(slices=4, duration_ns=4 * SECOND))
    traded.play([approval(order), *market(*[99] * 8)])
    assert traded.stand(order) == [(S.FILLED, 1)]
    assert len(traded.tape.of_type(OrderFilled)) == 4


def test_an_iceberg_trades_tip_by_tip(traded: Traded) -> None:
    order = replace(terms(quantity="2", limit="100", order_id="iceberg"), display_quantity=Decimal("0.5"))
    traded.play([approval(order), *market(*[99] * 12)])
    assert traded.stand(order) == [(S.FILLED, 2)]


def test_an_order_is_changed_and_then_canceled(traded: Traded) -> None:
    order = terms(quantity="2", limit="90", order_id="plain")
    change = amend_approved(amendment(order, quantity="1", limit="91"), at=1)
    traded.play([approval(order), quote(99, 100, at=1), change, quote(99, 100, at=2)])
    assert traded.stand(order) == [(S.ACCEPTED, 0)]
    assert traded.router.orders["plain"].terms.quantity == 1
    traded.play([cancel_intent(order, at=3), quote(99, 100, at=4)])
    assert traded.stand(order) == [(S.CANCELED, 0)]


def test_an_order_is_taken_back_when_its_time_is_over(traded: Traded) -> None:
    order = replace(terms(limit="90", order_id="gtd"), time_in_force=TimeInForce.GTD, expires_at=ns(3))
    traded.play([approval(order), *market(99, 99, 99, 99)])
    assert traded.stand(order) == [(S.EXPIRED, 0)]


@pytest.mark.parametrize(
    "order",
    [
        conditional(OrderType.STOP_MARKET, Side.SELL, trigger="95"),
        conditional(OrderType.STOP_LIMIT, Side.SELL, trigger="95", limit="93"),
        conditional(OrderType.MARKET_IF_TOUCHED, Side.BUY, trigger="95"),
        conditional(OrderType.LIMIT_IF_TOUCHED, Side.BUY, trigger="95", limit="95"),
    ],
    ids=lambda order: order.order_type.value,
)
def test_what_is_triggered_trades(traded: Traded, order: OrderTerms) -> None:
    traded.play([approval(order), *market(99, 97, 94, 94, 94, 94)])
    assert traded.stand(order) == [(S.FILLED, 1)]
