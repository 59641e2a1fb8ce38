"""How far a command has come, on the terminal of whoever waits for it; programs and files see nothing of it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Reached = Callable[[int, int], None]
"""Called with the position that was reached, and the number of events so far."""


@contextmanager
def progress(start: int, stop: int) -> Iterator[Reached]:
    """Show a bar from position `start` to `stop`, and events/s."""
    if not sys.stderr.isatty():
        yield lambda _position, _events: None
        return
    from rich.console import Console  # noqa: PLC0415 # slow to import
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (
        TextColumn("position {task.fields[position]:,}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]:,.0f} events/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=stop - start + 1, position=start, rate=0.0)

        def reached(position: int, events: int) -> None:
            seconds = shown.tasks[task].elapsed or 0.0
            rate = events / seconds if seconds else 0.0
            shown.update(task, completed=position - start + 1, position=position, rate=rate)

        yield reached
