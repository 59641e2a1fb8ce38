"""End tasks for sure."""

import asyncio
from collections.abc import Iterable

ASK_AGAIN_AFTER_S = 0.1


async def end(tasks: Iterable["asyncio.Task[None] | None"]) -> list[BaseException]:
    """Cancel tasks and wait until they have ended; gives what they failed with.

    The NATS client swallows a cancellation that reaches it while it flushes, so each is asked until it has ended.
    """
    asked = [task for task in tasks if task is not None]
    running = set(asked)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=ASK_AGAIN_AFTER_S)
    ended = [None if task.cancelled() else task.exception() for task in asked]
    return [error for error in ended if error is not None]
