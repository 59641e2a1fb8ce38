"""Laws of risk: one verdict for each wish, no way beyond a cap, and sums that are those of what is open."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from contracts.codec import encode
from contracts.event import Event
from contracts.orders import (
    AmendApproved,
    AmendIntent,
    AmendRejected,
    OrderIntent,
    OrderTerms,
    ProtectiveIntent,
    RiskApproved,
    RiskRejected,
)
from contracts.types import InstrumentId, OrderType, Side
from services.risk.exposure import Stake, stands_by
from services.risk.losses import Kept, fall_pct
from services.risk.rules import Risk
from services.risk.settings import RiskSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, LISTING, amendment, canceled, conditional, filled, linked, terms
from tests.property.event_strategies import events
from tests.property.test_state_laws import goes_on_the_same, placed
from tests.risk_builders import (
    QUOTES,
    VERDICTS,
    amend,
    equity,
    not_updated,
    of_list,
    protective,
    updated,
    wish,
)

ZERO = Decimal(0)
CAPS = {"max_symbol_exposure": 500, "max_strategy_exposure": 700, "max_total_exposure": 900}
MARKS = {BTC: Decimal(100), ETH: Decimal(10)}

INTENTS: list[type[Event]] = [OrderIntent, ProtectiveIntent, AmendIntent]


@given(st.lists(events(Risk(RiskSettings(), LISTING).consumes()), max_size=30), st.booleans())
def test_every_wish_gets_one_verdict_at_once_whatever_came_before(history: list[Event], resize: bool) -> None:  # noqa: FBT001
    risk = Risk(RiskSettings(resize=resize), LISTING)
    handlers = risk.handlers()
    for event in history:
        said = list(handlers[type(event)](event) or ())
        verdicts = [one for one in said if isinstance(one, VERDICTS)]
        assert len(verdicts) == (type(event) in INTENTS)
        assert all(_is_on(event, one) for one in verdicts)


def _is_on(wished: Event, judged: Event) -> bool:
    match wished, judged:
        case OrderIntent() | ProtectiveIntent(), RiskApproved(order=order):
            return (order.client_order_id, order.side) == (wished.order.client_order_id, wished.order.side)
        case OrderIntent() | ProtectiveIntent(), RiskRejected(order=order):
            return order == wished.order
        case AmendIntent(), AmendApproved(amendment=change) | AmendRejected(amendment=change):
            return change.client_order_id == wished.amendment.client_order_id
        case _:
            return False


AMOUNTS = st.decimals(-(10**9), 10**9, places=6) | st.decimals(99, 101, places=20)


@given(AMOUNTS, AMOUNTS, st.floats(0, 100, exclude_min=True) | st.sampled_from((0.5, 1.0, 5.0, 20.0)))
@example(Decimal(100), Decimal(95), 5.0)
@example(Decimal("0.3"), Decimal("0.2691"), 10.3)
def test_an_equity_of_which_enough_is_kept_has_not_lost_too_much(before: Decimal, now: Decimal, most: float) -> None:
    kept = Kept.of(RiskSettings(max_drawdown_pct=most)).peak
    assert kept is not None
    if now >= before * kept:
        assert fall_pct(before, now) <= most
    elif before > 0:
        assert fall_pct(before, now) >= most


# -- a day of wishes, fills, changes and ends --------------------------------------------------------------------------


class Day:
    """A market that stands still, and a venue that fills, cancels and changes what was approved."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 (settings are of any kind)
        self.risk = Risk(RiskSettings(**settings), LISTING)
        self.tape = MemoryTape([self.risk])
        self.open: dict[str, tuple[OrderTerms, Decimal]] = {}
        """Orders that may trade, and what of them is filled."""
        self.changing: dict[str, Decimal] = {}
        self.heard: list[Event] = []
        self.number = 0
        self.say(*QUOTES, equity("10000"), equity("10000", strategy="scalper"))

    def say(self, *events: Event) -> list[Event]:
        before = len(self.tape.recorded)
        self.heard += events
        self.tape.play(events)
        said = [recorded.event for recorded in self.tape.recorded[before:]]
        for one in said:
            if isinstance(one, RiskApproved):
                self.open |= {order.client_order_id: (order, ZERO) for order in (one.order, *one.attached)}
        return said

    def fill(self, name: str, share: int) -> None:
        """Fill a part (%). What stands by takes away no more than is held."""
        order, before = self.open[name]
        left = order.quantity - before
        quantity = min(left, max(left * share / 100, Decimal("0.001")))
        if stands_by(order):
            quantity = min(quantity, max(-order.side.sign * self.position(order), ZERO))
        if quantity > 0:
            self.say(filled(order, str(quantity), before=str(before)))
            self.open[name] = (order, before + quantity)
        if before + quantity == order.quantity:
            self.end(name)

    def end(self, name: str) -> None:
        self.open.pop(name, None)
        self.changing.pop(name, None)

    def cancel(self, name: str, _share: int) -> None:
        order, _ = self.open[name]
        self.say(canceled(order))
        self.end(name)

    def change(self, name: str, percent: int) -> None:
        """Ask for another quantity: half as much to twice as much."""
        order, _ = self.open[name]
        quantity = LISTING[order.instrument].quantity(order.quantity * (50 + percent) / 75)
        if quantity == 0 or name in self.changing:
            return
        (answer,) = self.say(amend(amendment(order, quantity=str(quantity)), by=order.strategy))
        if isinstance(answer, AmendApproved):
            self.changing[name] = quantity

    def answer(self, name: str, share: int) -> None:
        """Take the other terms, or refuse them."""
        order, before = self.open[name]
        quantity = self.changing.pop(name, None)
        if quantity is None or quantity <= before or share < 30:
            self.say(not_updated(order))
            return
        after = replace(order, quantity=quantity)
        self.say(updated(after, str(quantity), leaves=str(quantity - before)))
        self.open[name] = (after, before)

    def position(self, order: OrderTerms) -> Decimal:
        return self.risk.exposure.positions.get((order.strategy, order.instrument), ZERO)

    def wish(self, strategy: str, instrument: InstrumentId, side: Side, share: int) -> None:
        """Wish for up to four units of BTC, or forty of ETH."""
        self.say(wish(self._id(), side, self._size(instrument, share), strategy=strategy, instrument=instrument))

    def bracket(self, strategy: str, instrument: InstrumentId, side: Side, share: int) -> None:
        size, mark = self._size(instrument, share), MARKS[instrument]
        entry = terms(side, size, order_id=self._id(), strategy=strategy, instrument=instrument)
        trigger = str(mark * (1 - side.sign * Decimal("0.1")))
        stop = conditional(OrderType.STOP_MARKET, side.opposite, size, trigger=trigger, reduce_only=True)
        stop = replace(stop, client_order_id=self._id(), strategy=strategy, instrument=instrument)
        listed = of_list(linked(entry), linked(stop, parent=entry))
        self.say(replace(listed, reference_price=float(mark)))

    def protect(self, strategy: str, instrument: InstrumentId, side: Side, share: int) -> None:
        stop = conditional(OrderType.STOP_MARKET, side, self._size(instrument, share), trigger="50", reduce_only=True)
        self.say(protective(replace(stop, client_order_id=self._id(), strategy=strategy, instrument=instrument)))

    def _id(self) -> str:
        self.number += 1
        return f"o-{self.number}"

    @staticmethod
    def _size(instrument: InstrumentId, share: int) -> str:
        return str(Decimal(share + 1) / (25 if instrument == BTC else Decimal("2.5")))


