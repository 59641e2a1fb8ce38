"""What the supervisor leaves in the run directory for others: its lock, its identity, and the words of its protocol."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from services.supervisor.model import HttpGet, ProcessState

_LOCK = "supervisor.lock"
_IDENTITY = "supervisor.json"
_SOCKET = "supervisor.sock"
_LOCK_POLL_SECONDS = 0.05


class Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Identity(Wire):
    """Who supervises this run directory; believed only while the lock is held."""

    pid: int
    since: float


class Command(StrEnum):
    STATUS = "status"
    STOP = "stop"
    RESTART = "restart"
    FOLLOW = "follow"


class Request(Wire):
    command: Command
    process: str = ""


class ProcessReport(Wire):
    name: str
    pid: int | None
    state: ProcessState
    settled: bool  # it has reached what it was started for
    reason: str
    restarts: int
    since: float
    health: HttpGet | None
    log: str


class StackReport(Wire):
    identity: Identity
    processes: tuple[ProcessReport, ...]


class Line(Wire):
    """One line of the merged log."""

    process: str
    text: str


class Outcome(Wire):
    """The answer to a command that does something; `error` is empty when it was done."""

    error: str = ""


# The kernel ends the lock with the process, however that ends: a lock file that merely exists means nothing.


def try_lock(run: Path, patience: float = 1.0) -> int | None:
    """Become the only supervisor of `run`: the descriptor that holds the lock, or None when there is another."""
    descriptor = os.open(run / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + patience  # somebody who merely looks (`is_locked`) is gone in a moment
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(_LOCK_POLL_SECONDS)


def unlock(descriptor: int) -> None:
    os.close(descriptor)


def is_locked(run: Path) -> bool:
    """Whether a supervisor (or what still cleans up after a killed one) owns `run`."""
    try:
        descriptor = os.open(run / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def write_identity(run: Path, identity: Identity) -> None:
    new = run / f"{_IDENTITY}.new"
    new.write_text(identity.model_dump_json())
    new.replace(run / _IDENTITY)


def running(run: Path) -> Identity | None:
    """The supervisor of `run`, if one is running."""
    if not is_locked(run):
        return None
    try:
        return Identity.model_validate_json((run / _IDENTITY).read_text())
    except (OSError, ValidationError):  # it has the lock and has not introduced itself yet
        return Identity(pid=0, since=time.time())


@contextmanager
def socket_address(run: Path) -> Iterator[str]:
    """A short name for the control socket while it is bound or connected.

    The address of a unix socket has room for 107 bytes and the project may lie deeper, so the directory is named by
    descriptor. Unlike an abstract address or a port, the socket stays a file that only its owner may open.
    """
    directory = os.open(run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{_SOCKET}"
    finally:
        os.close(directory)
