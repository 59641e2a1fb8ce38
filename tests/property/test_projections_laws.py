"""Laws of the folds, whatever the events."""

from collections.abc import Callable
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.books import EquityMarked, PositionClosed
from contracts.data import DataChunk
from contracts.event import Event
from contracts.lifecycle import CLOSED, Life
from contracts.models import ModelPromoted
from contracts.orders import OrderEvent, OrderFilled, OrderInitialized
from contracts.ownership import ORDER_EVENTS
from contracts.recorded import Recorded
from contracts.types import OrderStatus, Rail
from eventstore.projections import PROJECTIONS
from eventstore.projections.fills import Fills
from eventstore.projections.ingest_ledger import IngestLedger, Watermarks
from eventstore.projections.models import Models, ModelStatus
from eventstore.projections.orders import OrderRow, Orders
from eventstore.projections.positions import PositionRow, Positions
from eventstore.projections.projection import Key, Ledger
from eventstore.projections.risk_state import RiskState
from eventstore.projections.strategy_pnl import StrategyPnl, StrategyPnlRow
from tests.property.event_strategies import equity_marks, of_type, position_changes, tapes

Tapes = st.SearchStrategy[list[Recorded]]

ORDER_IDS = st.sampled_from(["trend-1-0", "trend-1-1"])


def order_event(event_type: type[Event]) -> st.SearchStrategy[Event]:
    """Any order event of a few orders, in any sequence: also those that no sane router would write."""

    def rename(event: Event, client_order_id: str) -> Event:
        if isinstance(event, OrderInitialized):
            return replace(event, order=replace(event.order, client_order_id=client_order_id))
        assert isinstance(event, OrderEvent)
        return replace(event, client_order_id=client_order_id)

    return st.builds(rename, of_type(event_type), ORDER_IDS)


ORDER_LIVES = tapes(st.one_of([order_event(event_type) for event_type in ORDER_EVENTS]))
BOOKS = tapes(st.one_of(position_changes(), equity_marks()))


def few(projection: Ledger[Any], max_size: int = 30, **choices: st.SearchStrategy[Any]) -> Tapes:
    """Tapes of all that a projection is folded from, about so few things that rows are met again."""

    def with_choices(event_type: type[Event]) -> st.SearchStrategy[Event]:
        names = {field.name for field in fields(event_type)}
        own = {name: choice for name, choice in choices.items() if name in names}
        return st.builds(
            lambda event, chosen: replace(event, **chosen), of_type(event_type), st.fixed_dictionaries(own)
        )

    return tapes(st.one_of([with_choices(event_type) for event_type in projection.handles]), max_size=max_size)


STRATEGIES = st.sampled_from(["trend", "scalper"])
NOBODY_OR = st.one_of(st.none(), STRATEGIES)
RAILS = st.sampled_from([Rail.DAILY_LOSS, Rail.COOLDOWN])
TRADES = few(StrategyPnl(), strategy=STRATEGIES, closed_at=st.integers(0, 3 * 86_400 * 10**9))
RISKS = few(RiskState(), rail=RAILS, strategy=NOBODY_OR, instrument=st.none(), guard=st.just("depeg"))
MODEL_IDS = st.sampled_from(["0a", "0b", "0c"])
MODELS = few(Models(), max_size=12, model_id=MODEL_IDS, replaces=st.one_of(st.none(), MODEL_IDS))
CHUNKS = tapes(of_type(DataChunk))
LEDGERS = [
    (Orders(), ORDER_LIVES),
    (Positions(), BOOKS),
    (StrategyPnl(), TRADES),
    (RiskState(), RISKS),
    (Models(), MODELS),
    (Watermarks(), CHUNKS),
]


@pytest.mark.parametrize(("ledger", "lives"), LEDGERS)
@given(data=st.data())
def test_folding_in_two_batches_is_folding_in_one(ledger: Ledger[Any], lives: Tapes, data: st.DataObject) -> None:
    tape = data.draw(lives)
    cut = data.draw(st.integers(0, len(tape)))
    assert ledger.fold_all(ledger.fold_all({}, tape[:cut]), tape[cut:]) == ledger.fold_all({}, tape)


@pytest.mark.parametrize(("ledger", "lives"), LEDGERS)
@given(data=st.data())
def test_an_event_changes_only_the_rows_it_names(ledger: Ledger[Any], lives: Tapes, data: st.DataObject) -> None:
    rows: dict[Any, Any] = {}
    for recorded in data.draw(lives):
        after = ledger.fold_all(rows, [recorded])
        assert {key for key, row in after.items() if rows.get(key) != row} <= set(ledger.keys(recorded.event))
        rows = after


@given(tape=ORDER_LIVES)
def test_an_ended_order_can_only_be_filled(tape: list[Recorded]) -> None:
    orders = Orders()
    rows: dict[Key, OrderRow] = {}
    for recorded in tape:
        after = orders.fold_all(rows, [recorded])
        for key, row in rows.items():
            if row.status in CLOSED and after[key].status is not row.status:
                assert isinstance(recorded.event, OrderFilled)
                assert recorded.event.leaves == 0
        rows = after


