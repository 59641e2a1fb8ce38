"""orders and positions, one life at a time."""

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from inspect import signature
from typing import NamedTuple

import pytest

from contracts.books import CapitalAllocated, CapitalProposed, EquityMarked, PositionChanged, PositionClosed
from contracts.control import CapitalDecided, GuardSet, LockLifted, TradingStateSet
from contracts.data import DataChunk
from contracts.event import Event
from contracts.examples import ARTIFACT, AT, CHUNK, ORDER_ID, STOP, TERMS
from contracts.models import ModelPromoted, ModelPublished, ModelRetired, TrainFailed, TrainRequested, TrainStarted
from contracts.orders import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderHeld,
    OrderInitialized,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderRejected,
    OrderSubmitted,
    OrderUpdated,
    OrderUpdateRejected,
    RiskLocked,
)
from contracts.presets import PresetPinned, PresetSelected
from contracts.recorded import Recorded
from contracts.regimes import RegimeInferred
from contracts.types import Interval, OrderStatus, PositionSide, Side, TimeInForce, TradingState, TriggerBy
from eventstore.projections import PROJECTIONS
from eventstore.projections.capital import Capital, CapitalStep
from eventstore.projections.ingest_ledger import IngestLedger, Watermarks
from eventstore.projections.models import ModelRow, Models, ModelStatus
from eventstore.projections.order_events import OrderEvents
from eventstore.projections.orders import OrderRow, Orders
from eventstore.projections.positions import Positions
from eventstore.projections.presets import Presets, PresetStep
from eventstore.projections.regimes import Regimes
from eventstore.projections.risk_state import Hold, RiskState
from eventstore.projections.shape import Shape
from eventstore.projections.strategy_pnl import StrategyPnl
from eventstore.projections.trainings import Trainings, TrainingStep
from tests.recordings import example

OPEN = (OrderInitialized, OrderSubmitted, OrderAccepted)


def fill(quantity: str, leaves: str, price: str = "100") -> OrderFilled:
    return example(OrderFilled, quantity=Decimal(quantity), leaves=Decimal(leaves), price=Decimal(price))


def tape(events: Sequence[Event | type[Event]]) -> list[Recorded]:
    made = [event if isinstance(event, Event) else example(event) for event in events]
    return [Recorded(10 + index, 9, "m", 0, event) for index, event in enumerate(made)]


def order_after(*events: Event | type[Event]) -> OrderRow:
    return Orders().fold_all({}, tape(events))[(ORDER_ID,)]


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([OrderInitialized], OrderStatus.INITIALIZED),
        ([OrderInitialized, OrderDenied], OrderStatus.DENIED),
        ([OrderDenied], OrderStatus.DENIED),
        ([OrderInitialized, OrderSubmitted], OrderStatus.SUBMITTED),
        ([OrderInitialized, OrderSubmitted, OrderRejected], OrderStatus.REJECTED),
        ([*OPEN], OrderStatus.ACCEPTED),
        ([*OPEN, OrderPendingCancel], OrderStatus.PENDING_CANCEL),
        ([*OPEN, OrderPendingCancel, OrderCancelRejected], OrderStatus.ACCEPTED),
        ([*OPEN, fill("1", "1"), OrderPendingCancel, OrderCancelRejected], OrderStatus.PARTIALLY_FILLED),
        ([OrderInitialized, OrderSubmitted, OrderPendingCancel, OrderCancelRejected], OrderStatus.SUBMITTED),
        ([*OPEN, OrderPendingCancel, OrderCanceled], OrderStatus.CANCELED),
        ([*OPEN, OrderExpired], OrderStatus.EXPIRED),
        ([*OPEN, fill("1", "1")], OrderStatus.PARTIALLY_FILLED),
        ([*OPEN, fill("1", "1"), fill("1", "0")], OrderStatus.FILLED),
        ([*OPEN, OrderPendingCancel, fill("1", "1")], OrderStatus.PENDING_CANCEL),
        ([*OPEN, OrderPendingCancel, fill("1", "1"), OrderCancelRejected], OrderStatus.PARTIALLY_FILLED),
        ([*OPEN, OrderPendingCancel, fill("1", "0")], OrderStatus.FILLED),
    ],
)
def test_the_status_is_what_the_last_events_say(events: list[Event | type[Event]], status: OrderStatus) -> None:
    assert order_after(*events).status is status


