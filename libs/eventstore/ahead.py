"""Ways to spend less time on millions of events: to wait while working, and not to look for garbage where none is."""

import gc
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

AHEAD = 4

NEW_OBJECTS = 200_000
"""More than a batch of events is made of: they hold no cycles, and looking for some costs as much as decoding them."""


@contextmanager
def read_ahead(items: Generator[T, None, None]) -> Iterator[Iterator[T]]:
    """Make the next items in another thread while one is worked on; ends the generator in the end."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
    try:
        yield _ahead(items, thread)
    finally:
        thread.shutdown(cancel_futures=True)
        items.close()


def _ahead(items: Iterator[T], thread: ThreadPoolExecutor) -> Iterator[T]:
    coming = deque(thread.submit(next, items, None) for _ in range(AHEAD))
    while (item := coming.popleft().result()) is not None:
        coming.append(thread.submit(next, items, None))
        yield item


@contextmanager
def garbage_looked_for_rarely() -> Iterator[None]:
    """Let the collector start only when far more is new than a batch can be; all else frees itself."""
    usual = gc.get_threshold()
    gc.set_threshold(NEW_OBJECTS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
