"""The guard: the supervisor's parent, which outlives a killed supervisor just long enough to end what it left behind.

`PR_SET_PDEATHSIG` alone does not do it: it reaches only direct children, and only asks them. The guard is a child
subreaper, so that every orphan below the supervisor, whatever its session or user, becomes the guard's own child.
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from services.supervisor.child import die_with_parent

_PR_SET_CHILD_SUBREAPER = 36
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.05


def divide() -> None:
    """Fork; returns only in the child, which is to become the supervisor. The parent guards it and exits like it."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    guard = os.getpid()
    supervisor = os.fork()
    if supervisor == 0:
        os.setsid()
        die_with_parent(guard, signal.SIGTERM)()
        return
    for number in _PASSED_ON:
        signal.signal(number, lambda received, _: os.kill(supervisor, received))
    status = _await(supervisor)
    for number in _PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    _end_orphans()
    sys.exit(os.waitstatus_to_exitcode(status) % 256)


def _await(supervisor: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == supervisor:
            return status


def _end_orphans() -> None:
    """Ask, then kill, until no child is left; children of the killed become ours and have their turn."""
    deadline = time.monotonic() + _GRACE_SECONDS
    asked: set[int] = set()
    while orphans := _children():
        for pid in orphans:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            elif pid not in asked:
                os.kill(pid, signal.SIGTERM)
        asked |= orphans
        time.sleep(_POLL_SECONDS)
        _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _children() -> set[int]:
    """Our unreaped children: their pids are therefore still theirs."""
    return {
        int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit() and _parent(entry.name) == os.getpid()
    }


def _parent(pid: str) -> int:
    try:
        stat = Path("/proc", pid, "stat").read_text()
    except OSError:
        return 0
    return int(stat[stat.rindex(")") + 2 :].split()[1])