@given(tape=ORDER_LIVES)
def test_the_status_of_an_order_is_where_its_life_led(tape: list[Recorded]) -> None:
    lives: dict[str, Life] = {}
    for event in (recorded.event for recorded in tape):
        order_id = event.order.client_order_id if isinstance(event, OrderInitialized) else client_order_id_of(event)
        life = lives.setdefault(order_id, Life())
        lives[order_id] = life.after(event) or life
    rows = Orders().fold_all({}, tape)
    assert {row.client_order_id: row.status for row in rows.values()} == {
        order_id: life.status for order_id, life in lives.items()
    }
    for row in rows.values():
        pending = row.status in (OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_UPDATE)
        assert row.otherwise is (lives[row.client_order_id].otherwise if pending else None)


def client_order_id_of(event: Event) -> str:
    assert isinstance(event, OrderEvent)
    return event.client_order_id


@given(tape=ORDER_LIVES)
def test_what_is_filled_of_an_order_is_the_sum_of_its_fills(tape: list[Recorded]) -> None:
    fills = [Fills().row_of(recorded) for recorded in tape if isinstance(recorded.event, OrderFilled)]
    for order in Orders().fold_all({}, tape).values():
        own = [fill for fill in fills if fill.client_order_id == order.client_order_id]
        assert order.filled_quantity == total(own, lambda fill: fill.quantity)
        assert order.filled_value == total(own, lambda fill: fill.price * fill.quantity)
        in_quote = [fill for fill in own if fill.fee_currency == fill.currency]
        assert order.fees == total(in_quote, lambda fill: fill.fee)


@given(tape=BOOKS)
def test_positions_at_their_marks_and_cash_are_the_equity(tape: list[Recorded]) -> None:
    positions = Positions()
    rows: dict[Key, PositionRow] = {}
    for recorded in tape:
        rows = positions.fold_all(rows, [recorded])
        if isinstance(marked := recorded.event, EquityMarked):
            own = [row for row in rows.values() if row.strategy == marked.strategy]
            if {(f"{row.venue}.{row.symbol}", row.position_side) for row in own} == {
                (position.instrument, position.position_side) for position in marked.positions
            }:
                worth = total(own, lambda row: row.quantity * row.mark)
                worth += total(list(marked.balances), lambda balance: balance.value)
                assert worth + marked.cash == marked.equity


@given(tape=TRADES)
def test_the_days_of_a_strategy_are_all_its_trades(tape: list[Recorded]) -> None:
    rows: dict[Key, StrategyPnlRow] = StrategyPnl().fold_all({}, tape)
    for strategy in {row.strategy for row in rows.values()}:
        own = [row for row in rows.values() if row.strategy == strategy]
        closed = [r.event for r in tape if isinstance(r.event, PositionClosed) and r.event.strategy == strategy]
        assert sum(row.trades for row in own) == len(closed)
        assert sum(row.won for row in own) == sum(trade.net_pnl > 0 for trade in closed)
        assert all(row.gains >= 0 and row.losses >= 0 and row.won <= row.trades for row in own)


@given(tape=CHUNKS)
def test_watermarks_are_the_chunks_added_up(tape: list[Recorded]) -> None:
    chunks = [IngestLedger().row_of(recorded) for recorded in tape]
    for row in Watermarks().fold_all({}, tape).values():
        own = [chunk for chunk in chunks if (chunk.venue, chunk.symbol) == (row.venue, row.symbol)]
        own = [chunk for chunk in own if chunk.interval is row.interval]
        assert (row.chunks, row.rows) == (len(own), sum(chunk.rows for chunk in own))
        assert row.first == min(chunk.first for chunk in own)
        assert row.until == max(chunk.last for chunk in own) + row.interval.nanos


@given(tape=MODELS)
def test_who_is_replaced_is_no_champion_and_who_is_promoted_is_one(tape: list[Recorded]) -> None:
    models = Models()
    rows: dict[Any, Any] = {}
    for recorded in tape:
        rows = models.fold_all(rows, [recorded])
        if isinstance(event := recorded.event, ModelPromoted):
            assert rows[(event.model_id,)].status is ModelStatus.CHAMPION
            if event.replaces not in (None, event.model_id):
                assert rows[(event.replaces,)].status is not ModelStatus.CHAMPION


HANDLED = {name: st.one_of(list(map(of_type, made.handles))) for name, made in PROJECTIONS.items()}


@given(data=st.data())
def test_every_projection_takes_every_event_it_handles(data: st.DataObject) -> None:
    for name, projection in PROJECTIONS.items():
        recorded = Recorded(1, None, "m", 0, data.draw(HANDLED[name]))
        if isinstance(projection, Ledger):
            assert set(projection.fold_all({}, [recorded])) == set(projection.keys(recorded.event))
        else:
            assert projection.row_of(recorded).position == 1


def total(rows: list[Any], amount: Callable[[Any], Decimal]) -> Decimal:
    return sum(map(amount, rows), Decimal(0))
