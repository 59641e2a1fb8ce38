"""Rows that the event store would have of a run: the same folds over its log, for commands that list things."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import Enum
from typing import Any

from contracts.codec import type_header
from contracts.event import Event
from contracts.recorded import Recorded
from eventstore.projections import PROJECTIONS
from eventstore.projections.orders import BASIS_POINTS, OrderRow
from eventstore.projections.projection import Journal, Key, Ledger
from eventstore.projections.trades_closed import TradeClosedRow
from services.backtest.rundirectory import RunDirectory
from services.cli.runrecord import decoded, lines_of
from services.cli.store import Row

_NEAR = 3


def fold_orders(run: RunDirectory) -> list[Row]:
    """List all orders of a run in the order in which they were first mentioned."""
    rows = _ledgers(run, "orders")["orders"]
    return [order_row(row) for row in sorted(rows.values(), key=lambda row: row.created_position)]


def fold_books(run: RunDirectory) -> tuple[list[Row], list[Row], list[Row]]:
    """List positions, the last equity of each strategy, and the trades of the last day that had any."""
    equity = PROJECTIONS["equity"]
    assert isinstance(equity, Journal)
    last: dict[str, Any] = {}

    def keep(recorded: Recorded) -> None:
        row = equity.row_of(recorded)
        last[row.strategy] = row

    tables = _ledgers(run, "positions", "strategy_pnl", also={equity.handles: keep})
    positions = [_shown(asdict(row), _POSITION) for _, row in sorted(tables["positions"].items())]
    worth = [_shown(row._asdict(), _EQUITY) for _, row in sorted(last.items())]
    days = tables["strategy_pnl"].values()
    latest = max((row.day for row in days), default="")
    trades = [{**_shown(asdict(row), _DAY), "net_pnl": row.gains - row.losses} for row in days if row.day == latest]
    return positions, worth, sorted(trades, key=lambda row: row["strategy"])


_POSITION = (
    *("strategy", "venue", "symbol", "position_side", "quantity", "average_price", "mark", "value", "unrealized_pnl"),
    *("realized_pnl", "fees", "funding"),
)
_EQUITY = (
    *(
        "strategy",
        "currency",
        "cash",
        "balances",
        "equity",
        "realized_pnl",
        "unrealized_pnl",
        "fees",
        "funding",
        "peak",
    ),
    "position",
)
_DAY = ("strategy", "trades", "won", "stopped")


def order_row(order: OrderRow) -> Row:
    """Give a row as the table has it, with the columns that it computes."""
    row = {field.name: _column(getattr(order, field.name)) for field in fields(order)}
    value, quantity = order.filled_value, order.filled_quantity
    row["average_price"] = value / quantity if quantity else None
    row["slippage_bps"] = BASIS_POINTS * order.slippage / value if value else None
    row["created_at"], row["updated_at"] = _moment(order.created_ts), _moment(order.updated_ts)
    return row


def columns_of(row: Any) -> Row:  # noqa: ANN401 # a named tuple of any journal
    """Give the row of a journal as the table has it."""
    shown: Row = {name: _column(value) for name, value in row._asdict().items()}
    return {**shown, "time": _moment(row.ts_init)}


def trade_row(trade: TradeClosedRow) -> Row:
    """Give a trade as the table has it, with what it computes."""
    return {**columns_of(trade), "net_pnl": trade.realized_pnl - trade.fees + trade.funding}


def unknown_order(run: RunDirectory, order_id: str) -> tuple[str, str]:
    """Say that nothing is known of an order, and what may have been meant."""
    names = [row["client_order_id"] for row in fold_orders(run)]
    near = get_close_matches(order_id, names, n=_NEAR, cutoff=0.7)
    remedy = f"near it: {', '.join(near)}" if near else f"see hmm orders --run {run.path}"
    return f"there is no order {order_id} in the run {run.path}", remedy


def _ledgers(
    run: RunDirectory, *names: str, also: Mapping[tuple[type[Event], ...], Any] | None = None
) -> dict[str, dict[Key, Any]]:
    """Fold the log once into several tables; `also` hears the events of some types."""
    tables: dict[str, dict[Key, Any]] = {name: {} for name in names}
    takers: dict[str, list[Any]] = {}
    for types, take in (also or {}).items():
        for event_type in types:
            takers.setdefault(type_header(event_type), []).append(take)
    for name, rows in tables.items():
        ledger = PROJECTIONS[name]
        assert isinstance(ledger, Ledger)
        for event_type in ledger.handles:
            takers.setdefault(type_header(event_type), []).append(_folding(ledger, rows))
    for line in lines_of(run):
        taking = takers.get(line.header)
        if taking is not None:
            recorded = decoded(run, line)
            for take in taking:
                take(recorded)
    return tables


def _folding(ledger: Ledger[Any], rows: dict[Key, Any]) -> Any:  # noqa: ANN401 # a function of a recorded event
    return lambda recorded: ledger.fold(rows, recorded)


def _shown(row: Mapping[str, Any], columns: tuple[str, ...]) -> Row:
    return {name: _column(row[name]) for name in columns}


def _column(value: object) -> object:
    return value.value if isinstance(value, Enum) else value


def _moment(ts: int) -> datetime:
    return datetime.fromtimestamp(ts / 1e9, UTC)
