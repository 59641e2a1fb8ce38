"""Laws of the ensemble, whatever markets, models, operators and venues do."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.codec import encode
from contracts.event import Event
from contracts.orders import AmendIntent, CancelIntent, Denial, OrderIntent, OrderTerms, RiskRejected
from contracts.presets import Preset, PresetSelected
from contracts.regimes import UNKNOWN, CalibrationSet, DirectionInferred, RegimeInferred
from contracts.signals import SignalGiven
from contracts.types import InstrumentId, Interval, Rail, Side
from services.hmm_ensemble.judgement import weight_of
from services.hmm_ensemble.rules import HmmEnsemble, HmmEnsembleState
from services.hmm_ensemble.settings import HmmEnsembleSettings
from services.hmm_ensemble.shadow import Shadow
from tape.component import Moment
from tests.builders import BTC, ETH, LISTING, bar, canceled, filled, listed, ns
from tests.property.basic_strategies import prices

SETTINGS = HmmEnsembleSettings(
    fast=1, slow=2, atr=1, threshold=0.1, cross_scale=0.2, cooldown_s=7, strength_step=0.5, max_regime_age_s=60
)
ADAPTER = TypeAdapter(HmmEnsembleState)
STATES = ("calm", "up", "wild")
PRICE = 100.0
PLACES = (BTC, ETH)

INSTRUMENT = st.sampled_from((BTC, BTC, BTC, ETH))
PROBABILITIES = st.sampled_from([(0.0, 1.0, 0.0), (0.9, 0.1, 0.0), (0.1, 0.2, 0.7)])


@dataclass(frozen=True)
class Closes:
    """A bar closes so many percent higher."""

    instrument: InstrumentId
    percent: float


@dataclass(frozen=True)
class Answer:
    """The venue does what it was asked for in an instrument: it fills, and takes back."""

    instrument: InstrumentId


@dataclass(frozen=True)
class Fate:
    """One of the open orders meets its fate; which one, is counted from the oldest."""

    which: int
    fate: str


Step = Closes | Answer | Fate | Event


def regime(instrument: InstrumentId, label: str, shares: tuple[float, ...], confident: bool) -> RegimeInferred:  # noqa: FBT001
    return RegimeInferred(
        ts_event=ns(0),
        ts_init=ns(0),
        instrument=instrument,
        model_id="abc",
        regime=label,
        states=STATES,
        probabilities=shares,
        entropy=0.5,
        confidence=max(shares),
        confident=confident,
        log_likelihood=-1.0,
        observation=(0.0,),
        close=PRICE,
    )


def direction(instrument: InstrumentId, up: float) -> DirectionInferred:
    return DirectionInferred(ts_event=ns(0), ts_init=ns(0), instrument=instrument, model_id="d", up=up, horizon=1)


def calibration(instrument: InstrumentId | None, multiplier: float, cooldown: float) -> CalibrationSet:
    return CalibrationSet(
        ts_event=ns(0),
        ts_init=ns(0),
        instrument=instrument,
        confidence_gain=1.0,
        quote_multiplier=multiplier,
        cooldown_scale=cooldown,
        operator="alice",
        reason="test",
    )


def preset(instrument: InstrumentId, strategy: str, settings: Preset) -> PresetSelected:
    return PresetSelected(
        ts_event=ns(0),
        ts_init=ns(0),
        strategy=strategy,
        instrument=instrument,
        regime="calm",
        preset="drawn",
        settings=settings,
        arms=(),
    )


ANSWERS = st.builds(Answer, INSTRUMENT)
CLOSES = st.builds(Closes, INSTRUMENT, st.sampled_from([-3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 3.0]))
REGIMES = st.builds(regime, INSTRUMENT, st.sampled_from(["up", "up", "calm", UNKNOWN]), PROBABILITIES, st.booleans())
FATES = st.builds(
    Fate, st.integers(0, 5), st.sampled_from(["fill", "fill", "fill", "part", "refuse", "reject", "cancel", "others"])
)
FACTORS = st.sampled_from([0.1, 0.5, 1.0, 2.0, 5.0])
PRESETS = st.builds(
    preset,
    INSTRUMENT,
    st.sampled_from(["hmm_ensemble", "trend"]),
    st.builds(Preset, size=FACTORS, stop=FACTORS, target=FACTORS, threshold=FACTORS, cooldown=FACTORS),
)
CALIBRATIONS = st.builds(
    calibration, st.none() | INSTRUMENT, st.sampled_from([0.0, 0.3, 1.0, 10.0]), st.sampled_from([0.0, 1.0, 3.0])
)
DIRECTIONS = st.builds(direction, INSTRUMENT, st.floats(0, 1))
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(CLOSES, CLOSES, CLOSES, CLOSES, ANSWERS, ANSWERS, REGIMES, FATES, DIRECTIONS, PRESETS, CALIBRATIONS),
    min_size=20,
    max_size=60,
)
BEGUN: list[Step] = [
    *(regime(place, "up", (0.0, 1.0, 0.0), confident=True) for place in PLACES),
    *(Closes(place, 0.0) for place in PLACES * 2),
]
"""Averages are warm and models speak, so that what is drawn after it matters."""


@dataclass
class World:
    """A market, a venue and others around one ensemble: what it wishes for meets the fate that is drawn."""

    component: HmmEnsemble
    said: list[list[Event]] = field(default_factory=list)
    open: dict[str, OrderTerms] = field(default_factory=dict)
    going: set[str] = field(default_factory=set)
    filled: dict[str, Decimal] = field(default_factory=dict)
    prices: dict[InstrumentId, float] = field(default_factory=lambda: dict.fromkeys(PLACES, PRICE))
    numbers: dict[InstrumentId, int] = field(default_factory=lambda: dict.fromkeys(PLACES, 0))
    seconds: float = 0.0
    moment: Moment = field(default_factory=Moment)

    def go_on(self, steps: Sequence[Step]) -> "World":
        for step in steps:
            for event in self._events(step):
                self.hear(event)
        return self

    def _events(self, step: Step) -> list[Event]:
        if isinstance(step, Closes):
            self.prices[step.instrument] *= 1 + step.percent / 100
            close, number = self.prices[step.instrument], self.numbers[step.instrument]
            self.numbers[step.instrument] += 1
            closed = bar(close, number=number, high=close * 1.001, low=close * 0.999, instrument=step.instrument)
            self.seconds = max(self.seconds, (number + 1) * 5.0)
            return [closed]
        if isinstance(step, Answer):
            return self._answer(step.instrument)
        if isinstance(step, Fate):
            return self._meet(step) if self.open else []
        return [replace(step, ts_event=ns(self.seconds), ts_init=ns(self.seconds))]

    def _answer(self, instrument: InstrumentId) -> list[Event]:
        asked = [order for order in self.open.values() if order.instrument == instrument]
        done: list[Event] = []
        for order in asked:
            if order.client_order_id in self.going:
                done += self._end(order) if order.client_order_id in self.open else []
            elif self._is_first(order):
                done += self._fill(order, order.quantity - self._filled(order))
        return done

    def _meet(self, step: Fate) -> list[Event]:
        order = list(self.open.values())[step.which % len(self.open)]
        held, left = self.component.position(order.instrument), order.quantity - self._filled(order)
        if step.fate == "others":
            sold = replace(order, client_order_id=f"stops-{self.moment.position}", quantity=abs(held) or Decimal(1))
            side = Side.SELL if held > 0 else Side.BUY
            return [filled(replace(sold, side=side), at=self.seconds)] if held else []
        if step.fate == "refuse" and not self._filled(order) and self._is_first(order):
            for name in [name for name, other in self.open.items() if _together(order, other)]:
                del self.open[name]
            reasons = (Denial(rail=Rail.CAPITAL, detail="test"),)
            return [RiskRejected(ts_event=ns(self.seconds), ts_init=ns(self.seconds), order=order, reasons=reasons)]
        if step.fate in ("fill", "part"):
            lot = LISTING[order.instrument].lot
            some = left if step.fate == "fill" else (left / 2 // lot) * lot
            some = min(some, abs(held)) if order.reduce_only else some
            return self._fill(order, some) if some > 0 and self._is_released(order) else []
        return self._end(order)

    def _fill(self, order: OrderTerms, quantity: Decimal) -> list[Event]:
        before = self._filled(order)
        self.filled[order.client_order_id] = before + quantity
        if before + quantity == order.quantity:
            del self.open[order.client_order_id]
        return [filled(order, str(quantity), before=str(before), at=self.seconds)]

    def _end(self, order: OrderTerms) -> list[Event]:
        ended = [order]
        if self._filled(order) == 0:
            ended += [other for other in self.open.values() if other.link and _parent(other) == order.client_order_id]
        for one in ended:
            del self.open[one.client_order_id]
        return [replace(canceled(one), ts_init=ns(self.seconds)) for one in ended]

    def _filled(self, order: OrderTerms) -> Decimal:
        return self.filled.get(order.client_order_id, Decimal(0))

    def _is_first(self, order: OrderTerms) -> bool:
        return _parent(order) is None

    def _is_released(self, order: OrderTerms) -> bool:
        parent = _parent(order)
        return parent is None or self.filled.get(parent, Decimal(0)) > 0

    def hear(self, event: Event) -> None:
        self.moment.position += 1
        self.component.moment = self.moment
        handler = self.component.handlers()[type(event)]
        said = listed(handler(event))
        for wish in said:
            assert encode(wish)
            if isinstance(wish, OrderIntent):
                self.open |= {one.client_order_id: one for one in (wish.order, *wish.attached)}
            elif isinstance(wish, CancelIntent):
                self.going.add(wish.client_order_id)
        self.said.append(said)

    def of_type(self, event_type: type[Event]) -> list[Any]:
        return [event for said in self.said for event in said if isinstance(event, event_type)]


def _parent(order: OrderTerms) -> str | None:
    return order.link.parent if order.link is not None else None


def _together(order: OrderTerms, other: OrderTerms) -> bool:
    of_list = order.link and other.link and order.link.list_id == other.link.list_id
    return bool(of_list) or order is other


def ensemble(**changed: Any) -> HmmEnsemble:  # noqa: ANN401 (settings are of any kind)
    return HmmEnsemble(SETTINGS.model_copy(update=changed), LISTING)


def lived(steps: Sequence[Step], **changed: Any) -> World:  # noqa: ANN401
    return World(ensemble(**changed)).go_on([*BEGUN, *steps])


@given(STEPS)
def test_at_most_one_entry_is_under_way_and_none_while_something_is_held(steps: list[Step]) -> None:
    world = World(ensemble()).go_on(BEGUN)
    for step in steps:
        held = {place: world.component.position(place) for place in PLACES}
        waiting = {place: world.component.open_orders(place) for place in PLACES}
        before = len(world.said)
        world.go_on([step])
        for said in world.said[before:]:
            for wish in said:
                if isinstance(wish, OrderIntent) and not wish.order.reduce_only:
                    assert held[wish.order.instrument] == 0
                    assert waiting[wish.order.instrument] == ()


@given(STEPS)
def test_an_exit_is_of_all_that_is_held_and_wished_for_when_nothing_rests(steps: list[Step]) -> None:
    world = World(ensemble()).go_on(BEGUN)
    for step in steps:
        before = len(world.said)
        world.go_on([step])
        for said in world.said[before:]:
            for wish in said:
                if isinstance(wish, OrderIntent) and wish.order.reduce_only:
                    held = world.component.position(wish.order.instrument)
                    assert wish.order.side.sign * wish.order.quantity == -held
                    assert world.component.open_orders(wish.order.instrument) == (wish.order,)


@given(STEPS, st.sampled_from([0.3, 1.0, 2.0]), FACTORS)
def test_a_position_is_never_opened_for_more_than_the_scaled_notional(
    steps: list[Step], multiplier: float, size: float
) -> None:
    quiet = [step for step in steps if not isinstance(step, CalibrationSet | PresetSelected)]
    scaled: list[Step] = [
        calibration(None, multiplier, 0.0),
        *(preset(place, "hmm_ensemble", Preset(size=size)) for place in PLACES),
    ]
    world = World(ensemble()).go_on([*BEGUN, *scaled, *quiet])
    most = SETTINGS.notional * Decimal(repr(multiplier)) * Decimal(repr(size))
    for wish in world.of_type(OrderIntent):
        assert wish.order.quantity * Decimal(repr(wish.reference_price)) <= most or wish.order.reduce_only


@given(STEPS)
def test_every_entry_declares_a_stop_and_a_target_on_either_side_of_its_price(steps: list[Step]) -> None:
    for wish in lived(steps).of_type(OrderIntent):
        if not wish.order.reduce_only:
            stop, target = wish.attached
            sign, price = wish.order.side.sign, LISTING[wish.order.instrument].price(wish.reference_price)
            assert stop.is_protective
            assert sign * stop.trigger_price < sign * price < sign * target.trigger_price


@given(STEPS)
def test_a_dry_run_never_wishes_and_sees_the_same_as_one_that_trades(steps: list[Step]) -> None:
    market = [step for step in steps if not isinstance(step, Fate)]
    dry, wet = lived(market, dry_run=True), lived(market)
    assert [*dry.of_type(OrderIntent), *dry.of_type(CancelIntent), *dry.of_type(AmendIntent)] == []
    plain = [replace(told, dry_run=False, shadow_pnl=Decimal(0)) for told in dry.of_type(SignalGiven)]
    assert plain == wet.of_type(SignalGiven)


@given(STEPS)
def test_nothing_is_ever_opened_while_the_regime_is_unknown(steps: list[Step]) -> None:
    unknown = [replace(step, regime=UNKNOWN) if isinstance(step, RegimeInferred) else step for step in (*BEGUN, *steps)]
    world = World(ensemble()).go_on(unknown)
    assert world.of_type(OrderIntent) == []
    assert {told.side for told in world.of_type(SignalGiven)} <= {None}


@given(STEPS)
def test_no_more_than_a_change_of_side_or_a_step_of_strength_is_told(steps: list[Step]) -> None:
    last: dict[InstrumentId, SignalGiven] = {}
    for told in lived(steps).of_type(SignalGiven):
        before = last.get(told.instrument)
        side, strength = (before.side, before.strength) if before else (None, 0.0)
        assert told.side is not side or abs(told.strength - strength) >= SETTINGS.strength_step
        last[told.instrument] = told


@given(STEPS, st.integers(0, 60))
def test_the_future_cannot_change_what_was_said(steps: list[Step], cut: int) -> None:
    short, long = lived(steps[:cut]), lived(steps)
    assert short.said == long.said[: len(short.said)]


@given(STEPS, st.integers(0, 60), st.booleans())
def test_one_that_is_restarted_anywhere_goes_on_the_same(steps: list[Step], cut: int, dry_run: bool) -> None:  # noqa: FBT001
    plain, restarted = lived(steps, dry_run=dry_run), lived(steps[:cut], dry_run=dry_run)
    state = ADAPTER.dump_json(restarted.component.state())
    restarted.component = ensemble(dry_run=dry_run)
    restarted.component.restore(ADAPTER.validate_json(state))
    restarted.go_on(steps[cut:])
    assert restarted.said == plain.said


@pytest.mark.parametrize(
    "change",
    [{"fast": 3, "slow": 4}, {"slow": 5}, {"atr": 3}, {"interval": Interval.S1}, {"instruments": (ETH,)}],
    ids=lambda change: next(iter(change)),
)
def test_averages_of_other_bars_begin_anew_and_what_is_held_keeps_its_exits(change: dict[str, Any]) -> None:
    world = lived([Closes(BTC, 3.0), Fate(0, "fill")])
    state = ADAPTER.dump_json(world.component.state())
    after = ensemble(**change)
    after.restore(ADAPTER.validate_json(state))
    assert after.markets[BTC].averages is None
    assert after.position(BTC) == world.component.position(BTC) > 0
    assert len(after.open_orders(BTC)) == 2


PRICES = st.one_of(prices, st.floats(1e-6, 1e6)).filter(lambda price: price < 1e18)


@given(st.lists(PRICES, min_size=4, max_size=12), st.booleans())
def test_whatever_a_price_is_what_it_leads_to_can_be_said_and_kept(closes: list[float], dry_run: bool) -> None:  # noqa: FBT001
    world = World(ensemble(dry_run=dry_run)).go_on(BEGUN[:2])
    for number, close in enumerate(closes):
        world.hear(bar(close, number=number))
        world.go_on([Answer(BTC)])
    state = ADAPTER.validate_json(ADAPTER.dump_json(world.component.state()))
    assert state == world.component.state()


@given(PROBABILITIES)
def test_the_weight_of_a_regime_lies_between_those_of_its_states(shares: tuple[float, ...]) -> None:
    weights = [SETTINGS.weight(state) for state in STATES]
    assert min(weights) <= weight_of(SETTINGS, regime(BTC, "up", shares, confident=True)) <= max(weights)


SIDES = st.sampled_from([None, Side.BUY, Side.SELL])
CENTS = st.integers(1, 10**7).map(lambda cents: Decimal(cents) / 100)


@given(st.lists(st.tuples(SIDES, CENTS, CENTS), max_size=30), CENTS, st.integers(0, 100))
def test_a_shadow_is_worth_what_its_trades_brought_less_fees_to_the_digit(
    walk: list[tuple[Side | None, Decimal, Decimal]], last: Decimal, fee_bps: int
) -> None:
    shadow, held, gained, side_now, previous = Shadow(), Decimal(0), Decimal(0), None, None
    for side, size, price in walk:
        if previous is not None:
            gained += held * (price - previous)
        shadow.follow(side, size, price, Decimal(fee_bps))
        if side is not side_now:
            wanted = Decimal(0) if side is None else side.sign * size
            gained -= abs(wanted - held) * price * fee_bps / 10_000
            held, side_now = wanted, side
        previous = price
    if previous is not None:
        gained += held * (last - previous)
    assert shadow.pnl(last) == gained
