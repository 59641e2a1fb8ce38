"""One operating system process with all it starts: its own session and process group, its output, its end."""

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from services.supervisor.logs import LineSink, LineSplitter

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # loaded here, because the forked child shall not have to
_KILLED_SECONDS = 5.0
_LEFTOVER_SECONDS = 2.0
_OUTPUT_SECONDS = 0.5
_GROUP_POLL_SECONDS = 0.03
_CHUNK_BYTES = 64 * 1024


def die_with_parent(parent: int, death_signal: int) -> Callable[[], None]:
    """What a child does between fork and exec to receive `death_signal` when `parent` is killed."""

    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return prepare


def group_members(group: int) -> list[int]:
    """The living processes of a process group (zombies are not)."""
    numbers = (entry.name for entry in os.scandir("/proc") if entry.name.isdigit())
    return [int(pid) for pid in numbers if _is_alive_in(pid, group)]


def _is_alive_in(pid: str, group: int) -> bool:
    try:
        stat = Path("/proc", pid, "stat").read_text()
    except OSError:  # it ended while we looked
        return False
    state, _, its_group = stat[stat.rindex(")") + 2 :].split()[:3]
    return int(its_group) == group and state not in "ZX"


class Child:
    """A running process. It stays unreaped until `finish`, so that its group's number cannot become somebody else's."""

    def __init__(
        self, command: str, directory: Path, environment: Mapping[str, str], sink: LineSink, death: int
    ) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(os.getpid(), death),  # noqa: PLW1509 # the supervisor has no threads
        )
        self.pid = self._process.pid
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[None] = loop.create_future()
        self._pidfd = os.pidfd_open(self.pid)
        loop.add_reader(self._pidfd, self._on_exit)
        self._output = asyncio.create_task(self._read_output(sink))

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.exited.set_result(None)

    async def _read_output(self, sink: LineSink) -> None:
        assert self._process.stdout is not None
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_read_pipe(lambda: protocol, self._process.stdout)
        lines = LineSplitter()
        try:
            while chunk := await reader.read(_CHUNK_BYTES):
                for line in lines.feed(chunk):
                    sink(line)
        finally:
            for line in lines.end():
                sink(line)
            transport.close()

    def signal(self, number: int) -> None:
        """Send to the whole group: a shell in front of a server must not leave the server behind."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def finish(self, number: int, grace: float) -> int:
        """End it and all it left in its group; tell its exit code. Cannot be cancelled half way."""
        finishing = asyncio.create_task(self._finish(number, grace))
        interruption: asyncio.CancelledError | None = None
        while not finishing.done():
            try:
                await asyncio.shield(finishing)
            except asyncio.CancelledError as error:
                interruption = error
        if interruption:
            raise interruption
        return finishing.result()

    async def _finish(self, number: int, grace: float) -> int:
        if not self.exited.done():
            await self._end(number, grace)
        elif group_members(self.pid):
            await self._end(signal.SIGTERM, min(grace, _LEFTOVER_SECONDS))
        # A descendant that left the group may hold the pipe open for ever: its output is not ours to wait for.
        await asyncio.wait([self._output], timeout=_OUTPUT_SECONDS)
        self._output.cancel()
        await asyncio.wait([self._output])
        return self._process.wait()

    async def _end(self, number: int, grace: float) -> None:
        """Ask the group to end; what has not after `grace` seconds is killed."""
        self.signal(number)
        try:
            await asyncio.wait_for(self._group_gone(), grace)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await asyncio.wait([self.exited], timeout=_KILLED_SECONDS)

    async def _group_gone(self) -> None:
        await asyncio.shield(self.exited)
        while group_members(self.pid):  # noqa: ASYNC110 # a process group sends no event
            await asyncio.sleep(_GROUP_POLL_SECONDS)
