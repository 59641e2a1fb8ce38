"""The ensemble: a crossover, believed as far as regime and direction go, entered with its exits, left when it turns."""

import json
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from math import tanh
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.control import Alert
from contracts.event import Event
from contracts.market import Bar
from contracts.orders import CancelIntent, Denial, OrderIntent, OrderTerms, RiskRejected
from contracts.presets import Preset, PresetSelected
from contracts.regimes import UNKNOWN, CalibrationSet, DirectionInferred, RegimeInferred
from contracts.signals import SignalGiven
from contracts.types import InstrumentId, Interval, OrderType, Rail, Side
from services.hmm_ensemble.averages import new_averages
from services.hmm_ensemble.judgement import judge
from services.hmm_ensemble.metrics import SHADOW_PNL, STRENGTH, observe
from services.hmm_ensemble.rules import HmmEnsemble
from services.hmm_ensemble.settings import HmmEnsembleSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, LISTING, bar, bars, canceled, filled, ns, terms
from tests.servers import ROOT

QUICK: dict[str, Any] = {
    "fast": 2,
    "slow": 4,
    "atr": 2,
    "cross_scale": 0.25,
    "cooldown_s": 0,
    "weights": {"trending": 1.0, "calm": 0.5, "wild": 0.0},
    "threshold": 0.4,
}
FLAT = [100.0] * 5
RISE = [*FLAT, 102.0, 104.0, 106.0]
FALL = [200 - close for close in RISE]
DOCUMENT = (ROOT / "docs/hmm_ensemble.md").read_text()
LATER = 3600.0
"""As old as this (s), nothing is fresh any more; tests that are about age say so themselves."""
PATIENT: dict[str, Any] = {"max_regime_age_s": LATER, "max_direction_age_s": LATER}


def regime(
    label: str = "trending",
    *,
    confident: bool = True,
    at: float = 0.0,
    instrument: InstrumentId = BTC,
    **probabilities: float,
) -> RegimeInferred:
    shares = probabilities or {label if label != UNKNOWN else "trending": 1.0}
    return RegimeInferred(
        ts_event=ns(at),
        ts_init=ns(at),
        instrument=instrument,
        model_id="abc",
        regime=label,
        states=tuple(shares),
        probabilities=tuple(shares.values()),
        entropy=0.0,
        confidence=max(shares.values()),
        confident=confident,
        log_likelihood=-1.0,
        observation=(0.0,),
        close=100.0,
    )


def direction(up: float, *, at: float = 0.0, instrument: InstrumentId = BTC) -> DirectionInferred:
    return DirectionInferred(ts_event=ns(at), ts_init=ns(at), instrument=instrument, model_id="def", up=up, horizon=1)


def calibration(
    *, multiplier: float = 1.0, cooldown: float = 1.0, instrument: InstrumentId | None = None
) -> CalibrationSet:
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


def selected(strategy: str = "hmm_ensemble", instrument: InstrumentId = BTC, **factors: float) -> PresetSelected:
    return PresetSelected(
        ts_event=ns(0),
        ts_init=ns(0),
        strategy=strategy,
        instrument=instrument,
        regime="trending",
        preset="bold",
        settings=Preset(**factors),
        arms=(),
    )


def refused(order: OrderTerms, *, at: float = 0.0) -> RiskRejected:
    reasons = (Denial(rail=Rail.MAX_NOTIONAL, detail="too much"),)
    return RiskRejected(ts_event=ns(at), ts_init=ns(at), order=order, reasons=reasons)


def component(**settings: Any) -> HmmEnsemble:  # noqa: ANN401 (settings are of any kind)
    return HmmEnsemble(HmmEnsembleSettings.model_validate({**QUICK, **PATIENT, **settings}), LISTING)


def ensemble(**settings: Any) -> MemoryTape:  # noqa: ANN401
    return MemoryTape([component(**settings)])


def after(tape: MemoryTape, *events: Event) -> list[Event]:
    """What the strategy says when these events come."""
    before = len(tape.recorded)
    tape.play(events)
    return [recorded.event for recorded in tape.recorded[before:]]


def said(*events: Event, closes: Iterable[float] = RISE, **settings: Any) -> MemoryTape:  # noqa: ANN401
    tape = ensemble(**settings)
    tape.play([*events, *bars(closes)])
    return tape


def entries(*events: Event, closes: Iterable[float] = RISE, **settings: Any) -> list[OrderIntent]:  # noqa: ANN401
    return said(*events, closes=closes, **settings).of_type(OrderIntent)