def test_fills_are_added_up_to_the_last_digit() -> None:
    order = order_after(*OPEN, fill("0.3", "0.2", price="100.1"), fill("0.2", "0", price="100.3"))
    assert order.filled_quantity == Decimal("0.5")
    assert order.filled_value == Decimal("50.09")
    assert order.fees == 2 * Decimal("0.0989")


def test_a_fill_after_a_cancel_is_booked_and_the_order_stays_canceled() -> None:
    order = order_after(*OPEN, OrderCanceled, fill("1", "1"))
    assert (order.status, order.filled_quantity) == (OrderStatus.CANCELED, Decimal(1))


def test_the_last_fill_after_a_cancel_fills_the_order() -> None:
    assert order_after(*OPEN, OrderCanceled, fill("1", "0")).status is OrderStatus.FILLED


def test_a_fill_that_overtakes_the_acceptance_is_not_undone_by_it() -> None:
    order = order_after(OrderInitialized, OrderSubmitted, fill("1", "1"), OrderAccepted)
    assert (order.status, order.venue_order_id) == (OrderStatus.PARTIALLY_FILLED, "sim-3")


def test_the_denial_of_a_second_use_of_an_id_says_nothing_of_the_first() -> None:
    assert order_after(*OPEN, OrderDenied) == order_after(*OPEN)


@pytest.mark.parametrize("ended", [OrderRejected, OrderCanceled, OrderExpired, fill("2", "0")])
@pytest.mark.parametrize("illegal", [OrderSubmitted, OrderAccepted, OrderCanceled, OrderPendingCancel, OrderRejected])
def test_what_cannot_happen_after_the_end_changes_nothing(ended: Event | type[Event], illegal: type[Event]) -> None:
    life = [OrderInitialized, OrderSubmitted] if ended is OrderRejected else [*OPEN]
    assert order_after(*life, ended, illegal) == order_after(*life, ended)


def test_a_fill_that_cannot_happen_is_booked_and_changes_no_status() -> None:
    order = order_after(OrderInitialized, OrderSubmitted, OrderRejected, fill("1", "0"))
    assert (order.status, order.filled_quantity) == (OrderStatus.REJECTED, Decimal(1))


def test_what_a_refused_cancel_leads_back_to_is_kept_while_it_is_pending() -> None:
    pending = [*OPEN, OrderPendingCancel]
    assert order_after(*pending).otherwise is OrderStatus.ACCEPTED
    assert order_after(*pending, fill("1", "1")).otherwise is OrderStatus.PARTIALLY_FILLED
    assert order_after(*pending, OrderCancelRejected).otherwise is None
    assert order_after(*pending, OrderCanceled).otherwise is None


def test_a_refused_update_leads_back_too() -> None:
    pending: list[Event | type[Event]] = [*OPEN, fill("1", "1"), OrderPendingUpdate]
    assert order_after(*pending).otherwise is OrderStatus.PARTIALLY_FILLED
    refused = order_after(*pending, OrderUpdateRejected)
    assert (refused.status, refused.otherwise, refused.reason) == (
        OrderStatus.PARTIALLY_FILLED,
        None,
        "already filled",
    )


def test_an_order_goes_on_under_its_new_terms() -> None:
    order = order_after(*OPEN, OrderPendingUpdate, OrderUpdated)
    assert order.status is OrderStatus.ACCEPTED
    assert [order.quantity, order.limit_price] == [Decimal("0.00800"), Decimal("61838.00")]