SHARES = st.integers(0, 99)
ORDERS = st.tuples(
    st.sampled_from(["wish", "wish", "bracket"]),
    st.sampled_from(["trend", "scalper"]),
    st.sampled_from([BTC, ETH]),
    st.sampled_from(Side),
    SHARES,
)
PROTECTIONS = st.tuples(
    st.just("protect"), st.just("trend"), st.sampled_from([BTC, ETH]), st.sampled_from(Side), SHARES
)
FATES = st.tuples(st.sampled_from(["fill", "fill", "cancel", "change", "answer"]), st.integers(0, 9), SHARES)


def lived(day: Day, steps: list[tuple[Any, ...]], law: Callable[[Day], None]) -> None:
    for kind, *rest in steps:
        if len(rest) > 2:
            getattr(day, kind)(*rest)
        elif day.open:
            pick, share = rest
            getattr(day, kind)(list(day.open)[pick % len(day.open)], share)
        law(day)


def sums_are_those_of_what_is_open(day: Day) -> None:
    exposure = day.risk.exposure
    assert exposure.pending.keys() == day.open.keys()
    plain: dict[tuple[str, InstrumentId], Stake] = {
        holding: Stake(position) for holding, position in exposure.positions.items()
    }
    for name, (order, done) in day.open.items():
        quantity = max(order.quantity, day.changing.get(name, ZERO))
        plain[order.strategy, order.instrument].add(order, quantity - done)
    assert plain == exposure.stakes
    assert [stake.worst for stake in plain.values()] == [exposure.stakes[holding].worst for holding in plain]
    counts = dict.fromkeys(exposure.open_orders, 0)
    for order, _ in day.open.values():
        counts[order.strategy] += 1
    assert counts == exposure.open_orders


def positions_are_within_caps(day: Day) -> None:
    values = {holding: abs(position) * MARKS[holding[1]] for holding, position in day.risk.exposure.positions.items()}
    assert sum(values.values()) <= CAPS["max_total_exposure"]
    for instrument in (BTC, ETH):
        held = sum(value for holding, value in values.items() if holding[1] == instrument)
        assert held <= CAPS["max_symbol_exposure"]
    for strategy in ("trend", "scalper"):
        held = sum(value for holding, value in values.items() if holding[0] == strategy)
        assert held <= CAPS["max_strategy_exposure"]


@given(st.lists(ORDERS | PROTECTIONS | FATES, max_size=40), st.booleans())
def test_sums_are_those_of_what_is_open_whatever_happens(steps: list[tuple[Any, ...]], resize: bool) -> None:  # noqa: FBT001
    lived(Day(resize=resize), steps, sums_are_those_of_what_is_open)


@given(st.lists(ORDERS | FATES, max_size=40), st.booleans())
def test_no_fills_of_what_was_approved_lead_beyond_a_cap(steps: list[tuple[Any, ...]], resize: bool) -> None:  # noqa: FBT001
    lived(Day(resize=resize, **CAPS), steps, positions_are_within_caps)


@given(st.lists(ORDERS | PROTECTIONS | FATES, max_size=20), st.booleans())
def test_what_risk_says_can_be_said_on_the_tape(steps: list[tuple[Any, ...]], resize: bool) -> None:  # noqa: FBT001
    day = Day(resize=resize, max_symbol_exposure=300)
    lived(day, steps, lambda _day: None)
    assert all(encode(recorded.event) for recorded in day.tape.recorded)


@given(st.lists(ORDERS | PROTECTIONS | FATES, max_size=30), st.integers(0, 100))
def test_a_restored_risk_goes_on_the_same_in_the_midst_of_orders(steps: list[tuple[Any, ...]], percent: int) -> None:
    settings = {"resize": True, "order_burst": 12, "duplicate_window_ms": 10.0, **CAPS}
    day = Day(**settings)
    lived(day, steps, lambda _day: None)
    goes_on_the_same(lambda: Risk(RiskSettings.model_validate(settings), LISTING), placed(day.heard), percent)