def signals(*events: Event, closes: Iterable[float] = RISE, **settings: Any) -> list[SignalGiven]:  # noqa: ANN401
    return said(*events, closes=closes, **settings).of_type(SignalGiven)


def holding(*events: Event, **settings: Any) -> tuple[MemoryTape, OrderIntent]:  # noqa: ANN401
    """One that has bought, and been filled."""
    tape = said(regime(), *events, closes=RISE[:6], **settings)
    (entry,) = tape.of_type(OrderIntent)
    assert after(tape, filled(entry.order, price="102", at=31.0)) == []
    return tape, entry


def following(closes: Iterable[float], *, first: int = 6) -> list[Bar]:
    return [bar(close, number=first + n, high=close + 1, low=close - 1) for n, close in enumerate(closes)]


def turned(tape: MemoryTape, closes: Iterable[float] = (95.0,)) -> list[Event]:
    """What it wishes for and warns of while these bars close."""
    return [event for event in after(tape, *following(closes)) if not isinstance(event, SignalGiven)]


# -- entering ----------------------------------------------------------------------------------------------------------


def test_a_crossover_in_a_trending_regime_is_entered_once_with_stop_and_target() -> None:
    (entry,) = entries(regime())
    stop, target = entry.attached
    assert (entry.order.side, entry.order.order_type, entry.reference_price) == (Side.BUY, OrderType.MARKET, 102.0)
    assert (stop.order_type, target.order_type) == (OrderType.STOP_MARKET, OrderType.MARKET_IF_TOUCHED)
    assert stop.trigger_price and target.trigger_price
    assert stop.trigger_price < 102 < target.trigger_price
    assert all(exit_.reduce_only and exit_.side is Side.SELL for exit_ in (stop, target))
    assert {stop.quantity, target.quantity} == {entry.order.quantity}


def test_a_short_is_the_mirror_image() -> None:
    (entry,) = entries(regime(), closes=FALL)
    stop, target = entry.attached
    assert entry.order.side is Side.SELL
    assert stop.trigger_price and target.trigger_price
    assert target.trigger_price < 98 < stop.trigger_price


def test_shorts_can_be_switched_off() -> None:
    tape = said(regime(), closes=FALL, shorts=False)
    assert tape.of_type(OrderIntent) == []
    assert {signal.side for signal in tape.of_type(SignalGiven)} == {None}


def test_its_exits_lie_at_multiples_of_the_range_on_whole_ticks() -> None:
    (entry,) = entries(regime(), stop_atr=2, target_atr=3)
    stop, target = entry.attached
    assert (stop.trigger_price, target.trigger_price) == (Decimal("97.0"), Decimal("109.5"))


def test_a_market_that_hardly_moves_has_a_least_range() -> None:
    (entry,) = entries(regime(), stop_atr=2, least_range_bps=1000, threshold=0.1)
    assert entry.attached[0].trigger_price == Decimal("81.6")


def test_its_size_is_worth_the_notional_in_whole_lots() -> None:
    (entry,) = entries(regime(), notional="250")
    assert entry.order.quantity == Decimal("2.450")


@pytest.mark.parametrize(
    ("heard", "closes", "is_entered"),
    [
        ([], RISE, False),
        ([direction(0.99)], RISE, False),
        ([regime(UNKNOWN)], RISE, False),
        ([regime(confident=False)], RISE, False),
        ([regime("wild")], RISE, False),
        ([regime("calm", trending=0.4, calm=0.4, wild=0.2)], RISE, True),
        ([regime("calm", trending=0.2, calm=0.2, wild=0.6)], RISE, False),
        ([regime(), direction(0.0)], RISE, False),
        ([regime(), direction(1.0)], RISE, True),
        ([regime(), direction(1.0)], FLAT, False),
        ([regime("wild"), direction(1.0)], RISE, False),
        ([regime(instrument=ETH)], RISE, False),
        ([regime()], FLAT, False),
        ([regime()], RISE[4:7], False),
    ],
    ids=[
        *("no model", "a direction alone", "unknown", "not confident", "wild", "mostly trending", "mostly wild"),
        *(
            "direction against it",
            "direction for it",
            "a direction without a move",
            "a direction in the wild",
            "model of another",
            "no move",
            "averages not warm",
        ),
    ],
)
def test_what_is_entered(heard: list[Event], closes: list[float], is_entered: bool) -> None:  # noqa: FBT001
    assert bool(entries(*heard, closes=closes, direction_share=0.5, strength_step=2)) is is_entered


