"""`hmm restart`: one process of the running stack."""

import asyncio
import time
from pathlib import Path

from services.cli.errors import fail, not_running
from services.cli.settings import current
from services.supervisor import control
from services.supervisor.model import ProcessState
from services.supervisor.rules import SETTLED
from services.supervisor.state import Outcome

_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05


def restart_process(name: str) -> None:
    run = current().run
    try:
        outcome, reached = asyncio.run(_restart(run, name))
    except control.NotAnswering:
        not_running()
    if outcome.error:
        fail(outcome.error, "hmm status lists them")
    if reached is None or reached not in SETTLED:
        fail(f"{name} is {reached.value if reached else 'gone'}", f"see why: hmm logs {name}")
    print(f"{name} is {reached.value}")


async def _restart(run: Path, name: str) -> tuple[Outcome, ProcessState | None]:
    outcome = await control.ask_restart(run, name)
    if outcome.error:
        return outcome, None
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        states = {report.name: report.state for report in (await control.ask_report(run)).processes}
        if states[name] in SETTLED | {ProcessState.FAILED} or time.monotonic() > deadline:
            return outcome, states[name]
        await asyncio.sleep(_POLL_SECONDS)
