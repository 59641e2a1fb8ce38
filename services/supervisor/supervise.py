"""The processes themselves: started in order, watched, started again, and stopped in the reverse order."""

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from services.supervisor import rules
from services.supervisor.child import Child
from services.supervisor.logs import Logs
from services.supervisor.model import Probe, ProcessSpec, ProcessState, Stack
from services.supervisor.probe import passes
from services.supervisor.rules import Again, Ending, Finished, GiveUp
from services.supervisor.state import ProcessReport

START_POLL_SECONDS = 0.1
"""How often a process that is not ready yet is asked again, so that the next in order does not wait for nothing."""

OWN_LOG = "supervisor"


class Tended:
    """One process of the stack and what became of it so far."""

    def __init__(self, name: str, spec: ProcessSpec) -> None:
        self.name = name
        self.spec = spec
        self.state = ProcessState.WAITING
        self.reason = ""
        self.child: Child | None = None
        self.restarts = 0
        self.failures_in_a_row = 0
        self.started = time.time()
        self.ready_after: float | None = None
        self.task: asyncio.Task[None] | None = None


class Supervisor:
    """Runs a `Stack` until told to stop."""

    def __init__(self, stack: Stack, directory: Path, environment: Mapping[str, str], logs: Logs) -> None:
        self._stack = stack
        self._directory = directory
        self._environment = environment
        self._logs = logs
        self._processes = {name: Tended(name, stack.processes[name]) for name in rules.start_order(stack)}
        self._one_shots = stack.one_shots
        self._changed = asyncio.Event()
        self._stopping = False
        self.stopped = asyncio.Event()

    def start(self) -> None:
        for tended in self._processes.values():
            self._tend(tended)

    def _tend(self, tended: Tended) -> None:
        tended.task = asyncio.create_task(self._life(tended), name=tended.name)

    # -- one process ---------------------------------------------------------------------------------------------

    async def _life(self, tended: Tended) -> None:
        """From waiting for its dependencies to its final state."""
        try:
            await self._dependencies_met(tended)
            while await self._start_again(tended, await self._run_once(tended)):
                tended.restarts += 1
                tended.failures_in_a_row += 1
        except asyncio.CancelledError:
            self._become(tended, ProcessState.STOPPED)
            raise
        except Exception as error:  # the fault is ours, and the others shall not suffer from it
            self._become(tended, ProcessState.FAILED, f"supervisor error: {error!r}")
            raise

    async def _dependencies_met(self, tended: Tended) -> None:
        while missing := rules.unmet(tended.spec, self.states()):
            tended.reason = f"waits for {', '.join(missing)}"
            await self._changed.wait()

    async def _run_once(self, tended: Tended) -> Ending:
        began = time.monotonic()
        try:
            child = self._spawn(tended)
        except OSError as error:
            self._say(tended, f"cannot be started: {error}")
            return Ending(code=os.EX_OSERR)
        tended.child, tended.started, tended.ready_after = child, time.time(), None
        self._become(tended, tended.spec.first_state)
        try:
            unresponsive = await self._watch(tended, child, began)
        finally:
            if not child.exited.done():
                self._become(tended, ProcessState.STOPPING)
            code = await child.finish(tended.spec.shutdown.signal, tended.spec.shutdown.timeout_seconds)
            tended.child = None
        if time.monotonic() - began >= rules.STABLE_AFTER_SECONDS:
            tended.failures_in_a_row = 0
        return Ending(code, unresponsive)

    def _spawn(self, tended: Tended) -> Child:
        return Child(
            tended.spec.command,
            self._directory / tended.spec.working_dir,
            self._variables(tended),
            self._logs.sink(tended.name),
            death=tended.spec.shutdown.signal,
        )

    def _variables(self, tended: Tended) -> dict[str, str]:
        return {**self._environment, **tended.spec.variables}

    async def _watch(self, tended: Tended, child: Child, began: float) -> bool:
        """Until it exits, or (True) until its liveness probe says that it hangs."""
        readiness = asyncio.create_task(self._follow_readiness(tended, began))
        liveness = asyncio.create_task(self._until_unresponsive(tended))
        try:
            await asyncio.wait([child.exited, liveness], return_when=asyncio.FIRST_COMPLETED)
            return not child.exited.done()
        finally:
            for task in (readiness, liveness):
                task.cancel()
            await asyncio.wait([readiness, liveness])

    async def _follow_readiness(self, tended: Tended, began: float) -> None:
        probe = tended.spec.readiness_probe
        if probe is None:
            return
        await asyncio.sleep(probe.initial_delay_seconds)
        streak = 0  # passes in a row, or failures as negative numbers
        while True:
            passed = await self._passes(probe, tended)
            streak = max(streak, 0) + 1 if passed else min(streak, 0) - 1
            if streak >= probe.success_threshold and tended.state is not ProcessState.HEALTHY:
                tended.ready_after = time.monotonic() - began
                self._become(tended, ProcessState.HEALTHY, f"after {tended.ready_after:.1f} s")
            elif -streak >= probe.failure_threshold and tended.state is ProcessState.HEALTHY:
                self._become(tended, ProcessState.UNHEALTHY)
            await asyncio.sleep(probe.period_seconds if tended.state is ProcessState.HEALTHY else START_POLL_SECONDS)

    async def _until_unresponsive(self, tended: Tended) -> None:
        probe = tended.spec.liveness_probe
        if probe is None:
            await asyncio.Event().wait()
            return
        await asyncio.sleep(probe.initial_delay_seconds)
        failures = 0
        while failures < probe.failure_threshold:
            await asyncio.sleep(probe.period_seconds)
            failures = 0 if await self._passes(probe, tended) else failures + 1

    async def _passes(self, probe: Probe, tended: Tended) -> bool:
        return await passes(probe, self._directory / tended.spec.working_dir, self._variables(tended))

    async def _start_again(self, tended: Tended, ending: Ending) -> bool:
        match rules.after_end(tended.spec.availability, ending, tended.failures_in_a_row):
            case Finished():
                self._become(tended, ProcessState.COMPLETED)
                return False
            case GiveUp(reason):
                self._become(tended, ProcessState.FAILED, reason)
                return False
            case Again(delay):
                self._become(tended, ProcessState.BACKING_OFF, f"{ending}; next start in {delay:g} s")
                await asyncio.sleep(delay)
                return True

    # -- all of them ---------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Stop everything, dependents first. Asked a second time: at once."""
        if self._stopping:
            self._kill_all()
            await self.stopped.wait()
            return
        self._stopping = True
        for wave in rules.stop_waves(self._stack):
            await asyncio.gather(*(self._cancel(self._processes[name]) for name in wave))
        self.stopped.set()

    def _kill_all(self) -> None:
        for tended in self._processes.values():
            if tended.child:
                tended.child.signal(signal.SIGKILL)

    async def _cancel(self, tended: Tended) -> None:
        if tended.task is None:
            return
        tended.task.cancel()
        with suppress(asyncio.CancelledError, Exception):  # what went wrong in it has been reported
            await tended.task

    async def restart(self, name: str) -> None:
        """Stop one process and start it anew, whatever state it is in; earlier failures are forgotten."""
        tended = self._processes[name]
        await self._cancel(tended)
        if not self._stopping:
            tended.restarts += 1
            tended.failures_in_a_row = 0
            self._become(tended, ProcessState.WAITING)
            self._tend(tended)

    def knows(self, name: str) -> bool:
        return name in self._processes

    def states(self) -> dict[str, ProcessState]:
        return {name: tended.state for name, tended in self._processes.items()}

    def report(self) -> list[ProcessReport]:
        return [self._report(tended) for tended in self._processes.values()]

    def _report(self, tended: Tended) -> ProcessReport:
        return ProcessReport(
            name=tended.name,
            pid=tended.child.pid if tended.child else None,
            state=tended.state,
            settled=rules.is_settled(tended.state, one_shot=tended.name in self._one_shots),
            reason=tended.reason,
            restarts=tended.restarts,
            since=tended.started,
            health=tended.spec.health,
            log=str(self._logs.path(tended.name)),
        )

    def _become(self, tended: Tended, state: ProcessState, reason: str = "") -> None:
        tended.state, tended.reason = state, reason
        self._say(tended, f"{state.value}{f': {reason}' if reason else ''}")
        self._changed.set()  # wakes everybody who waits now; who comes later waits for the next change
        self._changed = asyncio.Event()

    def _say(self, tended: Tended, text: str) -> None:
        self._logs.write(OWN_LOG, f"{tended.name} {text}".encode())
