"""Funding guard: acts on positions that are about to pay dear funding, and only on those."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.books import PositionChanged
from contracts.control import Alert, GuardSet
from contracts.event import Event
from contracts.market import Funding
from contracts.orders import OrderIntent, OrderTerms, ProtectiveIntent
from contracts.types import InstrumentId, Side, TradingState, instrument_id
from services.funding.blueprint import BLUEPRINT
from services.funding.rules import FundingGuard
from services.funding.settings import FundingSettings
from tape.memory import MemoryTape
from tests.builders import BTC, ETH, LISTING, canceled, filled, ns, tick
from venues.instruments import Instrument, InstrumentKind

ELSEWHERE = instrument_id("other", "BTCUSDT")
PERPETUAL = Instrument(ELSEWHERE, "BTC", "USDT", Decimal("0.1"), Decimal("0.01"), Decimal(10), InstrumentKind.PERPETUAL)
LISTED = {**LISTING, ELSEWHERE: PERPETUAL}
DUE = 1000.0
"""When funding is paid."""


def guard(**settings: Any) -> FundingGuard:  # noqa: ANN401 (settings are of any kind)
    return FundingGuard(FundingSettings.model_validate({"dry_run": False, "horizon_s": 600, **settings}), LISTED)


def played(events: Iterable[Event], **settings: Any) -> MemoryTape:  # noqa: ANN401
    tape = MemoryTape([guard(**settings)])
    tape.play(events)
    return tape


def funding(
    bps: float, *, at: float = 0.0, due: float = DUE, mark: float = 100.0, instrument: InstrumentId = BTC
) -> Funding:
    return Funding(
        ts_event=ns(at),
        ts_init=ns(at),
        instrument=instrument,
        mark=mark,
        index=mark,
        rate=bps / 10_000,
        next_at=ns(due),
    )


def position(
    quantity: str, *, strategy: str = "trend", instrument: InstrumentId = BTC, at: float = 0.0
) -> PositionChanged:
    return PositionChanged(
        ts_event=ns(at),
        ts_init=ns(at),
        strategy=strategy,
        instrument=instrument,
        quantity=Decimal(quantity),
        average_price=Decimal(100) if Decimal(quantity) else None,
        realized_pnl=Decimal(0),
        fees=Decimal(0),
        mark=Decimal(99),
    )


def rates(bps: float, start: float, end: float, *, due: float = DUE, instrument: InstrumentId = BTC) -> list[Event]:
    """Tell the same rate every 30 s, each time followed by a second."""
    return [
        event
        for at in range(round(start), round(end), 30)
        for event in (funding(bps, at=at, due=due, instrument=instrument), tick(at + 1))
    ]


def trims(tape: MemoryTape) -> list[OrderTerms]:
    return [intent.order for intent in tape.of_type(ProtectiveIntent)]


def hedges(tape: MemoryTape) -> list[OrderTerms]:
    return [intent.order for intent in tape.of_type(OrderIntent)]


def codes(tape: MemoryTape) -> list[str]:
    return [alert.code for alert in tape.of_type(Alert)]


# -- judging -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "bps", "acts"),
    [
        ("2", 10.0, True),
        ("2", 9.9, False),
        ("2", -50.0, False),
        ("-2", -10.0, True),
        ("-2", 50.0, False),
        ("0", 50.0, False),
    ],
)
def test_it_acts_on_those_that_pay_at_least_the_threshold(quantity: str, bps: float, *, acts: bool) -> None:
    tape = played([position(quantity), funding(bps, at=500), tick(501)])
    assert bool(trims(tape)) is acts
    assert codes(tape) == ["funding_dear"] * acts


@pytest.mark.parametrize(("at", "acts"), [(399, False), (400, True), (999, True), (1000, False)])
def test_it_looks_at_what_is_due_within_the_horizon(at: float, *, acts: bool) -> None:
    tape = played([position("2"), funding(20, at=at), tick(at)])
    assert bool(trims(tape)) is acts


def test_what_it_says_names_the_payer_the_cost_and_the_time() -> None:
    tape = played([position("2"), funding(20, at=500), tick(500)])
    (alert,) = tape.of_type(Alert)
    assert alert.message == f"{BTC}: longs pay 20.00 bps in 500 s: trim"


def test_a_rate_that_is_too_old_is_not_believed_and_missed_once() -> None:
    tape = played([position("2"), funding(20, at=300), *map(tick, range(380, 600))])
    assert trims(tape) == []
    (alert,) = tape.of_type(Alert)
    assert (alert.code, alert.ts_init) == ("funding_unknown", ns(380))
    tape.play([funding(20, at=600), tick(600)])
    assert len(trims(tape)) == 1


def test_a_perpetual_that_is_held_and_of_which_nothing_is_told_is_missed() -> None:
    tape = played([position("2", instrument=ELSEWHERE), position("2"), *map(tick, range(100))])
    (alert,) = tape.of_type(Alert)
    assert (alert.code, alert.ts_init) == ("funding_unknown", ns(61))
    assert alert.message == f"nothing is known of the funding of {ELSEWHERE} for 60 s: mend the feed"


def test_nobody_is_told_of_a_missing_rate_that_nobody_pays() -> None:
    assert played([funding(20, at=300), *map(tick, range(380, 600))]).recorded == []


def test_only_chosen_instruments_are_watched() -> None:
    told = [position("2"), position("2", instrument=ETH), funding(20, at=500), funding(20, at=500, instrument=ETH)]
    tape = played([*told, tick(500)], instruments=(ETH,))
    assert [order.instrument for order in trims(tape)] == [ETH]


# -- acting ------------------------------------------------------------------------------------------------------------


def test_a_dry_run_only_alerts() -> None:
    tape = played([position("2"), *rates(20, 500, 700), *rates(0, 700, 800)], dry_run=True)
    assert {type(recorded.event) for recorded in tape.recorded} == {Alert}
    assert codes(tape) == ["funding_dear", "funding_bearable"]
    assert all("dry run" in alert.message for alert in tape.of_type(Alert))


def test_a_position_that_pays_is_trimmed_once_and_one_that_is_paid_is_not() -> None:
    tape = played([position("2"), position("-3", strategy="scalper"), funding(20, at=500, mark=101.0), tick(500)])
    (trim,) = tape.of_type(ProtectiveIntent)
    assert (trim.by, trim.order.strategy, trim.order.side) == ("funding", "trend", Side.SELL)
    assert (trim.order.quantity, trim.order.reduce_only, trim.reference_price) == (Decimal(1), True, 101.0)
    tape.play([filled(trim.order, at=501), position("1", at=501), *rates(20, 510, 990)])
    assert len(trims(tape)) == 1


def test_between_the_thresholds_nothing_changes() -> None:
    tape = played([position("2"), *rates(20, 500, 560), *rates(6, 560, 700)])
    assert codes(tape) == ["funding_dear"]
    tape.play(rates(5, 700, 730))
    assert codes(tape) == ["funding_dear", "funding_bearable"]


def test_it_is_over_when_it_was_paid_even_if_the_next_one_is_as_dear() -> None:
    tape = played([position("2"), *rates(20, 900, 990), *rates(20, 1000, 1060, due=DUE + 28_800)])
    assert codes(tape) == ["funding_dear", "funding_bearable"]
    assert tape.of_type(Alert)[-1].message == f"{BTC}: it was paid; what was done is undone"


def test_a_trim_whose_order_ended_unfilled_is_tried_again() -> None:
    tape = played([position("2"), funding(20, at=500), tick(500)])
    (first,) = trims(tape)
    tape.play([canceled(first), tick(501)])
    assert len(trims(tape)) == 2
    assert codes(tape) == ["funding_dear", "guard_failed"]


def test_a_position_in_what_is_not_listed_is_told_once() -> None:
    unlisted = instrument_id("sim", "XRPUSDT")
    told = [position("2", instrument=unlisted), *rates(20, 500, 700, instrument=unlisted)]
    tape = played(told)
    assert codes(tape) == ["funding_dear", "guard_failed"]
    assert f"trend cannot be trimmed in {unlisted}: it is not listed" in tape.of_type(Alert)[-1].message


def test_opening_positions_can_be_stopped_instead() -> None:
    tape = played([position("2"), *rates(20, 500, 560), *rates(0, 560, 590)], actions=["reduce_only"])
    assert [said.state for said in tape.of_type(GuardSet)] == [TradingState.REDUCE_ONLY, TradingState.ACTIVE]
    assert trims(tape) == []


# -- hedging -----------------------------------------------------------------------------------------------------------


def test_the_net_position_that_pays_is_hedged_until_it_was_paid() -> None:
    held = [position("2"), position("-0.5", strategy="scalper")]
    tape = played([*held, funding(20, at=500), tick(500)], actions=["hedge"])
    (opened,) = hedges(tape)
    assert (opened.strategy, opened.instrument, opened.side) == ("funding", BTC, Side.SELL)
    assert (opened.quantity, opened.reduce_only) == (Decimal("1.500"), False)
    tape.play([filled(opened, at=501), position("-1.5", strategy="funding", at=501), *rates(20, 510, 990)])
    assert hedges(tape) == [opened]
    tape.play([tick(DUE)])
    _, closed = hedges(tape)
    assert (closed.side, closed.quantity, closed.reduce_only) == (Side.BUY, Decimal("1.500"), True)


def test_a_hedge_follows_the_position() -> None:
    tape = played([position("2"), funding(20, at=500), tick(500)], actions=["hedge"])
    tape.play([filled(hedges(tape)[0], at=501), position("1.4", at=502), tick(503)])
    _, less = hedges(tape)
    assert (less.side, less.quantity, less.reduce_only) == (Side.BUY, Decimal("0.600"), False)
    tape.play([filled(less, at=504), position("1.35", at=505), *rates(20, 510, 560)])
    assert len(hedges(tape)) == 2


def test_a_net_position_that_is_paid_needs_no_hedge() -> None:
    held = [position("2"), position("-3", strategy="scalper")]
    tape = played([*held, funding(20, at=500), tick(500)], actions=["hedge"])
    assert hedges(tape) == []


def test_a_hedge_can_be_taken_elsewhere_and_in_part() -> None:
    told = [funding(1, at=500, instrument=ELSEWHERE, mark=100.0), funding(20, at=500), tick(500)]
    tape = played([position("1.999"), *told], actions=["hedge"], hedges={BTC: ELSEWHERE}, hedge_fraction=Decimal("0.5"))
    (opened,) = hedges(tape)
    assert (opened.instrument, opened.quantity) == (ELSEWHERE, Decimal("0.99"))


def test_a_hedge_without_a_price_is_told_and_waited_for() -> None:
    tape = played([position("2"), funding(20, at=500), tick(500)], actions=["hedge"], hedges={BTC: ELSEWHERE})
    assert hedges(tape) == []
    assert f"{ELSEWHERE} cannot be traded as a hedge: it has no price yet" in tape.of_type(Alert)[-1].message
    tape.play([funding(1, at=502, instrument=ELSEWHERE), tick(502)])
    assert len(hedges(tape)) == 1


# -- settings and state ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"leave_bps": 10}, "must be below enter_bps"),
        ({"actions": ["hedge", "reduce_only"]}, "a hedge opens a position"),
        ({"actions": []}, "at least 1 item"),
        ({"surprise": 1}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        guard(**settings)


def test_by_default_nothing_is_done() -> None:
    assert FundingSettings().dry_run
    assert isinstance(BLUEPRINT.build(FundingSettings()), FundingGuard)


@pytest.mark.parametrize("settings", [{"instruments": (ETH,)}, {"dry_run": True}, {"actions": ["trim"]}])
def test_a_hedge_that_the_settings_no_longer_want_is_ended(settings: dict[str, Any]) -> None:
    before = guard(actions=["hedge"])
    tape = MemoryTape([before])
    tape.play([position("2"), funding(20, at=500), tick(500)])
    tape.play([filled(hedges(tape)[0], at=501)])
    adapter = TypeAdapter(FundingGuard.State)
    after = guard(**{"actions": ["hedge"], **settings})
    after.restore(adapter.validate_json(adapter.dump_json(before.state())))
    later = MemoryTape([after])
    later.play([tick(502)])
    (closed,) = hedges(later)
    assert (closed.side, closed.quantity, closed.reduce_only) == (Side.BUY, Decimal(2), True)
