"""Servers for the length of one command, where no stack runs: the command works from empty, and what it did stays."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from services.cli import launch
from services.cli.errors import fail
from services.cli.keys import make_keys
from services.cli.output import last_lines
from services.cli.settings import StackSettings
from services.supervisor import control
from services.supervisor.model import ProcessState
from services.supervisor.state import ProcessReport, is_locked
from services.supervisor.supervise import OWN_LOG

SERVERS = ("nats", "ledger", "postgres", "provision", "archive")
"""What every command that says something needs; the archive, so that it is in the event store, too."""

_POLL_SECONDS = 0.1
_LOG_TAIL = 15
_STOP_SECONDS = 90.0
_ENDED = {ProcessState.FAILED, ProcessState.STOPPING, ProcessState.STOPPED}


@contextmanager
def running_servers(settings: StackSettings, needs: Collection[str] = ()) -> Iterator[StackSettings]:
    """Give the settings of a stack that runs, its servers and the processes `needs` among it: up and healthy.

    A stack that is there is used and stays; servers that are somebody else's (HMM_NATS_URL) are taken as they are.
    Else they are started for as long as the block lasts, and end with it, whatever ends it. Their data stay in the run
    directory: the next command, and `hmm up`, go on with them. Not to be entered from a running event loop.
    """
    wanted = (*SERVERS, *needs)
    if settings.external_nats_url is not None:
        yield settings
    elif is_locked(settings.run):
        _await_ready(settings, wanted, None)
        yield settings
    else:
        with _started(settings, wanted) as started:
            yield started


@contextmanager
def _started(settings: StackSettings, wanted: Collection[str]) -> Iterator[StackSettings]:
    make_keys(settings.keys)
    environment = settings.environment()
    everything = launch.read_stack(settings, environment)
    if unknown := [name for name in wanted if name not in everything.processes and name not in settings.left_out]:
        fail(f"{settings.process_file} has no process {', '.join(unknown)}", "unset HMM_PROCESS_FILE")
    left_out = frozenset(everything.processes) - frozenset(wanted)
    stack = everything.without(left_out)
    launch.require_tools(stack)
    launch.require_ports(settings, stack)
    _tell(f"nothing is running: {', '.join(stack.processes)} are started for this command")
    began = time.monotonic()
    with _ending_on_request():
        daemon = launch.start_supervisor(settings, environment, left_out, ends_with_us=True)
        try:
            _await_ready(settings, tuple(stack.processes), daemon)
            _tell(f"they are up after {time.monotonic() - began:.1f} s")
            yield settings
        finally:
            _stop(daemon)
    _tell(f"they are stopped; their data stay in {settings.run}")


def _await_ready(settings: StackSettings, wanted: Collection[str], daemon: subprocess.Popen[bytes] | None) -> None:
    """Wait until the processes we need are settled; leave with a line that says why they never will be."""
    needed = frozenset(wanted) - settings.left_out
    deadline = time.monotonic() + settings.start_timeout
    while True:
        reports = _reports(settings, daemon)
        states = {report.name: report.state for report in reports}
        if reports and (missing := needed - set(states)):
            _lacking(missing)
        for report in reports:
            if report.name in needed and report.state in _ENDED:
                _give_up(f"{report.name} is {report.state.value}: {report.reason or 'asked to'}", Path(report.log))
        late = [report.name for report in reports if report.name in needed and not report.settled]
        if reports and not late:
            return
        if time.monotonic() > deadline:
            waited = f"after {settings.start_timeout:g} s (HMM_START_TIMEOUT)"
            _give_up(f"{late[0] if late else 'the supervisor'} is not ready {waited}", settings.logs / f"{OWN_LOG}.log")
        time.sleep(_POLL_SECONDS)


def _reports(settings: StackSettings, daemon: subprocess.Popen[bytes] | None) -> tuple[ProcessReport, ...]:
    """Ask the supervisor; nothing as long as it does not answer yet."""
    try:
        return asyncio.run(control.ask_report(settings.run)).processes
    except control.Forbidden as error:
        fail(f"the stack of {settings.run} does not answer us: {error}", "ask as that user")
    except control.NotAnswering:
        if (daemon.poll() is not None) if daemon else not is_locked(settings.run):
            _give_up("the supervisor has ended", settings.logs / f"{OWN_LOG}.log")
        return ()


def _lacking(missing: Collection[str]) -> NoReturn:
    fail(
        f"what runs has no {', '.join(sorted(missing))}: maybe another command runs servers for itself",
        "try again when it is done, or stop it: hmm down",
    )


def _give_up(message: str, log: Path) -> NoReturn:
    for line in last_lines(log, _LOG_TAIL):
        _tell(f"  {line}")
    fail(message, f"its log: {log}")


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    """Stop what we started, dependents first; asked once more, as by our own end, the supervisor kills."""
    if daemon.poll() is None:
        daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        fail(f"the supervisor (pid {daemon.pid}) does not stop", f"kill -9 {daemon.pid}: its guard ends the rest")


@contextmanager
def _ending_on_request() -> Iterator[None]:
    """Leave as on Ctrl-C when somebody asks us to end: what we started is then stopped in order."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(text: str) -> None:
    """Say it aside: what a command prints is its result."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
