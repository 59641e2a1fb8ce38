"""The laws of orders, one by one: a tape that keeps them, and the smallest change that breaks each."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import pytest

from contracts.event import Event
from contracts.laws import Law, Laws
from contracts.orders import (
    AmendIntent,
    Denial,
    OrderFilled,
    OrderIntent,
    OrderPendingUpdate,
    OrderTerms,
    OrderUpdated,
    ProtectiveIntent,
    RiskApproved,
    RiskRejected,
    Twap,
)
from contracts.recorded import Recorded
from contracts.types import Contingency, OrderType, Rail, Side
from contracts.venue import AmendOrder, CancelOrder, QueryOrder, SubmitOrder
from tests.builders import (
    BTC,
    SECOND,
    START,
    amend_approved,
    amendment,
    approval,
    cancel_intent,
    conditional,
    foreign,
    intent,
    linked,
    quote,
    terms,
    tick,
    venue_accepted,
    venue_amended,
    venue_canceled,
    venue_filled,
    venue_rejected,
)
from tests.routing import Routed

ENTRY = linked(terms(Side.BUY, "3", limit="100", order_id="entry"))
_STOP = conditional(OrderType.STOP_MARKET, Side.SELL, "3", trigger="95", reduce_only=True, order_id="stop")
_TARGET = terms(Side.SELL, "3", limit="110", reduce_only=True, order_id="target")
STOP = linked(_STOP, parent=ENTRY, siblings=[_TARGET], contingency=Contingency.OUO)
TARGET = linked(_TARGET, parent=ENTRY, siblings=[_STOP], contingency=Contingency.OUO)
WISH = replace(intent(ENTRY), attached=(STOP, TARGET))
TWAP = replace(terms(quantity="1", order_id="twap"), twap=Twap(slices=2, duration_ns=SECOND))
PART = replace(TWAP.at_venue, client_order_id="twap-s0", quantity=Decimal("0.5"), slice_of="twap")


def taken(*events: Event | tuple[Event, int]) -> list[Recorded]:
    """Put events on a tape; a pair names the position of its cause."""
    pairs = [event if isinstance(event, tuple) else (event, None) for event in events]
    return [Recorded(position, cause, "", 0, event) for position, (event, cause) in enumerate(pairs, start=1)]


def broken(tape: Iterable[Recorded]) -> set[Law]:
    laws = Laws()
    found = [violation for recorded in tape for violation in laws.look(recorded)]
    return {violation.law for violation in [*found, *laws.at_rest()]} - {Law.LEASE, Law.ONCE, Law.POSITION}


def verdict(wish: Event, said: Event) -> set[Law]:
    """Break what the verdict breaks, when the router has not yet had the time to take what was approved."""
    return broken(taken(wish, (said, 1))) - {Law.ROUTE}


def reduced(order: OrderTerms, quantity: str) -> OrderTerms:
    return replace(order, quantity=Decimal(quantity))


def test_a_verdict_may_be_on_less_of_the_same_list() -> None:
    less = approval(reduced(ENTRY, "2"), reduced(STOP, "2"), reduced(TARGET, "2"))
    assert verdict(WISH, approval(ENTRY, STOP, TARGET)) == set()
    assert verdict(WISH, less) == set()
    assert verdict(WISH, approval(replace(ENTRY, limit_price=Decimal("99.9")), STOP, TARGET)) == set()


@pytest.mark.parametrize(
    "said",
    [
        approval(reduced(ENTRY, "4"), STOP, TARGET),
        approval(ENTRY, STOP),
        approval(ENTRY, STOP, reduced(TARGET, "3.1")),
        approval(replace(ENTRY, side=Side.SELL), STOP, TARGET),
        approval(replace(ENTRY, reduce_only=True), STOP, TARGET),
    ],
    ids=["more", "a part of the list", "a larger child", "the other side", "other terms"],
)
def test_a_verdict_on_more_or_on_something_else_breaks_the_law(said: RiskApproved) -> None:
    assert verdict(WISH, said) == {Law.VERDICT}


def test_a_refusal_is_a_verdict_on_the_whole_list() -> None:
    refusal = RiskRejected(
        ts_event=START, ts_init=START, order=ENTRY, reasons=(Denial(rail=Rail.ALLOWLIST, detail="test"),)
    )
    assert broken(taken(WISH, (refusal, 1))) == set()


def test_a_wish_to_protect_gets_a_verdict_too() -> None:
    order = terms(Side.SELL, reduce_only=True, order_id="stops-1-0")
    wish = ProtectiveIntent(
        ts_event=START, ts_init=START, by="stops", order=order, reference_price=100.0, reason="test"
    )
    assert broken(taken(wish)) == {Law.VERDICT}
    assert verdict(wish, approval(order)) == set()


def test_a_wish_for_other_terms_gets_one_verdict_on_no_more_than_that() -> None:
    wanted = amendment(ENTRY, quantity="2")
    wish = AmendIntent(ts_event=START, ts_init=START, by="trend", amendment=wanted, reason="test")
    approved = amend_approved(wanted)
    assert broken(taken(wish)) == {Law.VERDICT}
    assert broken(taken(wish, (approved, 1))) == set()
    assert broken(taken(wish, (approved, 1), (approved, 1))) == {Law.VERDICT}
    assert broken(taken(wish, (amend_approved(amendment(ENTRY, quantity="2.1")), 1))) == {Law.VERDICT}
    assert broken(taken(wish, (amend_approved(amendment(STOP, quantity="2")), 1))) == {Law.VERDICT}


# -- the router --------------------------------------------------------------------------------------------------------


def routed(*events: Event) -> list[Recorded]:
    return Routed(*events).whole


BRACKET = routed(
    quote(99, 101),
    approval(ENTRY, STOP, TARGET),
    venue_accepted(ENTRY),
    venue_filled(ENTRY, "1", trade_id="a"),
    venue_accepted(TARGET),
    venue_filled(ENTRY, "2", trade_id="b"),
    venue_amended(TARGET, "3", limit="110"),
    quote(94, 95),
    venue_canceled(TARGET),
    venue_filled(STOP, "3", trade_id="c"),
)
SLICED = routed(
    approval(TWAP), venue_accepted(PART), tick(1), cancel_intent(TWAP), venue_canceled(PART),
    venue_rejected(replace(PART, client_order_id="twap-s1")),
)  # fmt: skip
SILENT = routed(approval(ENTRY), tick(6))
ADOPTED = routed(foreign(terms(order_id="web")), venue_filled(terms(order_id="web"), "1"))


def of_router(tape: Iterable[Recorded]) -> set[Law]:
    return broken(tape) - {Law.VERDICT}


@pytest.mark.parametrize("tape", [BRACKET, SLICED, SILENT, ADOPTED])
def test_what_the_router_does_breaks_no_law(tape: list[Recorded]) -> None:
    assert of_router(tape) == set()


def without(tape: list[Recorded], event_type: type[Event], number: int = 0) -> list[Recorded]:
    chosen = [recorded for recorded in tape if isinstance(recorded.event, event_type)][number]
    return [recorded for recorded in tape if recorded is not chosen]


def twice(tape: list[Recorded], event_type: type[Event]) -> list[Recorded]:
    at = next(at for at, recorded in enumerate(tape) if isinstance(recorded.event, event_type))
    return [*tape[: at + 1], *tape[at:]]


def changed(tape: list[Recorded], event_type: type[Event], **fields: object) -> list[Recorded]:
    at = next(at for at, recorded in enumerate(tape) if isinstance(recorded.event, event_type))
    other = replace(tape[at].event, **fields)  # type: ignore[arg-type]
    return [*tape[:at], replace(tape[at], event=other), *tape[at + 1 :]]


def bigger(tape: list[Recorded]) -> list[Recorded]:
    return changed(tape, SubmitOrder, order=replace(PART, quantity=Decimal("0.9")))


@pytest.mark.parametrize(
    ("tape", "law"),
    [
        (without(BRACKET, OrderUpdated, 1), Law.COMMAND),
        (without(BRACKET, SubmitOrder), Law.COMMAND),
        (twice(BRACKET, SubmitOrder), Law.COMMAND),
        (without(BRACKET, AmendOrder), Law.COMMAND),
        (twice(BRACKET, AmendOrder), Law.COMMAND),
        (without(BRACKET, OrderPendingUpdate), Law.COMMAND),
        (without(BRACKET, CancelOrder), Law.COMMAND),
        (twice(BRACKET, CancelOrder), Law.COMMAND),
        (changed(BRACKET, OrderUpdated, leaves=Decimal(7)), Law.FILL),
        (twice(BRACKET, OrderFilled), Law.FILL),
        (without(BRACKET, RiskApproved), Law.ROUTE),
        (changed(BRACKET, RiskApproved, attached=(reduced(STOP, "2"), TARGET)), Law.ROUTE),
        (changed(BRACKET, RiskApproved, attached=(STOP, TARGET, terms(order_id="more"))), Law.ROUTE),
        (changed(BRACKET, SubmitOrder, order=reduced(ENTRY.at_venue, "3.1")), Law.COMMAND),
        (twice(SLICED, SubmitOrder), Law.COMMAND),
        (bigger(SLICED), Law.COMMAND),
        (without(SLICED, SubmitOrder), Law.COMMAND),
        (twice(SLICED, CancelOrder), Law.COMMAND),
        (changed(SILENT, QueryOrder, client_order_id="another"), Law.COMMAND),
        (ADOPTED[1:], Law.ROUTE),
    ],
)
def test_the_smallest_change_that_breaks_a_law_is_seen(tape: list[Recorded], law: Law) -> None:
    assert law in of_router(tape)


def test_a_question_about_an_order_that_was_never_sent_is_named() -> None:
    assert broken(taken(QueryOrder(ts_event=1, ts_init=1, client_order_id="x", instrument=BTC))) == {Law.COMMAND}


def test_a_verdict_on_other_terms_that_nobody_wished_for_is_named() -> None:
    assert Law.VERDICT in broken(taken(amend_approved(amendment(ENTRY, quantity="1"))))


def test_a_wish_that_comes_twice_is_named() -> None:
    wish: OrderIntent = intent(terms())
    assert Law.VERDICT in broken(taken(wish, wish))
