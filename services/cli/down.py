"""`hmm down`: stop the stack from any shell."""

import asyncio
import time
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
    try:
        asyncio.run(asyncio.wait_for(control.ask_stop(run), _STOP_SECONDS))
    except control.Forbidden as error:
        fail(f"the stack (pid {identity.pid}) cannot be stopped: {error}", "stop it as that user")
    except (control.NotAnswering, TimeoutError):
        print("the supervisor does not answer; waiting for what is left of it")  # its guard may be cleaning up
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
