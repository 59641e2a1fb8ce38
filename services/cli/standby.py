"""`hmm standby`: a second instance of a component, which follows the first and takes over when that one ends."""

import asyncio
import os
import sys
from pathlib import Path

from services.catalog import BLUEPRINTS
from services.cli.errors import fail, misused, not_running
from services.cli.settings import ROOT, current
from services.supervisor import control


def stand_by(name: str) -> None:
    """Be that instance, with the settings of the stack that runs; its log is this terminal."""
    if name not in BLUEPRINTS:
        misused(f"{name} is no component", f"there are {', '.join(BLUEPRINTS)}")
    settings = current()
    try:
        supervisor = asyncio.run(control.ask_report(settings.run)).identity.pid
        told = Path(f"/proc/{supervisor}/environ").read_bytes().decode().split("\0")
    except control.NotAnswering:
        not_running()
    except OSError as error:
        fail(f"the settings of the running stack cannot be read: {error.strerror}", "run it as the same user")
    environment = dict(line.split("=", 1) for line in told if "=" in line)
    key = environment.get(f"HMM_NKEY_FILE_{name.upper()}")
    own = {"HMM_HEALTH_PORT": "0", **({"HMM_NKEY_FILE": key} if key else {})}
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, "-m", f"services.{name}.app"], environment | own)  # noqa: S606
