"""Laws of the rails that are asked: what is left out would not have objected."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from contracts.orders import Twap
from contracts.types import (
    CircuitState,
    InstrumentState,
    OrderType,
    Rail,
    Side,
    TimeInForce,
    TradingState,
    TriggerBy,
)
from contracts.venue import InstrumentStatus
from services.risk.locks import Lock
from services.risk.rails import LOCKS, RAILS, denials, rails_for
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from services.risk.situation import Situation
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, LISTING, START, filled, terms
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
LOOSE = RiskSettings(starting_capital=10_000_000, max_order_notional=1e6)
NARROW = RiskSettings(collar_bps=5, trigger_collar_bps=2, max_mark_age_ms=500, max_leverage=1, starting_capital=500)
PICKY = RiskSettings(order_types=(OrderType.LIMIT,), strategy_instruments={"trend": (ETH,)})
SETTINGS = st.sampled_from((TIGHT, LOOSE, NARROW, PICKY))
SIDES = st.sampled_from(Side)
TRADING = st.sampled_from(TradingState)
MARKET = terms(Side.BUY, "1", order_id="trend-9-0")
ORDERS = st.sampled_from(
    (
        MARKET,
        replace(MARKET, slice_of="trend-8-0"),
        replace(MARKET, time_in_force=TimeInForce.GTD),
        replace(MARKET, limit_price=Decimal("100.001")),
        replace(MARKET, order_type=OrderType.LIMIT, limit_price=Decimal("99.5")),
        replace(MARKET, order_type=OrderType.STOP_MARKET, trigger_price=Decimal(90), trigger_by=TriggerBy.BID_ASK),
        replace(MARKET, display_quantity=Decimal(2)),
        replace(MARKET, twap=Twap(slices=1, duration_ns=0)),
    )
)
STATUS = InstrumentStatus(ts_event=START, ts_init=START, instrument=BTC, state=InstrumentState.BREAK, reason="paused")


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """An order of a strategy that may hold some, in a market that may be quoted, stale, halted or locked."""
    risk = Risk(draw(SETTINGS), LISTING)
    held = draw(st.integers(-6, 6))
    entry = terms(Side.BUY if held > 0 else Side.SELL, str(abs(held) or 1), order_id="trend-0-0")
    MemoryTape([risk]).play([*(QUOTES if draw(st.booleans()) else ()), *([filled(entry)] if held else [])])
    if draw(st.booleans()):
        risk.ground.locks.locks.append(Lock(Rail.COOLDOWN, "trend", BTC, START + 10**9, "paused"))
    risk.ground.trading.operator = draw(TRADING)
    if draw(st.booleans()):
        risk.ground.circuits["binance"] = CircuitState.OPEN
    if draw(st.booleans()):
        risk.ground.statuses[BTC] = STATUS
    quantity = Decimal(draw(st.integers(1, 12)))
    order = replace(draw(ORDERS), side=draw(SIDES), quantity=quantity, reduce_only=draw(st.booleans()))
    now, reference = START + draw(st.sampled_from((0, 10**9))), draw(st.sampled_from((None, 100.0, 100.03, 120.0)))
    return Situation(risk.ground, order, now, quantity, reference, (), draw(st.integers(1, 2)))


@given(situations())
def test_a_rail_that_is_not_asked_would_not_have_objected(at: Situation) -> None:
    assert denials(at, rails_for(at)) == denials(at, RAILS)


def test_an_order_far_from_every_limit_is_asked_only_what_must_be_looked_up() -> None:
    risk = Risk(LOOSE, LISTING)
    MemoryTape([risk]).play(QUOTES)
    at = Situation(risk.ground, MARKET, START, MARKET.quantity, 100.0)
    assert set(rails_for(at)) == {Rail.ALLOWLIST, Rail.DUPLICATE, Rail.LOT_SIZE, Rail.OPEN_ORDERS, Rail.ORDER_RATE}


def test_a_lock_asks_more_of_an_entry_and_nothing_more_of_an_exit() -> None:
    risk = Risk(LOOSE, LISTING)
    MemoryTape([risk]).play([*QUOTES, filled(terms(Side.BUY, "3", order_id="trend-0-0"))])
    risk.ground.locks.locks.append(Lock(Rail.COOLDOWN, "trend", BTC, START + 10**9, "paused"))
    enters, leaves = (
        Situation(risk.ground, replace(MARKET, side=side), START, MARKET.quantity, 100.0) for side in Side
    )
    assert set(rails_for(enters)) - set(rails_for(leaves)) == set(LOCKS)
