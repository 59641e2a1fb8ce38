"""How a command ends badly: one line that says what is wrong and what to do, and an exit code."""

import sys
from enum import IntEnum
from typing import NoReturn

import typer


class ExitCode(IntEnum):
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    INTERRUPTED = 130
    """What a shell expects of a command that was stopped by Ctrl-C."""


def fail(message: str, remedy: str = "", code: ExitCode = ExitCode.FAILED) -> NoReturn:
    """End the command with `hmm: message; remedy` and no traceback."""
    said = " ".join(message.split())
    print(f"hmm: {said}{f'; {remedy}' if remedy else ''}", file=sys.stderr)
    raise typer.Exit(code)


def misused(message: str, remedy: str = "") -> NoReturn:
    """The arguments or settings cannot be meant."""
    fail(message, remedy, ExitCode.USAGE)


def not_running(message: str = "nothing is running", remedy: str = "start it: hmm up") -> NoReturn:
    fail(message, remedy, ExitCode.NOT_RUNNING)