@pytest.mark.parametrize(("label", "other_weight", "is_entered"), [("odd", 1.0, True), ("odd", 0.1, False)])
def test_a_label_without_a_weight_has_that_of_all_others(label: str, other_weight: float, is_entered: bool) -> None:  # noqa: FBT001
    assert bool(entries(regime(label), other_weight=other_weight)) is is_entered


def test_a_regime_is_believed_until_it_is_too_old() -> None:
    assert len(entries(regime(at=0.0), max_regime_age_s=30)) == 1
    assert entries(regime(at=0.0), max_regime_age_s=29) == []


def test_a_regime_from_the_future_is_not_believed() -> None:
    assert entries(regime(at=2 * LATER)) == []


def test_an_old_direction_is_ignored() -> None:
    against = [regime(), direction(0.0)]
    assert entries(*against, direction_share=0.5, max_direction_age_s=LATER) == []
    assert len(entries(*against, direction_share=0.5, max_direction_age_s=10)) == 1


def test_the_score_is_the_crossover_in_ranges_times_the_weight_blended_with_the_direction() -> None:
    (told,) = signals(regime("calm"), direction(0.8), closes=RISE[:6], direction_share=0.25, strength_step=2)
    fast, slow, atr = 100 + 2 * (2 / 3), 100 + 2 * (2 / 5), (2 + 3) / 2
    assert told.strength == pytest.approx(0.75 * tanh((fast - slow) / atr / 0.25) * 0.5 + 0.25 * 0.6)


def test_a_missing_bar_begins_the_averages_anew() -> None:
    tape = ensemble()
    tape.play([regime(), *bars(FLAT), *following([102.0, 104.0])])
    assert tape.of_type(OrderIntent) == []


def test_a_bar_that_comes_again_changes_nothing() -> None:
    plain, again = bars(RISE), bars(RISE)
    again[3:3] = [again[2], again[0]]
    one, other = ensemble(), ensemble()
    one.play([regime(), *plain])
    other.play([regime(), *again])
    assert [told.strength for told in one.of_type(SignalGiven)] == [
        told.strength for told in other.of_type(SignalGiven)
    ]


@pytest.mark.parametrize(
    "events",
    [
        [regime(instrument=ETH), *bars(RISE, instrument=ETH)],
        [regime(), *(bar(close, number=n, interval=Interval.M1) for n, close in enumerate(RISE))],
        [regime(instrument=InstrumentId("file.BTC")), *bars(RISE, instrument=InstrumentId("file.BTC"))],
    ],
    ids=["other instrument", "other interval", "not listed"],
)
def test_what_it_does_not_trade_it_does_not_look_at(events: list[Event]) -> None:
    tape = ensemble(instruments=(BTC,))
    assert after(tape, *events) == []


def test_too_small_a_size_is_told_once_and_not_wished_for() -> None:
    tape = said(regime(), notional="9")
    assert tape.of_type(OrderIntent) == []
    (alert,) = tape.of_type(Alert)
    assert (alert.code, alert.component) == ("size_too_small", "hmm_ensemble")
    assert "raise notional" in alert.message


def test_exits_for_which_there_is_no_price_are_told_and_nothing_is_entered() -> None:
    tape = said(regime(), closes=FALL, target_atr=50)
    assert tape.of_type(OrderIntent) == []
    assert [alert.code for alert in tape.of_type(Alert)] == ["no_exit"]


# -- presets and calibration -------------------------------------------------------------------------------------------


def test_a_preset_scales_size_and_exits_of_what_is_opened() -> None:
    (plain,), (bold,) = entries(regime()), entries(regime(), selected(size=2.0, stop=2.0, target=0.5))
    away = [[abs(exit_.trigger_price - 102) for exit_ in one.attached if exit_.trigger_price] for one in (plain, bold)]
    assert bold.order.quantity == pytest.approx(2 * plain.order.quantity, abs=Decimal("0.001"))
    assert away[1] == [2 * away[0][0], pytest.approx(away[0][1] / 2, abs=Decimal("0.1"))]
    assert "preset bold" in bold.reason


@pytest.mark.parametrize(("factor", "count"), [(1.0, 1), (3.0, 0)])
def test_a_preset_scales_how_strong_a_signal_must_be(factor: float, count: int) -> None:
    assert len(entries(regime(), selected(threshold=factor))) == count


@pytest.mark.parametrize("other", [selected("trend", size=5.0), selected(instrument=ETH, size=5.0)])
def test_a_preset_of_another_strategy_or_instrument_changes_nothing(other: PresetSelected) -> None:
    assert entries(regime(), other) == entries(regime(at=0.0), selected("trend"))


