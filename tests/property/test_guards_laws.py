"""Laws of guards and probe: whatever is answered, and however late the books are, they never do too much."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.books import PositionChanged
from contracts.codec import encode
from contracts.control import Alert, GuardSet
from contracts.event import Event
from contracts.market import Funding
from contracts.orders import (
    CancelIntent,
    Denial,
    OrderAccepted,
    OrderIntent,
    OrderRejected,
    OrderSubmitted,
    OrderTerms,
    ProtectiveIntent,
    RiskRejected,
)
from contracts.types import CircuitState, Interval, Rail, Side
from contracts.venue import VenueHealth
from services.depeg.pegs import by_most
from services.depeg.rules import Depeg
from services.depeg.settings import DepegSettings, Peg, PegSource
from services.funding.rules import FundingGuard
from services.funding.settings import FundingSettings
from services.probe.circuit import Circuit, Outcome, Result
from services.probe.rules import Probe
from services.probe.settings import ProbeKind, ProbeSettings
from tape.component import Component
from tests.builders import BTC, ETH, LISTING, accepted, bar, canceled, filled, listed, ns, tick
from tests.property.basic_strategies import INSTRUMENTS
from tests.property.event_strategies import events

FRACTION = Decimal("0.4")
WIDE = {**LISTING, **{name: replace(LISTING[BTC], id=name) for name in INSTRUMENTS}}
DUE = 10_000
"""When the funding of these laws is due: after them, in seconds."""


# -- judging a peg -----------------------------------------------------------------------------------------------------

DEVIATIONS = st.lists(st.floats(-5000, 5000), min_size=1, max_size=9)


@given(DEVIATIONS, st.floats(1, 1000))
def test_half_of_the_sources_alone_never_take_a_coin_off_its_peg(deviations: list[float], enter: float) -> None:
    for beyond in ([one >= enter for one in deviations], [one <= -enter for one in deviations]):
        if 2 * sum(beyond) > len(deviations):
            assert abs(by_most(deviations)) >= enter
            return
    assert abs(by_most(deviations)) < enter


@given(DEVIATIONS)
def test_the_judgement_is_the_same_mirrored_and_in_any_order(deviations: list[float]) -> None:
    assert by_most(sorted(deviations)) == by_most(deviations) == -by_most([-one for one in deviations])


# -- guards ------------------------------------------------------------------------------------------------------------


class Step(Enum):
    """What happens next, to the oldest thing that it can happen to."""

    SECOND = "second"
    BOOK = "book"
    FILL = "fill"
    PART = "part"
    REFUSE = "refuse"
    REJECT = "reject"
    CANCEL = "cancel"
    TROUBLE = "trouble"
    PEACE = "peace"


LATEST_BOOKING = 4
"""Seconds after which the books have taken in a fill: less than a guard waits for them."""


@dataclass
class World:
    """A guard, one position of somebody else, and books that may be late."""

    guard: Depeg | FundingGuard
    trouble: Callable[[float, bool], Event]
    held: Decimal = Decimal(0)
    now: float = 0.0
    open: list[OrderTerms] = field(default_factory=list)
    filled: dict[str, Decimal] = field(default_factory=dict)
    unbooked: list[tuple[float, PositionChanged]] = field(default_factory=list)
    heard: list[Event] = field(default_factory=list)
    said: list[list[Event]] = field(default_factory=list)
    is_troubled: bool = False

    def hear(self, event: Event) -> None:
        self.guard.moment.position = len(self.heard) + 1
        said = listed(self.guard.handlers()[type(event)](event))
        self.heard.append(event)
        self.said.append(said)
        assert all(map(encode, said))
        self.open += [one.order for one in said if isinstance(one, ProtectiveIntent | OrderIntent)]

    @property
    def everything(self) -> list[Event]:
        return [event for said in self.said for event in said]

    def take(self, step: Step) -> None:
        if step in (Step.TROUBLE, Step.PEACE):
            self.is_troubled = step is Step.TROUBLE
        elif step is Step.SECOND:
            self.second()
        elif step is Step.BOOK:
            self.book()
        elif self.open:
            self.answer(step, self.open[0])

    def second(self) -> None:
        self.now += 1
        while self.unbooked and self.unbooked[0][0] <= self.now - LATEST_BOOKING:
            self.book()
        self.hear(self.trouble(self.now, self.is_troubled))
        self.hear(tick(self.now))

    def book(self) -> None:
        if self.unbooked:
            self.hear(self.unbooked.pop(0)[1])

    def answer(self, step: Step, order: OrderTerms) -> None:
        if step in (Step.FILL, Step.PART):
            self.fill(order, whole=step is Step.FILL)
            return
        self.open.remove(order)
        self.hear(ENDS[step](order, self.now))

    def fill(self, order: OrderTerms, *, whole: bool) -> None:
        lot = LISTING[BTC].lot
        before = self.filled.get(order.client_order_id, Decimal(0))
        part = order.quantity - before
        if not whole:
            part = max((part / 2) // lot * lot, min(lot, part))
        if before + part == order.quantity:
            self.open.remove(order)
        self.filled[order.client_order_id] = before + part
        self.hear(filled(order, str(part), before=str(before), at=self.now))
        if order.strategy == "trend":
            self.held += order.side.sign * part
            self.unbooked.append((self.now, booked(self.held, self.now)))


def booked(quantity: Decimal, at: float) -> PositionChanged:
    return PositionChanged(
        ts_event=ns(at),
        ts_init=ns(at),
        strategy="trend",
        instrument=BTC,
        quantity=quantity,
        average_price=Decimal(100) if quantity else None,
        realized_pnl=Decimal(0),
        fees=Decimal(0),
        mark=Decimal(100),
    )


def refused(order: OrderTerms, at: float) -> RiskRejected:
    reasons = (Denial(rail=Rail.STALE_MARK, detail="no quote"),)
    return RiskRejected(ts_event=ns(at), ts_init=ns(at), order=order, reasons=reasons)


def rejected(order: OrderTerms, at: float) -> OrderRejected:
    return OrderRejected(
        ts_event=ns(at),
        ts_init=ns(at),
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        instrument=order.instrument,
        reason="busy",
    )


def gone(order: OrderTerms, at: float) -> Event:
    return replace(canceled(order), ts_event=ns(at), ts_init=ns(at))


ENDS: dict[Step, Callable[[OrderTerms, float], Event]] = {
    Step.REFUSE: refused,
    Step.REJECT: rejected,
    Step.CANCEL: gone,
}


def falls(at: float, is_off: bool) -> Event:  # noqa: FBT001 (a state of the world, not a flag)
    shown = bar(0.9 if is_off else 1.0, instrument=ETH)
    return replace(shown, ts_open=ns(at) - shown.interval.nanos, ts_close=ns(at), ts_event=ns(at), ts_init=ns(at))


def costs(at: float, is_dear: bool, *, sign: int) -> Event:  # noqa: FBT001
    return Funding(
        ts_event=ns(at),
        ts_init=ns(at),
        instrument=BTC,
        mark=100.0,
        index=100.0,
        rate=sign * 0.01 if is_dear else 0.0,
        next_at=ns(DUE),
    )


def depeg(**settings: Any) -> Depeg:  # noqa: ANN401 (settings are of any kind)
    peg = Peg(coin="USDT", sources=(PegSource(instrument=ETH),))
    plain = {"pegs": (peg,), "min_sources": 1, "enter_after_s": 0, "leave_after_s": 2, "trim_fraction": FRACTION}
    return Depeg(DepegSettings.model_validate({"dry_run": False, **plain, **settings}), WIDE)


def funding_guard(**settings: Any) -> FundingGuard:  # noqa: ANN401
    plain = {"horizon_s": 86_400, "trim_fraction": FRACTION}
    return FundingGuard(FundingSettings.model_validate({"dry_run": False, **plain, **settings}), WIDE)


SIGNS = st.sampled_from([1, -1])
LOTS = st.integers(1, 5000)
STEPS = st.lists(st.sampled_from([*Step, Step.SECOND, Step.SECOND, Step.SECOND]), max_size=40)
ANSWERS = st.lists(st.sampled_from([step for step in Step if step is not Step.PEACE] + [Step.SECOND] * 3), max_size=40)
GUARDS = ["depeg", "funding"]

every_guard = pytest.mark.parametrize("name", GUARDS)


def world(name: str, sign: int = 1, **settings: Any) -> World:  # noqa: ANN401
    if name == "depeg":
        return World(depeg(**settings), falls)
    return World(funding_guard(**settings), partial(costs, sign=sign))


def holding(name: str, sign: int, lots: int, **settings: Any) -> World:  # noqa: ANN401
    made = world(name, sign, **settings)
    made.held = sign * lots * LISTING[BTC].lot
    made.hear(booked(made.held, made.now))
    return made


@every_guard
@given(SIGNS, LOTS, ANSWERS)
def test_a_position_is_trimmed_to_its_ceiling_and_not_a_lot_further(
    name: str, sign: int, lots: int, steps: list[Step]
) -> None:
    there = holding(name, sign, lots)
    least = abs(there.held) * (1 - FRACTION)
    for step in [Step.TROUBLE, *steps]:
        there.take(step)
        assert there.held * sign > least - LISTING[BTC].lot
    for _ in range(70):
        there.take(Step.SECOND)
        there.take(Step.FILL)
    assert least - LISTING[BTC].lot < there.held * sign <= least


@every_guard
@given(SIGNS, LOTS, STEPS)
def test_one_trim_at_a_time_and_always_of_the_side_that_reduces(
    name: str, sign: int, lots: int, steps: list[Step]
) -> None:
    there = holding(name, sign, lots)
    for step in steps:
        there.take(step)
        assert len(there.open) <= 1
        for order in there.open:
            assert order.reduce_only
            assert order.side is (Side.SELL if sign > 0 else Side.BUY)
            assert order.strategy == "trend"
    orders = [event.order for event in there.everything if isinstance(event, ProtectiveIntent)]
    assert len({order.client_order_id for order in orders}) == len(orders)


@every_guard
@given(SIGNS, LOTS, STEPS)
def test_a_dry_run_only_talks(name: str, sign: int, lots: int, steps: list[Step]) -> None:
    there = holding(name, sign, lots, dry_run=True)
    for step in steps:
        there.take(step)
    assert {type(event) for event in there.everything} <= {Alert}


@every_guard
@given(SIGNS, LOTS, STEPS)
def test_trading_is_free_again_once_the_trouble_is_over(name: str, sign: int, lots: int, steps: list[Step]) -> None:
    there = holding(name, sign, lots, actions=["reduce_only", "trim"])
    for step in [*steps, Step.PEACE, *[Step.SECOND] * 4]:
        there.take(step)
    states = [event.state for event in there.everything if isinstance(event, GuardSet)]
    assert all(before is not after for before, after in pairwise(states))
    assert there.guard.permitted.value == "active"
    assert len(states) % 2 == 0


@every_guard
@given(SIGNS, LOTS, STEPS)
def test_a_hedge_is_gone_once_the_trouble_is_over(name: str, sign: int, lots: int, steps: list[Step]) -> None:
    hedge = {"instrument": BTC, "notional": Decimal(500)}
    peg = {"coin": "USDT", "sources": [{"instrument": ETH}], "hedge": hedge}
    settings = {"actions": ["hedge"]} | ({"pegs": [peg]} if name == "depeg" else {})
    there = holding(name, sign, lots, **settings)
    if name == "depeg":
        there.hear(bar(100.0))
    for step in [*steps, Step.PEACE]:
        there.take(step)
    for _ in range(70):
        there.take(Step.SECOND)
        there.take(Step.FILL)
    assert there.guard.position(BTC) == 0
    assert there.guard.hedges == {}
    assert {order.strategy for order in there.open} == set()


# -- probe -------------------------------------------------------------------------------------------------------------

PROBING = ProbeSettings(
    instruments=(BTC,),
    interval_s=3,
    recheck_s=2,
    report_s=5,
    window=4,
    open_after=2,
    close_after=2,
    backoff_s=4,
    max_backoff_s=16,
    timeout_ms=2000,
    slow_ms=1000,
)


class Venue(Enum):
    SECOND = "second"
    SUBMIT = "submit"
    ACCEPT = "accept"
    FILL = "fill"
    PART = "part"
    REFUSE = "refuse"
    REJECT = "reject"
    CANCEL = "cancel"


VENUE_STEPS = st.lists(st.sampled_from([*Venue, Venue.SECOND, Venue.SECOND, Venue.SUBMIT, Venue.ACCEPT]), max_size=60)


@dataclass
class Trials:
    """A probe and a venue that does anything."""

    probe: Probe
    now: float = 0.0
    open: dict[str, OrderTerms] = field(default_factory=dict)
    filled: dict[str, Decimal] = field(default_factory=dict)
    heard: list[Event] = field(default_factory=list)
    said: list[list[Event]] = field(default_factory=list)

    def hear(self, event: Event) -> None:
        self.probe.moment.position = len(self.heard) + 1
        said = listed(self.probe.handlers()[type(event)](event))
        self.heard.append(event)
        self.said.append(said)
        assert all(map(encode, said))
        for one in said:
            if isinstance(one, OrderIntent):
                self.open[one.order.client_order_id] = one.order

    def take(self, step: Venue) -> None:
        if step is Venue.SECOND:
            self.now += 1
            shown = bar(100.0)
            opened = ns(self.now) - shown.interval.nanos
            self.hear(replace(shown, ts_open=opened, ts_close=ns(self.now), ts_init=ns(self.now)))
            self.hear(tick(self.now))
        elif self.open:
            self.answer(step, next(iter(self.open.values())))

    def answer(self, step: Venue, order: OrderTerms) -> None:
        name, at = order.client_order_id, self.now + 0.1
        if step in (Venue.FILL, Venue.PART):
            self.fill(order, whole=step is Venue.FILL)
        elif step in (Venue.SUBMIT, Venue.ACCEPT):
            self.hear(went(order, at) if step is Venue.SUBMIT else replace(accepted(order), ts_init=ns(at)))
        else:
            del self.open[name]
            self.hear({Venue.REFUSE: refused, Venue.REJECT: rejected, Venue.CANCEL: gone}[step](order, at))

    def fill(self, order: OrderTerms, *, whole: bool) -> None:
        before = self.filled.get(order.client_order_id, Decimal(0))
        part = order.quantity - before if whole else LISTING[BTC].lot
        self.filled[order.client_order_id] = before + part
        if before + part == order.quantity:
            del self.open[order.client_order_id]
        self.hear(filled(order, str(part), before=str(before), at=self.now))

    @property
    def everything(self) -> list[Event]:
        return [event for said in self.said for event in said]


def went(order: OrderTerms, at: float) -> OrderSubmitted:
    return OrderSubmitted(
        ts_event=ns(at),
        ts_init=ns(at),
        client_order_id=order.client_order_id,
        strategy=order.strategy,
        instrument=order.instrument,
    )


def trials(steps: Iterable[Venue], **settings: Any) -> Trials:  # noqa: ANN401
    made = Trials(Probe(PROBING.model_copy(update=settings), LISTING))
    for step in steps:
        made.take(step)
        assert len(made.open) <= 1
    return made


KINDS = st.sampled_from(ProbeKind)


@given(VENUE_STEPS, KINDS)
def test_nothing_is_sent_through_an_open_circuit_nor_before_its_time(steps: list[Venue], kind: ProbeKind) -> None:
    state, opened_at, times = CircuitState.CLOSED, 0, 0
    for event in trials(steps, kind=kind).everything:
        if isinstance(event, VenueHealth):
            if event.state is CircuitState.HALF_OPEN and state is CircuitState.OPEN:
                assert event.ts_init - opened_at >= min(4 * 2 ** (times - 1), 16) * 10**9
            if event.state is CircuitState.OPEN and state is not CircuitState.OPEN:
                opened_at, times = event.ts_init, times + 1
            if event.state is CircuitState.CLOSED:
                times = 0
            state = event.state
        elif isinstance(event, OrderIntent):
            assert state is not CircuitState.OPEN


@given(VENUE_STEPS, KINDS)
def test_probes_stay_minimal_and_whatever_they_bought_is_sold_when_the_venue_answers(
    steps: list[Venue],
    kind: ProbeKind,
) -> None:
    there = trials(steps, kind=kind)
    bought = [event.order for event in there.everything if isinstance(event, OrderIntent)]
    assert all(order.quantity <= Decimal("0.122") for order in bought)
    assert all(order.reduce_only is (order.side is Side.SELL) for order in bought)
    for _ in range(100):
        there.take(Venue.SECOND)
        order = next(iter(there.open.values()), None)
        if order is not None:
            there.take(Venue.SUBMIT)
            there.take(Venue.ACCEPT)
            there.take(Venue.CANCEL if order.limit_price else Venue.FILL)
    assert there.probe.position(BTC) in (0, Decimal("0.120"))
    assert there.probe.patients[BTC].circuit.state is CircuitState.CLOSED


@given(VENUE_STEPS)
def test_an_order_that_the_venue_holds_is_taken_back(steps: list[Venue]) -> None:
    there = trials(steps)
    for event, said in zip(there.heard, there.said, strict=True):
        if isinstance(event, OrderAccepted) and not any(isinstance(one, CancelIntent) for one in said):
            orders = [one.order for one in there.everything if isinstance(one, OrderIntent)]
            assert event.client_order_id not in {order.client_order_id for order in orders if order.limit_price}


RESULTS = st.lists(st.tuples(st.sampled_from(Outcome), st.integers(0, 10)), max_size=60)


@given(RESULTS)
def test_a_circuit_opens_exactly_at_the_failures_that_its_window_allows(results: list[tuple[Outcome, int]]) -> None:
    circuit, now = Circuit(), 0
    for outcome, seconds in results:
        now += seconds * 10**9
        circuit.half_open(now)
        before = circuit.state
        changed = circuit.take(Result(outcome), PROBING, now)
        assert changed is (circuit.state is not before)
        assert len(circuit.results) <= PROBING.window
        if before is CircuitState.CLOSED:
            assert (circuit.state is CircuitState.OPEN) is (circuit.failures >= PROBING.open_after)
        if circuit.state is CircuitState.CLOSED:
            assert circuit.failures < PROBING.open_after


# -- kept state --------------------------------------------------------------------------------------------------------


def goes_on(make: Callable[[], Component], heard: Sequence[Event], said: Sequence[list[Event]], percent: int) -> None:
    first, second = make(), make()
    cut = percent * len(heard) // 100
    replay(first, heard[:cut], 0)
    adapter = TypeAdapter(first.State)
    kept = adapter.dump_json(first.state())
    second.restore(adapter.validate_json(kept))
    assert adapter.dump_json(second.state()) == kept
    assert replay(second, heard[cut:], cut) == list(map(repr, said[cut:]))


def replay(component: Component, heard: Sequence[Event], already: int) -> list[str]:
    answers = []
    for position, event in enumerate(heard, start=already + 1):
        component.moment.position = position
        answers.append(repr(listed(component.handlers()[type(event)](event))))
    return answers


PERCENT = st.integers(0, 100)


@every_guard
@given(SIGNS, LOTS, STEPS, PERCENT)
def test_a_restored_guard_goes_on_the_same(name: str, sign: int, lots: int, steps: list[Step], percent: int) -> None:
    there = holding(name, sign, lots)
    for step in steps:
        there.take(step)
    goes_on(depeg if name == "depeg" else funding_guard, there.heard, there.said, percent)


@given(VENUE_STEPS, PERCENT)
def test_a_restored_probe_goes_on_the_same(steps: list[Venue], percent: int) -> None:
    there = trials(steps)
    goes_on(lambda: Probe(PROBING, LISTING), there.heard, there.said, percent)


@every_guard
@pytest.mark.parametrize(("sign", "side"), [(1, Side.SELL), (-1, Side.BUY)])
def test_the_trouble_of_these_laws_is_trouble(name: str, sign: int, side: Side) -> None:
    there = holding(name, sign, 10)
    there.take(Step.TROUBLE)
    there.take(Step.SECOND)
    assert [order.side for order in there.open] == [side]


NAMED = INSTRUMENTS[0]
STRANGE: dict[str, Callable[[], Component]] = {
    "depeg": lambda: depeg(
        pegs=(Peg(coin="USDT", sources=(PegSource(instrument=NAMED, inverted=True),)),),
        actions=["halt", "trim"],
        interval=Interval.S1,
    ),
    "funding": lambda: funding_guard(actions=["trim", "hedge"]),
    "probe": lambda: Probe(PROBING.model_copy(update={"instruments": (NAMED,), "bars": Interval.S1}), WIDE),
}


HEARD = {name: st.lists(events(make().consumes()), max_size=12) for name, make in STRANGE.items()}


@pytest.mark.parametrize("name", STRANGE)
@given(st.data(), PERCENT)
def test_whatever_comes_is_answered_by_events_that_can_be_read(name: str, data: st.DataObject, percent: int) -> None:
    make = STRANGE[name]
    heard = data.draw(HEARD[name])
    component, said = make(), []
    for position, event in enumerate(heard, start=1):
        component.moment.position = position
        said.append(listed(component.handlers()[type(event)](event)))
        assert all(map(encode, said[-1]))
    goes_on(make, heard, said, percent)
