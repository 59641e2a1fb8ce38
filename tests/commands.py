"""The `hmm` command as a person calls it, on servers of a test's own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.servers import free_port

HMM = Path(sys.executable).with_name("hmm")

Result = subprocess.CompletedProcess[str]
Hmm = Callable[..., Result]


def command_on(database_url: str, directory: Path) -> Hmm:
    """The command on this store, and on no tape unless a call names one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HMM_")} | {
        "HMM_RUN_DIR": str(directory / "run"),
        "HMM_DATABASE_URL": database_url,
        "HMM_NATS_URL": f"nats://127.0.0.1:{free_port()}",
    }

    def run(*arguments: str, **variables: str) -> Result:
        return subprocess.run(
            [HMM, *arguments], env=environment | variables, capture_output=True, text=True, timeout=60, check=False
        )

    return run