def test_a_preset_that_comes_later_leaves_what_is_held_as_it_was_opened() -> None:
    tape, _ = holding()
    tape.play([selected(threshold=5.0, stop=0.1)])
    assert turned(tape, (103.0, 104.0)) == []


@pytest.mark.parametrize(
    ("words", "quantity"),
    [
        ([calibration(multiplier=2.0)], "4.901"),
        ([calibration(multiplier=2.0), calibration(multiplier=0.5)], "1.225"),
        ([calibration(multiplier=2.0, instrument=BTC), calibration(multiplier=0.5)], "4.901"),
        ([calibration(multiplier=2.0, instrument=ETH)], "2.450"),
    ],
    ids=["all", "a later word", "a named instrument wins", "of another"],
)
def test_the_operator_scales_the_size(words: list[Event], quantity: str) -> None:
    (entry,) = entries(*words, regime())
    assert entry.order.quantity == Decimal(quantity)


def test_a_multiplier_of_zero_keeps_it_from_trading_without_a_word() -> None:
    tape = said(calibration(multiplier=0.0), regime())
    assert not tape.of_type(OrderIntent)
    assert not tape.of_type(Alert)


# -- holding and leaving -----------------------------------------------------------------------------------------------


def test_nothing_more_is_wished_for_while_an_entry_is_under_way_or_a_position_is_held() -> None:
    assert len(entries(regime())) == 1
    tape, _ = holding()
    assert turned(tape, (104.0, 106.0, 108.0)) == []


def test_a_score_that_weakens_is_held_until_it_falls_below_a_part_of_the_threshold() -> None:
    tape, _ = holding(leave=0.5)
    tape.play([regime("calm")])
    assert turned(tape, (102.0,)) == []
    (left,) = [e for e in after(tape, regime("wild"), *following([102.0], first=7)) if isinstance(e, SignalGiven)]
    assert left.side is None


def leaves(tape: MemoryTape, entry: OrderIntent, *said_first: Event) -> OrderIntent:
    """Take back what rests, and expect the rest to be traded away."""
    ids = [event.client_order_id for event in said_first if isinstance(event, CancelIntent)]
    assert ids == [exit_.client_order_id for exit_ in entry.attached]
    first, second = entry.attached
    assert after(tape, canceled(first)) == []
    (leave,) = after(tape, canceled(second))
    assert isinstance(leave, OrderIntent)
    return leave


@pytest.mark.parametrize(
    ("heard", "close"),
    [([], 90.0), ([regime(UNKNOWN)], 103.0), ([regime("wild")], 103.0)],
    ids=["the averages cross back", "the regime is unknown", "the regime is wild"],
)
def test_when_its_view_turns_it_takes_back_what_rests_and_then_leaves(heard: list[Event], close: float) -> None:
    tape, entry = holding()
    tape.play(heard)
    leave = leaves(tape, entry, *turned(tape, (close,)))
    assert (leave.order.side, leave.order.quantity, leave.order.reduce_only, leave.attached) == (
        Side.SELL,
        entry.order.quantity,
        True,
        (),
    )
    assert leave.reference_price == close


def test_the_unknown_is_left_even_if_a_position_is_held_down_to_a_score_of_zero() -> None:
    tape, entry = holding(leave=0)
    tape.play([regime(UNKNOWN)])
    leaves(tape, entry, *turned(tape, (103.0,)))


def test_a_regime_that_falls_silent_is_left() -> None:
    tape, entry = holding(max_regime_age_s=33)
    leaves(tape, entry, *turned(tape, (103.0,)))


def test_a_doubtful_regime_is_held_through() -> None:
    tape, _ = holding()
    tape.play([regime(confident=False)])
    assert turned(tape, (103.0, 104.0)) == []


def test_what_a_stop_sells_meanwhile_is_not_sold_twice() -> None:
    tape, entry = holding()
    stop, target = entry.attached
    assert len(turned(tape)) == 2
    assert after(tape, filled(stop), canceled(target)) == []


def test_only_what_is_left_is_sold() -> None:
    tape, entry = holding()
    stop, target = entry.attached
    turned(tape)
    (leave,) = after(tape, filled(stop, "1"), canceled(stop), canceled(target))
    assert isinstance(leave, OrderIntent)
    assert leave.order.quantity == entry.order.quantity - 1


