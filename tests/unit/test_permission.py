"""Who lets the system trade: the strictest voice holds, and each may only take back its own."""

import pytest

from contracts.control import GuardSet, TradingStateSet
from contracts.permission import Permission
from contracts.types import TradingState

ACTIVE, REDUCE_ONLY, HALTED = TradingState.ACTIVE, TradingState.REDUCE_ONLY, TradingState.HALTED


def operator(state: TradingState) -> TradingStateSet:
    return TradingStateSet(ts_event=1, ts_init=1, state=state, operator="alice", reason="")


def guard(name: str, state: TradingState) -> GuardSet:
    return GuardSet(ts_event=1, ts_init=1, guard=name, state=state, reason="")


def test_nobody_has_said_anything_and_it_may_trade() -> None:
    assert Permission().state is ACTIVE


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ([operator(HALTED)], HALTED),
        ([operator(HALTED), operator(ACTIVE)], ACTIVE),
        ([guard("archive", HALTED), operator(ACTIVE)], HALTED),
        ([guard("archive", HALTED), guard("depeg", ACTIVE)], HALTED),
        ([guard("archive", HALTED), guard("archive", ACTIVE), operator(REDUCE_ONLY)], REDUCE_ONLY),
        ([guard("archive", REDUCE_ONLY), operator(HALTED), guard("archive", ACTIVE)], HALTED),
    ],
)
def test_the_strictest_holds(said: list[TradingStateSet | GuardSet], state: TradingState) -> None:
    permission = Permission()
    for one in said:
        permission.hear(one)
    assert permission.state is state
