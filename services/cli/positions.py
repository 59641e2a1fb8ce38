"""`hmm positions`: what each strategy holds and is worth, and all of them together."""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from services.cli.orders import amount
from services.cli.output import plain, table
from services.cli.store import Row, open_store
from services.cli.survey import EQUITY, POSITIONS

_LAST_DAY = """
    SELECT strategy, trades, won, stopped, net_pnl FROM strategy_pnl
    WHERE day = (SELECT max(day) FROM strategy_pnl) ORDER BY strategy
"""


def show_positions(run: Path | None, *, flat_too: bool, as_json: bool) -> None:
    """Print what is held, of a `run` at its end, or of the event store."""
    notes: list[str] = []
    if run is not None:
        from services.cli.runrecord import run_in  # noqa: PLC0415 # slow to import
        from services.cli.runrows import fold_books  # noqa: PLC0415

        positions, equity, last_day = fold_books(run_in(run))
    else:
        with open_store() as store:
            positions, equity, last_day = store.rows(POSITIONS), store.rows(EQUITY), store.rows(_LAST_DAY)
            notes = store.notes("positions", "equity", "strategy_pnl")
    positions = [row for row in positions if row["quantity"] or flat_too]
    if as_json:
        document = {"positions": positions, "equity": equity, "last_day": last_day, "notes": notes}
        print(json.dumps(document, default=plain, indent=2))
        return
    for note in notes:
        print(f"note: {note}")
    _print("positions", positions, text=("strategy", "venue", "symbol", "position_side"))
    if not positions:
        print("nothing is held")
    _print("equity", equity, text=("strategy", "currency"))
    _print("trades of the last day that had any", last_day, text=("strategy",))


def _print(title: str, rows: Sequence[Row], *, text: tuple[str, ...]) -> None:
    if not rows:
        return
    columns = list(rows[0])
    cells = [[_cell(row[name]) for name in columns] for row in rows]
    table(title, columns, cells, right=frozenset(columns) - set(text))


def _cell(value: object) -> str:
    return amount(value) if isinstance(value, Decimal) or value is None else str(value)