def test_a_refused_exit_is_told_once_and_wished_for_again_with_the_next_bar() -> None:
    tape, entry = holding()
    leave = leaves(tape, entry, *turned(tape))
    (alert,) = after(tape, refused(leave.order))
    assert isinstance(alert, Alert)
    assert (alert.code, "max_notional: too much" in alert.message) == ("exit_refused", True)
    (again,) = [event for event in after(tape, *following([94.0], first=7)) if isinstance(event, OrderIntent)]
    assert again.order.quantity == leave.order.quantity
    assert after(tape, refused(again.order)) == []


def test_an_exit_that_the_venue_takes_back_is_wished_for_again_with_the_next_bar_and_not_at_once() -> None:
    tape, entry = holding()
    leave = leaves(tape, entry, *turned(tape))
    assert after(tape, canceled(leave.order)) == []
    (again,) = [event for event in after(tape, *following([94.0], first=7)) if isinstance(event, OrderIntent)]
    assert (again.order.quantity, again.reference_price) == (entry.order.quantity, 94.0)


def test_a_cancel_that_nothing_is_heard_of_is_wished_for_again() -> None:
    tape, _ = holding()
    assert [type(event) for event in turned(tape, (95.0, 94.0))] == [CancelIntent] * 4


def test_after_a_reversal_it_takes_the_other_side_when_it_has_left() -> None:
    tape, entry = holding()
    leave = leaves(tape, entry, *turned(tape, (90.0,)))
    tape.play([filled(leave.order)])
    (short,) = [event for event in after(tape, *following([88.0], first=7)) if isinstance(event, OrderIntent)]
    assert (short.order.side, short.order.reduce_only) == (Side.SELL, False)


def test_what_rests_is_taken_back_when_somebody_else_has_left_the_position() -> None:
    tape, entry = holding()
    stopped = replace(terms(Side.SELL, str(entry.order.quantity), order_id="stops-9-0"), strategy="hmm_ensemble")
    said_then = after(tape, filled(stopped))
    assert [type(event) for event in said_then] == [CancelIntent] * 2


def test_a_target_is_taken_back_and_the_stop_kept_when_somebody_else_has_sold_a_part() -> None:
    tape, entry = holding()
    trimmed = replace(terms(Side.SELL, "1", order_id="depeg-9-0"), strategy="hmm_ensemble")
    (cancel,) = after(tape, filled(trimmed))
    assert isinstance(cancel, CancelIntent)
    assert cancel.client_order_id == entry.attached[1].client_order_id


def test_the_fills_of_another_strategy_are_none_of_its_business() -> None:
    tape, entry = holding()
    assert after(tape, filled(replace(entry.order, strategy="trend", side=Side.SELL))) == []
    assert turned(tape, (103.0,)) == []


# -- pauses ------------------------------------------------------------------------------------------------------------


def reentered(pause: float, *events: Event, cooldown_s: float = 20, outcome: str = "stopped") -> bool:
    """Whether a signal that still stands is entered `pause` seconds after the first entry came to nothing."""
    tape = said(*events, regime(), closes=RISE[:6], cooldown_s=cooldown_s)
    (entry,) = tape.of_type(OrderIntent)
    stop, target = entry.attached
    if outcome == "refused":
        tape.play([refused(entry.order, at=30.0)])
    elif outcome == "rejected":
        tape.play([replace(canceled(one), ts_init=ns(30)) for one in (entry.order, stop, target)])
    else:
        tape.play([filled(entry.order, at=30.0), filled(stop, at=30.0), canceled(target)])
    waited = following([104.0 + 2 * n for n in range(round(pause / 5))])
    return any(isinstance(event, OrderIntent) for event in after(tape, *waited))


@pytest.mark.parametrize("outcome", ["stopped", "refused", "rejected"])
def test_it_pauses_after_a_trade_and_after_an_entry_that_came_to_nothing(outcome: str) -> None:
    assert not reentered(15, outcome=outcome)
    assert reentered(20, outcome=outcome)


@pytest.mark.parametrize(
    "event", [calibration(cooldown=0.5), selected(cooldown=0.5)], ids=["by the operator", "by the preset"]
)
def test_its_pause_is_scaled(event: Event) -> None:
    assert not reentered(5, event)
    assert reentered(10, event)


# -- signals -----------------------------------------------------------------------------------------------------------


def test_each_change_of_side_is_told_with_its_reasons() -> None:
    told = signals(regime(), closes=[*RISE, 80.0, 70.0], strength_step=2)
    assert [(signal.side, signal.strength > 0) for signal in told] == [(Side.BUY, True), (Side.SELL, False)]
    for word in ("ema 2 of 4", "trending 1.00", "weight 1.00", "no direction", "score +0."):
        assert word in told[0].reason
    assert not told[0].dry_run


