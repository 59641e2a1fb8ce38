"""Laws of the stop validator, with the real router, exchange and books, and a risk that refuses what it likes."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.books import PositionChanged
from contracts.control import Alert
from contracts.event import Event
from contracts.orders import (
    AmendApproved,
    AmendIntent,
    AmendRejected,
    Denial,
    OrderEvent,
    OrderIntent,
    OrderTerms,
    ProtectiveIntent,
    RiskApproved,
    RiskRejected,
)
from contracts.types import InstrumentId, OrderType, Rail, Side, TradingState
from services.gateway.rules import Gateway
from services.portfolio.rules import Portfolio
from services.portfolio.settings import PortfolioSettings
from services.router.rules import Router
from services.router.settings import RouterSettings
from services.stops.rules import Stops, StopsState
from services.stops.settings import StopsSettings
from tape.component import Component, on
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, LISTING, cancel_intent, conditional, intent, linked, quote, terms, tick, trading
from tests.property.event_strategies import events
from venues.simulated import SimulationSettings

Key = tuple[str, InstrumentId]
ZERO = Decimal(0)
KEPT = TypeAdapter(StopsState)
SETTLES_WITHIN_S = 12
"""Every pause between two tries is at most 4 s here."""


class Judge(Component):
    """A risk that lets everything pass, but for the wishes of `stops` that it has refusals left for."""

    produces: ClassVar[tuple[type[Event], ...]] = (RiskApproved, RiskRejected, AmendApproved, AmendRejected)

    def __init__(self) -> None:
        super().__init__("risk")
        self.refusals = 0

    @on(OrderIntent, ProtectiveIntent)
    def on_intent(self, wish: OrderIntent | ProtectiveIntent) -> Iterator[Event]:
        if isinstance(wish, ProtectiveIntent) and self._refuses():
            yield RiskRejected(ts_event=wish.ts_event, ts_init=wish.ts_init, order=wish.order, reasons=REASONS)
            return
        attached = wish.attached if isinstance(wish, OrderIntent) else ()
        yield RiskApproved(
            ts_event=wish.ts_event,
            ts_init=wish.ts_init,
            order=wish.order,
            mark=wish.reference_price,
            attached=attached,
        )

    @on(AmendIntent)
    def on_amendment(self, wish: AmendIntent) -> Iterator[Event]:
        if self._refuses():
            yield AmendRejected(ts_event=wish.ts_event, ts_init=wish.ts_init, amendment=wish.amendment, reasons=REASONS)
        else:
            yield AmendApproved(ts_event=wish.ts_event, ts_init=wish.ts_init, amendment=wish.amendment)

    def _refuses(self) -> bool:
        self.refusals -= 1
        return self.refusals >= 0


REASONS = (Denial(rail=Rail.ORDER_TERMS, detail="it does not like it"),)


@dataclass(frozen=True)
class Refuse:
    """The next wishes of `stops` are refused."""

    count: int


class World:
    def __init__(self, latency_ms: float) -> None:
        self.judge = Judge()
        self.router = Router(RouterSettings(), LISTING)
        self.stops = Stops(StopsSettings(places_for=("trend",), retry_max_ms=4_000, answer_ms=2_000), LISTING)
        venue = Gateway(SimulationSettings(latency_ms=latency_ms), LISTING)
        self.tape = MemoryTape([venue, self.judge, self.router, Portfolio(PortfolioSettings()), self.stops])

    def covered(self) -> dict[Key, Decimal]:
        """What stops cover, signed as the position they cover."""
        sums: dict[Key, Decimal] = {}
        for order in self.router.orders.values():
            waits = order.terms.link is not None and not order.released
            if order.terms.is_protective and not order.life.closed and not waits:
                key = (order.terms.strategy, order.terms.instrument)
                sums[key] = sums.get(key, ZERO) - order.terms.side.sign * order.leaves
        return {key: size for key, size in sums.items() if size}

    def told(self) -> Counter[Key]:
        """How much was said of each position and of its orders."""
        subjects = [getattr(said.event, "order", said.event) for said in self.tape.recorded]
        named = [subject for subject in subjects if isinstance(subject, OrderTerms | OrderEvent | PositionChanged)]
        return Counter((one.strategy, one.instrument) for one in named)

    def held(self) -> dict[Key, Decimal]:
        said = {(said.strategy, said.instrument): said.quantity for said in self.tape.of_type(PositionChanged)}
        return {key: quantity for key, quantity in said.items() if quantity}


Deed = Event | Refuse
QUANTITIES = st.sampled_from(["0.2", "0.5", "1", "1.5"])
STRATEGIES = st.sampled_from(["trend", "scalper"])
INSTRUMENTS = st.sampled_from([BTC, BTC, ETH])
PRICES = st.integers(85, 115)


@st.composite
def deeds(draw: st.DrawFn, number: int) -> Deed:
    kind = draw(st.sampled_from(["quote", "quote", "market", "market", "stop", "bracket", "cancel", "refuse"]))
    instrument, strategy, side = draw(INSTRUMENTS), draw(STRATEGIES), draw(st.sampled_from(Side))
    name = f"{strategy}-{number}-0"
    order = replace(
        terms(side, draw(QUANTITIES), order_id=name, instrument=instrument, strategy=strategy),
        reduce_only=draw(st.sampled_from([False, False, True])),
    )
    if kind == "quote":
        price = draw(PRICES)
        return quote(price - 0.5, price + 0.5, size=draw(st.sampled_from([0.3, 1.0, 5.0])), instrument=instrument)
    if kind == "refuse":
        return Refuse(draw(st.integers(1, 4)))
    if kind == "cancel":
        return cancel_intent(replace(order, client_order_id=f"stops-{draw(st.integers(1, 60))}-0"), "ops")
    if kind == "stop":
        return intent(own_stop(order, draw(PRICES), name))
    if kind == "bracket":
        entry = linked(replace(order, reduce_only=False))
        stop = own_stop(replace(order, side=side.opposite), draw(PRICES), f"{strategy}-{number}-1")
        return replace(intent(entry), attached=(linked(stop, parent=entry),))
    return intent(order)


def own_stop(order: OrderTerms, trigger: int, name: str) -> OrderTerms:
    kind = OrderType.STOP_MARKET
    made = conditional(kind, order.side, str(order.quantity), trigger=str(trigger), reduce_only=True, order_id=name)
    return replace(made, instrument=order.instrument, strategy=order.strategy)


@st.composite
def days(draw: st.DrawFn) -> list[Deed]:
    """What happens, a quarter of a second apart; every full second the clock ticks."""
    count = draw(st.integers(1, 30))
    return [draw(deeds(number)) for number in range(count)]


def opened(world: World) -> None:
    world.tape.play([quote(99.5, 100.5, size=5.0, instrument=name) for name in (BTC, ETH)])


def played(world: World, day: Iterable[Deed]) -> Iterator[float]:
    """Play a day; gives the time after each tick."""
    for number, deed in enumerate(day, start=1):
        at = number / 4
        if isinstance(deed, Refuse):
            world.judge.refusals = deed.count
        else:
            moment = tick(at).ts_init
            world.tape.play([replace(deed, ts_event=moment, ts_init=moment)])
        if number % 4 == 0:
            world.tape.play([tick(at)])
            yield at


LATENCIES = st.sampled_from([0.0, 0.0, 100.0])


@given(days(), LATENCIES)
def test_when_it_is_quiet_again_every_position_is_covered_exactly_once(day: list[Deed], latency_ms: float) -> None:
    world = World(latency_ms)
    opened(world)
    for _ in played(world, day):
        pass
    world.judge.refusals = 0
    last = len(day) / 4
    for second in range(1, SETTLES_WITHIN_S):
        at = last + second
        shown = [quote(99.5, 100.5, size=50.0, at=at, instrument=name) for name in (BTC, ETH)]
        world.tape.play([*shown, tick(at)])
    assert world.covered() == world.held()


@given(days())
def test_a_cover_does_not_stay_wrong_for_a_second_in_which_nothing_happens_unless_a_repair_has_failed(
    day: list[Deed],
) -> None:
    world = World(0.0)
    opened(world)
    before: dict[Key, tuple[Decimal, Decimal, int]] = {}
    for _ in played(world, day):
        held, covered, told = world.held(), world.covered(), world.told()
        now = {key: (held.get(key, ZERO), covered.get(key, ZERO), told[key]) for key in {*held, *covered}}
        for key, (size, cover, _) in now.items():
            if size != cover and before.get(key) == now[key]:
                strategy, instrument = key
                assert any(leg.failures for leg in world.stops.holdings[strategy][instrument].legs.values())
        before = now


@given(days(), LATENCIES)
def test_after_a_flatten_nothing_is_held_and_nothing_waits(day: list[Deed], latency_ms: float) -> None:
    world = World(latency_ms)
    opened(world)
    for _ in played(world, day):
        pass
    world.judge.refusals = min(world.judge.refusals, 2)
    last = len(day) / 4
    world.tape.play([replace(trading(TradingState.HALTED, at=last), flatten=True)])
    for second in range(1, 2 * SETTLES_WITHIN_S):
        at = last + second
        shown = [quote(99.5, 100.5, size=50.0, at=at, instrument=name) for name in (BTC, ETH)]
        world.tape.play([*shown, tick(at)])
    assert (world.held(), world.covered()) == ({}, {})


@given(days())
def test_every_repair_of_what_somebody_else_keeps_is_told(day: list[Deed]) -> None:
    world = World(0.0)
    opened(world)
    for _ in played(world, day):
        pass
    placed = [wish for wish in world.tape.of_type(ProtectiveIntent) if wish.order.strategy == "scalper"]
    told = [alert for alert in world.tape.of_type(Alert) if alert.code == "stop_repaired"]
    assert len(told) >= len(placed)
    assert all(wish.contradiction() is None for wish in world.tape.of_type(ProtectiveIntent))


@given(st.lists(events(Stops.consumes()), max_size=25), st.integers(0, 25))
def test_a_restored_validator_goes_on_the_same_whatever_it_hears(history: list[Event], cut: int) -> None:
    whole, first, second = (Stops(StopsSettings(), LISTING) for _ in range(3))
    said = answers(whole, history, 1)
    before = answers(first, history[:cut], 1)
    second.restore(KEPT.validate_json(KEPT.dump_json(first.state())))
    assert before + answers(second, history[cut:], 1 + len(history[:cut])) == said
    assert KEPT.dump_json(second.state()) == KEPT.dump_json(whole.state())


def answers(stops: Stops, history: Iterable[Event], position: int) -> list[Event]:
    said: list[Event] = []
    handlers = stops.handlers()
    for stops.moment.position, event in enumerate(history, start=position):
        said += handlers[type(event)](event) or ()
    return said
