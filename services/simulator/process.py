"""One simulated process: the real client, the real wire and a program of ours, in a life that can end at any moment."""

import asyncio
import logging
from collections.abc import Callable
from enum import Enum
from random import Random

from nats.aio.client import Client

from services.simulator.loop import Domain, DomainState, SimulatedLoop
from services.simulator.network import Link
from services.simulator.programs import Program
from services.simulator.transport import Dial, SimulatedTransport
from tape.wire import Wire

logger = logging.getLogger(__name__)

STOPS_WITHIN_S = 5.0
"""As a process has it in `tape/service.py`, where the client's options come from too."""


class Ending(Enum):
    """How a process ended."""

    DONE = "done"
    FAILED = "failed"
    KILLED = "killed"


class Process:
    """Runs a program from the start to whatever ends it. It ends for good: what is started again is another one."""

    def __init__(
        self,
        loop: SimulatedLoop,
        random: Random,
        domain: Domain,
        program: Program,
        dial: Dial,
        on_end: Callable[[Ending, str], None],
    ) -> None:
        self.domain = domain
        self.program = program
        self.transport = SimulatedTransport(loop, domain, dial)
        self._loop = loop
        self._random = random
        self._on_end = on_end
        self._told_to_end = asyncio.Event()
        self._over = False
        self._frozen: list[bytes] = []
        with loop.within(domain):
            self._life = loop.create_task(self._live())

    @property
    def link(self) -> Link | None:
        return self.transport.link

    @property
    def paused(self) -> bool:
        return self.domain.state is DomainState.PAUSED

    def tell_to_end(self) -> None:
        """Ask it to end, as SIGTERM does."""
        with self._loop.within(self.domain):
            self._told_to_end.set()

    def kill(self, lose: Callable[[Link], None]) -> None:
        """End it at once, as SIGKILL does; of what it had handed to its socket, the first part gets through."""
        self.domain.state = DomainState.DEAD
        link = self.link
        if link is not None:
            link.open_at_client = False
            link.up.cut(self._random.randint(0, len(link.up)))
            lose(link)
        self._end(Ending.KILLED, "")

    def pause(self) -> None:
        """Let it do nothing, as SIGSTOP does; the last of what it has said may still lie in its own memory."""
        self.domain.state = DomainState.PAUSED
        link = self.link
        if link is not None:
            self._frozen = link.up.take_back(self._random.randint(0, len(link.up)))

    def resume(self) -> None:
        """Let it go on, as SIGCONT does; it does not know that time has passed."""
        frozen, self._frozen = self._frozen, []
        link = self.link
        if link is not None:
            for piece in frozen:
                link.up.put(piece)
        self._loop.resume(self.domain)

    async def _live(self) -> None:
        client = Client()
        client._transport = self.transport
        await client.connect(
            "nats://simulated:4222",
            error_cb=_ignore,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            ping_interval=5,
            max_outstanding_pings=2,
            pending_size=16 * 1024 * 1024,
            inbox_prefix="_INBOX",
        )
        failure = await self._work(Wire(client))
        await client.close()
        ending = Ending.DONE if failure is None else Ending.FAILED
        self._loop.call_soon(self._end, ending, "" if failure is None else f"{type(failure).__name__}: {failure}")

    async def _work(self, wire: Wire) -> BaseException | None:
        """Run the program until it fails or is told to end; gives what failed."""
        failure: BaseException | None = None
        work = asyncio.create_task(self._start_and_run(wire))
        told = asyncio.create_task(self._told_to_end.wait())
        await asyncio.wait((work, told), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            failure = work.exception()
            if failure is None:  # its work is done: it stays up until it is told to end
                await told
        work.cancel()
        told.cancel()
        await asyncio.gather(work, told, return_exceptions=True)
        try:
            async with asyncio.timeout(STOPS_WITHIN_S):
                await self.program.stop()
        except Exception as error:  # noqa: BLE001 # as a process does: nothing is lost, it resumes from the tape
            logger.info("could not stop cleanly: %r", error)
        return failure

    async def _start_and_run(self, wire: Wire) -> None:
        await self.program.start(wire)
        await self.program.run()

    def _end(self, ending: Ending, why: str) -> None:
        """Be gone, and say so once."""
        self.domain.state = DomainState.DEAD
        if not self._over:
            self._over = True
            with self._loop.within(None):
                self._loop.unwind(self.domain)
                self._on_end(ending, why)


async def _ignore(_error: Exception) -> None:
    """The client's errors are faults that were meant."""
