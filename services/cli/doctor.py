"""What this machine lacks to run the system, and how to get it.

At the top only the standard library is imported: it must work before anything is installed (`just doctor`).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "deploy" / "local"
OLDEST_PYTHON = (3, 11)
OLDEST_NATS = (2, 15)
LEAST_DISK_GB = 5
LEAST_CORES = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `remedy` says what to do where it is not ok."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def diagnose() -> list[Finding]:
    findings = [_python(), _tool("uv"), _tool("just"), _environment()]
    if not os.environ.get("HMM_NATS_URL"):
        findings.append(_nats_server())
    if not os.environ.get("HMM_DATABASE_URL"):
        findings.extend(_postgres())
    return [*findings, _disk(), _cores(), *_stack()]


def print_findings(findings: list[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"{'ok     ' if finding.ok else 'PROBLEM'}  {finding.name:<{width}}  {finding.detail}")
        if not finding.ok:
            print(f"{'':<{9 + width}}  -> {finding.remedy}")


def _python() -> Finding:
    detail = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= OLDEST_PYTHON, detail, "install Python 3.11: apt-get install python3")


def _tool(name: str) -> Finding:
    """A tool that pip installs: on PATH, or as a module because pip's script directory is not."""
    version = _output(name, "--version") or _output("python3", "-m", name, "--version")
    return Finding(name, bool(version), version or "not found", "python3 -m pip install rust-just uv")


def _environment() -> Finding:
    if not (ROOT / ".venv").exists():
        return Finding(".venv", ok=False, detail="not made yet", remedy="just setup")
    current = subprocess.run([SCRIPTS / "setup.sh", "--check"], check=False).returncode == 0
    return Finding(".venv", current, f"{'matches' if current else 'differs from'} requirements.lock", "just setup")


def _nats_server() -> Finding:
    version = _output(str(ROOT / ".venv/bin/nats-server"), "--version").rpartition("v")[2]
    recent = bool(version) and tuple(map(int, version.split(".")[:2])) >= OLDEST_NATS
    return Finding("nats-server", recent, version or "not found", "just setup")


def _postgres() -> Iterator[Finding]:
    programs = _output(str(SCRIPTS / "find-postgres.sh"))
    if not programs:
        yield Finding("postgres", ok=False, detail="none with TimescaleDB found", remedy="as root: just setup")
        return
    yield Finding("postgres", ok=True, detail=f"{_output(f'{programs}/postgres', '--version')} in {programs}")
    shared, libraries = (_output(f"{programs}/pg_config", option) for option in ("--sharedir", "--pkglibdir"))
    control = Path(shared, "extension", "timescaledb.control").read_text()
    version = control.partition("default_version = '")[2].partition("'")[0]
    edition = "community" if any(Path(libraries).glob("timescaledb-tsl-*.so")) else "Apache"
    yield Finding("timescaledb", ok=True, detail=f"{version}, {edition} edition")
    if os.geteuid() == 0:
        able = bool(_output("id", "postgres")) and shutil.which("setpriv") is not None
        detail = "user 'postgres' and setpriv, because PostgreSQL refuses root"
        yield Finding("server user", able, detail, "apt-get install util-linux; useradd --system postgres")


def _disk() -> Finding:
    free = shutil.disk_usage(ROOT).free // 2**30
    remedy = "free some space, or set HMM_RUN_DIR to a directory on a larger disk"
    return Finding("disk", free >= LEAST_DISK_GB, f"{free} GB free (the tape keeps up to 20 GB)", remedy)


def _cores() -> Finding:
    count = os.cpu_count() or 1
    return Finding("cores", count >= LEAST_CORES, str(count), f"it runs, but slowly; {LEAST_CORES} are enough")


def _stack() -> Iterator[Finding]:
    """Whether the stack runs or, if not, could: its settings and ports."""
    try:
        from pydantic import ValidationError  # noqa: PLC0415 # these need the packages of .venv

        from services.cli.ports import is_free  # noqa: PLC0415
        from services.cli.settings import StackSettings  # noqa: PLC0415
        from services.supervisor.state import is_locked  # noqa: PLC0415
    except ImportError:
        return  # .venv was found wanting above; what is not installed does not run
    try:
        settings = StackSettings()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        yield Finding("settings", ok=False, detail=wrong, remedy="correct or unset the HMM_ variable of that name")
        return
    if is_locked(settings.run):
        yield Finding("stack", ok=True, detail="running (just status)")
        return
    taken = {name: port for name, port in settings.ports().items() if not is_free(port)}
    detail = ", ".join(f"{port} ({name}) is taken" for name, port in taken.items())
    remedy = "end the program that listens there, or set the variable to another port"
    yield Finding("ports", not taken, detail or ", ".join(map(str, settings.ports().values())) + " are free", remedy)
    yield Finding("stack", ok=True, detail="not running (just up)")


def _output(*command: str) -> str:
    """What a command prints; nothing where it is missing or fails."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


if __name__ == "__main__":
    found = diagnose()
    print_findings(found)
    sys.exit(not all(finding.ok for finding in found))
