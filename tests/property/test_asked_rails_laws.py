"""Laws of the rails that are asked: what is left out would not have objected."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from contracts.types import Rail, Side
from services.risk.locks import Lock
from services.risk.rails import EXITS, RAILS, UNLOCKED, denials, rails_for
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from services.risk.situation import Situation
from tape.memory import MemoryTape
from tests.builders import BTC, LISTING, START, filled, terms
from tests.risk_builders import QUOTES

TIGHT = RiskSettings(
    max_order_notional=300,
    max_symbol_exposure=500,
    max_venue_exposure=500,
    max_strategy_exposure=500,
    max_total_exposure=500,
    max_correlated_exposure=500,
    max_open_orders=1,
    order_burst=1,
    max_spread_bps=1,
    starting_capital=400,
)
SIDES = st.sampled_from(Side)


def situation(side: Side, quantity: int, held: int, *, quoted: bool, locked: bool, reduce_only: bool) -> Situation:
    """An order of a strategy that holds `held` BTC, while everything is nearly used up."""
    risk = Risk(TIGHT, LISTING)
    entry = terms(Side.BUY if held > 0 else Side.SELL, str(abs(held) or 1), order_id="trend-0-0")
    MemoryTape([risk]).play([*(QUOTES if quoted else ()), *([filled(entry)] if held else [])])
    if locked:
        risk.ground.locks.locks.append(Lock(Rail.COOLDOWN, "trend", BTC, START + 10**9, "paused"))
    order = terms(side, str(quantity), reduce_only=reduce_only, order_id="trend-9-0")
    return Situation(risk.ground, order, START, Decimal(quantity), 100.0, (), 2)


@given(SIDES, st.integers(1, 12), st.integers(-6, 6), st.booleans(), st.booleans(), st.booleans())
def test_a_rail_that_is_not_asked_would_not_have_objected(
    side: Side,
    quantity: int,
    held: int,
    quoted: bool,  # noqa: FBT001
    locked: bool,  # noqa: FBT001
    reduce_only: bool,  # noqa: FBT001
) -> None:
    at = situation(side, quantity, held, quoted=quoted, locked=locked, reduce_only=reduce_only)
    assert list(denials(at, rails_for(at))) == list(denials(at, RAILS))


def test_an_exit_is_asked_less_than_an_entry_and_an_entry_everything_while_something_is_locked() -> None:
    leaves = situation(Side.SELL, 1, 3, quoted=True, locked=True, reduce_only=False)
    enters = situation(Side.BUY, 1, 3, quoted=True, locked=False, reduce_only=False)
    is_locked = situation(Side.BUY, 1, 3, quoted=True, locked=True, reduce_only=False)
    assert [rails_for(at) for at in (leaves, enters, is_locked)] == [EXITS, UNLOCKED, RAILS]
