"""Servers for the length of one command: started where nothing runs, taken as they are where something does."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from services.cli.temporary import SERVERS
from services.supervisor import state
from tests.puppets import Spec, port_of, puppet
from tests.servers import ROOT, free_port

pytestmark = pytest.mark.integration

PATIENCE_S = 60.0
HMM = Path(sys.executable).with_name("hmm")
COMMAND = """
import sys
from services.cli.settings import current
from services.cli.temporary import running_servers
with running_servers(current(), needs=sys.argv[2:]):
    print("at work", flush=True)
    if sys.argv[1] == "raise":
        raise ValueError("the command is no good")
    if sys.argv[1] == "wait":
        sys.stdin.read()
"""

Result = subprocess.CompletedProcess[str]


class Shell:
    """A stack of puppets, of which nothing runs, and a command that needs some of them."""

    def __init__(self, directory: Path) -> None:
        self.run = directory / "run"
        self.file = directory / "stack.yaml"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HMM_")}
        self.environment = inherited | {
            "HMM_RUN_DIR": str(self.run),
            "HMM_PROCESS_FILE": str(self.file),
            "HMM_START_TIMEOUT": "15",
            **{f"HMM_{name}_PORT": str(free_port()) for name in ("NATS", "NATS_LEAF", "NATS_MONITOR", "POSTGRES")},
            "HMM_LEDGER_MONITOR_PORT": str(free_port()),
        }
        self.stack()

    def stack(self, **changed: Spec) -> None:
        processes = {name: puppet() for name in SERVERS} | {"trainer": puppet(needs=("nats",)), "feed": puppet()}
        self.file.write_text(yaml.safe_dump({"processes": processes | changed}, sort_keys=False))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str) -> Result:
        process = self.start(*arguments)
        said, complained = process.communicate(timeout=PATIENCE_S)
        return Result(arguments, process.returncode, said, complained)

    def hmm(self, *arguments: str) -> Result:
        return subprocess.run(
            [HMM, *arguments], env=self.environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )

    @property
    def is_running(self) -> bool:
        return self.run.exists() and state.is_locked(self.run)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    try:
        yield made
    finally:
        made.hmm("down")


def at_work(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "at work\n", process.stderr.read()
    return process


def test_what_a_command_needs_is_started_and_stopped_and_nothing_else(shell: Shell) -> None:
    done = shell("work", "trainer")
    assert (done.returncode, done.stdout) == (0, "at work\n")
    first, *_, last = done.stderr.splitlines()
    assert first == f"nothing is running: {', '.join(SERVERS)}, trainer are started for this command"
    assert last == f"they are stopped; their data stay in {shell.run}"
    assert not shell.is_running
    log = (shell.run / "logs" / "supervisor.log").read_text()
    assert "trainer stopped" in log
    assert "feed" not in log


def test_a_command_that_fails_leaves_nothing_behind(shell: Shell) -> None:
    done = shell("raise")
    assert done.returncode == 1
    assert "ValueError: the command is no good" in done.stderr
    assert not shell.is_running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_servers_of_a_command_end_with_it_however_it_ends(shell: Shell, number: signal.Signals) -> None:
    process = at_work(shell.start("wait"))
    assert shell.is_running
    process.send_signal(number)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode != 0
    deadline = time.monotonic() + PATIENCE_S
    while shell.is_running:
        assert time.monotonic() < deadline, "what the command started is still there"
        time.sleep(0.05)


def test_a_stack_that_runs_is_used_and_stays(shell: Shell) -> None:
    assert shell.hmm("up", "--detach").returncode == 0
    done = shell("work", "trainer")
    assert (done.returncode, done.stdout, done.stderr) == (0, "at work\n", "")
    assert shell.is_running


def test_a_stack_that_is_still_starting_is_waited_for(shell: Shell) -> None:
    shell.stack(trainer=puppet("--ready-after", "3"))
    up = subprocess.Popen([HMM, "up", "--detach"], env=shell.environment, stdout=subprocess.DEVNULL)
    while not shell.is_running:
        time.sleep(0.05)
    assert shell("work", "trainer").returncode == 0
    assert up.wait(PATIENCE_S) == 0


def test_servers_of_another_command_that_lack_what_is_needed_are_named(shell: Shell) -> None:
    other = at_work(shell.start("wait"))
    assert shell("work").returncode == 0
    lacking = shell("work", "trainer")
    assert lacking.returncode == 1
    assert "what runs has no trainer: maybe another command runs servers for itself; try again" in lacking.stderr
    other.communicate(timeout=PATIENCE_S)


def test_a_server_that_does_not_come_up_is_named_with_its_log(shell: Shell) -> None:
    shell.stack(archive=puppet("--exit-after", "0"))
    done = shell("work")
    assert done.returncode == 1
    assert "hmm: archive is failed: " in done.stderr
    assert f"its log: {shell.run / 'logs' / 'archive.log'}" in done.stderr
    assert not shell.is_running


def test_a_port_that_is_taken_is_said_before_anything_is_started(shell: Shell) -> None:
    spec = puppet()
    shell.stack(nats=spec)
    with socket.create_server(("127.0.0.1", port_of(spec))):
        done = shell("work")
    assert done.returncode == 1
    assert "which nats needs, is taken by" in done.stderr
    assert not (shell.run / "logs" / "supervisor.log").exists()
