"""How commands print: log lines with a coloured prefix, tables, numbers and times for people."""

import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import date, datetime
from datetime import time as clock_time
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import BinaryIO

_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_BLOCK = 64 * 1024


def coloured() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


class PrefixedLog:
    """The merged log: each line behind the name of its process, each process in its colour."""

    def __init__(self, names: Sequence[str]) -> None:
        self._width = max(map(len, names), default=0)
        self._colours = {name: _COLOURS[number % len(_COLOURS)] for number, name in zip(count(), names, strict=False)}
        self._coloured = coloured()

    def print(self, process: str, text: str) -> None:
        prefix = f"{process:<{self._width}} |"
        if self._coloured:
            prefix = f"\033[{self._colours.get(process, 37)}m{prefix}\033[0m"
        print(prefix, text, flush=True)


def last_lines(path: Path, count: int) -> list[str]:
    """The end of a log; nothing if there is none."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        return tail(file, count)


def tail(file: BinaryIO, count: int) -> list[str]:
    """The last lines, read from the end, as a log may be large; leaves the file where the last one ends."""
    end = position = file.seek(0, os.SEEK_END)
    data = b""
    while position > 0 and data.count(b"\n") <= count:
        step = min(_BLOCK, position)
        position = file.seek(position - step)
        data = file.read(step) + data
    file.seek(end)
    return data.decode(errors="replace").splitlines()[-count:] if count else []


def number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def size(octets: int) -> str:
    amount = float(octets)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def plain(value: object) -> str:
    """A value for JSON, exact and sortable: decimals in full, times in ISO 8601."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, datetime | date | clock_time) else str(value)


def cell(value: object) -> str:
    if value is None:
        return "-"
    return json.dumps(value, default=plain) if isinstance(value, dict | list) else plain(value)


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[str] = frozenset()
) -> None:
    """Print a table; without a terminal nothing is cut off."""
    from rich import box  # noqa: PLC0415 # slow to import
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(width=None if sys.stdout.isatty() else 10_000, highlight=False)
    grid = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for column in columns:
        grid.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    console.print(grid)
