"""Being with a started stack: until it is healthy, has replayed its recording, or is stopped."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from services.cli.errors import ExitCode, fail
from services.cli.feed import Feed
from services.cli.health import Health, Phase, ask_all
from services.cli.output import PrefixedLog, last_lines
from services.cli.settings import StackSettings
from services.supervisor import control
from services.supervisor.model import ProcessState, Stack
from services.supervisor.state import ProcessReport
from services.supervisor.supervise import OWN_LOG

_START_POLL_SECONDS = 0.1
_POLL_SECONDS = 0.5
_LOG_TAIL = 15
_FEED = "feed"
_BROKERS = {"nats", "ledger"}  # their health pages are their own
_STOP_SECONDS = 90.0
_CATCHING_UP_AFTER_SECONDS = 5.0


class SupervisorGone(Exception):
    """The daemon ended while we were with it."""


class StartFailed(Exception):
    """The stack cannot become healthy."""

    def __init__(self, message: str, log: Path) -> None:
        super().__init__(message)
        self.log = log


class Attendance:
    """One `hmm up`, from the started daemon to its exit code."""

    def __init__(
        self,
        settings: StackSettings,
        stack: Stack,
        feed: Feed,
        daemon: subprocess.Popen[bytes],
        began: float,
        *,
        detach: bool,
    ) -> None:
        self._settings = settings
        self._stack = stack
        self._feed = feed
        self._daemon = daemon
        self._began = began
        self._detach = detach
        self._interrupted = asyncio.Event()

    async def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._interrupted.set)
        streaming = None if self._detach else asyncio.create_task(self._stream())
        work = asyncio.create_task(self._work())
        interruption = asyncio.create_task(self._interrupted.wait())
        await asyncio.wait([work, interruption], return_when=asyncio.FIRST_COMPLETED)
        interruption.cancel()
        try:
            if work.done():
                work.result()
                return 0
            work.cancel()
            return await self._stop()
        except StartFailed as failure:
            return await self._give_up(failure)
        except SupervisorGone:
            return self._report_end()
        except OSError:  # nobody reads what we print any more
            return await self._stop()
        finally:
            if streaming:
                streaming.cancel()

    async def _work(self) -> None:
        await self._until_healthy()
        self._print_where_to_look()
        if not self._detach:
            await (self._until_replayed() if self._feed.ends else self._until_stopped())

    # -- becoming healthy ----------------------------------------------------------------------------------------

    async def _until_healthy(self) -> None:
        reports: tuple[ProcessReport, ...] = ()
        furthest, progress = (0, 0), time.monotonic()
        while not reports or not all(report.settled for report in reports):
            before, reports = reports, await self._starting_reports()
            self._show_changes(before, reports)
            reached = await self._reached(reports)
            if reached > furthest:
                furthest, progress = reached, time.monotonic()
            if time.monotonic() - progress > self._settings.start_timeout:
                raise self._stuck(reports)
            await asyncio.sleep(_START_POLL_SECONDS)

    async def _starting_reports(self) -> tuple[ProcessReport, ...]:
        """What the supervisor says; empty as long as it has not opened its socket."""
        try:
            reports = await self._reports()
        except SupervisorGone:
            raise StartFailed("the supervisor has ended", self._log(OWN_LOG)) from None
        for report in reports:
            if report.state is ProcessState.FAILED:
                raise StartFailed(f"{report.name} failed: {report.reason}", Path(report.log))
        return reports

    async def _reports(self) -> tuple[ProcessReport, ...]:
        try:
            return (await control.ask_report(self._settings.run)).processes
        except control.NotAnswering:
            if self._daemon.poll() is not None:
                raise SupervisorGone from None
            return ()

    def _show_changes(self, before: tuple[ProcessReport, ...], now: tuple[ProcessReport, ...]) -> None:
        """One line per process that got somewhere; in the foreground the supervisor's log says it."""
        known = {report.name: report.state for report in before}
        for report in now if self._detach else ():
            worth_telling = report.settled or report.state is ProcessState.BACKING_OFF
            if worth_telling and report.state is not known.get(report.name):
                print(f"  {report.name:<{self._width}}  {report.state.value} {report.reason}".rstrip(), flush=True)

    async def _reached(self, reports: tuple[ProcessReport, ...]) -> tuple[int, int]:
        """How many are ready, and how far those are that still catch up: slow but moving is no failure."""
        settled = sum(report.settled for report in reports)
        if time.monotonic() - self._began < _CATCHING_UP_AFTER_SECONDS:
            return settled, 0
        late = tuple(report for report in reports if report.state is ProcessState.STARTING)
        return settled, sum(health.position or 0 for health in (await ask_all(late)).values())

    def _stuck(self, reports: tuple[ProcessReport, ...]) -> StartFailed:
        waited = f"after {self._settings.start_timeout:g} s (HMM_START_TIMEOUT)"
        for report in reports:
            if not report.settled and report.state is not ProcessState.WAITING:
                return StartFailed(f"{report.name} is still {report.state.value} {waited}", Path(report.log))
        return StartFailed(f"nothing moves {waited}", self._log(OWN_LOG))

    @property
    def _width(self) -> int:
        return max(map(len, self._stack.processes))

    def _log(self, process: str) -> Path:
        return self._settings.logs / f"{process}.log"

    def _print_where_to_look(self) -> None:
        settings = self._settings
        ports = [
            spec.health.port for name, spec in self._stack.processes.items() if spec.health and name not in _BROKERS
        ]
        health = f"http://127.0.0.1:{min(ports)}-{max(ports)} (/livez /readyz /metrics)" if ports else "-"
        print(f"healthy after {time.monotonic() - self._began:.1f} s\n")
        for what, where, command in (
            ("processes", health, "hmm status"),
            ("tape", settings.nats_url, "hmm tape --follow"),
            ("store", settings.database_url, "hmm sql 'SELECT * FROM orders'"),
            ("logs", str(settings.logs), "hmm logs NAME --follow"),
            ("stop", "", "hmm down"),
        ):
            print(f"  {what:<10} {command:<32} {where}".rstrip())
        print(flush=True)

    # -- afterwards ----------------------------------------------------------------------------------------------

    async def _stream(self) -> None:
        """Print the merged log, from its beginning."""
        log = PrefixedLog([*self._stack.processes, OWN_LOG])
        while True:
            try:
                async for line in control.follow(self._settings.run):
                    log.print(line.process, line.text)
                return
            except control.NotAnswering:
                await asyncio.sleep(_START_POLL_SECONDS)
            except OSError:  # the terminal, or whom our output was piped to, is gone
                self._interrupted.set()
                return

    async def _until_stopped(self) -> None:
        while self._daemon.poll() is None:  # noqa: ASYNC110 # a process sends no event
            await asyncio.sleep(_POLL_SECONDS)
        raise SupervisorGone

    async def _until_replayed(self) -> None:
        from services.cli.replayed import print_summary  # noqa: PLC0415 # slow, and the start shall not wait for it

        before: dict[str, int | None] = {}
        while True:
            reports = await self._reports()
            answers = await ask_all(reports)
            self._require_going_on(reports, answers)
            # Twice the same: a process may have read all there is and be about to write more.
            now = {name: answer.position for name, answer in answers.items()} if _caught_up(reports, answers) else {}
            if now and now == before:
                await print_summary(self._settings, answers[_FEED], time.monotonic() - self._began)
                return
            before = now
            await asyncio.sleep(_POLL_SECONDS)

    def _require_going_on(self, reports: tuple[ProcessReport, ...], answers: dict[str, Health]) -> None:
        failed = {report.name: report.reason for report in reports if report.state is ProcessState.FAILED}
        failed |= {name: answer.detail for name, answer in answers.items() if answer.state is Phase.FAILED}
        for name, reason in failed.items():
            fail(f"{name} failed: {reason}", f"the rest is still up: hmm logs {name}, hmm down")

    def _report_end(self) -> int:
        code = self._daemon.poll()
        if code != 0:
            fail(f"the supervisor ended unexpectedly, with {code}", f"its log: {self._log(OWN_LOG)}")
        if self._feed.ends:
            fail("the stack was stopped before the replay was finished", "again: hmm up")
        print("the stack was stopped")
        return 0

    async def _stop(self) -> int:
        """Stop the stack on request; another request does it at once."""
        self._tell("stopping (once more to kill)")
        self._interrupted.clear()
        stopping = asyncio.create_task(_stopped(self._settings.run, self._daemon))
        again = asyncio.create_task(self._interrupted.wait())
        await asyncio.wait([stopping, again], return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            await _stopped(self._settings.run, self._daemon)
        again.cancel()
        await stopping
        self._tell("stopped")
        return 0

    async def _give_up(self, failure: StartFailed) -> int:
        tail = last_lines(failure.log, _LOG_TAIL)
        print(f"\n{failure.log}:" if tail else "")
        for line in tail:
            print(f"  {line}")
        print("stopping", flush=True)
        await _stopped(self._settings.run, self._daemon)
        fail(str(failure), f"its log: {failure.log}", ExitCode.FAILED)

    def _tell(self, text: str) -> None:
        try:
            print(text, flush=True)
        except OSError:  # nobody reads it: what is still buffered shall not fail once more at our exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _stopped(run: Path, daemon: subprocess.Popen[bytes]) -> None:
    """Stop the stack and wait until nothing of it is left."""
    try:
        await asyncio.wait_for(control.ask_stop(run), _STOP_SECONDS)
    except control.NotAnswering:  # not yet, or not any more
        if daemon.poll() is None:
            daemon.send_signal(signal.SIGTERM)
    while daemon.poll() is None:  # noqa: ASYNC110 # a process sends no event
        await asyncio.sleep(0.03)


def _caught_up(reports: tuple[ProcessReport, ...], answers: dict[str, Health]) -> bool:
    """The feed has come to its end, and everybody says that there is nothing left to read."""
    silent = [report.name for report in reports if report.health and report.name not in {*answers, *_BROKERS}]
    at_end = _FEED in answers and answers[_FEED].state is Phase.FINISHED
    return at_end and not silent and all(not answer.lag for answer in answers.values())
