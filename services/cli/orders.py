"""`hmm orders`: what was ordered, and what has become of it."""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from services.cli.errors import fail
from services.cli.output import plain, table
from services.cli.store import Row, Store, open_store

SHOWN = 50
CLOSED = ("denied", "rejected", "filled", "canceled", "expired")

_COLUMNS = """
    client_order_id, strategy, venue, symbol, side, order_type, quantity, limit_price, trigger_price, trigger_by,
    trail_offset, trail_kind, time_in_force, expires_at, reduce_only, post_only, display_quantity, list_id, parent_id,
    contingency, status, otherwise, venue_order_id, filled_quantity, average_price, fees, slippage, slippage_bps,
    reason, created_position, created_at, updated_position, updated_at
"""


def show_orders(
    order_id: str | None, strategy: str | None, limit: int, run: Path | None, *, only_open: bool, as_json: bool
) -> None:
    """Print the last orders, those that are open, or all that is known of one; of a `run`, or of the event store."""
    notes: list[str] = []
    if run is not None:
        rows = _rows_of_run(run, order_id, strategy, limit, only_open=only_open)
    else:
        with open_store() as store:
            rows = _rows(store, order_id, strategy, limit, only_open=only_open)
            if order_id is not None and not rows:
                fail(*store.unknown_order(order_id))
            notes = store.notes("orders")
    if as_json:
        print(json.dumps({"orders": rows, "notes": notes}, default=plain, indent=2))
        return
    for note in notes:
        print(f"note: {note}")
    if order_id is not None:
        _print_one(rows[0])
        return
    _print(rows)
    more = f"; the last {limit:,} are shown, more with --limit" if len(rows) == limit else ""
    print(f"{len(rows):,} {'order' if len(rows) == 1 else 'orders'}{more}")


def find_order(store: Store, order_id: str) -> Row:
    """Give the row of an order, or leave with what may have been meant."""
    found = _rows(store, order_id, None, 1, only_open=False)
    return found[0] if found else fail(*store.unknown_order(order_id))


def _rows(store: Store, order_id: str | None, strategy: str | None, limit: int, *, only_open: bool) -> list[Row]:
    wanted = {
        "client_order_id = %s": order_id,
        "strategy = %s": strategy,
        "status <> ALL (%s)": list(CLOSED) if only_open else None,
    }
    conditions = [condition for condition, value in wanted.items() if value is not None]
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    query = f"SELECT {_COLUMNS} FROM orders {where} ORDER BY created_position DESC LIMIT %s"
    values: list[object] = [value for value in wanted.values() if value is not None]
    return store.rows(query, [*values, limit])[::-1]


def _rows_of_run(
    directory: Path, order_id: str | None, strategy: str | None, limit: int, *, only_open: bool
) -> list[Row]:
    from services.cli.runrecord import run_in  # noqa: PLC0415 # slow to import
    from services.cli.runrows import fold_orders, unknown_order  # noqa: PLC0415

    run = run_in(directory)
    found = [
        row
        for row in fold_orders(run)
        if order_id in (None, row["client_order_id"])
        and strategy in (None, row["strategy"])
        and not (only_open and row["status"] in CLOSED)
    ]
    if order_id is not None and not found:
        fail(*unknown_order(run, order_id))
    shown = [name.strip() for name in _COLUMNS.split(",")]
    return [{name: row[name] for name in shown} for row in found[-limit:]]


def _print(rows: Sequence[Row]) -> None:
    columns = ("order", "instrument", "side", "quantity", "terms", "filled", "at", "status", "why", "since")
    if rows:
        table("", columns, [_line(row) for row in rows], right=frozenset({"quantity", "filled", "at"}))


def _line(row: Row) -> tuple[str, ...]:
    return (
        row["client_order_id"],
        f"{row['venue']}.{row['symbol']}",
        row["side"] or "-",
        amount(row["quantity"]),
        terms(row),
        amount(row["filled_quantity"]) if row["filled_quantity"] else "-",
        amount(row["average_price"]),
        row["status"],
        row["reason"] or "-",
        f"{row['created_at']:%m-%d %H:%M:%S}",
    )


def _print_one(row: Row) -> None:
    for name, value in row.items():
        if value is not None:
            shown = amount(value) if isinstance(value, Decimal) else plain(value)
            print(f"{name:<18} {shown}")


def terms(row: Row) -> str:
    """Say how an order trades, in few words."""
    if row["order_type"] is None:
        return "-"
    words = [row["order_type"].replace("_", " ")]
    if row["limit_price"] is not None:
        words.append(amount(row["limit_price"]))
    if row["trigger_price"] is not None:
        words.append(f"when {row['trigger_by']} is {amount(row['trigger_price'])}")
    if row["trail_offset"] is not None:
        words.append(f"trailing by {amount(row['trail_offset'])}{' %' if row['trail_kind'] == 'percent' else ''}")
    words.append(row["time_in_force"])
    words += [name.replace("_", " ") for name in ("reduce_only", "post_only") if row[name]]
    if row["display_quantity"] is not None:
        words.append(f"showing {amount(row['display_quantity'])}")
    if row["parent_id"] is not None:
        words.append(f"after {row['parent_id']}")
    return " ".join(words)


def amount(value: Decimal | None) -> str:
    """Write an amount without zeros that say nothing, and not longer than a person reads."""
    if value is None:
        return "-"
    exponent = value.as_tuple().exponent
    fine = isinstance(exponent, int) and exponent < -8
    shown = f"{value.quantize(Decimal('1e-8')) if fine else value:f}"
    return (shown.rstrip("0").rstrip(".") or "0") if "." in shown else shown