def test_the_terms_of_a_conditional_order_of_a_list_are_kept() -> None:
    order = order_after(example(OrderInitialized, order=replace(STOP, client_order_id=ORDER_ID)), OrderHeld)
    assert (order.status, order.trigger_price, order.trigger_by) == (
        OrderStatus.HELD,
        STOP.trigger_price,
        TriggerBy.BID_ASK,
    )
    assert STOP.link is not None
    assert (order.list_id, order.parent_id) == (STOP.link.list_id, STOP.link.parent)


def test_slippage_is_money_and_fees_in_other_currencies_are_not_added_up() -> None:
    worse = replace(fill("2", "1", price="100"), slippage_bps=5.0)
    better = replace(fill("1", "0", price="200"), slippage_bps=-1.0, fee=Decimal(3), fee_currency="BNB")
    order = order_after(*OPEN, worse, better)
    assert [order.slippage, order.fees] == [Decimal("0.08"), Decimal("0.0989")]


def test_each_step_of_an_order_tells_what_it_was_about() -> None:
    events = OrderEvents()
    rows = [events.row_of(recorded) for recorded in tape([*OPEN, fill("1", "1"), OrderCanceled])]
    assert [(row.step, row.price, row.detail) for row in rows] == [
        ("OrderInitialized", TERMS.limit_price, "limit"),
        ("OrderSubmitted", None, None),
        ("OrderAccepted", None, "sim-3"),
        ("OrderFilled", Decimal(100), "sim-7"),
        ("OrderCanceled", None, "trading halted"),
    ]


def test_longs_and_shorts_are_rows_of_their_own() -> None:
    long = example(PositionChanged, position_side=PositionSide.LONG)
    short = example(PositionChanged, position_side=PositionSide.SHORT, quantity=Decimal(-1))
    rows = Positions().fold_all({}, tape([long, short]))
    assert [(row.position_side, row.quantity > 0) for row in rows.values()] == [
        (PositionSide.LONG, True),
        (PositionSide.SHORT, False),
    ]


def test_a_day_of_a_strategy_adds_up_what_its_trades_brought() -> None:
    lost, won = example(PositionClosed), example(PositionClosed, realized_pnl=Decimal(5), stopped=False)
    next_day = example(PositionClosed, closed_at=AT + 86_400_000_000_000)
    first, second = StrategyPnl().fold_all({}, tape([lost, won, next_day])).values()
    assert (first.day, second.day) == ("2024-08-08", "2024-08-09")
    assert [first.trades, first.won, first.stopped, second.trades] == [2, 1, 1, 1]
    assert [first.gains, first.losses] == [Decimal("4.8022"), Decimal("0.7482")]


def test_a_lock_is_kept_with_the_word_that_lifts_it() -> None:
    (row,) = RiskState().fold_all({}, tape([RiskLocked, LockLifted])).values()
    assert (row.kind, row.name, row.strategy, row.instrument) == (Hold.LOCK, "daily_loss", "trend", "")
    assert (row.locked_position, row.lifted_position, row.operator) == (10, 11, "alice")


def test_operator_and_guards_hold_trading_back_side_by_side() -> None:
    rows = RiskState().fold_all({}, tape([TradingStateSet, GuardSet])).values()
    assert [(row.kind, row.name, row.state) for row in rows] == [
        (Hold.OPERATOR, "", TradingState.HALTED),
        (Hold.GUARD, "archive", TradingState.HALTED),
    ]


def test_a_proposal_of_capital_is_known_by_its_position() -> None:
    proposed, decided, allocated = map(Capital().row_of, tape([CapitalProposed, CapitalDecided, CapitalAllocated]))
    assert (proposed.step, proposed.proposal, proposed.strategy) == (CapitalStep.PROPOSED, 10, "trend")
    assert (decided.proposal, decided.approved, decided.strategy) == (81_234, True, None)
    assert (allocated.proposal, allocated.capital) == (81_234, Decimal(30_000))


