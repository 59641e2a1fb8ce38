"""`hmm down`: stop the stack from any shell."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

from services.cli.errors import fail
from services.cli.settings import current
from services.supervisor import control, state

_STOP_SECONDS = 90.0
_POLL_SECONDS = 0.05


def stop_stack() -> None:
    """Stop everything, dependents first."""
    run = current().run
    identity = state.running(run)
    if identity is None:
        print("nothing is running")
        return
    began = time.monotonic()
    with suppress(control.NotAnswering, TimeoutError):  # it may be ending, or its guard cleans up: the lock tells
        asyncio.run(asyncio.wait_for(control.ask_stop(run), _STOP_SECONDS))
    if not asyncio.run(_unlocked(run)):
        fail(f"the supervisor (pid {identity.pid}) does not stop", f"kill -9 {identity.pid}: its guard ends the rest")
    print(f"stopped after {time.monotonic() - began:.1f} s")


async def _unlocked(run: Path) -> bool:
    deadline = time.monotonic() + 15
    while state.is_locked(run):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True
