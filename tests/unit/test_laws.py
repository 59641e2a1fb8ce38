"""The laws of the tape: a history of the real system breaks none, and each change that should break one does."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import cache

import pytest

from contracts.books import EquityMarked, PositionChanged
from contracts.control import LeaseTaken
from contracts.event import Event
from contracts.laws import Law, Laws
from contracts.market import Quote
from contracts.orders import (
    OrderAccepted,
    OrderFilled,
    OrderInitialized,
    OrderIntent,
    OrderSubmitted,
    RiskApproved,
)
from contracts.recorded import Recorded
from contracts.venue import SubmitOrder
from tests.played import market, played

Tape = list[Recorded]
Change = Callable[[Tape], Tape]


@cache
def history() -> tuple[Recorded, ...]:
    """A simulated market that the whole system has traded."""
    return tuple(message for message in played(market(6_000)).tape if isinstance(message, Recorded))


def broken_by(tape: Tape) -> set[Law]:
    laws = Laws()
    found = [violation for recorded in tape for violation in laws.look(recorded)]
    return {violation.law for violation in [*found, *laws.at_rest()]}


def first(tape: Tape, event_type: type[Event]) -> Recorded:
    return next(recorded for recorded in tape if isinstance(recorded.event, event_type))


def without(event_type: type[Event]) -> Change:
    return lambda tape: [recorded for recorded in tape if recorded is not first(tape, event_type)]


def again(event_type: type[Event]) -> Change:
    """Say the first event of a type once more, at the end, as its writer's next answer."""

    def change(tape: Tape) -> Tape:
        said = first(tape, event_type)
        writer = said.msg_id.partition("/")[0]
        cause = tape[-1].position
        return [*tape, Recorded(cause + 1, cause, f"{writer}/{cause}/0", tape[-1].ts_recorded, said.event)]

    return change


def changed(event_type: type[Event], **fields: object) -> Change:
    def change(tape: Tape) -> Tape:
        said = first(tape, event_type)
        other = replace(said.event, **fields)  # type: ignore[arg-type]
        return [replace(one, event=other) if one is said else one for one in tape]

    return change


def test_a_history_of_the_system_keeps_them_all() -> None:
    tape = list(history())
    assert sum(isinstance(recorded.event, OrderFilled) for recorded in tape) > 4
    assert broken_by(tape) == set()


@pytest.mark.parametrize(
    ("change", "law"),
    [
        (lambda tape: [*tape, tape[-1]], Law.PLACES),
        (
            lambda tape: [replace(r, cause=r.position) if isinstance(r.event, RiskApproved) else r for r in tape],
            Law.ONCE,
        ),
        (without(RiskApproved), Law.VERDICT),
        (again(RiskApproved), Law.VERDICT),
        (again(OrderIntent), Law.VERDICT),
        (without(OrderInitialized), Law.ROUTE),
        (again(OrderInitialized), Law.LIFE),
        (without(OrderSubmitted), Law.LIFE),
        (again(OrderAccepted), Law.LIFE),
        (without(SubmitOrder), Law.COMMAND),
        (again(SubmitOrder), Law.COMMAND),
        (again(OrderFilled), Law.FILL),
        (changed(OrderFilled, quantity=Decimal(1000000)), Law.FILL),
        (changed(PositionChanged, fees=Decimal(-1)), Law.POSITION),
        (changed(PositionChanged, quantity=Decimal(123456)), Law.POSITION),
        (changed(EquityMarked, cash=Decimal(1), equity=Decimal(1), positions=()), Law.EQUITY),
        (without(LeaseTaken), Law.LEASE),
    ],
)
def test_what_breaks_a_law_is_named(change: Change, law: Law) -> None:
    assert law in broken_by(change(list(history())))


def test_who_was_deposed_may_not_speak() -> None:
    tape = list(history())
    old = first(tape, RiskApproved)
    last = tape[-1].position
    taken = LeaseTaken(ts_event=1, ts_init=1, component="risk", instance="another", settings="{}")
    lease = Recorded(last + 1, None, "risk/lease/another-1", old.ts_recorded + 10**12, taken)
    late = Recorded(last + 2, last, f"risk/{last}/0", old.ts_recorded, old.event)
    assert Law.LEASE in broken_by([*tape, lease, late])


def test_what_an_edge_brings_comes_once_and_in_order() -> None:
    event = first(list(history()), Quote).event
    brought = [Recorded(position, None, f"feed/run/{position - 1}", 1, event) for position in range(1, 9)]
    assert broken_by(brought) == set()
    assert broken_by(brought[:4] + brought[5:]) == {Law.NUMBERS}
    assert broken_by([*brought, replace(brought[3], position=9)]) == {Law.NUMBERS}


def test_a_violation_says_where_and_what() -> None:
    laws = Laws()
    tape = again(OrderFilled)(list(history()))
    found = [violation for recorded in tape for violation in laws.look(recorded)]
    assert {violation.position for violation in found} == {tape[-1].position}
    assert Law.FILL.value in str(next(violation for violation in found if violation.law is Law.FILL))