def chunk(first: int, rows: int, missing: int = 0) -> DataChunk:
    step = Interval.S5.nanos
    return example(DataChunk, first=first * step, last=(first + rows + missing - 1) * step, rows=rows, missing=missing)


def test_the_watermark_of_an_instrument_is_as_far_as_its_chunks_reach() -> None:
    (row,) = Watermarks().fold_all({}, tape([chunk(100, 9, missing=1), chunk(50, 50), chunk(110, 5)])).values()
    step = Interval.S5.nanos
    assert (row.first, row.until) == (50 * step, 115 * step)
    assert (row.chunks, row.rows, row.missing) == (3, 64, 1)
    assert (row.updated_position, row.symbol, row.interval) == (12, "BTCUSDT", Interval.S5)


def test_intervals_have_watermarks_of_their_own() -> None:
    minutes = example(DataChunk, interval=Interval.M1, first=0, last=0, rows=1, missing=0)
    assert len(Watermarks().fold_all({}, tape([chunk(0, 1), minutes]))) == 2


def test_a_chunk_is_found_by_the_name_of_its_object() -> None:
    (recorded,) = tape([DataChunk])
    assert IngestLedger().row_of(recorded).sha256 == CHUNK


def test_a_training_is_followed_by_the_position_of_its_request() -> None:
    requested, started, failed, published = map(
        Trainings().row_of, tape([TrainRequested, TrainStarted, TrainFailed, ModelPublished])
    )
    assert (requested.step, requested.request, requested.by) == (TrainingStep.REQUESTED, 10, "ops")
    assert (started.step, started.request, started.rows) == (TrainingStep.STARTED, 4_321, 720)
    assert (failed.step, failed.reason) == (TrainingStep.FAILED, "state wild holds 2.1 % of the data, below 5 %")
    assert (published.step, published.model_id) == (TrainingStep.PUBLISHED, MODEL)


MODEL = example(ModelPublished).model_id


def models_after(*events: Event | type[Event]) -> dict[str, ModelRow]:
    return {row.model_id: row for row in Models().fold_all({}, tape(events)).values()}


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([ModelPublished], ModelStatus.SHADOW),
        ([ModelPublished, ModelPromoted], ModelStatus.CHAMPION),
        ([ModelPromoted], ModelStatus.CHAMPION),
        ([ModelPromoted, ModelPublished], ModelStatus.CHAMPION),
        ([ModelPublished, ModelRetired], ModelStatus.RETIRED),
        ([ModelPublished, ModelPromoted, ModelRetired], ModelStatus.RETIRED),
        ([ModelPublished, ModelRetired, ModelPromoted], ModelStatus.CHAMPION),
        ([ModelPublished, ModelRetired, ModelPublished], ModelStatus.SHADOW),
        ([ModelPublished, ModelPromoted, ModelPromoted], ModelStatus.CHAMPION),
    ],
)
def test_a_model_is_what_was_last_decided_on_it(events: list[Event | type[Event]], status: ModelStatus) -> None:
    assert models_after(*events)[MODEL].status is status


@pytest.mark.parametrize(
    ("before", "status"),
    [
        ([example(ModelPromoted, model_id="older")], ModelStatus.SHADOW),
        ([example(ModelPromoted, model_id="older"), example(ModelRetired, model_id="older")], ModelStatus.RETIRED),
        ([], ModelStatus.SHADOW),
    ],
)
def test_a_promotion_ends_the_belief_in_the_one_it_replaces(before: list[Event], status: ModelStatus) -> None:
    rows = models_after(*before, ModelPublished, example(ModelPromoted, replaces="older"))
    assert (rows["older"].status, rows[MODEL].status) == (status, ModelStatus.CHAMPION)


def test_a_model_leads_back_to_the_bytes_it_was_trained_on() -> None:
    row = models_after(ModelPublished)[MODEL]
    assert (row.chunks, row.rows, row.first) == (CHUNK, 720, ARTIFACT.trained_on.first)
    assert (row.states, row.log_likelihood, row.published_position) == ("calm,wild", -1.31, 10)


