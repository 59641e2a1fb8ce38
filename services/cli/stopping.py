"""Ctrl-C while the past is played: the first ends it with what there is, a second one ends the command."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol


class Stoppable(Protocol):
    """Ends at its next chance when `stopping` is set."""

    stopping: bool


@contextmanager
def stopped_by_ctrl_c(played: Stoppable) -> Iterator[None]:
    """Let the first Ctrl-C set `stopping`, and a second one do what it did before."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        played.stopping = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
