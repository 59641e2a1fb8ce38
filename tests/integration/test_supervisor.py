"""The supervisor with real processes: order, restarts, and that nothing is ever left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import yaml

from services.supervisor import control, state
from services.supervisor.model import ProcessState
from services.supervisor.state import ProcessReport
from tests.puppets import Spec, alive, puppet
from tests.servers import ROOT

PATIENCE = 20.0


class Daemon:
    """A supervisor daemon in a directory of its own, asked over its socket like `hmm` does."""

    def __init__(self, run: Path, process: subprocess.Popen[bytes]) -> None:
        self.run = run
        self.process = process

    async def reports(self) -> dict[str, ProcessReport]:
        return {report.name: report for report in (await control.ask_report(self.run)).processes}

    async def when(self, condition: Callable[[dict[str, ProcessReport]], bool]) -> dict[str, ProcessReport]:
        """The reports as soon as `condition` holds."""
        deadline = time.monotonic() + PATIENCE
        reports: dict[str, ProcessReport] = {}
        while time.monotonic() < deadline:
            try:
                reports = await self.reports()
            except control.NotAnswering:
                assert self.process.poll() is None, self.log()
            if reports and condition(reports):
                return reports
            await asyncio.sleep(0.03)
        pytest.fail(f"it never happened: {reports}\n{self.log()}")

    async def all_in(self, wanted: ProcessState) -> dict[str, ProcessReport]:
        return await self.when(lambda reports: {report.state for report in reports.values()} == {wanted})

    def log(self, name: str = "supervisor") -> str:
        return (self.run / "logs" / f"{name}.log").read_text()

    async def ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, PATIENCE)


def spawn(run: Path, **processes: Spec) -> subprocess.Popen[bytes]:
    run.mkdir(parents=True, exist_ok=True)
    file = run / "stack.yaml"
    file.write_text(yaml.safe_dump({"processes": processes}))
    return subprocess.Popen(
        [sys.executable, "-m", "services.supervisor.app", "--file", file, "--run", run],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stderr=subprocess.PIPE,
    )


@contextmanager
def closed(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(PATIENCE)
        assert process.stderr is not None
        process.stderr.close()


@asynccontextmanager
async def daemon(run: Path, **processes: Spec) -> AsyncIterator[Daemon]:
    process = spawn(run, **processes)
    with closed(process):
        yield Daemon(run, process)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.03)


def position_of(log: str, line: str) -> int:
    assert line in log, log
    return log.index(line)


async def test_starts_each_when_what_it_needs_is_ready_and_stops_in_the_reverse_order(tmp_path: Path) -> None:
    once = {"command": "echo done once"}
    last = puppet(needs=("app",))
    app = puppet(needs=("server",))
    app["depends_on"]["once"] = {"condition": "process_completed_successfully"}
    async with daemon(tmp_path, last=last, app=app, once=once, server=puppet("--ready-after", "0.5")) as it:
        reports = await it.when(lambda reports: reports["last"].state is ProcessState.HEALTHY)
        assert reports["once"].state is ProcessState.COMPLETED
        assert (await control.ask_stop(tmp_path)).error == ""
        assert await it.ended() == 0
        assert not any(alive(reports[name].pid) for name in ("last", "app", "server"))
    log = it.log()
    expected = ["server healthy", "app starting", "app healthy", "last starting", "last healthy"]
    expected += ["last stopped", "app stopped", "server stopped"]
    positions = [position_of(log, line) for line in expected]
    assert positions == sorted(positions)
    assert "done once" in it.log("once")


async def test_independent_processes_start_together(tmp_path: Path) -> None:
    slow = {f"slow{number}": puppet("--ready-after", "1.0") for number in range(5)}
    async with daemon(tmp_path, **slow) as it:
        reports = await it.all_in(ProcessState.HEALTHY)
    starts = [report.since for report in reports.values()]
    assert max(starts) - min(starts) < 0.5


async def test_a_killed_process_comes_back_after_its_back_off(tmp_path: Path) -> None:
    async with daemon(tmp_path, app=puppet(restart="always")) as it:
        first = (await it.all_in(ProcessState.HEALTHY))["app"]
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        backing_off = (await it.all_in(ProcessState.BACKING_OFF))["app"]
        assert backing_off.reason == "ended by signal 9; next start in 0.2 s"
        second = (await it.all_in(ProcessState.HEALTHY))["app"]
        assert second.pid != first.pid
        assert second.restarts == 1
        assert second.since - first.since >= 0.2


async def test_a_crash_loop_ends_as_failed_and_says_so(tmp_path: Path) -> None:
    looping = puppet("--exit-after", "0.05", restart="always", max_restarts=2)
    async with daemon(tmp_path, app=looping, other=puppet()) as it:
        reports = await it.when(lambda reports: reports["app"].state is ProcessState.FAILED)
        assert reports["app"].restarts == 2
        assert reports["app"].reason == "exited with 3, after 2 restarts in a row"
        assert reports["app"].pid is None
        assert reports["other"].state is ProcessState.HEALTHY


async def test_a_failed_process_can_be_restarted_by_hand_and_its_dependents_follow(tmp_path: Path) -> None:
    marker = tmp_path / "mended"
    job = {"command": f"test -e {marker}"}
    app = {**puppet(), "depends_on": {"job": {"condition": "process_completed_successfully"}}}
    async with daemon(tmp_path, job=job, app=app) as it:
        reports = await it.when(lambda reports: reports["job"].state is ProcessState.FAILED)
        assert reports["app"].reason == "waits for job"
        marker.touch()
        assert (await control.ask_restart(tmp_path, "job")).error == ""
        await it.when(lambda reports: reports["app"].state is ProcessState.HEALTHY)
        assert (await control.ask_restart(tmp_path, "nobody")).error == "there is no process 'nobody'"


async def test_a_process_that_hangs_is_ended_and_started_again(tmp_path: Path) -> None:
    hanging = puppet("--hang-after", "1.0", restart="on_failure")
    probe = {"http_get": hanging["readiness_probe"]["http_get"], "period_seconds": 0.2, "timeout_seconds": 0.2}
    async with daemon(tmp_path, app={**hanging, "liveness_probe": probe}) as it:
        reports = await it.when(lambda reports: reports["app"].restarts == 1)
        assert reports["app"].state is not ProcessState.FAILED
        assert "stopped answering its liveness probe" in it.log()


async def test_a_process_that_stops_being_ready_is_unhealthy_not_restarted(tmp_path: Path) -> None:
    dull = puppet("--hang-after", "1.0")
    dull["readiness_probe"]["timeout_seconds"] = 0.2
    async with daemon(tmp_path, app=dull) as it:
        first = await it.all_in(ProcessState.HEALTHY)
        second = await it.all_in(ProcessState.UNHEALTHY)
        assert first["app"].pid == second["app"].pid


async def test_stop_takes_the_whole_group_even_what_ignores_the_signal(tmp_path: Path) -> None:
    family = tmp_path / "grandchild"
    wrapped = puppet("--deaf", "--grandchild", str(family))
    wrapped["command"] = wrapped["command"].removeprefix("exec ") + "; true"  # a shell stays in front
    async with daemon(tmp_path, app=wrapped) as it:
        reports = await it.all_in(ProcessState.HEALTHY)
        grandchild = int(family.read_text())
        assert alive(grandchild)
        await control.ask_stop(tmp_path)
        assert not alive(grandchild)
        assert not alive(reports["app"].pid)


async def test_a_crash_leaves_no_grandchild_to_hold_the_port_of_the_next_start(tmp_path: Path) -> None:
    family = tmp_path / "grandchild"
    async with daemon(tmp_path, app=puppet("--grandchild", str(family), restart="always")) as it:
        first = (await it.all_in(ProcessState.HEALTHY))["app"]
        orphan = int(family.read_text())
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        await it.when(lambda reports: reports["app"].restarts == 1)
        assert not alive(orphan)


async def test_kill_9_of_the_supervisor_takes_everything_along_and_blocks_nobody(tmp_path: Path) -> None:
    family = tmp_path / "grandchild"
    apps = {"app": puppet("--grandchild", str(family)), "deaf": puppet("--deaf")}
    async with daemon(tmp_path, **apps) as it:
        reports = await it.all_in(ProcessState.HEALTHY)
        identity = state.running(tmp_path)
        assert identity is not None
        os.kill(identity.pid, signal.SIGKILL)
        pids = [reports["app"].pid, reports["deaf"].pid, int(family.read_text())]
        await until(lambda: not any(alive(pid) for pid in pids))
        await it.ended()
    assert state.running(tmp_path) is None
    assert (tmp_path / "supervisor.sock").exists()  # stale, as is supervisor.json
    async with daemon(tmp_path, **apps) as it:
        await it.all_in(ProcessState.HEALTHY)


async def test_children_die_even_when_the_guard_is_killed_with_the_supervisor(tmp_path: Path) -> None:
    async with daemon(tmp_path, app=puppet()) as it:
        reports = await it.all_in(ProcessState.HEALTHY)
        identity = state.running(tmp_path)
        assert identity is not None
        it.process.send_signal(signal.SIGSTOP)  # first stopped, so that it cannot do its work before it dies
        os.kill(identity.pid, signal.SIGKILL)
        it.process.kill()
        await until(lambda: not alive(reports["app"].pid))


async def test_a_second_supervisor_is_refused(tmp_path: Path) -> None:
    async with daemon(tmp_path, app=puppet()) as it:
        await it.all_in(ProcessState.HEALTHY)
        second = spawn(tmp_path, app=puppet())
        with closed(second):
            assert await asyncio.to_thread(second.wait, PATIENCE) == 4
            assert second.stderr is not None
            assert b"another supervisor runs" in second.stderr.read()
        await it.all_in(ProcessState.HEALTHY)
        assert state.running(tmp_path) is not None
    assert state.running(tmp_path) is None


async def test_a_project_may_lie_deeper_than_a_socket_address_is_long(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    async with daemon(deep, app=puppet()) as it:
        await it.all_in(ProcessState.HEALTHY)
        assert (deep / "supervisor.sock").stat().st_mode & 0o077 == 0


async def test_followers_get_the_merged_log_and_files_hold_each_process(tmp_path: Path) -> None:
    chatty = {"command": "sleep 0.7; for n in 1 2 3; do echo line $n; done; echo trouble >&2; exec sleep 60"}
    async with daemon(tmp_path, chatty=chatty) as it:
        await it.all_in(ProcessState.RUNNING)
        lines: list[tuple[str, str]] = []
        async for line in control.follow(tmp_path):
            lines.append((line.process, line.text))
            if line.text == "trouble":
                break
        said = [(process, text) for process, text in lines if process == "chatty"]
        assert said == [("chatty", text) for text in ("line 1", "line 2", "line 3", "trouble")]
        assert it.log("chatty").splitlines() == [text for _, text in said]
