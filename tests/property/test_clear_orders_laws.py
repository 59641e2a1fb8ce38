"""Laws of orders that are clear at a glance: the rails agree, and the same becomes of them as if they were asked."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.event import Event
from contracts.orders import OrderTerms, Trail, Twap
from contracts.types import (
    CircuitState,
    InstrumentState,
    OrderType,
    Rail,
    Side,
    TimeInForce,
    TradingState,
    TrailKind,
    TriggerBy,
)
from services.risk.clear import FEW, PLAIN, Glance
from services.risk.locks import Lock
from services.risk.rails import RAILS, RailCheck, denials
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from services.risk.situation import Situation
from services.risk.snapping import snapped
from services.risk.verdict import judge
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, LISTING, START, filled, intent, linked, quote, terms
from tests.property.event_strategies import events
from tests.property.test_risk_laws import CAPS, FATES, ORDERS, PROTECTIONS, Day, lived
from tests.property.test_state_laws import answers, kept, placed
from tests.risk_builders import QUOTES, allocated, closed, equity, health, holding, override, status

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
PATIENT = RiskSettings(duplicate_window_ms=1000, snap=False, max_capital_use_pct=0.5, margin_reserve_pct=50)
SETTINGS = st.sampled_from((LOOSE, LOOSE, TIGHT, NARROW, PICKY, PATIENT))
SIDES = st.sampled_from(Side)
SELDOM = st.integers(0, 7).map(lambda number: number == 0)
MARKET = terms(Side.BUY, "1", order_id="trend-9-0")
RESTING = replace(MARKET, order_type=OrderType.LIMIT, limit_price=Decimal("99.5"))
CLEAR = (
    MARKET,
    replace(MARKET, time_in_force=TimeInForce.IOC),
    RESTING,
    replace(RESTING, post_only=True),
    replace(RESTING, time_in_force=TimeInForce.DAY),
)
STRANGE = (
    replace(MARKET, slice_of="trend-8-0"),
    replace(MARKET, time_in_force=TimeInForce.GTD),
    replace(MARKET, limit_price=Decimal("100.001")),
    replace(MARKET, post_only=True),
    replace(RESTING, limit_price=None),
    replace(RESTING, limit_price=Decimal("99.55")),
    replace(RESTING, post_only=True, time_in_force=TimeInForce.FOK),
    replace(RESTING, expires_at=START),
    replace(MARKET, order_type=OrderType.STOP_MARKET, trigger_price=Decimal(90), trigger_by=TriggerBy.BID_ASK),
    replace(MARKET, trigger_price=Decimal(90)),
    replace(MARKET, trigger_by=TriggerBy.BID_ASK),
    replace(MARKET, trail=Trail(offset=Decimal(1), kind=TrailKind.PERCENT)),
    replace(MARKET, display_quantity=Decimal(2)),
    replace(MARKET, twap=Twap(slices=1, duration_ns=0)),
    linked(MARKET, parent=RESTING),
)
KINDS = st.sampled_from(CLEAR * 3 + STRANGE)
QUANTITIES = st.integers(1, 12).map(Decimal) | st.sampled_from((Decimal("0.0005"), Decimal("0.1"), Decimal("1.0001")))


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """An order of a strategy that may hold some, in a market that may be quoted, stale, halted or locked."""
    risk = Risk(draw(SETTINGS), LISTING)
    history: list[Event] = [] if draw(SELDOM) else [quote(99.8, 100.2), QUOTES[1]]
    held = {"trend": draw(st.integers(-6, 6)), "scalper": draw(st.integers(-2, 2))}
    for strategy, lots in held.items():
        entry = terms(Side.BUY if lots > 0 else Side.SELL, str(abs(lots) or 1), strategy=strategy)
        history += [filled(replace(entry, client_order_id=f"{strategy}-0-0"))] if lots else []
    if draw(SELDOM):
        history.append(status(InstrumentState.BREAK, draw(st.sampled_from((BTC, ETH)))))
    if draw(SELDOM):
        history.append(health(draw(st.sampled_from(CircuitState)), draw(st.sampled_from(("sim", "binance")))))
    if draw(SELDOM):
        history.append(override(draw(st.sampled_from((0.5, 1.0))), muted_until=draw(st.sampled_from((None, 0.0, 5.0)))))
    if draw(SELDOM):
        history.append(equity(draw(st.sampled_from(("-1", "300", "2000")))))
    if draw(SELDOM):
        order = replace(MARKET, client_order_id=draw(st.sampled_from(("trend-9-0", "trend-8-0"))))
        history.append(intent(order))
    MemoryTape([risk]).play(history)
    if draw(SELDOM):
        risk.ground.locks.locks.append(Lock(Rail.COOLDOWN, "trend", BTC, START + 10**9, "paused"))
    if draw(SELDOM):
        risk.ground.trading.operator = draw(st.sampled_from(TradingState))
    quantity = draw(QUANTITIES)
    order = replace(draw(KINDS), side=draw(SIDES), quantity=quantity, reduce_only=draw(SELDOM))
    now, reference = START + draw(st.sampled_from((0, 10**9))), draw(st.sampled_from((100.0, 100.0, 100.03, 120.0)))
    return Situation(risk.ground, order, now, quantity, reference, (), draw(st.sampled_from((1, 1, 1, 2, 3))))


@given(situations())
def test_no_rail_objects_to_a_clear_order_and_it_stays_as_it_is(at: Situation) -> None:
    assert at.reference_price is not None
    mark = Glance(at.ground).mark_of(at.order, at.now, at.reference_price) if at.count == 1 else None
    if mark is not None:
        assert denials(at, RAILS) == []
        assert at.mark == mark
        assert snapped(at.order, LISTING[BTC]) is at.order


@given(situations())
def test_a_rail_that_is_not_asked_would_not_have_objected(at: Situation) -> None:
    assert denials(at, Glance(at.ground).rails_for(at)) == denials(at, RAILS)


def test_of_an_order_that_is_cut_up_only_its_terms_are_asked_and_what_must_be_looked_up() -> None:
    risk = Risk(LOOSE, LISTING)
    MemoryTape([risk]).play(QUOTES)
    order = replace(MARKET, twap=Twap(slices=2, duration_ns=1))
    asked = set(risk.glance.rails_for(Situation(risk.ground, order, START, order.quantity, 100.0)))
    assert asked == {*PLAIN, Rail.DUPLICATE, Rail.LOT_SIZE, Rail.REDUCE_ONLY}


def test_a_lock_asks_more_of_an_entry_and_nothing_more_of_an_exit() -> None:
    risk = Risk(LOOSE, LISTING)
    MemoryTape([risk]).play([*QUOTES, filled(terms(Side.BUY, "3", order_id="trend-0-0"))])
    risk.ground.locks.locks.append(Lock(Rail.COOLDOWN, "trend", BTC, START + 10**9, "paused"))
    enters, leaves = (
        risk.glance.rails_for(Situation(risk.ground, replace(MARKET, side=side), START, MARKET.quantity, 100.0))
        for side in Side
    )
    assert set(enters) - set(leaves) == set(FEW)


ORDINARY: list[tuple[dict[str, Any], tuple[Event, ...]]] = [
    ({}, ()),
    ({}, (holding(Side.BUY, "3"), equity("10000"), allocated("5000"))),
    ({}, (holding(Side.SELL, "3"), holding(Side.BUY, "2", strategy="scalper"), holding(Side.BUY, "9", instrument=ETH))),
    ({}, (health(CircuitState.CLOSED), override(0.5), override(1.0), status(InstrumentState.BREAK, ETH))),
    ({"max_symbol_exposure": 450}, tuple(holding(Side.BUY, "40", strategy=f"s{n}", instrument=ETH) for n in range(9))),
    ({"cooldown": {"pause_s": 60}}, (closed("-5", strategy="scalper"), closed("-5", instrument=ETH))),
    ({"allowlist": (BTC,), "strategy_instruments": {"trend": (BTC,)}, "duplicate_window_ms": 50.0}, ()),
]
"""Settings and histories under which an ordinary order is clear."""


@pytest.mark.parametrize(("settings", "history"), ORDINARY)
@pytest.mark.parametrize("order", CLEAR)
@pytest.mark.parametrize("side", Side)
def test_an_ordinary_order_is_clear(
    settings: dict[str, Any], history: tuple[Event, ...], order: OrderTerms, side: Side
) -> None:
    risk = Risk(RiskSettings.model_validate(settings), LISTING)
    MemoryTape([risk]).play([*QUOTES, *history])
    assert risk.glance.mark_of(replace(order, side=side), START, 100.0) == 100.0


@pytest.mark.parametrize("order", STRANGE)
def test_an_order_with_further_terms_is_never_clear(order: OrderTerms) -> None:
    risk = Risk(LOOSE, LISTING)
    MemoryTape([risk]).play(QUOTES)
    assert risk.glance.mark_of(order, START, 100.0) is None


@pytest.mark.parametrize("side", Side)
def test_what_others_may_take_away_already_is_not_there_to_leave(side: Side) -> None:
    risk = Risk(LOOSE, LISTING)
    leaves = replace(MARKET, side=side, quantity=Decimal(2), reduce_only=True)
    under_way = intent(replace(leaves, client_order_id="trend-8-0"))
    MemoryTape([risk]).play([*QUOTES, holding(side.opposite, "3"), under_way])
    assert risk.glance.mark_of(leaves, START, 100.0) is None
    assert risk.glance.mark_of(replace(leaves, quantity=Decimal(1)), START, 100.0) == 100.0


@pytest.mark.parametrize("side", Side)
def test_an_order_that_adds_to_a_position_is_clear_up_to_the_limit(side: Side) -> None:
    risk = Risk(RiskSettings(max_symbol_exposure=500), LISTING)
    MemoryTape([risk]).play([*QUOTES, holding(side, "3")])
    adds = [replace(MARKET, side=side, quantity=Decimal(quantity)) for quantity in ("2", "2.001")]
    assert [risk.glance.mark_of(order, START, 100.0) for order in adds] == [100.0, None]


# -- the same becomes of an order, looked at or asked about ------------------------------------------------------------


class Asking(Glance):
    """What knows nothing at a glance."""

    def rails_for(self, at: Situation) -> Mapping[Rail, RailCheck]:  # noqa: ARG002
        return RAILS


def blind(**settings: Any) -> Risk:  # noqa: ANN401 (settings are of any kind)
    """A risk that asks the rails about every order."""
    risk = Risk(RiskSettings.model_validate(settings), LISTING)
    risk.on_intent = lambda intent: (judge(risk.ground, Asking(risk.ground), intent),)  # type: ignore[method-assign]
    return risk


def goes_the_same(history: list[Event], **settings: Any) -> None:  # noqa: ANN401
    plain, asking = Risk(RiskSettings.model_validate(settings), LISTING), blind(**settings)
    assert answers(plain, placed(history)) == answers(asking, placed(history))
    assert kept(plain) == kept(asking)


@given(st.lists(ORDERS | PROTECTIONS | FATES, max_size=30), st.sampled_from(({}, CAPS, {"duplicate_window_ms": 10.0})))
def test_a_day_goes_the_same_if_every_rail_is_asked_about_every_order(
    steps: list[tuple[Any, ...]], settings: dict[str, Any]
) -> None:
    day = Day(order_burst=12, **settings)
    lived(day, steps, lambda _day: None)
    goes_the_same(day.heard, order_burst=12, **settings)


@given(st.lists(events(Risk(RiskSettings(), LISTING).consumes()), max_size=20))
def test_all_goes_the_same_if_every_rail_is_asked_about_every_order(history: list[Event]) -> None:
    goes_the_same(history)
