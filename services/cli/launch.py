"""Starting the supervisor daemon, after everything that can be wrong before it has been looked at."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from services.cli.errors import fail, misused
from services.cli.feed import Feed
from services.cli.ports import NeededPort, require_free
from services.cli.settings import ROOT, SERVICES, StackSettings
from services.supervisor import state
from services.supervisor.child import die_with_parent
from services.supervisor.model import ConfigError, Stack, load_stack

_SCRIPTS = ROOT / "deploy" / "local"


def require_not_running(settings: StackSettings) -> None:
    if identity := state.running(settings.run):
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(identity.since))
        fail(f"it is running since {since} (pid {identity.pid})", "see hmm status, or stop it: hmm down")


def require_ours(settings: StackSettings) -> None:
    """`--fresh` is for servers that this stack runs itself."""
    urls = {"HMM_NATS_URL": settings.external_nats_url, "HMM_DATABASE_URL": settings.external_database_url}
    if foreign := [name for name, url in urls.items() if url]:
        misused(f"--fresh does not empty servers that are not ours ({', '.join(foreign)})", "empty them yourself")


def read_stack(settings: StackSettings, environment: dict[str, str]) -> Stack:
    try:
        return load_stack(settings.process_file, environment).without(settings.left_out)
    except ConfigError as error:
        fail(str(error))


def require_tools(stack: Stack) -> None:
    if {"nats", "ledger"} & set(stack.processes) and not (ROOT / ".venv" / "bin" / "nats-server").exists():
        fail("nats-server is not installed", "install it: just setup")
    if "postgres" in stack.processes and not _has_postgres():
        fail("there is no PostgreSQL with TimescaleDB on this machine", "install it, as root: just setup")


def _has_postgres() -> bool:
    return subprocess.run([_SCRIPTS / "find-postgres.sh"], capture_output=True, check=False).returncode == 0


def require_ports(settings: StackSettings, stack: Stack) -> None:
    needed = []
    if "nats" in stack.processes:
        needed += [NeededPort(settings.nats_port, "nats", "HMM_NATS_PORT")]
        needed += [NeededPort(settings.nats_monitor_port, "nats", "HMM_NATS_MONITOR_PORT")]
        needed += [NeededPort(settings.nats_leaf_port, "nats", "HMM_NATS_LEAF_PORT")]
    if "ledger" in stack.processes:
        needed += [NeededPort(settings.ledger_monitor_port, "ledger", "HMM_LEDGER_MONITOR_PORT")]
    if "postgres" in stack.processes:
        needed += [NeededPort(settings.postgres_port, "postgres", "HMM_POSTGRES_PORT")]
    known = {item.port for item in needed}
    for name, spec in stack.processes.items():
        if spec.health and spec.health.port not in known:
            variable = "HMM_HEALTH_PORT_BASE" if name in SERVICES else ""
            needed.append(NeededPort(spec.health.port, name, variable))
    require_free(needed)


def forget(settings: StackSettings) -> list[Path]:
    """Delete the tape and the store of this run directory; tells what was deleted."""
    run = settings.run
    stores = (run / "nats", run / "ledger", run / "postgres", run / "postgres.new")
    present = [path for path in stores if path.exists()]
    if not present:
        return []
    if not (run / "supervisor.lock").exists():  # whatever HMM_RUN_DIR names, only a directory of ours is emptied
        fail(f"{run} was never used by hmm up, so --fresh deletes nothing there", "set HMM_RUN_DIR to another")
    lock = state.try_lock(run)
    if lock is None:
        require_not_running(settings)
        fail(f"{run} is in use", "try again in a moment")
    try:
        for path in present:
            shutil.rmtree(path)
    except OSError as error:
        fail(f"cannot delete {error.filename}: {error.strerror}", f"delete it yourself: rm -r {error.filename}")
    finally:
        state.unlock(lock)
    return present


def start_supervisor(
    settings: StackSettings,
    environment: dict[str, str],
    left_out: frozenset[str] = frozenset(),
    *,
    ends_with_us: bool = False,
) -> subprocess.Popen[bytes]:
    """Start the daemon, detached from this terminal; its own words go to the supervisor's log.

    Without the processes of `left_out`, too. If it `ends_with_us`, it stops the stack also when we are killed.
    """
    try:
        settings.logs.mkdir(parents=True, exist_ok=True)
        settings.record()
    except OSError as error:
        fail(f"cannot write {error.filename}: {error.strerror}", "set HMM_RUN_DIR to a directory you may write")
    command = [sys.executable, "-m", "services.supervisor.app"]
    command += ["--file", str(settings.process_file), "--run", str(settings.run)]
    command += ["--without", ",".join(sorted(settings.left_out | left_out))]
    with (settings.logs / "supervisor.log").open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with_parent(os.getpid(), signal.SIGTERM) if ends_with_us else None,  # noqa: PLW1509 # no threads
        )


def full_environment(settings: StackSettings, feed: Feed) -> dict[str, str]:
    return settings.environment() | feed.environment()