def test_aside_is_told_with_the_reason_why() -> None:
    tape, _ = holding(strength_step=2)
    tape.play([regime(UNKNOWN)])
    (told,) = [event for event in after(tape, *following([103.0])) if isinstance(event, SignalGiven)]
    assert (told.side, told.strength, told.reason) == (None, 0.0, "aside: the regime is unknown to abc")


def test_changes_of_strength_are_told_in_steps() -> None:
    fine, coarse = signals(regime(), strength_step=0.05), signals(regime(), strength_step=2)
    assert [told.side for told in coarse] == [Side.BUY]
    assert [told.side for told in fine] == [Side.BUY] * len(fine)
    assert len(fine) > 1
    assert all(abs(after_.strength - before.strength) >= 0.05 for before, after_ in pairwise(fine))


# -- dry run -----------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_what_following_it_would_have_brought() -> None:
    tape = said(
        *(regime(), *bars([*RISE, 80.0, 70.0])), closes=(), dry_run=True, fee_bps="10", strength_step=2, notional="250"
    )
    assert tape.of_type(OrderIntent) == []
    bought, sold = tape.of_type(SignalGiven)
    assert (bought.dry_run, bought.price, sold.price) == (True, 102.0, 80.0)
    size, other = Decimal("2.450"), Decimal("3.125")
    fees = [size * 102 / 1000, (size + other) * 80 / 1000]
    assert bought.shadow_pnl == -fees[0]
    assert sold.shadow_pnl == size * (80 - 102) - sum(fees)


def test_a_dry_run_leaves_alone_what_was_held_before_and_says_so_once() -> None:
    before, dry = component(), component(dry_run=True)
    tape = MemoryTape([before])
    tape.play([regime(), *bars(RISE[:6])])
    (entry,) = tape.of_type(OrderIntent)
    tape.play([filled(entry.order)])
    dry.restore(before.state())
    told = after(MemoryTape([dry]), regime(UNKNOWN), *following([90.0, 80.0]))
    assert [type(event) for event in told] == [SignalGiven, Alert]


def test_a_dry_run_does_not_go_on_leaving() -> None:
    before, dry = component(), component(dry_run=True)
    tape = MemoryTape([before])
    tape.play([regime(), *bars(RISE[:6])])
    (entry,) = tape.of_type(OrderIntent)
    tape.play([filled(entry.order), regime(UNKNOWN), *following([90.0])])
    assert len(tape.of_type(CancelIntent)) == 2
    dry.restore(before.state())
    assert after(MemoryTape([dry]), *map(canceled, entry.attached)) == []


# -- what is measured and documented -----------------------------------------------------------------------------------


def test_the_last_score_and_the_shadow_of_a_dry_run_are_measured() -> None:
    observer = observe()[SignalGiven]
    for told in signals(regime(), dry_run=True):
        observer(told, None)
    assert STRENGTH.labels(BTC)._value.get() == told.strength
    assert SHADOW_PNL.labels(BTC)._value.get() == float(told.shadow_pnl)


def test_the_example_of_the_document_holds() -> None:
    averages = new_averages(HmmEnsembleSettings())
    for close in [60_000.0] * 24:
        averages.update(bar(close))
    averages.fast.value, averages.slow.value, averages.atr.value = 60_030.0, 60_000.0, 25.0
    said_by_regime = regime("calm", calm=0.7, up=0.25, wild=0.05)
    judged = judge(HmmEnsembleSettings(), averages, said_by_regime, direction(0.56), ns(0))
    assert judged is not None
    assert (judged.firm, round(judged.score, 3)) == (True, 0.427)
    for word in ("0.834", "0.67 ", "0.427"):
        assert word in DOCUMENT


def test_every_setting_is_documented_with_its_default() -> None:
    defaults = HmmEnsembleSettings().model_dump(mode="json")
    rows = [
        f"| `{name}` | `{json.dumps(defaults[name])}` | {field.description} |"
        for name, field in HmmEnsembleSettings.model_fields.items()
    ]
    assert "\n".join(rows) in DOCUMENT


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [{"fast": 9, "slow": 9}, {"threshold": 0}, {"weights": {"calm": 2}}, {"notional": 0}, {"leave": 1.1}, {"a": 1}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HmmEnsembleSettings.model_validate(wrong)
