"""Trend: enters an established move once, and leaves it by stop, target or a bent average."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.event import Event
from contracts.market import Quote
from contracts.orders import OrderIntent, OrderTerms, RiskRejected
from contracts.presets import Preset, PresetSelected
from contracts.types import InstrumentId, Interval, OrderType, Side
from services.trend.rules import Trend, TrendState
from services.trend.settings import TrendSettings
from tape.memory import MemoryTape
from tests.builders import (
    BTC,
    ETH,
    LISTING,
    START,
    bar,
    bars,
    canceled,
    filled,
    quote,
    terms,
)

FALLING = [float(close) for close in range(110, 100, -1)]
RISING = [*FALLING, 103.0, 106.0, 109.0, 112.0]
QUICK: dict[str, Any] = {"fast": 2, "slow": 4, "rsi": 2, "atr": 2, "rsi_min": 0, "rsi_max": 100}


def trend(**settings: Any) -> MemoryTape:  # noqa: ANN401 (settings are of any kind)
    return MemoryTape([Trend(TrendSettings.model_validate({**QUICK, **settings}), LISTING)])


def intents(events: Iterable[Event], **settings: Any) -> list[OrderIntent]:  # noqa: ANN401
    tape = trend(**settings)
    tape.play(events)
    return tape.of_type(OrderIntent)


def entered(**settings: Any) -> tuple[MemoryTape, OrderIntent]:  # noqa: ANN401
    """A trend that has bought and been filled."""
    tape = trend(**settings)
    tape.play(bars(RISING))
    (entry,) = tape.of_type(OrderIntent)
    tape.play([filled(entry.order, price="103")])
    return tape, entry


def wishes(tape: MemoryTape, *events: Event) -> list[OrderTerms]:
    """What the strategy wishes for when these events come."""
    before = len(tape.recorded)
    tape.play(events)
    return [recorded.event.order for recorded in tape.recorded[before:] if isinstance(recorded.event, OrderIntent)]


def at(price: float, *, second: float = 0.0) -> Quote:
    return quote(price, price, at=second)


def test_enters_once_when_the_fast_average_crosses_the_slow_one() -> None:
    (entry,) = intents(bars(RISING))
    assert (entry.order.side, entry.order.order_type) == (Side.BUY, OrderType.MARKET)
    assert entry.order.reduce_only is False
    assert entry.reference_price == 106.0


def test_its_stop_lies_below_and_its_target_above_by_the_range_of_the_bars() -> None:
    (near,), (far,) = intents(bars(RISING)), intents(bars(RISING), stop_atr=4, target_atr=6)
    assert near.exit and far.exit and near.exit.target and far.exit.target
    assert near.exit.stop < near.reference_price < near.exit.target
    assert 106.0 - far.exit.stop == pytest.approx(2 * (106.0 - near.exit.stop))
    assert far.exit.target - 106.0 == pytest.approx(2 * (near.exit.target - 106.0))


def test_a_short_is_the_mirror_image() -> None:
    (entry,) = intents(bars([210 - close for close in RISING]))
    assert entry.order.side is Side.SELL
    assert entry.exit and entry.exit.target
    assert entry.exit.target < entry.reference_price < entry.exit.stop


def test_shorts_can_be_switched_off() -> None:
    assert intents(bars([210 - close for close in RISING]), shorts=False) == []


def test_its_size_is_worth_the_notional_in_whole_lots() -> None:
    (entry,) = intents(bars(RISING), notional="250")
    assert entry.order.quantity == Decimal("2.358")


def test_it_is_not_entered_with_less_than_a_lot() -> None:
    assert intents(bars(RISING), notional="0.05") == []


@pytest.mark.parametrize("window", [{"rsi_min": 99.9, "rsi_max": 100}, {"rsi_min": 0, "rsi_max": 0.1}])
def test_a_move_that_is_too_weak_or_too_hot_is_not_entered(window: dict[str, float]) -> None:
    assert intents(bars(RISING), **window) == []


def test_nothing_is_decided_before_the_averages_are_warm() -> None:
    assert intents(bars([100.0, 99.0, 103.0]), slow=5) == []


@pytest.mark.parametrize(
    "events",
    [
        bars(RISING, instrument=ETH),
        [bar(close, number=number, interval=Interval.M1) for number, close in enumerate(RISING)],
    ],
    ids=["other instrument", "other interval"],
)
def test_what_it_does_not_trade_it_does_not_look_at(events: list[Event]) -> None:
    assert intents(events, instruments=(BTC,)) == []


def test_it_leaves_at_the_stop() -> None:
    tape, entry = entered()
    assert entry.exit
    assert wishes(tape, at(entry.exit.stop + 0.01)) == []
    (leave,) = wishes(tape, at(entry.exit.stop))
    assert (leave.side, leave.quantity, leave.reduce_only) == (Side.SELL, entry.order.quantity, True)


def test_it_leaves_at_the_target() -> None:
    tape, entry = entered()
    assert entry.exit and entry.exit.target
    assert wishes(tape, at(entry.exit.target - 0.01)) == []
    (leave,) = wishes(tape, at(entry.exit.target))
    assert leave.side is Side.SELL


def test_it_leaves_when_the_averages_cross_back() -> None:
    tape, _ = entered(stop_atr=20, target_atr=20)
    back = [bar(close, number=20 + number) for number, close in enumerate((100.0, 90.0, 80.0))]
    (leave,) = wishes(tape, *back)
    assert (leave.side, leave.reduce_only) == (Side.SELL, True)


def test_no_second_order_goes_out_while_one_is_under_way() -> None:
    tape, entry = entered()
    assert entry.exit
    (leave,) = wishes(tape, at(entry.exit.stop), at(entry.exit.stop - 1), at(entry.exit.stop - 2))
    assert wishes(tape, filled(leave, price="90"), at(entry.exit.stop - 3)) == []


@pytest.mark.parametrize("end", ["rejected", "canceled"])
def test_it_tries_to_leave_again_a_second_after_its_order_came_to_nothing(end: str) -> None:
    tape, entry = entered()
    assert entry.exit
    (first,) = wishes(tape, at(entry.exit.stop))
    refusal = RiskRejected(ts_event=START, ts_init=START, order=first, reasons=())
    nothing = refusal if end == "rejected" else canceled(first)
    assert wishes(tape, nothing, at(entry.exit.stop), at(entry.exit.stop, second=0.9)) == []
    (second,) = wishes(tape, at(entry.exit.stop, second=1.0))
    assert second.client_order_id != first.client_order_id
    assert second.quantity == first.quantity


def test_it_leaves_with_what_it_holds_and_not_with_what_it_wished_for() -> None:
    tape = trend()
    tape.play(bars(RISING))
    (entry,) = tape.of_type(OrderIntent)
    assert entry.exit
    tape.play([filled(entry.order, "1"), canceled(entry.order)])
    (leave,) = wishes(tape, at(entry.exit.stop))
    assert leave.quantity == 1


def test_it_is_not_moved_by_the_fills_of_others() -> None:
    tape, entry = entered()
    assert entry.exit
    tape.play([filled(terms(Side.SELL, "100", strategy="scalper", order_id="scalper-1-0"))])
    (leave,) = wishes(tape, at(entry.exit.stop))
    assert leave.quantity == entry.order.quantity


def selected(
    preset: Preset, *, name: str = "bold", strategy: str = "trend", instrument: InstrumentId = BTC
) -> PresetSelected:
    return PresetSelected(
        ts_event=START,
        ts_init=START,
        strategy=strategy,
        instrument=instrument,
        regime="calm",
        preset=name,
        settings=preset,
        arms=(),
    )


def test_a_preset_scales_size_stop_and_target_of_what_is_opened() -> None:
    (plain,) = intents(bars(RISING))
    (scaled,) = intents([selected(Preset(size=2.0, stop=0.5, target=3.0)), *bars(RISING)])
    assert plain.exit and scaled.exit and plain.exit.target and scaled.exit.target
    assert scaled.order.quantity == LISTING[BTC].quantity(Decimal(500) / Decimal(106))
    assert 106.0 - scaled.exit.stop == pytest.approx(0.5 * (106.0 - plain.exit.stop))
    assert scaled.exit.target - 106.0 == pytest.approx(3 * (plain.exit.target - 106.0))
    assert scaled.reason.endswith("preset bold")


@pytest.mark.parametrize(
    "other",
    [selected(Preset(size=2.0), strategy="scalper"), selected(Preset(size=2.0), instrument=ETH)],
    ids=["other strategy", "other instrument"],
)
def test_a_preset_is_for_one_strategy_and_one_instrument(other: PresetSelected) -> None:
    assert intents([other, *bars(RISING)]) == [
        replace(one, order=replace(one.order, client_order_id="trend-13-0")) for one in intents(bars(RISING))
    ]


def test_a_preset_asks_for_a_stronger_or_weaker_move_than_the_middle() -> None:
    def enters(least: float, factor: float) -> bool:
        return intents([selected(Preset(threshold=factor)), *bars(RISING)], rsi_min=least) != []

    (plain,) = intents(bars(RISING))
    strength = float(plain.reason.rpartition("strength ")[2])
    just = (strength - 50) / 2 + 50
    assert enters(just, 1.9)
    assert not enters(just, 2.1)
    assert not enters(strength + 1, 1.0)
    assert enters(strength + 1, 0.5)
    assert enters(40.0, 5.0)


def test_a_preset_leaves_alone_what_is_held() -> None:
    tape, entry = entered()
    assert entry.exit
    tape.play([selected(Preset(size=5.0, stop=5.0, target=5.0))])
    assert wishes(tape, at(entry.exit.stop + 0.01)) == []
    (leave,) = wishes(tape, at(entry.exit.stop))
    assert leave.quantity == entry.order.quantity


def test_a_restart_forgets_no_preset() -> None:
    first, second = (Trend(TrendSettings.model_validate(QUICK), LISTING) for _ in range(2))
    MemoryTape([first]).play([selected(Preset(size=2.0))])
    adapter = TypeAdapter(TrendState)
    second.restore(adapter.validate_json(adapter.dump_json(first.state())))
    tape = MemoryTape([second])
    tape.play(bars(RISING))
    (entry,) = tape.of_type(OrderIntent)
    (plain,) = intents(bars(RISING))
    assert entry.order.quantity > plain.order.quantity


def test_the_last_preset_counts() -> None:
    (plain,) = intents(bars(RISING))
    (entry,) = intents([selected(Preset(size=2.0)), selected(Preset(), name="balanced"), *bars(RISING)])
    assert entry.order.quantity == plain.order.quantity


def test_its_orders_are_named_by_what_caused_them() -> None:
    tape = trend()
    tape.play(bars(RISING))
    (recorded,) = tape.recorded
    assert isinstance(recorded.event, OrderIntent)
    assert recorded.event.order.client_order_id == f"trend-{recorded.cause}-0"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"fast": 21, "slow": 21}, "fast"),
        ({"fast": 0}, "fast"),
        ({"rsi_min": 80, "rsi_max": 80}, "rsi_min"),
        ({"rsi_max": 101}, "rsi_max"),
        ({"stop_atr": 0}, "stop_atr"),
        ({"target_atr": -1}, "target_atr"),
        ({"notional": "0"}, "notional"),
        ({"instruments": ("BTCUSDT",)}, "instruments"),
        ({"interval": "7s"}, "interval"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_settings_refuse_nonsense_and_name_it(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        TrendSettings.model_validate(settings)


WALKS = st.lists(st.floats(-4.0, 4.0), min_size=1, max_size=80)


def walk(steps: Iterable[float]) -> list[Event]:
    """A bar and a quote for each step, with every wish filled at once."""
    price = 100.0
    events: list[Event] = []
    for number, step in enumerate(steps):
        price = max(price + step, 20.0)
        events += [bar(price, number=number, high=price + 0.5, low=price - 0.5), at(price)]
    return events


def decisions(events: Iterable[Event]) -> list[OrderTerms]:
    tape = trend()
    said: list[OrderTerms] = []
    for event in events:
        for order in wishes(tape, event):
            said.append(order)
            tape.play([filled(order, price="100")])
    return said


@given(WALKS, st.integers(0, 160))
def test_the_future_cannot_change_a_decision(steps: list[float], cut: int) -> None:
    events = walk(steps)
    known = decisions(events[:cut])
    assert decisions(events)[: len(known)] == known


@given(WALKS)
def test_it_is_flat_or_holds_one_position_that_it_leaves_whole(steps: list[float]) -> None:
    held = Decimal(0)
    for order in decisions(walk(steps)):
        assert order.reduce_only is (held != 0)
        assert held == 0 or (order.side.sign * held < 0 and order.quantity == abs(held))
        held += order.side.sign * order.quantity
