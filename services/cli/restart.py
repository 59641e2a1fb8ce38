"""`hmm restart`: one process of the running stack."""

import asyncio
import time
from pathlib import Path

from services.cli.errors import fail, not_running
from services.cli.settings import current
from services.supervisor import control
from services.supervisor.model import ProcessState
from services.supervisor.state import ProcessReport

_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05


def restart_process(name: str) -> None:
    run = current().run
    try:
        report = asyncio.run(_restart(run, name))
    except control.Forbidden as error:
        fail(f"{name} cannot be restarted: {error}", "restart it as that user")
    except control.NotAnswering:
        not_running()
    if not report.settled:
        fail(f"{name} is {report.state.value}: {report.reason}", f"see why: hmm logs {name}")
    print(f"{name} is {report.state.value}")


async def _restart(run: Path, name: str) -> ProcessReport:
    """What has become of it, when that is clear."""
    outcome = await control.ask_restart(run, name)
    if outcome.error:
        fail(outcome.error, "hmm status lists them")
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        (report,) = (report for report in (await control.ask_report(run)).processes if report.name == name)
        if report.settled or report.state is ProcessState.FAILED or time.monotonic() > deadline:
            return report
        await asyncio.sleep(_POLL_SECONDS)