def test_the_probabilities_of_a_regime_are_found_by_its_states() -> None:
    (recorded,) = tape([example(RegimeInferred, slow_states=("rest", "move"), slow=(0.75, 0.25))])
    row = Regimes().row_of(recorded)
    assert json.loads(row.probabilities) == {"calm": 0.93, "wild": 0.07}
    assert json.loads(row.slow) == {"rest": 0.75, "move": 0.25}


def test_a_selected_preset_keeps_what_was_believed_of_each_arm() -> None:
    selected, pinned, unpinned = map(
        Presets().row_of, tape([PresetSelected, PresetPinned, example(PresetPinned, preset=None)])
    )
    arms = json.loads(selected.arms or "")
    assert selected.step is PresetStep.SELECTED
    assert [arm["preset"] for arm in arms] == [arm.preset for arm in example(PresetSelected).arms]
    assert (pinned.step, pinned.pinned, pinned.symbol) == (PresetStep.PINNED, True, None)
    assert (unpinned.pinned, unpinned.preset) == (False, None)


def test_a_denied_order_that_was_never_initialized_has_no_terms() -> None:
    order = order_after(OrderDenied)
    assert (order.side, order.quantity, order.strategy) == (None, None, "trend")


def test_an_order_keeps_when_it_was_made_and_when_it_last_changed() -> None:
    order = order_after(*OPEN, OrderCanceled, OrderCanceled)
    assert (order.created_position, order.updated_position) == (10, 13)


def test_a_flat_position_is_worth_nothing() -> None:
    flat = example(PositionChanged, quantity=Decimal(0), average_price=None)
    (row,) = Positions().fold_all({}, tape([PositionChanged, flat])).values()
    assert (row.value, row.unrealized_pnl) == (Decimal(0), Decimal(0))


def test_a_mark_changes_the_value_and_not_what_was_paid() -> None:
    before, after = (
        Positions().fold_all({}, tape(events))[("trend", "binance", "BTCUSDT", "net")]
        for events in ([PositionChanged], [PositionChanged, EquityMarked])
    )
    assert after.average_price == before.average_price
    assert after.value == Decimal("247.35054")


def test_products_are_exact_beyond_the_28_digits_of_python() -> None:
    long = Decimal("1234567890123456.123456789012")
    (row,) = Positions().fold_all({}, tape([example(PositionChanged, quantity=long, mark=long)])).values()
    assert Fraction(row.value) == Fraction(long) ** 2


def test_a_row_crosses_to_columns_and_back() -> None:
    shape = Shape(OrderRow)
    order = order_after(*OPEN)
    values = dict(zip(shape.columns, shape.values(order), strict=True))
    assert (values["side"], values["time_in_force"]) == (Side.BUY.value, TimeInForce.GTC.value)
    assert shape.row(shape.values(order)) == order


@pytest.mark.parametrize("row_type", [projection.row for projection in PROJECTIONS.values()])
def test_every_field_of_a_row_is_a_column(row_type: type[object]) -> None:
    assert list(Shape(row_type).columns) == list(signature(row_type).parameters)


class Line(NamedTuple):
    text: str
    remark: str | None
    side: Side | None
    amount: Decimal | None
    open: bool


def test_rows_are_lines_for_copy() -> None:
    rows = [
        Line("plain", "a\tb", Side.BUY, Decimal("0.10"), open=True),
        Line("C:\\N\r\n", None, None, None, open=False),
        Line("", "\\N", Side.SELL, Decimal("1E+3"), open=False),
    ]
    first, second, third, end = Shape(Line).lines(rows).split("\n")
    assert first.split("\t") == ["plain", r"a\tb", "buy", "0.10", "True"]
    assert second.split("\t") == [r"C:\\N\r\n", r"\N", r"\N", r"\N", "False"]
    assert third.split("\t") == ["", r"\\N", "sell", "1E+3", "False"]
    assert end == ""
